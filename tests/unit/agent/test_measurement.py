# SPDX-License-Identifier: Apache-2.0

import threading
from unittest import mock

import fixtures

from edge_filters.agent import measurement
from edge_filters.agent import probe
from edge_filters.agent import reading
from edge_filters.latency import sample
from tests.unit import base as unit_base
from tests.unit.agent import base
from tests.unit.agent import settings

PARIS = reading.Path('par', 'paris')
LYON = reading.Path('par', 'lyon')


class Reader(probe.Probe):
    """A driver that has a figure ready."""

    def measure(self, spread_s, stop):
        return [(PARIS, sample.Sample(7.0, at=1.0))]


class MeasurementTest(unit_base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.estimators = {}
        self.counts = measurement.Counts()
        self.drivers = {
            'icmp': type('Icmp', (base.Driver,), {'seen': {}}),
            'tcp': type('Tcp', (base.Driver,), {'seen': {}}),
            'prometheus': Reader,
        }
        self.useFixture(
            fixtures.MockPatch('stevedore.DriverManager', self._load)
        )
        names = mock.Mock(names={'icmp', 'tcp', 'prometheus', 'broken'})
        self.useFixture(
            fixtures.MockPatchObject(
                measurement.metadata, 'entry_points', lambda group: names
            )
        )
        self.useFixture(
            fixtures.MockPatchObject(
                measurement._SAID, 'is_due', lambda key: True
            )
        )

    def _load(self, namespace, name):
        self.assertEqual(measurement.NAMESPACE, namespace)
        if name not in self.drivers:
            raise RuntimeError(f'No {name!r} driver found')
        return mock.Mock(driver=self.drivers[name])

    def _plan(self, *origin, **options):
        return measurement.plan(
            settings.make(site='par', origin=origin, **options),
            self.estimators,
            self.counts,
        )

    def _measure(self, *origin, stop=None, **options):
        figures = {}
        for it in self._plan(*origin, **options):
            figures.update(it.measure(0, stop or base.never()))
        return figures

    def test_beacons_of_an_origin(self):
        """Beacons of an origin are one figure, whatever measures them."""
        self.drivers['icmp'].seen['192.0.2.1'] = [10, 11, 12]
        self.drivers['tcp'].seen['192.0.2.2'] = [13, None, 14]
        figures = self._measure('paris 192.0.2.1 tcp://192.0.2.2:443')
        figure = figures[PARIS]
        self.assertEqual((12.25, 'icmp-tcp'), (figure.rtt_ms, figure.source))
        self.assertEqual(6, figure.probes)
        self.assertEqual({PARIS}, figures.keys())

    def test_silent_beacon(self):
        """A beacon that is gone is named, and is not a loss of its origin."""
        self.drivers['icmp'].seen |= {
            '192.0.2.1': [10, 11, 12],
            '192.0.2.2': [None, None, None],
        }
        figure = self._measure('paris 192.0.2.1 192.0.2.2')[PARIS]
        self.assertEqual((11, 0), (figure.rtt_ms, figure.loss_pct))
        self.assertIn('192.0.2.2', self.log.output)

    def test_nobody_answers(self):
        """An origin of which no beacon answers is unreachable."""
        self.drivers['icmp'].seen |= {
            '192.0.2.1': [None] * 5,
            '192.0.2.2': [None] * 5,
        }
        figure = self._measure('paris 192.0.2.1 192.0.2.2')[PARIS]
        self.assertTrue(figure.is_unreachable)
        self.assertEqual(100, figure.loss_pct)

    def test_driver_that_raises(self):
        """What a driver raises costs what it measures, and nothing else."""
        self.drivers['icmp'].seen['192.0.2.1'] = ZeroDivisionError()
        self.drivers['tcp'].seen['192.0.2.2'] = [13]
        figures = self._measure('paris 192.0.2.1', 'lyon tcp://192.0.2.2:443')
        self.assertEqual({LYON}, figures.keys())
        self.assertIn('icmp', self.log.output)

    def test_driver_that_yields_nonsense(self):
        """So does what a driver gives that is no reading."""
        for nonsense in (None, ['x'], [(1, 2, 3)]):
            self.drivers['icmp'] = type(
                'Icmp',
                (probe.Probe,),
                {'measure': lambda *_, nonsense=nonsense: nonsense},
            )
            self.drivers['tcp'].seen['192.0.2.2'] = [13]
            figures = self._measure(
                'paris 192.0.2.1', 'lyon tcp://192.0.2.2:443'
            )
            self.assertEqual({LYON}, figures.keys())

    def test_counts(self):
        """Probes are counted by driver, and one that had nothing has a time.

        One that is not there any more has none: nobody has to look after it.
        """
        self.drivers['icmp'].seen['192.0.2.1'] = [10, None, 12]
        self._measure(
            'paris 192.0.2.1', prometheus_url='http://127.0.0.1:9090'
        )
        self.assertEqual({'icmp': 3}, self.counts.sent)
        self.assertEqual({'icmp': 1}, self.counts.lost)
        self.assertEqual({'icmp', 'prometheus'}, self.counts.at.keys())
        self._plan('paris 192.0.2.1')
        self.assertEqual({'icmp'}, self.counts.at.keys())
        self.assertEqual({'icmp': 3}, self.counts.sent)

    def test_statistic(self):
        """Another statistic counts from when it is set, and loss goes on."""
        self.drivers['icmp'].seen['192.0.2.1'] = [10, 11, 30]
        self._measure('paris 192.0.2.1')
        figure = self._measure('paris 192.0.2.1', statistic='min')[PARIS]
        self.assertEqual((10, 6), (figure.rtt_ms, figure.probes))

    def test_no_driver(self):
        """A driver that cannot be had is named, and the others go on."""
        self.drivers['tcp'].seen['192.0.2.2'] = [13]
        figures = self._measure(
            'paris broken://192.0.2.1', 'lyon tcp://192.0.2.2:443'
        )
        self.assertEqual({LYON}, figures.keys())
        self.assertIn('broken', self.log.output)

    def test_bad_line(self):
        """A line that cannot be read is told, and the others go on."""
        self.drivers['tcp'].seen['192.0.2.2'] = [13]
        figures = self._measure('paris', 'lyon tcp://192.0.2.2:443')
        self.assertEqual({LYON}, figures.keys())
        self.assertIn('paris', self.log.output)

    def test_cut_short(self):
        """Probes that were not waited for are not lost ones."""
        self.drivers['icmp'].seen['192.0.2.1'] = [None] * 5
        stop = threading.Event()
        stop.set()
        self.assertEqual({}, self._measure('paris 192.0.2.1', stop=stop))

    def test_figure(self):
        """What a driver has made a figure of is taken as it is."""
        url = 'http://127.0.0.1:9090'
        figures = self._measure(prometheus_url=url)
        self.assertEqual(
            {PARIS: sample.Sample(7.0, at=1.0, source='prometheus')}, figures
        )

    def test_apart(self):
        """Prometheus, which may be slow, does not hold up beacons."""
        self.drivers['icmp'].seen['192.0.2.1'] = [1]
        url = 'http://127.0.0.1:9090'
        self.assertEqual(
            2, len(self._plan('paris 192.0.2.1', prometheus_url=url))
        )

    def test_rate(self):
        """Drivers share the rate of probes by how many beacons they have."""
        (it,) = self._plan(
            'paris 192.0.2.1 192.0.2.2 192.0.2.3 tcp://192.0.2.4:443',
            max_probes_per_second=100,
        )
        self.assertEqual(
            {'icmp': 75, 'tcp': 25},
            {
                name: driver.settings.max_probes_per_second
                for name, driver in it._drivers.items()
            },
        )

    def test_loss_goes_on(self):
        """A configuration that is read again does not forget the loss.

        What is not measured any more is forgotten.
        """
        self.drivers['icmp'].seen |= {
            '192.0.2.1': [10, None, 12],
            '192.0.2.2': [10],
        }
        self._measure('paris 192.0.2.1', 'lyon 192.0.2.2')
        figures = self._measure('paris 192.0.2.1')
        self.assertEqual(6, figures[PARIS].probes)
        self.assertEqual({PARIS}, self.estimators.keys())
