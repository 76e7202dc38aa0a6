# SPDX-License-Identifier: Apache-2.0
"""WHAT IS THERE TO WATCH? The agent's metrics, for a Prometheus to scrape.

They are read when they are asked for, and kept nowhere. Names and units are as
Prometheus wants them: seconds, ratios, and ``_total`` for what is counted.
What is unknown has no series: it is never 0.
"""

import collections.abc
import contextlib
from importlib import metadata
import time
from wsgiref import simple_server

from oslo_log import log as logging
import prometheus_client
from prometheus_client import core
from prometheus_client import registry

from edge_filters.agent import measurement
from edge_filters.agent import publisher

LOG = logging.getLogger(__name__)

# For how long who has connected may say nothing: each has a thread.
_PATIENCE_S = 30.0

_Metrics = collections.abc.Iterator[core.Metric]


class Collector(registry.Collector):
    """Makes metrics of what the agent knows, whenever it is asked.

    :param clock: the time in seconds since the epoch
    """

    def __init__(
        self,
        publisher: publisher.Publisher,
        counts: measurement.Counts,
        clock: collections.abc.Callable[[], float] = time.time,
    ) -> None:
        self._publisher = publisher
        self._counts = counts
        self._clock = clock
        self._version = metadata.version('edge-filters')

    def collect(self) -> _Metrics:
        """Return all metrics, as they are now."""
        yield from self._figures()
        yield from self._probes()
        yield from self._publishing()
        yield core.InfoMetricFamily(
            'edge_latency_agent_build',
            'Version of the agent',
            {'version': self._version},
        )

    def _figures(self) -> _Metrics:
        now = self._clock()
        rtt = core.GaugeMetricFamily(
            'edge_figure_rtt_seconds',
            'Published RTT; a path that is unreachable has none',
        )
        jitter = core.GaugeMetricFamily(
            'edge_figure_jitter_seconds', 'Published variation of the RTT'
        )
        loss = core.GaugeMetricFamily(
            'edge_figure_loss_ratio', 'Published loss; 1: unreachable'
        )
        age = core.GaugeMetricFamily(
            'edge_figure_age_seconds', 'Since a published figure was measured'
        )
        # A copy, as figures may come and go meanwhile.
        for path, figure in dict(self._publisher.published()).items():
            target = 'to_site' if path.is_to_site else 'origin'
            labels = {'site': path.site, target: path.target}
            for family, value in (
                (rtt, _seconds(figure.rtt_ms)),
                (jitter, _seconds(figure.jitter_ms)),
                (loss, _ratio(figure.loss_pct)),
                (age, None if figure.at is None else now - figure.at),
            ):
                if value is not None:
                    family.add_sample(family.name, labels, value)
        yield from (rtt, jitter, loss, age)

    def _probes(self) -> _Metrics:
        counts = self._counts
        for metric, by_driver in (
            (
                core.CounterMetricFamily(
                    'edge_latency_agent_probes',
                    'Probes that were sent',
                    labels=['driver'],
                ),
                counts.sent,
            ),
            (
                core.CounterMetricFamily(
                    'edge_latency_agent_probes_lost',
                    'Probes that were not answered',
                    labels=['driver'],
                ),
                counts.lost,
            ),
            (
                core.GaugeMetricFamily(
                    'edge_latency_agent_measured_timestamp_seconds',
                    'When a driver last had something',
                    labels=['driver'],
                ),
                counts.at,
            ),
        ):
            for driver, value in dict(by_driver).items():
                metric.add_metric([driver], value)
            yield metric

    def _publishing(self) -> _Metrics:
        publisher = self._publisher
        yield core.CounterMetricFamily(
            'edge_latency_agent_api_calls',
            'Calls to Nova',
            publisher.api_calls,
        )
        yield core.CounterMetricFamily(
            'edge_latency_agent_publish_errors',
            'Calls to Nova that failed',
            publisher.errors,
        )
        yield core.GaugeMetricFamily(
            'edge_latency_agent_sites',
            'Sites that there are',
            publisher.sites(),
        )
        yield core.GaugeMetricFamily(
            'edge_latency_agent_stale_sites',
            'Sites with figures that are too old',
            publisher.stale_sites(self._clock()),
        )
        # None is no sample.
        yield core.GaugeMetricFamily(
            'edge_latency_agent_api_success_timestamp_seconds',
            'When a call to Nova last succeeded',
            publisher.last_success,
        )


class _Handler(simple_server.WSGIRequestHandler):
    """Answers one request; who goes away, or says nothing, is no error."""

    timeout = _PATIENCE_S

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


def start(
    collector: registry.Collector, address: str, port: int
) -> collections.abc.Callable[[], None]:
    """Have the metrics answered, by threads of their own.

    Where the port cannot be had, the log says so, and the agent goes on.

    :param port: where to listen; 0: nowhere
    :returns: what ends it, and makes the port free
    """
    if not port:
        return _nothing
    metrics = prometheus_client.CollectorRegistry()
    metrics.register(collector)
    prometheus_client.ProcessCollector(registry=metrics)
    failure: OSError | None = None
    try:
        server, thread = prometheus_client.start_http_server(
            port, address, metrics
        )
    except OSError as error:
        failure = error
    if failure is not None:
        LOG.error(
            'There are no metrics at %(address)s, port %(port)d: %(error)s; '
            'set [edge_latency_agent] metrics_address and metrics_port to '
            'what nobody else listens at.',
            {
                'address': address,
                'port': port,
                'error': failure.strerror or failure,
            },
        )
        return _nothing

    server.RequestHandlerClass = _Handler

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def _nothing() -> None:
    """End what was never started."""


def _seconds(time_ms: float | None) -> float | None:
    return None if time_ms is None else time_ms / 1000


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / 100
