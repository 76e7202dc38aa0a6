# SPDX-License-Identifier: Apache-2.0

import io
import socket
import sys
import threading
from urllib import request

import fixtures
import hypothesis
import prometheus_client
from prometheus_client import parser

from edge_filters.agent import exposition
from edge_filters.agent import measurement
from edge_filters.agent import publisher
from edge_filters.agent import reading
from edge_filters.latency import sample
from tests.unit import base
from tests.unit.latency import test_sample_format

NOW = 1795428000.0
LABELS = ('site', 'origin', 'to_site', 'driver')
PARIS = reading.Path('par-01', 'paris')
TO_LYON = reading.Path('par-01', 'lyo-01', is_to_site=True)


class Publisher:
    """What is published, as a test has it."""

    def __init__(self, figures=(), last_success=None):
        self.figures = dict(figures)
        self.api_calls = 7
        self.errors = 2
        self.last_success = last_success

    def published(self):
        return self.figures

    def sites(self):
        return 5

    def stale_sites(self, now):
        assert now == NOW
        return 1


def scraped(publisher, measured=None):
    """Return the values that a Prometheus reads, by name and labels."""
    registry = prometheus_client.CollectorRegistry()
    registry.register(
        exposition.Collector(
            publisher, measured or measurement.Counts(), lambda: NOW
        )
    )
    text = prometheus_client.generate_latest(registry).decode()
    return {
        (it.name, *(it.labels[key] for key in LABELS if key in it.labels)): (
            it.value
        )
        for family in parser.text_string_to_metric_families(text)
        for it in family.samples
        if family.name != 'edge_latency_agent_build_info'
    }


class MetricsTest(base.TestCase):
    """What there is to watch."""

    def test_figure(self):
        """A figure is told in seconds and as a ratio, and how old it is."""
        figure = sample.Sample(12.5, 0.5, 2.0, 300, NOW - 40, 'icmp')
        figures = scraped(Publisher({PARIS: figure, TO_LYON: figure}))
        for path in (('par-01', 'paris'), ('par-01', 'lyo-01')):
            for name, value in (
                ('rtt_seconds', 0.0125),
                ('jitter_seconds', 0.0005),
                ('loss_ratio', 0.02),
                ('age_seconds', 40),
            ):
                self.assertEqual(value, figures[f'edge_figure_{name}', *path])

    def test_labels(self):
        """To users it is told by origin, to another site by to_site."""
        figures = Publisher(dict.fromkeys((PARIS, TO_LYON), sample.Sample(1)))
        collector = exposition.Collector(figures, measurement.Counts())
        rtt = next(iter(collector.collect()))
        self.assertEqual(
            [
                {'site': 'par-01', 'origin': 'paris'},
                {'site': 'par-01', 'to_site': 'lyo-01'},
            ],
            [it.labels for it in rtt.samples],
        )

    def test_unreachable(self):
        """Who is unreachable has no RTT, and loses all."""
        figure = sample.Sample(None, loss_pct=100.0, probes=10, at=NOW)
        figures = scraped(Publisher({PARIS: figure}))
        self.assertEqual(
            {
                ('edge_figure_loss_ratio', 'par-01', 'paris'): 1.0,
                ('edge_figure_age_seconds', 'par-01', 'paris'): 0.0,
            },
            {key: it for key, it in figures.items() if 'paris' in key},
        )

    def test_unknown(self):
        """What is unknown is not there; no loss is 0."""
        figures = scraped(
            Publisher(
                {
                    PARIS: sample.Sample(5, loss_pct=0.0),
                    TO_LYON: sample.Sample(4),
                }
            )
        )
        self.assertEqual(
            {
                ('edge_figure_rtt_seconds', 'par-01', 'paris'): 0.005,
                ('edge_figure_loss_ratio', 'par-01', 'paris'): 0.0,
                ('edge_figure_rtt_seconds', 'par-01', 'lyo-01'): 0.004,
                ('edge_latency_agent_api_calls_total',): 7,
                ('edge_latency_agent_publish_errors_total',): 2,
                ('edge_latency_agent_sites',): 5,
                ('edge_latency_agent_stale_sites',): 1,
            },
            figures,
        )

    def test_last_success(self):
        """When a call last succeeded is told once one did."""
        self.assertEqual(
            NOW,
            scraped(Publisher(last_success=NOW))[
                ('edge_latency_agent_api_success_timestamp_seconds',)
            ],
        )

    def test_never_read(self):
        """How many sites there are is not told before anybody looked."""
        unread = Publisher()
        unread.sites = lambda: None
        unread.stale_sites = lambda now: None
        names = {name for name, *_ in scraped(unread)}
        self.assertIn('edge_latency_agent_api_calls_total', names)
        self.assertEqual(
            set(),
            names
            & {'edge_latency_agent_sites', 'edge_latency_agent_stale_sites'},
        )

    def test_same_interface(self):
        """What stands in for the publisher here is what it is."""
        names = {it for it in vars(Publisher) if not it.startswith('_')}
        self.assertLessEqual(names, set(dir(publisher.Publisher)))

    def test_probes(self):
        """Probes are counted by driver; those of others are not ours."""
        measured = measurement.Counts()
        for _ in range(2):
            measured.add('icmp', reading.Echoes((5.0,), 10, NOW), NOW)
        measured.add('tcp', reading.Echoes((5.0, 5.0), 1, NOW), NOW + 1)
        measured.add('prometheus', sample.Sample(5, probes=20), NOW + 2)
        agent = 'edge_latency_agent_'
        when = f'{agent}measured_timestamp_seconds'
        self.assertEqual(
            {
                (f'{agent}probes_total', 'icmp'): 20,
                (f'{agent}probes_total', 'tcp'): 1,
                (f'{agent}probes_lost_total', 'icmp'): 18,
                (f'{agent}probes_lost_total', 'tcp'): 0,
                (when, 'icmp'): NOW,
                (when, 'tcp'): NOW + 1,
                (when, 'prometheus'): NOW + 2,
            },
            {
                key: it
                for key, it in scraped(Publisher(), measured).items()
                if len(key) == 2
            },
        )

    @hypothesis.given(test_sample_format.SAMPLES)
    def test_anything(self, figure):
        """Whatever is published can be scraped; an RTT only if it is one."""
        metrics = scraped(Publisher({TO_LYON: figure}))
        rtt_s = metrics.get(('edge_figure_rtt_seconds', 'par-01', 'lyo-01'))
        loss = metrics.get(('edge_figure_loss_ratio', 'par-01', 'lyo-01'))
        self.assertEqual(figure.is_unreachable, rtt_s is None)
        self.assertEqual(figure.is_unreachable, loss == 1)
        self.assertTrue(loss is None or 0 <= loss <= 1)

    def test_changing(self):
        """A scrape while figures come and go is of one moment."""
        publisher = Publisher()
        paths = [reading.Path('par-01', f'o{it}') for it in range(500)]
        is_over = threading.Event()

        def change():
            while not is_over.is_set():
                for path in paths:
                    publisher.figures[path] = sample.Sample(
                        5.0, 1.0, 0.0, at=NOW
                    )
                publisher.figures.clear()

        thread = threading.Thread(target=change)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(is_over.set)
        collector = exposition.Collector(
            publisher, measurement.Counts(), lambda: NOW
        )
        for _ in range(50):
            rtt, jitter, loss, age, *_ = collector.collect()
            self.assertEqual(
                1, len({len(it.samples) for it in (rtt, jitter, loss, age)})
            )


class ServerTest(base.TestCase):
    """Where it is answered."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.collector = exposition.Collector(
            Publisher(), measurement.Counts(), lambda: NOW
        )

    def free_port(self):
        with socket.create_server(('127.0.0.1', 0)) as listener:
            return listener.getsockname()[1]

    def test_scrape(self):
        """It is answered until it is stopped; then the port is free."""
        port = self.free_port()
        for _ in range(2):
            stop = exposition.start(self.collector, '127.0.0.1', port)
            with request.urlopen(f'http://127.0.0.1:{port}/metrics') as got:
                text = got.read().decode()
            stop()
            self.assertIn('edge_latency_agent_sites 5.0\n', text)
            self.assertIn('process_resident_memory_bytes', text)
            self.assertRaises(
                ConnectionRefusedError,
                socket.create_connection,
                ('127.0.0.1', port),
            )
        self.assertEqual('', self.log.output)

    def test_silent(self):
        """Who connects and says nothing is hung up on, and none is told."""
        port = self.free_port()
        self.assertLess(exposition._Handler.timeout, 60)
        self.patch(exposition._Handler, 'timeout', 0.01)
        self.patch(sys, 'stderr', io.StringIO())
        self.addCleanup(exposition.start(self.collector, '127.0.0.1', port))
        with socket.create_connection(('127.0.0.1', port), 10) as silent:
            self.assertEqual(b'', silent.recv(1))
        self.assertEqual('', sys.stderr.getvalue())

    def test_port_in_use(self):
        """A port that somebody else has is told in one sentence."""
        with socket.create_server(('127.0.0.1', 0)) as listener:
            port = listener.getsockname()[1]
            exposition.start(self.collector, '127.0.0.1', port)()
        self.assertEqual(
            f'There are no metrics at 127.0.0.1, port {port}: Address already '
            'in use; set [edge_latency_agent] metrics_address and '
            'metrics_port to what nobody else listens at.\n',
            self.log.output,
        )

    def test_said_once(self):
        """oslo.log does not say again what the sentence says of an error."""
        log = self.useFixture(base.oslo_log())
        exposition.start(self.collector, '192.0.2.1', 9723)()
        self.assertEqual(1, log.output.count('Cannot assign'), log.output)

    def test_no_such_address(self):
        """So is an address that is not of this machine."""
        exposition.start(self.collector, '192.0.2.1', 9723)()
        self.assertIn(
            'at 192.0.2.1, port 9723: Cannot assign', self.log.output
        )

    def test_none(self):
        """With port 0 there are none, which is nothing to log."""
        threads = threading.active_count()
        exposition.start(self.collector, '127.0.0.1', 0)()
        self.assertEqual(threads, threading.active_count())
        self.assertEqual('', self.log.output)
