# SPDX-License-Identifier: Apache-2.0
"""HOW FAR IS EVERYBODY NOW? Drivers are asked, estimators make figures."""

import collections
import collections.abc
import concurrent.futures
import dataclasses
from importlib import metadata
import threading
import time
import typing

from oslo_log import log as logging
import stevedore

from edge_filters import ratelimit
from edge_filters import spelling
from edge_filters.agent import beacons
from edge_filters.agent import estimator
from edge_filters.agent import probe
from edge_filters.agent import reading
from edge_filters.conf import agent as agent_conf
from edge_filters.latency import sample

LOG = logging.getLogger(__name__)

NAMESPACE = 'edge_filters.probes'

# The driver that needs no beacons.
PROMETHEUS = 'prometheus'

# By path; they outlive a configuration, for loss is counted for long.
Estimators = dict[reading.Path, estimator.Estimator]

_SAID = ratelimit.RateLimit()


@dataclasses.dataclass(slots=True)
class Counts:
    """What drivers measured since the agent began.

    Each driver is counted by one thread.

    :param at: when a driver last had something, or was made, in seconds since
        the epoch
    :param sent: how many probes each driver sent
    :param lost: how many of them were not answered
    """

    at: dict[str, float] = dataclasses.field(default_factory=dict)
    sent: dict[str, int] = dataclasses.field(default_factory=dict)
    lost: dict[str, int] = dataclasses.field(default_factory=dict)

    def add(
        self, driver: str, seen: reading.Echoes | sample.Sample, now: float
    ) -> None:
        """Count what a driver measured.

        :param seen: probes are counted of echoes only: how many were sent for
            a sample of Prometheus, others count
        :param now: seconds since the epoch
        """
        self.at[driver] = now
        if isinstance(seen, reading.Echoes):
            lost = max(seen.sent - len(seen.rtts_ms), 0)
            self.sent[driver] = self.sent.get(driver, 0) + seen.sent
            self.lost[driver] = self.lost.get(driver, 0) + lost

    def keep(self, drivers: collections.abc.Set[str], now: float) -> None:
        """Count these drivers from now on, and forget when others had what.

        :param now: seconds since the epoch
        """
        self.at = {name: self.at.get(name, now) for name in drivers}


class Measurement:
    """Drivers that measure at the same time, and what they measure.

    :param drivers: by name
    :param statistic: which RTT of the probes is the figure
    :param estimators: those that there are; those that lack are added
    :param counts: where probes are counted
    """

    def __init__(
        self,
        drivers: collections.abc.Mapping[str, probe.Probe],
        statistic: str,
        estimators: Estimators,
        counts: Counts,
    ) -> None:
        self._drivers = drivers
        for it in estimators.values():
            it.use(statistic)
        self._statistic = statistic
        self._estimators = estimators
        self._counts = counts

    def measure(
        self, spread_s: float, stop: threading.Event
    ) -> dict[reading.Path, sample.Sample]:
        """Measure once; return the figures that there are.

        :param spread_s: the seconds that probes are spread over
        :param stop: set when it has to return soon
        """
        figures: dict[reading.Path, sample.Sample] = {}
        echoes: dict[reading.Path, list[tuple[str, reading.Echoes]]] = (
            collections.defaultdict(list)
        )
        with concurrent.futures.ThreadPoolExecutor(len(self._drivers)) as pool:
            asked = {
                name: pool.submit(_measure, name, driver, spread_s, stop)
                for name, driver in self._drivers.items()
            }
        now = time.time()
        for name, answer in asked.items():
            for path, seen in answer.result():
                self._counts.add(name, seen, now)
                if isinstance(seen, sample.Sample):
                    figures[path] = seen._replace(source=name)
                else:
                    echoes[path].append((name, seen))
        if stop.is_set():
            # What was cut short is no figure, and not lost either.
            return figures
        for path, of_beacons in echoes.items():
            figure = self._estimate(path, of_beacons)
            if figure is not None:
                figures[path] = figure
        return figures

    def _estimate(
        self,
        path: reading.Path,
        of_beacons: collections.abc.Sequence[tuple[str, reading.Echoes]],
    ) -> sample.Sample | None:
        """Return the figure of a path by what came back from its beacons."""
        pooled = estimator.pool([seen for _, seen in of_beacons])
        silent = [of_beacons[place][1].beacon for place in pooled.silent]
        if silent and _SAID.is_due(path):
            LOG.warning(
                '%s: no answer from %s; it is left out, for other beacons '
                'of %s answer. See whether it is still there.',
                path.key,
                spelling.listed(silent),
                path.target,
            )
        if path not in self._estimators:
            self._estimators[path] = estimator.Estimator(self._statistic)
        figure = self._estimators[path].add(pooled.heard)
        by = {
            name
            for place, (name, _) in enumerate(of_beacons)
            if place not in pooled.silent
        }
        return figure and figure._replace(source='-'.join(sorted(by)))


def _measure(
    name: str, driver: probe.Probe, spread_s: float, stop: threading.Event
) -> list[tuple[reading.Path, reading.Echoes | sample.Sample]]:
    try:
        return [(path, seen) for path, seen in driver.measure(spread_s, stop)]
    except Exception:
        # Others may write drivers; theirs are not to end ours.
        if _SAID.is_due(name):
            LOG.exception(
                'The probe %s failed, and the others go on; report it to who '
                'wrote it, with what follows.',
                name,
            )
        return []


def plan(
    settings: agent_conf.Settings,
    estimators: Estimators,
    counts: Counts,
) -> list[Measurement]:
    """Return what has to be measured, at the same time or on its own.

    Those with beacons measure together, as one origin may have beacons of
    several. Whatever is wrong is logged, and left out.
    """
    schemes = metadata.entry_points(group=NAMESPACE).names - {PROMETHEUS}
    found, problems = beacons.parse(settings, schemes)
    for problem in problems:
        LOG.error('%s', problem)
    by_scheme: dict[str, list[beacons.Beacon]] = collections.defaultdict(list)
    for beacon in found:
        by_scheme[beacon.scheme].append(beacon)
    for path in estimators.keys() - {beacon.path for beacon in found}:
        del estimators[path]
    groups = [_drivers(settings, by_scheme)]
    if settings.prometheus_url:
        groups.append(_drivers(settings, {PROMETHEUS: []}))
    counts.keep({name for drivers in groups for name in drivers}, time.time())
    return [
        Measurement(drivers, settings.statistic, estimators, counts)
        for drivers in groups
        if drivers
    ]


def _drivers(
    settings: agent_conf.Settings,
    by_scheme: collections.abc.Mapping[str, list[beacons.Beacon]],
) -> dict[str, probe.Probe]:
    drivers = {}
    problems = []
    count = sum(map(len, by_scheme.values()))
    for name, its_beacons in by_scheme.items():
        # The limit holds for all of them together.
        rate = settings.max_probes_per_second * len(its_beacons)
        share = dataclasses.replace(
            settings, max_probes_per_second=rate / max(count, 1)
        )
        try:
            manager: typing.Any = stevedore.DriverManager(NAMESPACE, name)
            drivers[name] = manager.driver(share, its_beacons)
        except Exception as error:
            problems.append((name, error))
    # Not while they are handled: oslo.log would say them twice.
    for problem in problems:
        LOG.error(
            'There is no probe %s (%s); what it would measure is left out. '
            'See whether edge-filters[agent] is installed.',
            *problem,
        )
    return drivers
