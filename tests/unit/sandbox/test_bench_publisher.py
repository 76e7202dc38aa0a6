# SPDX-License-Identifier: Apache-2.0

from unittest import mock

from edge_filters import cloud
from edge_filters.agent import publisher
from sandbox import bench_publisher
from sandbox import noise
from tests.unit import base
from tests.unit import nova_api


class MeasurementsTest(base.TestCase):
    def test_noise(self):
        """Of every pair there is a figure, near to what is true."""
        exact = noise.Measurements(3, 4, 0).measure(5.0)
        noisy = noise.Measurements(3, 4, 2).measure(5.0)
        self.assertEqual(12, len(noisy))
        for path, figure in noisy.items():
            self.assertNotEqual(exact[path].rtt_ms, figure.rtt_ms)
            self.assertLess(abs(figure.rtt_ms / exact[path].rtt_ms - 1), 0.1)

    def test_step(self):
        """A step is of all paths of a site, there and back."""
        its = noise.Measurements(1, 2, 0)
        before = its.measure(5.0)
        site = its.step()
        for path, figure in its.measure(6.0).items():
            self.assertEqual(site, path.site)
            self.assertEqual(
                noise.STEP_MS, round(figure.rtt_ms - before[path].rtt_ms, 6)
            )
        its.step()
        self.assertEqual(before, its.measure(5.0))


class InMemoryTest(base.TestCase):
    def test_simulate(self):
        """A few sites are kept current with a call for each, seldom more."""
        figures = bench_publisher.simulate(20, 5, 0.5, 1)
        self.assertLess(figures.calls_per_s, 2 * 20 / 1000)
        self.assertGreater(figures.calls_per_s, 20 / 1100)
        self.assertEqual(0, figures.stale)
        self.assertLess(figures.behind_s, 61)

    def test_reference(self):
        """The reference writes everything, each interval."""
        reference = bench_publisher.refer(20, 5)
        self.assertEqual(20 / 60, reference.calls_per_s)
        self.assertEqual(100 / 60, reference.keys_per_s)


class InCloudTest(base.TestCase):
    """What a real cloud is given is taken away again."""

    def setUp(self):
        super().setUp()
        self.nova = self.useFixture(nova_api.NovaApi())
        self.nova.aggregate('par', edge__site='par')
        self.cloud = cloud.Cloud(self.nova.connect())

    def names(self):
        return {it['name'] for it in self.nova.aggregates.values()}

    def test_aggregates(self):
        """Aggregates are made, and removed whatever happens meanwhile."""
        sites = ['bench-0000', 'bench-0001']

        def interrupted():
            with bench_publisher.aggregates(self.cloud, sites):
                self.assertEqual({'par', *sites}, self.names())
                raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, interrupted)
        self.assertEqual({'par'}, self.names())

    def test_half_made(self):
        """What could not be made whole is removed, too."""

        def make():
            with bench_publisher.aggregates(self.cloud, ['a', 'b']):
                self.fail('There is nothing to publish to')

        self.nova.forbidden = {'os-aggregates:set_metadata'}
        self.assertRaises(cloud.CloudError, make)
        self.assertEqual({'par'}, self.names())

    def test_publish(self):
        """It publishes for a while, and tells what that took."""
        its = noise.Measurements(3, 2, 1, 'bench')
        given = bench_publisher.settings(
            max_api_calls_per_second=100.0, interval_s=0.02
        )
        rows = []
        with mock.patch.object(publisher, '_IDLE_S', 0.01):
            with bench_publisher.aggregates(self.cloud, its.sites):
                bench_publisher.publish(
                    self.cloud, its, given, 0.05, rows.append, row_s=0.05
                )
                (_, *made) = self.nova.aggregates.values()
                self.assertEqual([3] * 3, [len(it['metadata']) for it in made])
        self.assertEqual({'par'}, self.names())
        self.assertEqual(0, rows[0].errors)
        self.assertEqual(len(bench_publisher.HEADER), len(str(rows[0])))

    def test_speedup(self):
        """Being faster than by default is said, and is what is done."""
        told = []
        with (
            mock.patch.object(bench_publisher, 'publish') as publish,
            mock.patch.object(bench_publisher.openstack, 'connect') as connect,
            mock.patch('builtins.print', told.append),
        ):
            connect.return_value = self.nova.connect()
            publish.return_value = []
            bench_publisher.main(
                ['--cloud', 'x', '--sites', '1', '--speedup', '4']
            )
        given = publish.call_args[0][2]
        self.assertEqual(
            (250, 8), (given.keep_alive_s, given.max_api_calls_per_second)
        )
        self.assertIn('4 times as fast', ' '.join(map(str, told)))
        self.assertEqual({'par'}, self.names())
