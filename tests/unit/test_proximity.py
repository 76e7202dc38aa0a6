# SPDX-License-Identifier: Apache-2.0

import itertools
import math

import hypothesis
from hypothesis import strategies as st

from edge_filters import proximity
from edge_filters.latency import snapshot
from edge_filters.origins import request
from tests.unit import base
from tests.unit.latency import test_snapshot

NOW = 1795428000.0  # 2026-11-23T10:00:00Z
FRESH = 'at=2026-11-23T09:59:20Z'
OLD = 'at=2026-11-22T10:00:00Z'
AHEAD = 'at=2026-11-23T10:05:00Z'
MAX_AGE_S = 2400


class SiteTest(base.TestCase):
    PLACE = snapshot.Place(('lyo', 'par'), '')

    def test_truth_table(self):
        """A host passes at a site asked for, if at none to be avoided."""
        for sites, avoid_sites, passes in (
            (None, (), True),
            (None, ('mrs',), True),
            (('par',), (), True),
            (('par', 'mrs'), ('mrs',), True),
            (('mrs',), (), False),
            ((), (), False),
            (None, ('lyo',), False),
            (('par',), ('lyo',), False),
        ):
            asked = request.Request(
                sites=None if sites is None else frozenset(sites),
                avoid_sites=frozenset(avoid_sites),
            )
            verdict = proximity.judge_site(asked, self.PLACE)
            self.assertEqual(passes, verdict.passes, verdict)

    def test_host_without_a_site(self):
        """A host in no site is not at a site asked for."""
        for sites, passes in ((None, True), (frozenset({'par'}), False)):
            verdict = proximity.judge_site(
                request.Request(sites=sites), snapshot.NOWHERE
            )
            self.assertEqual(passes, verdict.passes)

    def test_reason(self):
        """The reason names the sites."""
        for asked, reason in (
            (
                request.Request(sites=frozenset({'mrs', 'nce'})),
                'lyo and par is not among the sites: mrs, nce',
            ),
            (
                request.Request(sites=frozenset()),
                'lyo and par is not among the sites: none, as hint and '
                'flavor have none in common',
            ),
            (
                request.Request(avoid_sites=frozenset({'par'})),
                'lyo and par is to be avoided',
            ),
        ):
            self.assertEqual(
                reason, proximity.judge_site(asked, self.PLACE).reason
            )


class LatencyTest(base.TestCase):
    def _judge(self, max_rtt_ms=None, origins=('paris',), **figures):
        sites = test_snapshot.world(
            test_snapshot.record('par', ['c1'], **figures)
        )
        asked = request.Request(origins=origins, max_rtt_ms=max_rtt_ms)
        return proximity.judge_latency(
            asked, sites.place('c1'), sites, NOW, MAX_AGE_S
        )

    def test_truth_table(self):
        """Measured may pass a budget, all else may not; see the docstring."""
        P = proximity.Provenance
        for value, max_rtt_ms, passes, cost_ms, provenance in (
            ('7.2', None, True, 7.2, P.MEASURED),
            ('7.2', 7.2, True, 7.2, P.MEASURED),
            ('7.2', 7.1, False, 7.2, P.MEASURED),
            ('0', 0.0, True, 0, P.MEASURED),
            (f'7.2 {FRESH}', 8.0, True, 7.2, P.MEASURED),
            (f'7.2 {OLD}', None, True, 7.2, P.STALE),
            (f'7.2 {OLD}', 8.0, False, 7.2, P.STALE),
            (f'7.2 {AHEAD}', 8.0, False, 7.2, P.STALE),
            (None, None, True, None, P.UNMEASURED),
            (None, 1e300, False, None, P.UNMEASURED),
            ('- loss=100', None, False, None, P.UNREACHABLE),
            ('- loss=100', 8.0, False, None, P.UNREACHABLE),
            ('7.2 loss=100', 8.0, False, None, P.UNREACHABLE),
            (f'- loss=100 {OLD}', None, True, None, P.UNMEASURED),
            (f'- loss=100 {OLD}', 8.0, False, None, P.UNMEASURED),
        ):
            figures = {} if value is None else {'paris': value}
            verdict = self._judge(max_rtt_ms, **figures)
            self.assertEqual(
                (passes, cost_ms, provenance),
                (verdict.passes, verdict.cost_ms, verdict.provenance),
                (value, max_rtt_ms),
            )

    def test_no_origin(self):
        """Without an origin every place passes, and none is near or far."""
        verdict = self._judge(origins=())
        self.assertTrue(verdict.passes)
        self.assertIsNone(verdict.cost_ms)

    def test_worst_origin_counts(self):
        """Of several origins the worst counts, and unknown is the worst."""
        both = ('paris', 'lyon')
        verdict = self._judge(8.0, both, paris='5', lyon='9')
        self.assertEqual((False, 9), (verdict.passes, verdict.cost_ms))
        verdict = self._judge(10.0, both, paris='9', lyon='5')
        self.assertEqual((True, 9), (verdict.passes, verdict.cost_ms))
        verdict = self._judge(None, both, paris='9')
        self.assertEqual((True, None), (verdict.passes, verdict.cost_ms))
        verdict = self._judge(10.0, both, paris='9')
        self.assertEqual((False, None), (verdict.passes, verdict.cost_ms))
        verdict = self._judge(None, both, paris='- loss=100')
        self.assertFalse(verdict.passes)

    def test_reason(self):
        """The reason has the figures in it, with their age."""
        for value, max_rtt_ms, reason in (
            ('7.2', None, 'par is 7.2 ms from paris'),
            (
                f'7.2 {FRESH}',
                5,
                'par is 7.2 ms from paris (40 s old), over 5 ms',
            ),
            ('7.2', 8, 'par is 7.2 ms from paris, within 8 ms'),
            (
                f'7.2 {OLD}',
                8,
                'par is 7.2 ms from paris (86400 s old), too old for a budget',
            ),
            (
                f'7.2 {AHEAD}',
                8,
                'par is 7.2 ms from paris (dated 300 s '
                'ahead), too old for a budget',
            ),
            (None, 8, 'par is not measured from paris'),
            (
                f'- loss=100 {FRESH}',
                8,
                'par is unreachable from paris (40 s old)',
            ),
        ):
            figures = {} if value is None else {'paris': value}
            self.assertEqual(reason, self._judge(max_rtt_ms, **figures).reason)


class SettleTest(base.TestCase):
    SITES = test_snapshot.world(test_snapshot.record('p', ['c'], paris='4'))

    def _settle(self, is_move, **asked):
        settled = proximity.settle(
            request.Request(origin_source='hint', **asked), self.SITES, is_move
        )
        return settled, [str(problem) for problem in settled.problems]

    def test_unknown_origin(self):
        """A boot with an unknown origin is refused, a move forgets it."""
        origins = ('pariss', 'paris')
        boot, problems = self._settle(False, origins=origins)
        self.assertEqual(
            [
                "hint edge:origin 'pariss' is not known: no site has a figure "
                'for it'
            ],
            problems,
        )
        self.assertEqual(origins, boot.origins)
        move, _ = self._settle(True, origins=origins, max_rtt_ms=5.0)
        self.assertEqual(('paris',), move.origins)
        self.assertEqual(5, move.max_rtt_ms)

    def test_budget_without_origin(self):
        """A boot with a budget and no origin is refused; a move forgets it."""
        _, problems = self._settle(False, max_rtt_ms=5.0)
        self.assertEqual(1, len(problems))
        self.assertIn('edge:max_rtt_ms', problems[0])
        move, _ = self._settle(True, max_rtt_ms=5.0, origins=('pariss',))
        self.assertIsNone(move.max_rtt_ms)
        self.assertEqual((), move.origins)

    def test_nothing_wrong(self):
        """What is asked for binds as it is."""
        for is_move in (False, True):
            settled, problems = self._settle(
                is_move, origins=('paris',), max_rtt_ms=5.0
            )
            self.assertEqual([], problems)
            self.assertEqual(('paris',), settled.origins)


COSTS_MS = st.lists(
    st.none() | st.floats(0, 1e9) | st.floats(0, 310), max_size=20
)


class ScoresTest(base.TestCase):
    def test_fixed_scale(self):
        """A millisecond is worth the same whatever the candidates."""
        self.assertEqual(
            [0.99, 0.75, 0.5], proximity.scores([3, 75, 150], 300, 2)
        )
        self.assertEqual([0.5], proximity.scores([150], 300, 2))

    def test_band(self):
        """Within the band of the nearest all tie with it; beyond, none."""
        near, tied, beyond = proximity.scores([10.4, 12.4, 12.5], 300, 2)
        self.assertEqual(near, tied)
        self.assertLess(beyond, tied)

    def test_no_band(self):
        """With a band of 0 the smallest difference decides."""
        near, far = proximity.scores([10, 10.1], 300, 0)
        self.assertGreater(near, far)

    def test_beyond_the_horizon(self):
        """Known is above unknown, however far, and does not tie with it."""
        far, farther, unknown = proximity.scores([299.5, 1e300, None], 300, 2)
        self.assertEqual(far, farther)
        self.assertGreater(farther, unknown)
        self.assertEqual(0, unknown)

    def test_nothing_known(self):
        """Without any figure all are equal."""
        self.assertEqual([0, 0], proximity.scores([None, None], 300, 2))
        self.assertEqual([], proximity.scores([], 300, 2))

    @hypothesis.given(COSTS_MS, st.floats(10, 1e4), st.floats(0, 9))
    def test_properties(self, costs_ms, horizon_ms, band_ms):
        """Scores are in [0, 1]; nearer never scores less; unknown is last."""
        scores = proximity.scores(costs_ms, horizon_ms, band_ms)
        pairs = sorted(
            zip(costs_ms, scores, strict=True),
            key=lambda pair: math.inf if pair[0] is None else pair[0],
        )
        for (cost_a, score_a), (cost_b, score_b) in itertools.pairwise(pairs):
            self.assertGreaterEqual(score_a, score_b)
            if cost_a is not None and cost_b is None:
                self.assertGreater(score_a, score_b)
        for score in scores:
            self.assertTrue(math.isfinite(score) and 0 <= score <= 1)
