# SPDX-License-Identifier: Apache-2.0
"""WHAT IS DONE ALL DAY? Measure, and publish what was measured."""

import collections.abc
import functools
import math
import threading
import time

from oslo_log import log as logging

from edge_filters import cloud
from edge_filters import ratelimit
from edge_filters.agent import change
from edge_filters.agent import measurement
from edge_filters.agent import publisher
from edge_filters.conf import agent as agent_conf

LOG = logging.getLogger(__name__)

# How fast the probes of a beacon follow each other where a person waits.
_HASTE_S = 0.2

# How often it is seen whether there is something to publish, at least.
_PATIENCE_S = 1.0

_SAID = ratelimit.RateLimit()

# How long it is paused after what should not have happened.
_PAUSE_S = 10.0

# How often Nova may fail, and nothing else happen, before that is the result.
_TRIES = 3


class Agent:
    """Measures and publishes by one configuration, in threads of its own.

    :param settings: what it is set to
    :param nova: where it is published
    :param before: the agent whose place it takes, stopped: what it measured
        is not lost
    """

    def __init__(
        self,
        settings: agent_conf.Settings,
        nova: cloud.Cloud,
        before: 'Agent | None' = None,
    ) -> None:
        self.settings = settings
        self.publisher = publisher.Publisher(nova, settings)
        self.counts = measurement.Counts()
        self._estimators: measurement.Estimators = {}
        if before is not None:
            self.publisher.measured(before.publisher.measured_figures())
            self.counts = before.counts
            self._estimators = before._estimators
        self._measurements = measurement.plan(
            settings, self._estimators, self.counts
        )
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._keep_doing, args=(what,), name=name, daemon=True
            )
            for name, what in (
                *(
                    ('measure', functools.partial(self._measure, it))
                    for it in self._measurements
                ),
                ('publish', self._publish),
            )
        ]

    def start(self) -> None:
        """Begin to measure and publish."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """Stop, and wait until it has: a call to Nova may be under way.

        :param timeout_s: for how long to wait; None: as long as it takes
        """
        self._stop.set()
        deadline = timeout_s and time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(deadline and max(0, deadline - time.monotonic()))

    def preview(self) -> list[change.Change]:
        """Measure once; return what would be written.

        :raises CloudError: if Nova cannot be asked what is there
        """
        self._measure_in_haste()
        return self.publisher.plan()

    def once(self) -> bool:
        """Measure once and publish it.

        :returns: whether something was measured, and all of it is published
            or is what another agent keeps fresh
        """
        self._measure_in_haste()
        least, failures = math.inf, 0
        while failures < _TRIES and (waiting := self.publisher.pending()):
            if waiting < least:
                least, failures = waiting, 0
            errors = self.publisher.errors
            self._stop.wait(self._publish())
            failures += self.publisher.errors > errors
        return (
            bool(self.publisher.measured_figures())
            and not self.publisher.pending()
            and not self.publisher.missing()
        )

    def _measure_in_haste(self) -> None:
        spread_s = min(
            self.settings.interval_s - self.settings.probe_timeout_s,
            self.settings.probes * _HASTE_S,
        )
        for it in self._measurements:
            self.publisher.measured(it.measure(spread_s, self._stop))

    def _keep_doing(self, what: collections.abc.Callable[[], float]) -> None:
        """Do something again and again, until stopped.

        :param what: does it, and returns in how many seconds to do it again
        """
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            try:
                wait_s = what()
            except Exception:
                # Figures would go stale, and nobody would say so.
                if _SAID.is_due(what):
                    LOG.exception(
                        'Something failed that should not, and is tried again '
                        'every %g s; report it with what follows.',
                        _PAUSE_S,
                    )
                wait_s = _PAUSE_S

    def _measure(self, it: measurement.Measurement) -> float:
        """Measure once; return when to do it again, once an interval."""
        interval_s = self.settings.interval_s
        began = time.monotonic()
        spread_s = interval_s - self.settings.probe_timeout_s
        self.publisher.measured(it.measure(spread_s, self._stop))
        return max(0.0, interval_s - (time.monotonic() - began))

    def _publish(self) -> float:
        """Make one call to Nova, or none; return when to do it again."""
        return min(self.publisher.step(), _PATIENCE_S)
