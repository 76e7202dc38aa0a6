# SPDX-License-Identifier: Apache-2.0
"""WHEN IS EACH PROBE SENT? What the drivers that send probes share.

One thread sends what is due, and reads what came, once a tick. It need not be
prompt to be exact: when an answer came the kernel tells.
"""

import abc
import collections.abc
import dataclasses
import errno
import itertools
import threading
import time
import typing

from oslo_log import log as logging

from edge_filters import ratelimit
from edge_filters.agent import addresses
from edge_filters.agent import beacons
from edge_filters.agent import probe
from edge_filters.agent import reading
from edge_filters.conf import agent as agent_conf

LOG = logging.getLogger(__name__)

# How often a driver wakes, in seconds: what it takes is mostly waking.
TICK_S = 0.05

# What is said of a path, or by who is at its end: the probe is lost. That no
# route leads there is so, too: whose uplink is cut is far from everybody. All
# else is wrong with this host, such as its firewall or its memory.
_LOST = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ETIMEDOUT,
    }
)

_WARNINGS = ratelimit.RateLimit()


class Schedule:
    """When the next of many probes are due.

    After a pause what was missed is not sent at once: it takes longer.

    :param count: how many there are
    :param spread_s: the seconds that they are spread over
    :param max_per_second: how many are sent in any second, at most; a part of
        one counts as one
    :param clock: seconds that only grow
    """

    def __init__(
        self,
        count: int,
        spread_s: float,
        max_per_second: float,
        clock: collections.abc.Callable[[], float] = time.monotonic,
    ) -> None:
        # Each is up to a tick late: those of so much more fit in a second.
        self._gap_s = max(spread_s / count, (1 + TICK_S) / max_per_second)
        self._clock = clock
        self._next = clock()
        #: The seconds that it takes to send all.
        self.length_s = count * self._gap_s

    def due(self, most: int) -> int:
        """Return how many are due now, at most so many; they count as sent."""
        now = self._clock()
        if now < self._next:
            return 0
        self._next = max(self._next, now - TICK_S)
        count = min(most, int((now - self._next) / self._gap_s) + 1)
        self._next += count * self._gap_s
        return count

    def wait_s(self) -> float:
        """Return the seconds until the next is due."""
        return max(0.0, self._next - self._clock())


@dataclasses.dataclass(slots=True)
class Tally:
    """What came of the probes to one beacon.

    :param beacon: the beacon
    :param address: where it is
    :param sent: how many were sent
    :param unknown: of how many of them nobody knows what came
    :param at: when the last was sent, in seconds since the epoch
    :param rtts_ms: of those that were answered, by their number
    """

    beacon: beacons.Beacon
    address: str
    sent: int = 0
    unknown: int = 0
    at: float = 0.0
    rtts_ms: dict[int, float] = dataclasses.field(default_factory=dict)

    def echoes(self) -> reading.Echoes:
        """Return it as the agent has it."""
        rtts_ms = (self.rtts_ms[it] for it in sorted(self.rtts_ms))
        return reading.Echoes(
            tuple(rtts_ms),
            self.sent - self.unknown,
            self.at,
            str(self.beacon),
        )


class _Flight(typing.NamedTuple):
    """A probe that was sent and not answered yet.

    :param tally: that of its beacon
    :param number: which it is, of those to its beacon
    :param end: when it is lost, on the clock
    """

    tally: Tally
    number: int
    end: float


class Paced(probe.Probe):
    """A driver that sends probes to beacons, many in flight."""

    #: How many may be in flight.
    MAX_FLIGHTS = 65536

    def __init__(
        self,
        settings: agent_conf.Settings,
        beacons: collections.abc.Sequence[beacons.Beacon],
    ) -> None:
        super().__init__(settings, beacons)
        #: Seconds after which a probe without an answer is lost.
        self.timeout_s = settings.probe_timeout_s
        # In the order in which they were sent.
        self._flights: dict[collections.abc.Hashable, _Flight] = {}

    @abc.abstractmethod
    def _begin(self, targets: collections.abc.Iterable[str]) -> None:
        """Open what it takes to send probes to addresses."""

    @abc.abstractmethod
    def _send(
        self, beacon: beacons.Beacon, address: str
    ) -> collections.abc.Hashable | None:
        """Send a probe.

        :returns: by what its answer is known; None: nothing can be sent from
            here just now, which has been logged
        :raises OSError: why it cannot be sent
        """

    @abc.abstractmethod
    def _answers(
        self,
    ) -> collections.abc.Iterable[
        tuple[collections.abc.Hashable, float | OSError]
    ]:
        """Return what came since: of which probe, and its RTT in ms.

        In the place of the RTT is why there is none, infinity where the probe
        is lost, or NaN where nobody knows. What is of no probe is passed over.
        """

    @abc.abstractmethod
    def _drop(self, key: collections.abc.Hashable) -> None:
        """Forget a probe that is not in flight any more."""

    @abc.abstractmethod
    def _end(self) -> None:
        """Close what was opened."""

    def measure(
        self, spread_s: float, stop: threading.Event
    ) -> probe.Readings:
        """Send each beacon its probes, and return what came back."""
        found = addresses.ADDRESSES.find(
            (it.host for it in self.beacons), stop
        )
        tallies = [
            Tally(it, found[it.host])
            for it in self.beacons
            if it.host in found
        ]
        if not tallies:
            return []
        try:
            self._begin(it.address for it in tallies)
            self._send_all(tallies, spread_s, stop)
            while self._flights and not stop.wait(TICK_S):
                self._look()
            self._look()
        finally:
            self._leave()
        return [
            (it.beacon.path, it.echoes())
            for it in tallies
            if it.sent > it.unknown
        ]

    def _send_all(
        self, tallies: list[Tally], spread_s: float, stop: threading.Event
    ) -> None:
        count = len(tallies) * self.settings.probes
        schedule = self._schedule(count, spread_s)
        waiting = itertools.chain.from_iterable(
            itertools.repeat(tallies, self.settings.probes)
        )
        pause_s = TICK_S
        while count and not stop.wait(pause_s):
            self._look()
            room = self.MAX_FLIGHTS - len(self._flights)
            for tally in itertools.islice(waiting, schedule.due(room)):
                self._launch(tally)
                count -= 1
            pause_s = TICK_S
            if not self._flights:
                pause_s = max(TICK_S, schedule.wait_s())

    def _schedule(self, count: int, spread_s: float) -> Schedule:
        rate = self.settings.max_probes_per_second
        schedule = Schedule(count, spread_s, rate)
        if schedule.length_s > self.settings.interval_s and _WARNINGS.is_due(
            type(self)
        ):
            LOG.warning(
                '%(count)d probes take %(length).0f s, which is longer than '
                'interval, as %(rate)g are sent in a second; raise '
                'max_probes_per_second or interval, or lower probes.',
                {'count': count, 'length': schedule.length_s, 'rate': rate},
            )
        return schedule

    def _launch(self, tally: Tally) -> None:
        failure: OSError | None = None
        try:
            key = self._send(tally.beacon, tally.address)
        except OSError as error:
            failure = error
        if failure is not None:
            self._fail(tally, failure)
        else:
            if key is None:
                return
            self._flights[key] = _Flight(
                tally, tally.sent, time.monotonic() + self.timeout_s
            )
        tally.sent += 1
        tally.at = time.time()

    def _look(self) -> None:
        """Count what came, and give up what takes too long."""
        for key, outcome in self._answers():
            # A second answer to a probe finds it gone.
            flight = self._flights.pop(key, None)
            if flight is not None:
                self._drop(key)
                self._count(flight, outcome)
        now = time.monotonic()
        while self._flights:
            key = next(iter(self._flights))
            if self._flights[key].end > now:
                return
            del self._flights[key]
            self._drop(key)

    def _count(self, flight: _Flight, outcome: float | OSError) -> None:
        tally, number, _end = flight
        if isinstance(outcome, OSError):
            self._fail(tally, outcome)
        elif outcome > 0:
            if outcome <= self.timeout_s * 1000:
                tally.rtts_ms[number] = outcome
        else:
            # Neither lost nor answered, as far as anybody knows.
            tally.unknown += 1

    def _leave(self) -> None:
        """Forget what is still in flight: it is neither lost nor answered."""
        for key, flight in self._flights.items():
            flight.tally.unknown += 1
            self._drop(key)
        self._flights.clear()
        self._end()

    def _fail(self, tally: Tally, error: OSError) -> None:
        """Say why a probe is lost, or why it does not count."""
        if error.errno in _LOST:
            self._warn_lost(tally, error)
            return
        tally.unknown += 1
        # Of all beacons one is named: most likely it is the same with all.
        if _WARNINGS.is_due((type(self), error.errno)):
            LOG.warning(
                'Probes, such as to the beacon %(beacon)s at %(address)s, do '
                'not count, as they say nothing of the path: %(why)s; see to '
                'the firewall, ports, open files and memory of this host.',
                _words(tally, error),
            )

    def _warn_lost(self, tally: Tally, error: OSError) -> None:
        if _WARNINGS.is_due((tally.beacon, error.errno)):
            LOG.warning(
                'Probes to the beacon %(beacon)s at %(address)s are lost: '
                '%(why)s; see to the route to it, and that it answers.',
                _words(tally, error),
            )


def _words(tally: Tally, error: OSError) -> dict[str, object]:
    """Return what a warning says of a probe."""
    return {
        'beacon': tally.beacon,
        'address': tally.address,
        'why': error.strerror or str(error),
    }
