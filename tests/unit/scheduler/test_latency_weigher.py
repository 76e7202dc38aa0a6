# SPDX-License-Identifier: Apache-2.0

import itertools
import math

import hypothesis
from hypothesis import strategies as st
from nova.scheduler import weights

from edge_filters.latency import sample_format
from edge_filters.scheduler import latency_weigher
from tests.unit import test_spelling
from tests.unit.latency import test_sample_format
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

    def test_options(self):
        """Horizon, band and multiplier are those of the options."""
        self.set_sites(
            ({'edge:site': 'par', 'edge:rtt:paris': '4'}, ['par-1']),
            ({'edge:site': 'lyo', 'edge:rtt:paris': '9'}, ['lyo-1']),
        )
        for options, weights_ in (
            ({'edge_latency_weight_multiplier': 100.0}, (98.67, 97)),
            ({'rtt_horizon_ms': 100.0}, (1440, 1365)),
            ({'rtt_band_ms': 5.0}, (1480, 1480)),
            ({'mode': 'observe'}, (0, 0)),
            ({'mode': 'off'}, (0, 0)),
        ):
            self.set_options(**options)
            self.weigher = latency_weigher.EdgeLatencyWeigher()
            weighed = self._weigh(['par-1', 'lyo-1'], base.request_spec(PARIS))
            for expected, (_, weight) in zip(weights_, weighed, strict=True):
                self.assertAlmostEqual(expected, weight, places=2)
            for name in options:
                base.nova.conf.CONF.clear_override(name, 'edge_filters')

    def test_multiplier_of_an_aggregate(self):
        """edge_latency_weight_multiplier of an aggregate overrides it."""
        site = {'edge:site': 'par', 'edge:rtt:paris': '30'}
        for value, expected in (('10', 9), ('0', 0), ('nan', 1350)):
            key = 'edge_latency_weight_multiplier'
            self.set_sites((site, ['a', 'b']), ({key: value}, ['a']))
            weighed = self._weigh(['a', 'b'], base.request_spec(PARIS))
            weights_ = dict(weighed)
            self.assertAlmostEqual(expected, weights_['a'], places=6)
            self.assertAlmostEqual(1350, weights_['b'], places=6)

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
        """A server that tells no origin gets exactly 0 everywhere.

        Nova does not even ask for the multiplier.
        """
        self.set_sites(({'edge:site': 'a', 'edge:rtt:paris': '9'}, ['a-1']))
        for hints in (None, {}, {'edge:site': ['a']}):
            spec = base.request_spec(hints)
            weighed = self._weigh(['a-1', 'b-1'], spec)
            self.assertEqual([0.0, 0.0], [weight for _, weight in weighed])
            self.assertEqual([], self.weigher.weigh_objects([], spec))
            (state,) = base.host_states('a-1')
            self.assertEqual(0, self.weigher._weigh_object(state, spec))
        self.assertEqual('', self.log.output)

    def test_bad_hint(self):
        """Without a filter of ours a bad hint weighs nothing, and is said."""
        self.set_sites(({'edge:site': 'a', 'edge:rtt:paris': '9'}, ['a-1']))
        for hints in (
            {'edge:origin': ['x']},
            {'edge:origin': ['paris'], 'edge:max_rtt_ms': ['x']},
        ):
            self.log.reset_output()
            weighed = self._weigh(['a-1', 'b-1'], base.request_spec(hints))
            self.assertEqual([0.0, 0.0], [weight for _, weight in weighed])
            self.assertIn('not weighed: hint edge:', self.log.output)

    def test_move_without_origin(self):
        """A server that does not tell stays near the site it comes from."""
        self.set_sites(
            ({'edge:site': 'par'}, ['par-1', 'par-2']),
            ({'edge:site': 'lyo', 'edge:site_rtt:par': '9'}, ['lyo-1']),
            ({'edge:site': 'nce', 'edge:site_rtt:par': '4'}, ['nce-1']),
        )
        hosts = ['none-1', 'lyo-1', 'nce-1', 'par-2']
        asked = {'edge:avoid_site': ['x']}
        spec = base.move_spec(asked, source='par-1')
        weighed = self._weigh(hosts, spec)
        self.assertEqual(hosts[::-1], [host for host, _ in weighed])
        # Who tells where the users are is not asked where the server is.
        self.set_sites(
            ({'edge:site': 'par', 'edge:rtt:paris': '9'}, ['par-1', 'par-2']),
            ({'edge:site': 'lyo', 'edge:rtt:paris': '4'}, ['lyo-1']),
        )
        weighed = self._weigh(
            ['par-2', 'lyo-1'], base.move_spec(PARIS, source='par-1')
        )
        self.assertEqual(['lyo-1', 'par-2'], [host for host, _ in weighed])
        for spec in (
            base.move_spec(asked),  # nobody knows where it comes from
            base.move_spec(asked, source='none-2'),
            base.move_spec({}, source='par-1'),  # says nothing
            base.request_spec(asked, ignore_hosts=['par-1']),
        ):
            weighed = self._weigh(hosts, spec)
            self.assertEqual({0.0}, {weight for _, weight in weighed})

    @hypothesis.given(
        st.lists(
            st.none()
            | test_sample_format.SAMPLES.map(sample_format.format_sample)
            | test_sample_format.JUNK,
            min_size=2,
            max_size=6,
        )
    )
    def test_scores(self, values):
        """Whatever the metadata, weights are finite and within the scale."""
        self._set_figures(values)
        hosts = [f'h{number}' for number in range(len(values))]
        for _, weight in self._weigh(hosts, base.request_spec(PARIS)):
            self.assertTrue(math.isfinite(weight) and 0 <= weight <= 1500)

    @hypothesis.given(
        st.lists(
            st.tuples(st.booleans(), test_spelling.NUMBERS, st.booleans()),
            min_size=2,
            max_size=6,
        )
    )
    def test_unknown_is_last(self, figures):
        """Unknown never ranks above measured, nor far above near."""
        self._set_figures(
            [
                f'{rtt_ms!r} at=2020-01-01T00:00:00Z' * is_known
                if is_old
                else repr(rtt_ms) * is_known
                for is_known, rtt_ms, is_old in figures
            ]
        )
        hosts = [f'h{number}' for number in range(len(figures))]
        weighed = self._weigh(hosts, base.request_spec(PARIS))
        ranks = [
            min(rtt_ms, 299) if is_known else math.inf
            for is_known, rtt_ms, _ in (
                figures[hosts.index(host)] for host, _ in weighed
            )
        ]
        for nearer, farther in itertools.pairwise(ranks):
            self.assertLessEqual(nearer, farther + 2)

    def _set_figures(self, values):
        self.set_sites(
            *(
                (
                    {'edge:site': f's{number}'}
                    | ({'edge:rtt:paris': value} if value else {}),
                    [f'h{number}'],
                )
                for number, value in enumerate(values)
            )
        )
