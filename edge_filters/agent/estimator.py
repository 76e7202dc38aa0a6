# SPDX-License-Identifier: Apache-2.0
"""WHAT DO PROBES SAY? The probes of a path, interval by interval, as a figure.

The RTT is that of the last interval alone: links change faster than a mean of
the past can follow. Loss takes more probes than an interval has, so that it is
counted over many, back to where it last changed.
"""

import array
import collections
import collections.abc
import math
import statistics
import typing

from edge_filters.agent import reading
from edge_filters.latency import sample

_Echoes = collections.abc.Sequence[reading.Echoes]
_Statistic = collections.abc.Callable[[collections.abc.Sequence[float]], float]

# How many intervals loss is counted over: with 10 probes in each it suffices
# for a budget of 0.1 percent, which takes 3000.
_LOSS_INTERVALS = 360

# Of how many intervals the median is taken for jitter.
_JITTER_INTERVALS = 3

# From this G on loss has changed: the 99.99th percentile of chi-squared with
# one degree of freedom. Though each interval is tested in several ways, loss
# that does not change seems to, but less than once in 1000 intervals.
_CHANGED_G = 15.14

# Of fewer probes that are lost in a row chance may be the reason.
_FEW = 3


def _p95(rtts_ms: collections.abc.Sequence[float]) -> float:
    """Return what 95 percent are not above: of fewer than 20 the largest."""
    return sorted(rtts_ms)[math.ceil(0.95 * len(rtts_ms)) - 1]


# By the values of the option.
_STATISTICS: collections.abc.Mapping[str, _Statistic] = {
    'median': statistics.median,
    'p95': _p95,
    'min': min,
}


class Pool(typing.NamedTuple):
    """What the beacons of one path say together.

    :param heard: the echoes that the figure is made of
    :param silent: which are left out, as places in what was pooled, from 0
    """

    heard: tuple[reading.Echoes, ...]
    silent: tuple[int, ...]


def pool(echoes: _Echoes) -> Pool:
    """Leave out the beacons that are silent while others answer.

    Where all are silent it is the path that is, and none is left out. Fewer
    than three lost probes may be chance, and stay lost.

    :param echoes: of each beacon of a path, in one interval
    """
    if not any(it.rtts_ms for it in echoes):
        return Pool(tuple(echoes), ())
    silent = tuple(
        place
        for place, it in enumerate(echoes)
        if it.sent >= _FEW and not it.rtts_ms
    )
    return Pool(
        tuple(it for place, it in enumerate(echoes) if place not in silent),
        silent,
    )


class Estimator:
    """Makes a figure of the probes of one path.

    RTT
        is the statistic of each beacon's probes in the last interval; of
        several beacons the median. Nothing of the past is in it, so that a
        step is there at once.

    Jitter
        is the packet delay variation of RFC 5481, 4.2, but of *round trips*,
        where the RFC has one way: how much longer than the fastest to that
        beacon in that interval. 95 percent of the probes are within it; of
        fewer than 20 all are. Of three intervals the median counts: one late
        probe makes no jitter, and a change is there in two intervals.

    Loss
        is counted over up to 360 intervals, and so is the number of probes
        that it is of. Where a G-test says that loss has changed, what was
        before counts no more. It compares the last 1, 2, 4, 8... intervals
        with those before, as ADWIN does (Bifet and Gavalda, 2007).

    Unreachable
        is a path without an answer in the last interval, however few its
        probes were: most often silence goes on. An outage of three probes or
        more is told so alone: once it is over loss is counted anew.

    :param statistic: which RTT counts: ``median``, ``p95`` or ``min``
    """

    __slots__ = ('_jitters_ms', '_losses', '_silent', '_statistic')

    def __init__(self, statistic: str) -> None:
        self.use(statistic)
        self._jitters_ms: collections.deque[float | None] = collections.deque(
            maxlen=_JITTER_INTERVALS
        )
        self._losses = _Losses()
        # How many probes were sent since the last answer.
        self._silent = 0

    def use(self, statistic: str) -> None:
        """Have another RTT count from now on."""
        self._statistic = _STATISTICS[statistic]

    def add(self, echoes: _Echoes) -> sample.Sample | None:
        """Return the figure as it is after one more interval.

        :param echoes: of each beacon, in one interval, as pooled
        :returns: the figure, without its source; None: nothing was sent
        """
        sent = sum(it.sent for it in echoes)
        if sent <= 0:
            return None
        answers = [it.rtts_ms for it in echoes if it.rtts_ms]
        at = max(it.at for it in echoes)
        self._jitters_ms.append(_jitter_ms(answers))
        if answers and self._silent >= _FEW:
            self._losses = _Losses()
        lost = sum(max(it.sent - len(it.rtts_ms), 0) for it in echoes)
        self._losses.add(sent, lost)
        if not answers:
            self._silent += sent
            return sample.Sample(None, loss_pct=100.0, probes=sent, at=at)
        self._silent = 0
        jitters_ms = [it for it in self._jitters_ms if it is not None]
        return sample.Sample(
            _rounded(statistics.median(map(self._statistic, answers))),
            _rounded(statistics.median(jitters_ms)) if jitters_ms else None,
            self._losses.percent,
            self._losses.sent,
            at,
        )


class _Losses:
    """Counts probes for as long as the share that is lost is the same."""

    __slots__ = ('_lost', '_sent')

    def __init__(self) -> None:
        # Of each interval, the oldest first.
        self._sent = array.array('I')
        self._lost = array.array('I')

    @property
    def sent(self) -> int:
        return sum(self._sent)

    @property
    def percent(self) -> float:
        """How many are lost, as it is told of a path that answers.

        It is 0 only if none was lost, and never 100: so a path is written
        that does not answer.
        """
        percent = 100 * sum(self._lost) / self.sent
        return min(float(f'{percent:.4g}'), 99.99)

    def add(self, sent: int, lost: int) -> None:
        """Count one more interval, and forget those of another loss."""
        self._sent.append(sent)
        self._lost.append(lost)
        self._keep(_LOSS_INTERVALS)
        self._keep(self._same())

    def _keep(self, intervals: int) -> None:
        del self._sent[:-intervals], self._lost[:-intervals]

    def _same(self) -> int:
        """Return how many of the latest intervals have the same loss."""
        count = len(self._sent)
        sent, lost = sum(self._sent), sum(self._lost)
        best_g, same = _CHANGED_G, count
        whole = _log_likelihood(sent, lost)
        latest = 1
        while latest < count:
            its_sent = sum(self._sent[-latest:])
            its_lost = sum(self._lost[-latest:])
            g = 2 * (
                _log_likelihood(its_sent, its_lost)
                + _log_likelihood(sent - its_sent, lost - its_lost)
                - whole
            )
            if g > best_g:
                best_g, same = g, latest
            latest *= 2
        return same


def _log_likelihood(sent: int, lost: int) -> float:
    """Return that of so many losses, if their share is the true one."""
    return sum(
        part * math.log(part / sent) for part in (lost, sent - lost) if part
    )


def _jitter_ms(answers: list[tuple[float, ...]]) -> float | None:
    """Return the variation in one interval; None: there were too few answers.

    :param answers: RTTs in milliseconds, by beacon
    """
    variations_ms = [
        _p95(rtts_ms) - min(rtts_ms) for rtts_ms in answers if len(rtts_ms) > 1
    ]
    return statistics.median(variations_ms) if variations_ms else None


def _rounded(time_ms: float) -> float:
    """Return a time in whole microseconds, finer than which nothing is."""
    return round(time_ms, 3)
