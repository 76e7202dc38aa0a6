# SPDX-License-Identifier: Apache-2.0

import dataclasses

import hypothesis
from hypothesis import strategies as st

from edge_filters import proximity
from edge_filters import refusal
from edge_filters.latency import metadata
from edge_filters.origins import request
from tests.unit import base
from tests.unit import test_proximity
from tests.unit.latency import test_snapshot

FRESH, OLD, LOST = test_proximity.FRESH, test_proximity.OLD, '- loss=100'
DETAILS = ('none', 'figures', 'names')
record = test_snapshot.record
world = test_snapshot.world


def judged(sites, asked):
    """What the rules say of every place, in some order."""
    opened = dataclasses.replace(sites, closed={})
    for place in sites.all_places():
        at_site = proximity.judge_site(asked, place, sites)
        status = ''
        if (
            not at_site.passes
            and proximity.judge_site(asked, place, opened).passes
        ):
            status = max(
                sites.closed[name]
                for name in place.sites
                if name in sites.closed
            ).name.lower()
        latency = proximity.judge_latency(
            asked, place, sites, test_proximity.RULES, test_proximity.NOW
        )
        yield refusal.Outlook(at_site, latency, status)


class NoSiteTestCase(base.TestCase):
    def told(self, world_, details='figures', /, **asked):
        asked = request.Request(**({'origins': ('paris',)} | asked))
        return refusal.no_site(asked, judged(world_, asked), details)


class HiddenTest(NoSiteTestCase):
    """An origin that an address led to may have the name of a site."""

    SITES = world(record('par', ['p'], par='7.2', paris='8'))

    def test_hidden(self):
        """It is named only where the names of sites are."""
        for origins, names, users in (
            (('par',), 'origin par', 'its users'),
            (('par', 'paris'), 'origin par and 1 more', None),
            (('paris', 'par'), 'origin paris and 1 more', None),
        ):
            users = users or 'origin paris and 1 more'
            for details, whom in (
                ('none', users),
                ('figures', users),
                ('names', names),
            ):
                told = self.told(
                    self.SITES,
                    details,
                    origins=origins,
                    hidden_origins=frozenset({'par'}),
                    max_rtt_ms=5.0,
                )
                wanted = f'No edge site within 5 ms of {whom}'
                self.assertEqual(wanted, told.partition(':')[0])


class NoSiteTest(NoSiteTestCase):
    SITES = world(
        record('par', ['p'], paris=f'7.2 jitter=3 loss=1 n=900 {FRESH}'),
        record('lyo', ['l'], paris='40', edge__tier='core'),
        record('mrs', ['m'], edge__latitude='43', edge__longitude='5'),
    )

    def test_details(self):
        """The operator says what of the sites a user may read."""
        sites = world(
            record('par-01', ['p'], paris=f'7.2 {FRESH}'),
            record('lyo-01', ['l'], paris='4.1', edge__status='draining'),
        )
        wanted = 'No edge site within 5 ms of origin paris'
        for details, told in (
            ('none', wanted),
            (
                'figures',
                f'{wanted}: nearest 7.2 ms (40 s old); one at 4.1 ms is '
                'draining',
            ),
            (
                'names',
                f'{wanted}: nearest par-01 7.2 ms (40 s old); lyo-01 4.1 ms '
                'is draining',
            ),
        ):
            self.assertEqual(told, self.told(sites, details, max_rtt_ms=5.0))

    def test_budget(self):
        """The sentence has the budget, and what misses it at the nearest."""
        nearest = 'origin paris: nearest 7.2 ms (40 s old)'
        for asked, told in (
            ({'max_rtt_ms': 5.0}, f'within 5 ms of {nearest}'),
            (
                {'max_jitter_ms': 2.0},
                f'within jitter 2 ms of {nearest}, its jitter of 3 ms over '
                '2 ms',
            ),
            (
                {'max_loss_pct': 0.1},
                f'within loss 0.1 % of {nearest}, its loss of 1 % over 0.1 %',
            ),
            (
                {'max_rtt_ms': 5.0, 'max_jitter_ms': 2.0},
                f'within 5 ms, jitter 2 ms of {nearest}',
            ),
            (
                {'max_rtt_ms': 9.5, 'max_jitter_ms': 4.0, 'max_loss_pct': 0.1},
                f'within 9.5 ms, jitter 4 ms, loss 0.1 % of {nearest}, its '
                'loss of 1 % over 0.1 %',
            ),
        ):
            self.assertEqual(
                f'No edge site {told}; 1 not measured',
                self.told(self.SITES, **asked),
            )

    def test_why_the_nearest_will_not_do(self):
        """A figure within the budget is told with what is wrong with it."""
        for value, asked, told in (
            (f'7 {OLD}', {}, '7 ms (86400 s old), too old for a budget'),
            (
                '7 loss=0 n=9',
                {'max_loss_pct': 1.0},
                '7 ms, its loss measured with too few probes for 1 %',
            ),
            ('7', {'max_jitter_ms': 1.0}, '7 ms, its jitter not measured'),
        ):
            self.assertIn(
                f': nearest {told}',
                self.told(
                    world(record('par', ['p'], paris=value)),
                    **({'max_rtt_ms': 9.0} | asked),
                ),
            )

    def test_users(self):
        """The first of several users is named, and how many more there are."""
        for asked, told in (
            ({'origins': ('paris', 'lyon')}, 'origin paris and 1 more'),
            (
                {'origins': ('paris',), 'near': ((1.0, 2.0), (3.0, 4.0))},
                'origin paris and 2 more',
            ),
            ({'origins': (), 'near': ((48.85, -2.5),)}, 'position 48.85,-2.5'),
        ):
            self.assertEqual(
                f'No edge site within 5 ms of {told}',
                self.told(self.SITES, 'none', max_rtt_ms=5.0, **asked),
            )

    def test_worst_of_several(self):
        """The figure is the one that counts: that of the farthest origin."""
        sites = world(
            record('par', ['p'], paris='6', lyon='30'),
            record('lyo', ['l'], paris='20', lyon='1'),
        )
        told = self.told(sites, origins=('paris', 'lyon'), max_rtt_ms=5.0)
        self.assertIn(': nearest 20 ms', told)

    def test_position(self):
        """An estimate is told as such, with why it will not do."""
        near = {'origins': (), 'near': ((43.0, 5.0),)}
        for unmeasured, told in (
            ('reject', 'nearest about 5 ms, which is only an estimate'),
            ('estimate', 'nearest about 5 ms'),
        ):
            self.assertEqual(
                f'No edge site within 1 ms of position 43,5: {told}; 2 not '
                'measured',
                self.told(
                    self.SITES, max_rtt_ms=1.0, unmeasured=unmeasured, **near
                ),
            )

    def test_sites_and_tiers(self):
        """The sites and tiers asked for are named, as the user named them."""
        nobody = {'origins': ()}
        for asked, told in (
            ({'sites': {'x', 'a'}, **nobody}, 'among a, x'),
            ({'tiers': {'far'}, **nobody}, 'of tier far'),
            ({'sites': (), **nobody}, 'among none (hint and flavor differ)'),
            ({'tiers': (), **nobody}, 'of tier none (hint and flavor differ)'),
            (
                {'sites': {'par'}, 'tiers': {'core'}, 'max_rtt_ms': 5.0},
                'among par of tier core within 5 ms of origin paris',
            ),
            (
                {'sites': {f's{number}' for number in range(9)}},
                'among s0, s1, s2, s3, s4, 4 more reachable from origin paris',
            ),
        ):
            for name in ('sites', 'tiers'):
                if name in asked:
                    asked[name] = frozenset(asked[name])
            for details in DETAILS:
                self.assertEqual(
                    f'No edge site {told}'
                    + ': there is no such site' * (details != 'none'),
                    self.told(self.SITES, details, **asked),
                )

    def test_as_much_as_fits(self):
        """What there is no room for is left out; what was asked is not."""
        for others in ((), ('par', 'lyo', 'mrs')):
            for size in range(1, 64):
                asked = {
                    'origins': ('o' * 64,),
                    'sites': frozenset({*others, 'x' * 64, 'y' * size}),
                    'max_rtt_ms': 5.0,
                }
                wanted = self.told(self.SITES, 'none', **asked)
                told = self.told(self.SITES, 'names', **asked)
                self.assertEqual(wanted, told[: len(wanted)])

    def test_nearest_first(self):
        """Where not all fits, what is wrong with the nearest site does."""
        sites = world(
            record('n' * 64, ['n'], paris='7'),
            record('c' * 64, ['c'], paris='4', edge__status='draining'),
            record('d' * 64, ['d'], paris='4', edge__status='draining'),
        )
        told = self.told(sites, 'names', max_rtt_ms=5.0)
        self.assertEqual(
            'No edge site within 5 ms of origin paris: nearest '
            f'{"n" * 64} 7 ms; {"c" * 64} 4 ms is draining',
            told,
        )

    def test_sites_to_avoid(self):
        """That there are sites to be avoided is told, without their names."""
        for avoided, told in (
            (('par',), ': nearest 40 ms; 1 not measured'),
            (('par', 'lyo', 'mrs'), ': there is no such site'),
        ):
            self.assertEqual(
                'No edge site but those to be avoided within 5 ms of origin '
                f'paris{told}',
                self.told(
                    self.SITES, max_rtt_ms=5.0, avoid_sites=frozenset(avoided)
                ),
            )

    def test_of_the_sites_asked_for(self):
        """The nearest is the nearest of those that the server may run at."""
        for asked in (
            {'sites': frozenset({'lyo'})},
            {'tiers': frozenset({'core'})},
            {'avoid_sites': frozenset({'par', 'mrs'})},
        ):
            told = self.told(self.SITES, max_rtt_ms=5.0, **asked)
            self.assertTrue(told.endswith('origin paris: nearest 40 ms'), told)

    def test_unknown(self):
        """Not measured and unreachable are two things, each with a number."""
        sites = world(
            *(record(f'u{number}', [f'u{number}']) for number in range(3)),
            *(
                record(f'l{number}', [f'l{number}'], paris=LOST)
                for number in range(2)
            ),
        )
        for asked, wanted in (
            ({'max_rtt_ms': 5.0}, 'within 5 ms of'),
            ({'unmeasured': 'reject'}, 'measured from'),
        ):
            self.assertEqual(
                f'No edge site {wanted} origin paris: 3 not measured; 2 '
                'unreachable',
                self.told(sites, **asked),
            )

    def test_unreachable(self):
        """Without a budget a site need only be reachable."""
        sites = world(record('par', ['p'], paris=LOST))
        self.assertEqual(
            'No edge site among par reachable from origin paris: 1 '
            'unreachable',
            self.told(sites, sites=frozenset({'par'})),
        )

    def test_hosts_of_one_site(self):
        """A site that nobody measured is one, however many hosts it has."""
        sites = world(record('par', ['a', 'b', 'c'], a__lyon='1', b__lyon='2'))
        told = self.told(sites, max_rtt_ms=5.0)
        self.assertTrue(told.endswith(': 1 not measured'), told)


class ClosedTest(NoSiteTestCase):
    def _sites(self, *closed):
        return world(
            *(
                record(f's{number}', [f'h{number}'], edge__status=status)
                if rtt is None
                else record(
                    f's{number}',
                    [f'h{number}'],
                    paris=rtt,
                    edge__status=status,
                )
                for number, (status, rtt) in enumerate(closed)
            )
        )

    def test_would_do(self):
        """A closed site is told where it would do, were it open."""
        for status, rtt, told in (
            ('draining', '4', ': s0 4 ms is draining'),
            ('inactive', f'4 {FRESH}', ': s0 4 ms (40 s old) is inactive'),
            ('inactive', '6', ''),
            ('inactive', None, ''),
        ):
            self.assertEqual(
                f'No edge site within 5 ms of origin paris{told}',
                self.told(self._sites((status, rtt)), 'names', max_rtt_ms=5.0),
            )

    def test_not_asked_for(self):
        """A closed site that was not asked for is not the user's concern."""
        sites = self._sites(('inactive', '4'))
        for asked in (
            {'sites': frozenset({'x'})},
            {'avoid_sites': frozenset({'s0'})},
        ):
            self.assertNotIn('inactive', self.told(sites, 'names', **asked))

    def test_without_users(self):
        """Where nobody is served a closed site has no figure."""
        self.assertEqual(
            'No edge site among s0: s0 is draining',
            self.told(
                self._sites(('draining', '4')),
                'names',
                origins=(),
                sites=frozenset({'s0'}),
            ),
        )

    def test_several(self):
        """The nearest closed sites are told, and of the rest how many."""
        sites = self._sites(
            *(('draining', rtt) for rtt in ('3', '1', '4', '2'))
        )
        for details, told in (
            ('names', 's1 1 ms is draining; s3 2 ms is draining'),
            ('figures', 'one at 1 ms is draining; one at 2 ms is draining'),
        ):
            self.assertEqual(
                f'No edge site within 5 ms of origin paris: {told}; 2 more '
                'closed',
                self.told(sites, details, max_rtt_ms=5.0),
            )

    def test_near_its_source(self):
        """Nor where the site that a server moves from stands in for them."""
        sites = self._sites(('draining', '4'))
        asked = request.Request(sites=frozenset({'s0'}))
        place = sites.place('h0')
        outlook = refusal.Outlook(
            proximity.judge_site(asked, place, sites),
            proximity.judge_distance(
                place, place, sites, test_proximity.RULES
            ),
            'draining',
        )
        self.assertEqual(
            'No edge site among s0: s0 is draining',
            refusal.no_site(asked, [outlook], 'names'),
        )

    def test_each_site_once(self):
        """A site is told once, though its hosts have figures of their own."""
        sites = world(
            record(
                'par',
                ['a', 'b', 'c'],
                paris='3',
                a__paris='2',
                b__paris='4',
                edge__status='draining',
            )
        )
        told = self.told(sites, 'names', max_rtt_ms=5.0)
        self.assertTrue(told.endswith(': par 2 ms is draining'), told)

    def test_site_that_is_not_measured(self):
        """A closed site without a figure is not at a figure."""
        sites = self._sites(('draining', None))
        for details in ('figures', 'names'):
            told = self.told(sites, details, sites=frozenset({'s0'}))
            self.assertIn('is draining', told)
            self.assertNotIn('not measured is', told)


class NoRoomTest(base.TestCase):
    SITES = world(record('par', ['p'], paris=f'7.2 {FRESH}'))
    WANTED = (
        'No host with room for the server, and with all that it requires, at '
    )

    def _told(self, count, details, **asked):
        asked = request.Request(**asked)
        nearest = proximity.judge_latency(
            asked,
            self.SITES.place('p'),
            self.SITES,
            test_proximity.RULES,
            test_proximity.NOW,
        )
        return refusal.no_room(asked, nearest, count, details)

    def test_details(self):
        """Where sites would do, and have no room, the nearest is told."""
        within = 'within 9 ms of origin paris'
        for count, sites in (
            (1, 'the one edge site'),
            (3, 'the 3 edge sites'),
        ):
            for details, nearest in (
                ('figures', ': nearest 7.2 ms (40 s old)'),
                ('names', ': nearest par 7.2 ms (40 s old)'),
            ):
                self.assertEqual(
                    f'{self.WANTED}{sites} {within}{nearest}',
                    self._told(
                        count, details, origins=('paris',), max_rtt_ms=9.0
                    ),
                )

    def test_nothing_of_the_sites(self):
        """With details none it does not even tell how many sites there are."""
        told = {
            self._told(count, 'none', origins=('paris',), max_rtt_ms=9.0)
            for count in (1, 2, 3)
        }
        self.assertEqual(1, len(told), told)

    def test_without_users(self):
        """Where nobody is served no site is the nearest."""
        for details in ('figures', 'names'):
            self.assertEqual(
                f'{self.WANTED}the 2 edge sites among lyo, par',
                self._told(2, details, sites=frozenset({'par', 'lyo'})),
            )

    def test_near_its_source(self):
        """Nor where the site that a server moves from stands in for them."""
        place = self.SITES.place('p')
        nearest = proximity.judge_distance(
            place, place, self.SITES, test_proximity.RULES
        )
        for details in ('figures', 'names'):
            asked = request.Request(sites=frozenset({'par'}))
            self.assertEqual(
                f'{self.WANTED}the one edge site among par',
                refusal.no_room(asked, nearest, 1, details),
            )


ORIGINS = ('paris', 'o' * 64, 'lyon')
BUDGETS = st.none() | st.floats(0, 1e300)
COUNTS = st.sampled_from((0, 1, 2, request.MAX_VALUES))
VALUES = ('4', f'7.25 {FRESH}', f'7 {OLD}', '9 jitter=2 loss=1 n=99', LOST)


def several(*names):
    return st.frozensets(st.sampled_from(names))


@st.composite
def requests(draw, named):
    """What a user may ask for, with names of sites in it or not."""
    many = [f'{"x" * 62}{number:02}' for number in range(draw(COUNTS))]
    near = draw(st.tuples(st.floats(-90, 90), st.floats(-180, 180)))
    return request.Request(
        origins=(*sorted(draw(several(*ORIGINS))), *many),
        near=(near,) * draw(COUNTS),
        max_rtt_ms=draw(BUDGETS),
        max_jitter_ms=draw(BUDGETS),
        max_loss_pct=draw(BUDGETS),
        sites=draw(st.none() | several('x', *many, *named)),
        avoid_sites=draw(several('x', *named)),
        tiers=draw(st.none() | several('far-edge', *many)),
        unmeasured=draw(
            st.none() | st.sampled_from(request.UNMEASURED_CHOICES)
        ),
    )


@st.composite
def worlds(draw):
    """Sites of long names, which are in no text by chance."""
    records = []
    for number in range(draw(st.integers(0, 6))):
        written = {
            f'edge:rtt:{origin}': draw(st.sampled_from(VALUES))
            for origin in ORIGINS
            if draw(st.booleans())
        }
        written['edge:site'] = f'{"zq" * 31}{number:02}'
        status = draw(st.sampled_from(('active', *test_snapshot.STATUSES)))
        written['edge:status'] = status
        hosts = draw(st.sets(st.sampled_from('abcdef'), min_size=1))
        records.append(metadata.parse_site(written, hosts)[0])
    return world(*records)


class AnyTextTest(base.TestCase):
    """Whatever the names, figures and requests."""

    def _texts(self, asked, sites):
        """What is told with none, figures and names; of both refusals."""
        outlooks = list(judged(sites, asked))
        yield [
            refusal.no_site(asked, outlooks, details) for details in DETAILS
        ]
        if outlooks:
            yield [
                refusal.no_room(
                    asked, outlooks[0].latency, len(outlooks), details
                )
                for details in DETAILS
            ]

    @hypothesis.settings(max_examples=100)
    @hypothesis.given(st.data(), worlds())
    def test_properties(self, data, sites):
        """It is short, has the reason first, and names what it may.

        A site is named only with details names, or where the user did.
        """
        asked = data.draw(requests(tuple(sites.sites)))
        for none, figures, names in self._texts(asked, sites):
            for text in (none, figures, names):
                self.assertLessEqual(len(text), 211)
                self.assertRegex(text, '^No (edge site|host with room)')
                if none.startswith('No edge site'):
                    self.assertEqual(none[:208], text[: len(none)][:208])
            for name in sites.sites:
                if name not in (asked.sites or ()):
                    self.assertNotIn(name, none + figures)

    def test_shorten(self):
        """A text that is too long is cut where one sees it."""
        for size, told in (
            (0, ''),
            (211, 'x' * 211),
            (212, 'x' * 208 + '...'),
            (9999, 'x' * 208 + '...'),
        ):
            self.assertEqual(told, refusal.shorten('x' * size))
