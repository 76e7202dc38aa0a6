# SPDX-License-Identifier: Apache-2.0
"""HAS IT CHANGED ENOUGH? What is worth a call to Nova, and how it is written.

Each call tells every scheduler of one aggregate: noise is not worth one.
"""

import functools
import math
import typing

from edge_filters import spelling
from edge_filters.latency import sample
from edge_filters.latency import sample_format

# No probe of the agent waits longer for its answer. What is said to have taken
# longer was not measured, but converted from another unit, say.
MAX_MS = 60000.0

# As long as Nova lets a value be.
MAX_LENGTH = 255

# A loss has to change by this, and by this many of its standard errors, so
# that chance alone seldom makes it change.
_LOSS_POINTS = 1.0
_STANDARD_ERRORS = 3.0
# Of how many probes a loss is taken to be that does not tell: so few that only
# a large change is no chance. Any other is published with the keep-alive.
_FEW_PROBES = 10

_MAX_PROBES = 10**9

# Decimals of milliseconds and of percent that people read.
_DECIMALS = 3
_LEAST = 0.001
_MOST_PCT = 99.999

_BOUND = sample.Kind.BOUND


class Change(typing.NamedTuple):
    """One key of an aggregate that is to have another value.

    :param site: name of the site
    :param key: the key
    :param before: the value that is there; None: there is none
    :param after: the value that it is to have; None: it is removed
    :param why: the reason, in words
    :param is_due: whether that is worth a call of its own
    """

    site: str
    key: str
    before: str | None
    after: str | None
    why: str
    is_due: bool = True


class Hysteresis(typing.NamedTuple):
    """By how much an RTT has to move, both of them.

    :param ms: in milliseconds
    :param pct: in percent of what it was
    """

    ms: float
    pct: float

    def is_exceeded(self, before_ms: float, after_ms: float) -> bool:
        """Return whether an RTT has moved enough."""
        return abs(after_ms - before_ms) > self.margin_ms(before_ms)

    def margin_ms(self, before_ms: float) -> float:
        """Return how far an RTT may move, in milliseconds."""
        return max(self.ms, self.pct / 100 * before_ms)


def difference(
    before: sample.Sample, after: sample.Sample, hysteresis: Hysteresis
) -> str:
    """Return how a figure has changed enough, in words; empty: it has not.

    Of jitter and loss that they are known now is a change, and that they are
    no longer known is none: somebody who tells them now and then would
    otherwise have it written all the time.
    """
    if before.rtt_ms is None or after.rtt_ms is None:
        if before.is_unreachable == after.is_unreachable:
            return ''
        return 'unreachable now' if after.is_unreachable else 'reachable again'
    if hysteresis.is_exceeded(before.rtt_ms, after.rtt_ms):
        return f'RTT was {before.rtt_ms:.4g} ms, is {after.rtt_ms:.4g} ms'
    if after.jitter_ms is not None:
        was = before.jitter_ms
        if was is None:
            return 'jitter is known now'
        moved_ms = abs(after.jitter_ms - was)
        if moved_ms > hysteresis.margin_ms(before.rtt_ms):
            return f'jitter was {was:.4g} ms, is {after.jitter_ms:.4g} ms'
    if after.loss_pct is not None:
        if before.loss_pct is None:
            return 'loss is known now'
        if _has_loss_changed(before, after):
            return f'loss was {before.loss_pct:.3g} %, is {after.loss_pct:.3g}'
    return ''


def _has_loss_changed(before: sample.Sample, after: sample.Sample) -> bool:
    """Return whether two losses differ by more than chance.

    The test of two proportions that take their standard error from both.
    """
    was, now = (before.loss_pct or 0) / 100, (after.loss_pct or 0) / 100
    if abs(now - was) * 100 <= _LOSS_POINTS:
        return False
    one, other = before.probes or _FEW_PROBES, after.probes or _FEW_PROBES
    both = (was * one + now * other) / (one + other)
    error = math.sqrt(both * (1 - both) * (1 / one + 1 / other))
    return abs(now - was) > _STANDARD_ERRORS * error


def objection(figure: sample.Sample, now: float) -> str:
    """Return why what was measured cannot be written; empty: it can.

    It is the end of a sentence that begins with the figure. Any value may
    come from the network.

    :param now: seconds since the epoch
    """
    rtt_ms, jitter_ms, loss_pct, probes, at, source, kind = figure
    if at is None:
        return 'does not say when it was measured'
    if not 0 <= at <= now + sample.CLOCK_TOLERANCE_S:
        return f'is dated {at - now:.0f} s ahead, or before 1970'
    if rtt_ms is None:
        if loss_pct != 100:
            return 'has no RTT, though it says that some probes were answered'
    elif not 0 < rtt_ms <= MAX_MS:
        return f'has an RTT of {rtt_ms:g} ms; it can be above 0 to {MAX_MS:g}'
    elif loss_pct is not None and not 0 <= loss_pct < 100:
        return f'has an RTT and a loss of {loss_pct:g} %'
    if jitter_ms is not None and not 0 <= jitter_ms <= MAX_MS:
        return f'has a jitter of {jitter_ms:g} ms; it can be 0 to {MAX_MS:g}'
    if probes is not None and not 0 <= probes <= _MAX_PROBES:
        return f'says that it is of {probes:g} probes'
    if kind is not sample.Kind.FIGURE:
        return f'is no figure, but of the kind {kind.value}'
    if source is not None and not _is_word(source):
        return f'is by {spelling.shown(source)}, which is no word'
    return ''


@functools.lru_cache(100)
def _is_word(source: str) -> bool:
    try:
        return sample_format.parse_sample(f'1 by={source}').source == source
    except ValueError:
        return False


def value(figure: sample.Sample, agent: str) -> str:
    """Return how a figure is written that there is no objection to.

    :param agent: name of the agent
    :raises ValueError: if it is longer than Nova lets it be
    """
    text = sample_format.format_sample(
        figure._replace(
            rtt_ms=_rounded(
                figure.rtt_ms, 0 if figure.kind is _BOUND else _LEAST
            ),
            jitter_ms=_rounded(figure.jitter_ms, 0),
            loss_pct=_rounded_loss(figure.loss_pct),
        ),
        agent,
    )
    if len(text) > MAX_LENGTH:
        raise ValueError(f'has more than {MAX_LENGTH} characters')
    return text


def _rounded(number: float | None, least: float) -> float | None:
    """Return a number as people read it, which is not 0 unless it may be."""
    return None if number is None else max(least, round(number, _DECIMALS))


def _rounded_loss(loss_pct: float | None) -> float | None:
    """Return a loss as people read it; a little is not none, nor is it all."""
    if loss_pct is None or loss_pct in (0, 100):
        return loss_pct
    return min(max(_LEAST, round(loss_pct, _DECIMALS)), _MOST_PCT)
