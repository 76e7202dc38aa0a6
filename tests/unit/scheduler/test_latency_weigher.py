# SPDX-License-Identifier: Apache-2.0

import math

import hypothesis
from hypothesis import strategies as st
from nova.scheduler import weights

from edge_filters.scheduler import latency_weigher
from tests.unit.latency import test_metadata
from tests.unit.scheduler import base

PARIS = {'edge:origin': ['paris']}


class LatencyWeigherTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.weigher = latency_weigher.EdgeLatencyWeigher()

    def _weigh(self, hosts, spec):
        states = base.host_states(*hosts)
        weighed = weights.HostWeightHandler().get_weighed_objects(
            [self.weigher], states, spec
        )
        return [(one.obj.host, one.weight) for one in weighed]

    def test_points(self):
        """A millisecond is worth 5 points, whatever the other candidates."""
        self.set_sites(
            ({'edge:site': 'par', 'edge:rtt:paris': '4'}, ['par-1', 'par-2']),
            ({'edge:site': 'lyo', 'edge:rtt:paris': '9'}, ['lyo-1']),
            ({'edge:site': 'far', 'edge:rtt:paris': '900'}, ['far-1']),
            ({'edge:site': 'new', 'edge:rtt:lyon': '900'}, ['new-1']),
        )
        hosts = ['new-1', 'far-1', 'lyo-1', 'par-1', 'none-1']
        spec = base.request_spec(PARIS)
        weighed = self._weigh(hosts, spec)
        self.assertEqual(
            ['par-1', 'lyo-1', 'far-1', 'new-1', 'none-1'],
            [host for host, _ in weighed],
        )
        for expected, (_, weight) in zip(
            (1480, 1455, 5, 0, 0), weighed, strict=True
        ):
            self.assertAlmostEqual(expected, weight)
        for _, weight in self._weigh(['par-1', 'par-2'], spec):
            self.assertAlmostEqual(1480, weight)

    def test_stale_orders(self):
        """Without a budget the last figure orders, however old it is."""
        self.set_sites(
            ({'edge:site': 'a', 'edge:rtt:paris': '9'}, ['a-1']),
            (
                {
                    'edge:site': 'b',
                    'edge:rtt:paris': '4 at=2020-01-01T00:00:00Z',
                },
                ['b-1'],
            ),
        )
        weighed = self._weigh(['a-1', 'b-1'], base.request_spec(PARIS))
        self.assertEqual(['b-1', 'a-1'], [host for host, _ in weighed])

    def test_no_origin(self):
        """A server that tells no origin gets exactly 0 everywhere."""
        self.set_sites(({'edge:site': 'a', 'edge:rtt:paris': '9'}, ['a-1']))
        for hints in (None, {}, {'edge:site': ['a']}, {'edge:origin': ['x']}):
            weighed = self._weigh(['a-1', 'b-1'], base.request_spec(hints))
            self.assertEqual([0.0, 0.0], [weight for _, weight in weighed])

    @hypothesis.given(
        st.lists(
            st.none()
            | test_metadata.SAMPLES.map(test_metadata.metadata.format_sample)
            | test_metadata.JUNK,
            min_size=2,
            max_size=6,
        )
    )
    def test_unknown_is_last(self, values):
        """Whatever the metadata, unknown never ranks above measured."""
        self.set_sites(
            *(
                (
                    {'edge:site': f's{number}'}
                    | ({} if value is None else {'edge:rtt:paris': value}),
                    [f'h{number}'],
                )
                for number, value in enumerate(values)
            )
        )
        hosts = [f'h{number}' for number in range(len(values))]
        known = {
            host
            for host in hosts
            for figure in [self._figure(host)]
            if figure is not None and not figure.is_unreachable
        }
        seen_unknown = False
        for host, weight in self._weigh(hosts, base.request_spec(PARIS)):
            self.assertTrue(math.isfinite(weight) and 0 <= weight <= 1500)
            seen_unknown = seen_unknown or host not in known
            self.assertEqual(host in known, not seen_unknown)

    def _figure(self, host):
        sites = self.watch.snapshot()
        return sites.figure(sites.place(host), 'paris')
