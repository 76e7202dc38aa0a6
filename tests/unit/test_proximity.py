# SPDX-License-Identifier: Apache-2.0

import dataclasses
import ipaddress
import itertools
import math
import typing

import hypothesis
from hypothesis import strategies as st

from edge_filters import proximity
from edge_filters.latency import estimate
from edge_filters.origins import request
from tests.unit import base
from tests.unit.latency import test_snapshot

NOW = 1795428000.0  # 2026-11-23T10:00:00Z
FRESH = 'at=2026-11-23T09:59:20Z'
OLD = 'at=2026-11-22T10:00:00Z'
AHEAD = 'at=2026-11-23T10:05:00Z'
SLIGHTLY_AHEAD = 'at=2026-11-23T10:01:00Z'
LOST = '- loss=100'
RULES = proximity.Rules(
    max_age_s=2400, estimator=estimate.Estimator(5, 0.02), fallback='none'
)
P = proximity.Provenance
record = test_snapshot.record


class SiteTest(base.TestCase):
    SITES = test_snapshot.world(
        record('par', ['both', 'p'], edge__tier='far-edge'),
        record('lyo', ['both'], edge__tier='core'),
        record('new', ['n']),
    )

    def _judge(self, host='both', **asked):
        for name, value in asked.items():
            asked[name] = None if value is None else frozenset(value)
        place = self.SITES.place(host)
        return proximity.judge_site(
            request.Request(**asked), place, self.SITES
        )

    def test_sites(self):
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
            verdict = self._judge(sites=sites, avoid_sites=avoid_sites)
            self.assertEqual(passes, verdict.passes, verdict)

    def test_tiers(self):
        """A host passes at a site of a tier asked for."""
        for host, tiers, passes in (
            ('p', None, True),
            ('p', ('far-edge',), True),
            ('p', ('core', 'far-edge'), True),
            ('p', ('core',), False),
            ('p', (), False),
            ('both', ('core',), True),
            ('new', ('core',), False),
            ('nowhere', ('core',), False),
        ):
            verdict = self._judge(host, tiers=tiers)
            self.assertEqual(passes, verdict.passes, verdict)

    def test_host_without_a_site(self):
        """A host in no site is not at a site asked for."""
        self.assertTrue(self._judge('nowhere', avoid_sites=('par',)).passes)
        self.assertFalse(self._judge('nowhere', sites=('par',)).passes)

    def test_reason(self):
        """The reason names the sites, and not more than a few."""
        many = [f's{number}' for number in range(9)]
        for asked, reason in (
            (
                {'sites': ('mrs', 'nce')},
                'lyo and par is not among the sites: mrs, nce',
            ),
            (
                {'sites': ()},
                'lyo and par is not among the sites: none, as hint and '
                'flavor have none in common',
            ),
            (
                {'sites': many},
                'lyo and par is not among the sites: s0, s1, s2, s3, s4, 4 '
                'more',
            ),
            ({'avoid_sites': ('par', 'x')}, 'par is to be avoided'),
            (
                {'tiers': ('near',)},
                'lyo and par has tier core, far-edge, not tier near',
            ),
        ):
            self.assertEqual(reason, self._judge(**asked).reason)
        self.assertEqual(
            'new has no tier, not tier near',
            self._judge('n', tiers=('near',)).reason,
        )


class StatusTest(base.TestCase):
    SITES = test_snapshot.world(
        record('on', ['a'], edge__status='active'),
        record('drain', ['d', 'both'], edge__status='draining'),
        record('off', ['o', 'both'], edge__status='inactive'),
    )

    def test_truth_table(self):
        """draining: no boots, no moves in, moves within; inactive: nothing.

        It binds servers that ask for nothing, and those that ask for it.
        """
        for host, source, passes in (
            ('a', None, True),
            ('a', 'd', True),
            ('d', None, False),
            ('d', 'a', False),
            ('d', 'nowhere', False),
            ('d', 'd', True),
            ('d', 'both', True),
            ('o', None, False),
            ('o', 'o', False),
            ('both', 'd', False),
            ('nowhere', None, True),
        ):
            for asked in (
                request.Request(),
                request.Request(sites=frozenset({'on', 'drain', 'off'})),
            ):
                if host == 'nowhere' and asked.sites:
                    continue
                verdict = proximity.judge_site(
                    asked,
                    self.SITES.place(host),
                    self.SITES,
                    source and self.SITES.place(source),
                )
                self.assertEqual(passes, verdict.passes, (host, source))

    def test_reason(self):
        """The reason says which site is closed."""
        for host, reason in (
            ('d', 'drain is draining'),
            ('o', 'off is inactive'),
        ):
            verdict = proximity.judge_site(
                request.Request(), self.SITES.place(host), self.SITES
            )
            self.assertEqual(reason, verdict.reason)


class LatencyTestCase(base.TestCase):
    def judge(self, *records, host='c1', **asked):
        sites = test_snapshot.world(*records)
        asked = request.Request(**({'origins': ('paris',)} | asked))
        return proximity.judge_latency(
            asked, sites.place(host), sites, RULES, NOW
        )

    def assert_verdict(self, expected, value, **asked):
        """expected: passes, cost_ms, provenance."""
        figures = {} if value is None else {'paris': value}
        verdict = self.judge(record('par', ['c1'], **figures), **asked)
        self.assertEqual(
            expected,
            (verdict.passes, verdict.cost_ms, verdict.provenance),
            (value, asked, verdict.reason),
        )


class RttTest(LatencyTestCase):
    """The truth table of judge_latency, a test for each row."""

    def test_measured(self):
        """Measured passes up to the maximum, whatever unknown means."""
        for unmeasured in (None, 'reject', 'estimate', 'accept'):
            for value, max_rtt_ms, passes in (
                ('7.2', None, True),
                ('7.2', 7.2, True),
                ('7.2', 7.1, False),
                ('0', 0.0, True),
                (f'7.2 {FRESH}', 8.0, True),
                (f'7.2 {FRESH}', 7.0, False),
                (f'7.2 {SLIGHTLY_AHEAD}', 8.0, True),
            ):
                self.assert_verdict(
                    (passes, float(value.split()[0]), P.MEASURED),
                    value,
                    max_rtt_ms=max_rtt_ms,
                    unmeasured=unmeasured,
                )

    def test_stale(self):
        """Stale orders without a budget, and is unmeasured for one."""
        for value in (f'7.2 {OLD}', f'7.2 {AHEAD}'):
            for asked, passes in (
                ({}, True),
                ({'unmeasured': 'reject'}, True),
                ({'max_rtt_ms': 8.0}, False),
                ({'max_rtt_ms': 8.0, 'unmeasured': 'reject'}, False),
                ({'max_rtt_ms': 8.0, 'unmeasured': 'estimate'}, False),
                ({'max_rtt_ms': 8.0, 'unmeasured': 'accept'}, True),
                ({'max_rtt_ms': 1.0, 'unmeasured': 'accept'}, True),
                ({'max_jitter_ms': 8.0}, False),
            ):
                self.assert_verdict((passes, 7.2, P.STALE), value, **asked)

    def test_estimated(self):
        """An estimate meets a budget with edge:unmeasured=estimate alone."""
        here = record('par', ['c1'], edge__prefixes='192.0.2.0/24')
        for asked, passes in (
            ({}, True),
            ({'unmeasured': 'reject'}, True),
            ({'unmeasured': 'estimate'}, True),
            ({'unmeasured': 'accept'}, True),
            ({'max_rtt_ms': 5.0}, False),
            ({'max_rtt_ms': 5.0, 'unmeasured': 'reject'}, False),
            ({'max_rtt_ms': 5.0, 'unmeasured': 'estimate'}, True),
            ({'max_rtt_ms': 4.9, 'unmeasured': 'estimate'}, False),
            ({'max_rtt_ms': 4.9, 'unmeasured': 'accept'}, True),
            (
                {'max_rtt_ms': 5.0, 'max_jitter_ms': 9.0}
                | {'unmeasured': 'estimate'},
                False,
            ),
            ({'max_loss_pct': 9.0, 'unmeasured': 'estimate'}, False),
        ):
            verdict = self.judge(here, origins=('par',), **asked)
            self.assertEqual(
                (passes, 5, P.ESTIMATED),
                (verdict.passes, verdict.cost_ms, verdict.provenance),
                asked,
            )

    def test_stale_estimate(self):
        """An estimate from an old figure is too old for a budget too."""
        sites = (
            record('par', [], edge__prefixes='192.0.2.0/24'),
            record('lyo', ['c1'], edge__site_rtt__par=f'7 {OLD}'),
        )
        for asked, passes in (
            ({}, True),
            ({'max_rtt_ms': 50.0, 'unmeasured': 'estimate'}, False),
            ({'max_rtt_ms': 50.0, 'unmeasured': 'accept'}, True),
        ):
            verdict = self.judge(*sites, origins=('par',), **asked)
            self.assertEqual((passes, 12), (verdict.passes, verdict.cost_ms))

    def test_estimate_instead_of_stale(self):
        """Where a figure is too old for a budget, an estimate may do."""
        sites = (
            record('par', [], edge__prefixes='192.0.2.0/24'),
            record('lyo', ['c1'], edge__site_rtt__par='7', par=f'70 {OLD}'),
        )
        for asked, expected in (
            ({}, (True, 70, P.STALE)),
            ({'max_rtt_ms': 20.0}, (False, 70, P.STALE)),
            (
                {'max_rtt_ms': 20.0, 'unmeasured': 'estimate'},
                (True, 12, P.ESTIMATED),
            ),
        ):
            verdict = self.judge(*sites, origins=('par',), **asked)
            self.assertEqual(
                expected,
                (verdict.passes, verdict.cost_ms, verdict.provenance),
            )

    def test_estimate_hides_nothing_fresh(self):
        """An estimate takes the place of what is stale, and of no more."""
        for other, passes, provenance in (
            (f'{LOST} {FRESH}', False, P.UNREACHABLE),
            (f'90 {FRESH}', False, P.MEASURED),
            (f'9 {OLD}', True, P.ESTIMATED),
        ):
            for site in ('lyo', 'mrs'):
                verdict = self.judge(
                    record('par', [], edge__prefixes='192.0.2.0/24'),
                    record(
                        'lyo', ['c1'], edge__site_rtt__par='7', par=f'7 {OLD}'
                    ),
                    record(site, ['c1'], edge__site_rtt__par='5', par=other),
                    origins=('par',),
                    max_rtt_ms=20.0,
                    unmeasured='estimate',
                )
                self.assertEqual(
                    (passes, provenance),
                    (verdict.passes, verdict.provenance),
                    (other, site),
                )

    def test_unreachable_site(self):
        """Users attached to an unreachable site cannot be served from there.

        Two directions are two figures: the worse one counts.
        """
        for there, back, passes, cost_ms, provenance in (
            (LOST, None, False, None, P.UNREACHABLE),
            ('7', LOST, False, None, P.UNREACHABLE),
            ('7', f'{LOST} {OLD}', True, None, P.UNMEASURED),
            ('7', '9', True, 14, P.ESTIMATED),
        ):
            back = {'edge__site_rtt__lyo': back} if back else {}
            verdict = self.judge(
                record('par', [], edge__prefixes='192.0.2.0/24', **back),
                record('lyo', ['c1'], edge__site_rtt__par=there),
                origins=('par',),
            )
            self.assertEqual(
                (passes, cost_ms, provenance),
                (verdict.passes, verdict.cost_ms, verdict.provenance),
            )

    def test_bound(self):
        """A bound decides only where it can; else it is unmeasured."""
        for bound, max_rtt_ms, unmeasured, passes in (
            ('>100', None, None, True),
            ('>100', None, 'reject', False),
            ('>100', None, 'estimate', False),
            ('>100', 50.0, None, False),
            ('>100', 50.0, 'estimate', False),
            ('>100', 50.0, 'accept', False),
            ('>100', 100.0, 'accept', False),
            ('>100', 100.1, 'accept', True),
            ('>100', 100.1, None, False),
            ('>100', 100.1, 'estimate', False),
            (f'>100 {OLD}', 50.0, 'accept', True),
            (f'>100 {OLD}', 50.0, None, False),
            (f'>100 {FRESH}', 50.0, 'accept', False),
        ):
            verdict = self.judge(
                record('par', ['c1'], edge__rtt_default=bound),
                max_rtt_ms=max_rtt_ms,
                unmeasured=unmeasured,
            )
            self.assertEqual(
                (passes, None, P.UNMEASURED),
                (verdict.passes, verdict.cost_ms, verdict.provenance),
                (bound, max_rtt_ms, unmeasured),
            )

    def test_default_figure(self):
        """A default that is a figure is one."""
        for max_rtt_ms, passes in ((None, True), (80.0, True), (79.0, False)):
            verdict = self.judge(
                record('par', ['c1'], edge__rtt_default='80'),
                max_rtt_ms=max_rtt_ms,
            )
            self.assertEqual((passes, 80), (verdict.passes, verdict.cost_ms))

    def test_unmeasured(self):
        """Unmeasured passes with accept, which is the default sans budget."""
        for asked, passes in (
            ({}, True),
            ({'unmeasured': 'reject'}, False),
            ({'unmeasured': 'estimate'}, False),
            ({'unmeasured': 'accept'}, True),
            ({'max_rtt_ms': 1e300}, False),
            ({'max_jitter_ms': 1e300}, False),
            ({'max_loss_pct': 100.0}, False),
            ({'max_rtt_ms': 1e300, 'unmeasured': 'estimate'}, False),
            ({'max_rtt_ms': 0.0, 'unmeasured': 'accept'}, True),
        ):
            self.assert_verdict((passes, None, P.UNMEASURED), None, **asked)

    def test_unreachable(self):
        """Fresh unreachable fails every server with an origin."""
        for value in (LOST, f'{LOST} {FRESH}', '7.2 loss=100'):
            for asked in (
                {},
                {'max_rtt_ms': 8.0},
                {'max_rtt_ms': 8.0, 'unmeasured': 'accept'},
                {'unmeasured': 'accept', 'fallback': 'nearest'},
            ):
                self.assert_verdict(
                    (False, None, P.UNREACHABLE), value, **asked
                )

    def test_no_longer_unreachable(self):
        """Unreachable a long time ago is unmeasured."""
        for asked, passes in (
            ({}, True),
            ({'max_rtt_ms': 8.0}, False),
            ({'max_rtt_ms': 8.0, 'unmeasured': 'accept'}, True),
        ):
            self.assert_verdict(
                (passes, None, P.UNMEASURED), f'{LOST} {OLD}', **asked
            )


class JitterTest(LatencyTestCase):
    def test_truth_table(self):
        """A jitter passes up to the maximum, unknown only with accept."""
        for value, unmeasured, passes in (
            ('7 jitter=2', None, True),
            ('7 jitter=2.1', None, False),
            ('7 jitter=2.1', 'accept', False),
            (f'7 jitter=2 {FRESH}', None, True),
            (f'7 jitter=2 {OLD}', None, False),
            (f'7 jitter=2.1 {OLD}', 'accept', True),
            ('7', None, False),
            ('7', 'estimate', False),
            ('7', 'accept', True),
        ):
            verdict = self.judge(
                record('par', ['c1'], paris=value),
                max_jitter_ms=2.0,
                unmeasured=unmeasured,
            )
            self.assertEqual(passes, verdict.passes, (value, unmeasured))
            self.assertEqual(7, verdict.cost_ms)


class LossTest(LatencyTestCase):
    def test_truth_table(self):
        """A loss above the limit fails; one below it needs enough probes."""
        for value, limit, unmeasured, passes in (
            ('7 loss=0.2 n=9999', 0.1, None, False),
            ('7 loss=0.2', 0.1, None, False),
            ('7 loss=0.2 n=1', 0.1, 'accept', False),
            ('7 loss=0.1 n=3000', 0.1, None, True),
            ('7 loss=0 n=3000', 0.1, None, True),
            ('7 loss=0 n=2999', 0.1, None, False),
            ('7 loss=0 n=2999', 0.1, 'estimate', False),
            ('7 loss=0 n=2999', 0.1, 'accept', True),
            ('7 loss=0 n=1000', 0.3, None, True),
            ('7 loss=0 n=3', 100.0, None, True),
            ('7 loss=0', 0.1, None, False),
            ('7 loss=0', 0.1, 'accept', True),
            ('7 loss=0 n=1000000', 0.0, None, False),
            ('7 loss=0 n=1000000', 0.0, 'accept', True),
            ('7 loss=0.1 n=99', 0.0, 'accept', False),
            ('7', 0.1, None, False),
            ('7', 0.1, 'accept', True),
            (f'7 loss=0 n=3000 {FRESH}', 0.1, None, True),
            (f'7 loss=0 n=3000 {OLD}', 0.1, None, False),
            (f'7 loss=9 n=3000 {OLD}', 0.1, 'accept', True),
        ):
            verdict = self.judge(
                record('par', ['c1'], paris=value),
                max_loss_pct=limit,
                unmeasured=unmeasured,
            )
            self.assertEqual(
                passes, verdict.passes, (value, limit, unmeasured)
            )


class PositionTest(LatencyTestCase):
    def test_near(self):
        """edge:near orders by distance, and meets a budget if it may."""
        here = record(
            'par', ['c1'], edge__latitude='48.85', edge__longitude='2.35'
        )
        for asked, passes in (
            ({}, True),
            ({'max_rtt_ms': 12.0}, False),
            ({'max_rtt_ms': 12.0, 'unmeasured': 'estimate'}, True),
            ({'max_rtt_ms': 11.0, 'unmeasured': 'estimate'}, False),
        ):
            verdict = self.judge(
                here, origins=(), near=((51.51, -0.13),), **asked
            )
            self.assertEqual(passes, verdict.passes, asked)
            self.assertAlmostEqual(11.89, verdict.cost_ms, places=2)
            self.assertIs(P.ESTIMATED, verdict.provenance)
            self.assertIn('about 11.9 ms from 51.51,-0.13', verdict.reason)

    def test_site_without_position(self):
        """A site that has no position is unmeasured from one."""
        verdict = self.judge(
            record('par', ['c1']), origins=(), near=((51.51, -0.13),)
        )
        self.assertEqual((True, None), (verdict.passes, verdict.cost_ms))


class SeveralTest(LatencyTestCase):
    def test_no_origin(self):
        """Without an origin every place passes, and none is near or far."""
        verdict = self.judge(record('par', ['c1'], paris='4'), origins=())
        self.assertEqual((True, None), (verdict.passes, verdict.cost_ms))

    def test_worst_origin_counts(self):
        """Of several origins the worst counts, and unknown is the worst.

        Whatever decides, the cost is the RTT to the farthest.
        """
        for max_rtt_ms, figures, passes, cost_ms, provenance in (
            (8.0, {'paris': '5', 'lyon': '9'}, False, 9, P.MEASURED),
            (10.0, {'paris': '9', 'lyon': '5'}, True, 9, P.MEASURED),
            (10.0, {'paris': f'3 {OLD}', 'lyon': '9'}, False, 9, P.MEASURED),
            (4.0, {'paris': '9', 'lyon': f'30 {OLD}'}, False, 30, P.STALE),
            (None, {'paris': '9'}, True, None, P.UNMEASURED),
            (None, {'lyon': '9'}, True, None, P.UNMEASURED),
            (10.0, {'paris': '9'}, False, None, P.UNMEASURED),
            (8.0, {'paris': '9'}, False, None, P.UNMEASURED),
            (None, {'paris': LOST}, False, None, P.UNREACHABLE),
            (None, {'lyon': LOST}, False, None, P.UNREACHABLE),
        ):
            for origins in (('paris', 'lyon'), ('lyon', 'paris')):
                verdict = self.judge(
                    record('par', ['c1'], **figures),
                    origins=origins,
                    max_rtt_ms=max_rtt_ms,
                )
                self.assertEqual(
                    (passes, cost_ms, provenance),
                    (verdict.passes, verdict.cost_ms, verdict.provenance),
                    (max_rtt_ms, figures),
                )

    def test_origins_and_positions(self):
        """Origins and positions count together."""
        here = record(
            'par',
            ['c1'],
            paris='4',
            edge__latitude='48.85',
            edge__longitude='2.35',
        )
        verdict = self.judge(here, near=((51.51, -0.13),))
        self.assertAlmostEqual(11.89, verdict.cost_ms, places=2)

    def test_host_in_two_sites(self):
        """In two sites the worse verdict counts: stale, unknown, far, lost."""
        for one, other, max_rtt_ms, passes, cost_ms in (
            ('4', '9', None, True, 9),
            ('4', '9', 8.0, False, 9),
            ('4', None, None, True, None),
            ('4', None, 8.0, False, None),
            ('5', f'4 {OLD}', None, True, 5),
            ('5', f'4 {OLD}', 8.0, False, 5),
            (f'{LOST} {OLD}', LOST, None, False, None),
            (LOST, '4', None, False, None),
        ):
            for names in (('a', 'b'), ('b', 'a'), ('a', 'a')):
                if other is None and names == ('a', 'a'):
                    continue
                records = [
                    record(name, ['c1'], **({'paris': value} if value else {}))
                    for name, value in zip(names, (one, other), strict=True)
                ]
                verdict = self.judge(*records, max_rtt_ms=max_rtt_ms)
                self.assertEqual(
                    (passes, cost_ms),
                    (verdict.passes, verdict.cost_ms),
                    (one, other, max_rtt_ms, names),
                )

    def test_host_without_a_site(self):
        """A host in no site is unmeasured."""
        for max_rtt_ms, passes in ((None, True), (8.0, False)):
            verdict = self.judge(
                record('par', ['c1'], paris='4'),
                host='c2',
                max_rtt_ms=max_rtt_ms,
            )
            self.assertEqual((passes, None), (verdict.passes, verdict.cost_ms))


class ReasonTest(LatencyTestCase):
    def test_reason(self):
        """The reason has the figures in it, with their age."""
        for figures, asked, reason in (
            ({'paris': '7.2'}, {}, 'par is 7.2 ms from paris'),
            (
                {'paris': f'7.2 {FRESH}'},
                {'max_rtt_ms': 5},
                'par is 7.2 ms from paris (40 s old), over 5 ms',
            ),
            (
                {'paris': f'7.2 {SLIGHTLY_AHEAD}'},
                {'max_rtt_ms': 7.2},
                'par is 7.2 ms from paris (0 s old), within 7.2 ms',
            ),
            (
                {'paris': f'7.2 {OLD}'},
                {'max_rtt_ms': 8},
                'par is 7.2 ms from paris (86400 s old), too old for a budget',
            ),
            (
                {'paris': f'7.2 {AHEAD}'},
                {'max_rtt_ms': 8},
                'par is 7.2 ms from paris (dated 300 s ahead), too old for a '
                'budget',
            ),
            (
                {'edge__rtt_default': '>100'},
                {'max_rtt_ms': 8},
                'par is farther than 100 ms from paris, over 8 ms',
            ),
            (
                {'edge__rtt_default': '>100'},
                {'max_rtt_ms': 200},
                'par is farther than 100 ms from paris, and nobody knows how '
                'far',
            ),
            ({}, {'max_rtt_ms': 8}, 'par is not measured from paris'),
            (
                {'paris': f'{LOST} {FRESH}'},
                {},
                'par is unreachable from paris (40 s old)',
            ),
            (
                {'paris': f'{LOST} {OLD}'},
                {},
                'par is no longer known to be unreachable from paris (86400 s '
                'old)',
            ),
            (
                {'paris': '7 jitter=3'},
                {'max_jitter_ms': 2},
                'par is 7 ms from paris, its jitter of 3 ms over 2 ms',
            ),
            (
                {'paris': '7'},
                {'max_jitter_ms': 2},
                'par is 7 ms from paris, its jitter not measured',
            ),
            (
                {'paris': '7 loss=3'},
                {'max_loss_pct': 2},
                'par is 7 ms from paris, its loss of 3 % over 2 %',
            ),
            (
                {'paris': '7 loss=1 n=9'},
                {'max_loss_pct': 2},
                'par is 7 ms from paris, its loss measured with too few '
                'probes for 2 %',
            ),
            (
                {'paris': f'9 {OLD}'},
                {'max_rtt_ms': 8, 'unmeasured': 'accept'},
                'par is 9 ms from paris (86400 s old), accepted as it is',
            ),
            (
                {'paris': '7'},
                {'max_rtt_ms': 8, 'unmeasured': 'accept'},
                'par is 7 ms from paris, within 8 ms',
            ),
            (
                {},
                {'unmeasured': 'accept'},
                'par is not measured from paris',
            ),
            (
                {'paris': '7', 'c1__paris': '9'},
                {'max_rtt_ms': 8},
                'host c1 of par is 9 ms from paris, over 8 ms',
            ),
        ):
            verdict = self.judge(record('par', ['c1'], **figures), **asked)
            self.assertEqual(reason, verdict.reason)

    def test_reason_of_an_estimate(self):
        """An estimate is called one."""
        verdict = self.judge(
            record('par', ['c1'], edge__prefixes='192.0.2.0/24'),
            origins=('par',),
            max_rtt_ms=8.0,
        )
        self.assertEqual(
            'par is about 5 ms from par, which is only an estimate',
            verdict.reason,
        )


class DistanceTest(base.TestCase):
    SITES = test_snapshot.world(
        record('par', ['p']),
        record('lyo', ['l'], edge__site_rtt__par='7'),
        record('off', ['o'], edge__site_rtt__par=LOST),
        record('new', ['n', 'both']),
        record('lyo', ['both']),
    )

    def test_from_the_source(self):
        """A place is as far as its site is from that of the source host."""
        for source, host, cost_ms in (
            ('p', 'p', 5),
            ('p', 'l', 12),
            ('l', 'p', 12),
            ('p', 'o', None),
            ('p', 'n', None),
            ('p', 'both', None),
            ('p', 'nowhere', None),
            ('nowhere', 'p', None),
        ):
            verdict = proximity.judge_distance(
                self.SITES.place(source),
                self.SITES.place(host),
                self.SITES,
                RULES,
            )
            self.assertTrue(verdict.passes)
            self.assertEqual(cost_ms, verdict.cost_ms, (source, host))

    def test_reason(self):
        """The reason says from where."""
        for host, reason in (
            ('l', 'lyo is about 12 ms from par'),
            ('n', 'new is at an unknown distance from par'),
        ):
            verdict = proximity.judge_distance(
                self.SITES.place('p'),
                self.SITES.place(host),
                self.SITES,
                RULES,
            )
            self.assertEqual(reason, verdict.reason)


class FallbackTest(base.TestCase):
    def test_truth_table(self):
        """none: never; moves: moves alone; nearest: boots too.

        What the server says wins over the option.
        """
        for said, option, boots, moves in (
            (None, 'none', False, False),
            (None, 'moves', False, True),
            (None, 'nearest', True, True),
            ('none', 'nearest', False, False),
            ('moves', 'nearest', False, True),
            ('nearest', 'none', True, True),
        ):
            rules = dataclasses.replace(RULES, fallback=option)
            for budget in (
                {'max_rtt_ms': 1.0},
                {'max_jitter_ms': 1.0},
                {'max_loss_pct': 1.0},
            ):
                asked = request.Request(fallback=said, **budget)
                for is_move, expected in ((False, boots), (True, moves)):
                    self.assertEqual(
                        expected, proximity.falls_back(asked, rules, is_move)
                    )

    def test_without_a_budget(self):
        """There is nothing to fall back from without a budget."""
        asked = request.Request(fallback='nearest')
        self.assertFalse(proximity.falls_back(asked, RULES, True))


class SettleTest(base.TestCase):
    SITES = test_snapshot.world(record('p', ['c'], paris='4', lyon='1'))
    BUDGET: typing.ClassVar = {
        'max_rtt_ms': 5.0,
        'max_jitter_ms': 1.0,
        'max_loss_pct': 1.0,
    }

    PREFIXES: typing.ClassVar = {
        ipaddress.ip_network('192.0.2.7'): 'lyon',
        ipaddress.ip_network('2001:db8::/32'): 'paris',
    }
    LYON, PARIS = PREFIXES
    LOST = ipaddress.ip_network('203.0.113.9')

    def _settle(self, is_move, project=(), **asked):
        settled = proximity.settle(
            request.Request(**({'origin_source': 'hint'} | asked)),
            self.SITES,
            is_move,
            self.PREFIXES.get,
            project,
        )
        return settled, [str(problem) for problem in settled.problems]

    def test_hidden(self):
        """What the server or its flavor did not name itself is hidden."""
        for asked, project, hidden in (
            ({'origins': ('paris',), 'clients': (self.LYON,)}, (), {'lyon'}),
            ({'origins': ('lyon',), 'clients': (self.LYON,)}, (), set()),
            ({}, ('paris',), {'paris'}),
            ({'origins': ('paris',)}, ('lyon',), set()),
        ):
            settled, _ = self._settle(False, project, **asked)
            self.assertEqual(hidden, settled.hidden_origins)

    def test_several_origins(self):
        """Which origins a prefix is of, if several, is not for everybody."""

        def find(where):
            raise ValueError('has addresses of par-01 and lyo-01')

        settled = proximity.settle(
            request.Request(origin_source='hint', clients=(self.LYON,)),
            self.SITES,
            False,
            find,
        )
        (problem,) = settled.problems
        self.assertIn('has addresses of several origins', str(problem))

    def test_addresses(self):
        """An address counts as the origin it belongs to."""
        for is_move in (False, True):
            settled, problems = self._settle(
                is_move, origins=('paris',), clients=(self.LYON, self.PARIS)
            )
            self.assertEqual(('paris', 'lyon'), settled.origins)
            self.assertEqual(((), []), (settled.clients, problems))

    def test_unknown_address(self):
        """A boot for an unknown address is refused, a move forgets it."""
        clients = (self.LOST, self.LYON)
        _, problems = self._settle(False, clients=clients)
        self.assertEqual(
            ['hint edge:client_ip 203.0.113.9 belongs to no origin'],
            problems,
        )
        move, problems = self._settle(True, clients=clients, **self.BUDGET)
        self.assertEqual(1, len(problems))
        self.assertEqual(('lyon',), move.origins)
        self.assertTrue(move.has_budget)

    def test_nothing_left_of_the_hint(self):
        """A move for nobody known falls back on flavor, then on project."""
        for flavor, project, origins, source in (
            (('paris',), ('lyon',), ('paris',), 'flavor'),
            ((), ('lyon',), ('lyon',), 'project'),
            (('x',), (), (), ''),
        ):
            for hint in (
                {'clients': (self.LOST,)},
                {'origins': ('pariss',)},
            ):
                move, _ = self._settle(
                    True, project, flavor_origins=flavor, **hint
                )
                self.assertEqual(
                    (origins, source), (move.origins, move.origin_source)
                )

    def test_project(self):
        """The table of projects tells where nobody else does."""
        settled, _ = self._settle(False, ('lyon', 'paris'), **self.BUDGET)
        self.assertEqual(('lyon', 'paris'), settled.origins)
        self.assertEqual('project', settled.origin_source)
        for users in (
            {'origins': ('paris',)},
            {'clients': (self.PARIS,)},
            {'near': ((1.0, 2.0),)},
        ):
            settled, _ = self._settle(False, ('lyon',), **users)
            self.assertNotIn('lyon', settled.origins)
            self.assertEqual('hint', settled.origin_source)

    def test_unknown_origin(self):
        """A boot with an unknown origin is refused, a move forgets it."""
        origins = ('pariss', 'paris')
        boot, problems = self._settle(False, origins=origins)
        self.assertEqual(
            [
                'hint edge:origin pariss is not known: no site has a figure '
                'for it'
            ],
            problems,
        )
        self.assertEqual(origins, boot.origins)
        move, problems = self._settle(True, origins=origins, **self.BUDGET)
        self.assertEqual(1, len(problems))
        self.assertEqual(('paris',), move.origins)
        self.assertTrue(move.has_budget)

    def test_many_unknown_origins(self):
        """However many are not known, it is one problem, and short."""
        origins = tuple(f'o{number}' for number in range(16))
        _, problems = self._settle(False, origins=origins)
        self.assertEqual(
            [
                'hint edge:origin o0, o1, o10, o11, o12, 11 more is not '
                'known: no site has a figure for it'
            ],
            problems,
        )

    def test_origin_of_the_flavor(self):
        """A move falls back on the origins of its flavor."""
        for hint, flavor, origins, source in (
            (('pariss',), ('lyon', 'x'), ('lyon',), 'flavor'),
            (('pariss', 'paris'), ('lyon',), ('paris',), 'hint'),
            (('pariss',), (), (), ''),
        ):
            move, _ = self._settle(True, origins=hint, flavor_origins=flavor)
            self.assertEqual(
                (origins, source), (move.origins, move.origin_source)
            )
        move, _ = self._settle(
            True,
            origins=('pariss',),
            flavor_origins=('lyon',),
            near=((1.0, 2.0),),
        )
        self.assertEqual((), move.origins)

    def test_budget_without_origin(self):
        """A boot with a budget and no origin is refused; a move forgets it."""
        for name, value in self.BUDGET.items():
            _, problems = self._settle(False, **{name: value})
            self.assertEqual(
                [
                    'the budget of the server needs to know where its users '
                    'are; give edge:origin too'
                ],
                problems,
            )
        move, problems = self._settle(True, **self.BUDGET)
        self.assertFalse(move.has_budget)
        self.assertEqual(1, len(problems))
        move, problems = self._settle(True, origins=('pariss',), **self.BUDGET)
        self.assertFalse(move.has_budget)
        self.assertEqual(2, len(problems))

    def test_unreadable_origin(self):
        """Who gave an origin is not told to give one."""
        problem = request.Problem('hint', 'edge:origin', 'is not text')
        _, problems = self._settle(False, problems=(problem,), **self.BUDGET)
        self.assertEqual([str(problem)], problems)

    def test_nothing_wrong(self):
        """What is asked for binds as it is."""
        for is_move in (False, True):
            for users in (
                {'origins': ('paris',)},
                {'near': ((1.0, 2.0),)},
            ):
                settled, problems = self._settle(
                    is_move, **users, **self.BUDGET
                )
                self.assertEqual([], problems)
                self.assertTrue(settled.has_users and settled.has_budget)


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
        near, tied, beyond = proximity.scores([0.7, 0.8, 0.9], 300, 0.1)
        self.assertGreater(0.8, 0.7 + 0.1)  # so much for binary fractions
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
        near, far = proximity.scores([298, 900], 300, 2)
        self.assertGreater(near, far)
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
