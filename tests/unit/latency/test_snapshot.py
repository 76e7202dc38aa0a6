# SPDX-License-Identifier: Apache-2.0

import copy
import math

import hypothesis
from hypothesis import strategies as st

from edge_filters.latency import estimate
from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.latency import snapshot
from tests.unit import base

LOST = '- loss=100'
OLD = 'at=2026-11-22T10:00:00Z'
STATUSES = ('active', 'draining', 'inactive')
ESTIMATOR = estimate.Estimator(access_rtt_ms=5, ms_per_km=0.02)


def record(site, hosts=(), /, **keys):
    """A record of a site; a key's colons are double underscores.

    The key of a figure is its origin, that of a host's own figure is
    HOST__ORIGIN, and other keys begin with edge__.
    """
    written = {'edge:site': site}
    for key, value in keys.items():
        host, _, origin = key.rpartition('__')
        if host == 'edge':
            written[f'edge:{origin}'] = value
        elif host.startswith('edge__'):
            written[key.replace('__', ':')] = value
        elif host:
            written[f'edge:host_rtt:{host}:{origin}'] = value
        else:
            written[f'edge:rtt:{origin}'] = value
    parsed, problems = metadata.parse_site(written, hosts)
    assert not problems, problems
    return parsed


def world(*records):
    return snapshot.Snapshot().replace(dict(enumerate(records)))


def known_origins(sites):
    """Those of all names in use that a snapshot knows."""
    names = {'paris', 'lyon', 'nice', 'rome', 'brest', 'par', 'lyo', 'mrs'}
    return set(filter(sites.knows, names))


def rtts_ms(figures):
    """The RTTs of figures; None: unmeasured, infinite: unreachable."""
    return [
        None
        if figure is None
        else math.inf
        if figure.is_unreachable
        else figure.rtt_ms
        for figure in figures
    ]


class FigureTest(base.TestCase):
    def _rtts_ms(self, sites, host, origin='paris'):
        place = sites.place(host)
        figures = sites.figures(
            place, origin, ESTIMATOR, lambda figure: figure.at is not None
        )
        return rtts_ms(figures)

    def test_of_the_site(self):
        """A host has the figure of its site, whatever the case of names."""
        sites = world(record('par', ['C1'], paris='4'))
        self.assertEqual([4], self._rtts_ms(sites, 'c1'))
        self.assertEqual([4], self._rtts_ms(sites, 'C1'))

    def test_unmeasured(self):
        """A host in no site, or a pair without a figure, is unmeasured."""
        sites = world(record('par', ['c1'], paris='4'))
        self.assertEqual([], self._rtts_ms(sites, 'c2'))
        self.assertEqual([None], self._rtts_ms(sites, 'c1', 'lyon'))

    def test_own_figure_wins(self):
        """A host's own figure wins over its site's, larger or smaller."""
        sites = world(
            record(
                'par',
                ['c1', 'c2', 'c3', 'c4'],
                paris='4',
                c1__paris='9',
                c4__paris='1',
            )
        )
        self.assertEqual([9], self._rtts_ms(sites, 'c1'))
        self.assertEqual([1], self._rtts_ms(sites, 'c4'))
        self.assertEqual([4], self._rtts_ms(sites, 'c2'))
        self.assertEqual(sites.place('c2'), sites.place('c3'))

    def test_two_sites(self):
        """In two sites both figures count, and so does a missing one."""
        sites = world(
            record('par', ['c1', 'c2'], paris='4', lyon='1', nice=LOST),
            record('lyo', ['c1'], paris='9'),
        )
        self.assertEqual([9, 4], self._rtts_ms(sites, 'c1'))
        self.assertEqual([None, 1], self._rtts_ms(sites, 'c1', 'lyon'))
        self.assertEqual([None, math.inf], self._rtts_ms(sites, 'c1', 'nice'))
        self.assertEqual([4], self._rtts_ms(sites, 'c2'))

    def test_site_of_two_aggregates(self):
        """Aggregates of one name are one site, and complete each other."""
        sites = world(
            record('par', ['c1'], paris='4', lyon='1'),
            record('par', ['c2'], paris='9'),
        )
        for host in ('c1', 'c2'):
            self.assertEqual([4, 9], self._rtts_ms(sites, host))
            self.assertEqual([1], self._rtts_ms(sites, host, 'lyon'))

    def test_rtt_default(self):
        """edge:rtt_default counts for origins that are not listed."""
        sites = world(record('par', ['c1'], paris='4', edge__rtt_default='80'))
        self.assertEqual([4], self._rtts_ms(sites, 'c1'))
        self.assertEqual([80], self._rtts_ms(sites, 'c1', 'lyon'))

    def test_attached_users(self):
        """edge:prefixes make an origin; edge:site_rtt says how far it is.

        What is measured wins over the estimate, unless it is too old, and the
        estimate over a default. Both directions between sites count.
        """
        sites = world(
            record(
                'par',
                ['c1'],
                edge__prefixes='192.0.2.0/24',
                edge__site_rtt__lyo='7',
                edge__rtt_default='80',
            ),
            record(
                'lyo', ['c2'], edge__site_rtt__par='9', edge__rtt_default='80'
            ),
            record('mrs', ['c3'], edge__site_rtt__par='9', par='6'),
            record('nce', ['c4'], edge__rtt_default='80'),
            record('off', ['c5'], edge__site_rtt__par=LOST),
            record('old', ['c6'], par=f'9 {OLD}'),
            record('ole', ['c7'], par=f'6 {OLD}', edge__site_rtt__par='9'),
            record('two', ['c8'], par=f'6 {OLD}', edge__site_rtt__par='9'),
            record('two', ['c8'], par='9'),
        )
        for host, expected in (
            ('c1', [5]),
            ('c2', [12, 14]),
            ('c3', [6]),
            ('c4', [80]),
            ('c5', [math.inf]),
            ('c6', [9]),
            ('c7', [14]),
            ('c8', [6, 9]),
        ):
            self.assertEqual(expected, self._rtts_ms(sites, host, 'par'), host)
        # Nobody is attached to Lyon.
        self.assertEqual([80], self._rtts_ms(sites, 'c1', 'lyo'))

    def test_from_a_position(self):
        """A distance makes an RTT where the site has a position."""
        sites = world(
            record(
                'par', ['c1'], edge__latitude='48.85', edge__longitude='2.35'
            ),
            record('lyo', ['c2']),
        )
        users = estimate.Position(51.51, -0.13)
        for host, expected in (('c1', 11.89), ('c2', None)):
            figures = sites.from_position(sites.place(host), users, ESTIMATOR)
            (rtt_ms,) = rtts_ms(figures)
            self.assertEqual(expected, rtt_ms and round(rtt_ms, 2))

    def test_two_positions(self):
        """Of a site with two positions both count, in whatever order set."""
        here = {'edge__latitude': '48.85', 'edge__longitude': '2.35'}
        there = {'edge__latitude': '51.51', 'edge__longitude': '-0.13'}
        sites = world(
            record('par', ['c1'], **here), record('par', [], **there)
        )
        users = estimate.Position(48.85, 2.35)
        for _ in range(2):
            figures = sites.from_position(sites.place('c1'), users, ESTIMATOR)
            found = {round(rtt_ms, 2) for rtt_ms in rtts_ms(figures)}
            self.assertEqual({5, 11.89}, found)
            sites = sites.replace({0: record('par', ['c1'], **here)})

    def test_one_position(self):
        """However many aggregates say where a site is, it is worked out once.

        Else hosts with figures of their own times aggregates times positions
        of users would be minutes of a scheduler.
        """
        here = {'edge__latitude': '48.85', 'edge__longitude': '2.35'}
        sites = world(*(record('par', ['c1'], **here) for _ in range(9)))
        users = estimate.Position(51.51, -0.13)
        figures = sites.from_position(sites.place('c1'), users, ESTIMATOR)
        self.assertEqual([11.89], [round(it, 2) for it in rtts_ms(figures)])

    def test_from_a_site(self):
        """The site itself is the nearest, however far its own users are.

        To others it is what is between the sites, what is measured from the
        users of the site, or the distance.
        """
        here = {'edge__latitude': '48.85', 'edge__longitude': '2.35'}
        sites = world(
            record('par', ['c1'], par='30', **here),
            record('lyo', ['c2'], edge__site_rtt__par='9', **here),
            record('mrs', ['c3'], par='6', edge__site_rtt__par='9'),
            record('nce', ['c4'], **here),
            record('off', ['c5']),
            record('tls', ['c6'], par='6', **here),
        )
        for host, expected in (
            ('c1', 5),
            ('c2', 14),
            ('c3', 14),
            ('c4', 5),
            ('c5', None),
            ('c6', 6),
        ):
            figures = sites.from_site(sites.place(host), 'par', ESTIMATOR)
            self.assertEqual([expected], rtts_ms(figures))

    def test_tiers(self):
        """A place has the tiers of all its sites."""
        sites = world(
            record('par', ['c1'], edge__tier='far-edge'),
            record('fra', ['c1', 'c2'], edge__tier='core'),
            record('new', ['c3']),
        )
        for host, tiers in (
            ('c1', {'far-edge', 'core'}),
            ('c2', {'core'}),
            ('c3', set()),
        ):
            self.assertEqual(tiers, sites.tiers(sites.place(host)))

    def test_known_origins(self):
        """An origin is known once a site has a figure of it, or its users."""
        sites = world(
            record('par', ['c1'], paris='4', c1__lyon='9'),
            record('mrs', edge__prefixes='192.0.2.0/24'),
        )
        self.assertEqual({'paris', 'lyon', 'mrs'}, known_origins(sites))
        self.assertEqual(set(), known_origins(snapshot.Snapshot()))

    def test_forgotten_origins(self):
        """An origin is known until no site has a figure of it any more."""
        one = record('par', ['c1'], paris='4', c1__lyon='9')
        other = record('lyo', ['c2'], paris='9')
        sites = world(one, other).replace({0: record('par', ['c1'])})
        self.assertEqual({'paris'}, known_origins(sites))
        sites = sites.replace({0: one, 1: None})
        self.assertEqual({'paris', 'lyon'}, known_origins(sites))
        sites = sites.replace({0: None})
        self.assertEqual(set(), known_origins(sites))


class AllPlacesTest(base.TestCase):
    def test_all_places(self):
        """There is one place for all hosts that have the same figures."""
        sites = world(
            record('par', ['c1', 'c2', 'c3', 'both'], c3__paris='9'),
            record('lyo', ['l1', 'both']),
            record('par', ['c4']),
            record('empty'),
        )
        par, lyo = snapshot.Place(('par',), ''), snapshot.Place(('lyo',), '')
        both = snapshot.Place(('lyo', 'par'), '')
        own = snapshot.Place(('par',), 'c3')
        self.assertEqual({par, lyo, both, own}, sites.all_places())
        sites = sites.replace({1: None})
        self.assertEqual({par, own}, sites.all_places())
        mapped = snapshot.Mapped(host_samples={'c4': {}, 'elsewhere': {}})
        self.assertEqual(
            {par, own, snapshot.Place(('par',), 'c4')},
            sites.with_mapped(mapped).all_places(),
        )


class ReplaceTest(base.TestCase):
    def test_old_snapshot_stays(self):
        """A change makes a new snapshot; readers of the old see no change."""
        old = world(
            record('par', ['c1'], paris='4', edge__status='draining'),
            record('par', ['c3']),
        )
        before = copy.deepcopy(old)
        new = old.replace({0: record('lyo', ['c2'], paris='9'), 1: None})
        self.assertEqual(before, old)
        self.assertEqual(snapshot.NOWHERE, new.place('c1'))
        self.assertEqual(('lyo',), new.place('c2').sites)
        self.assertEqual({'lyo'}, new.sites.keys())
        self.assertEqual({}, new.closed)

    def test_untouched_is_shared(self):
        """New figures of one aggregate cost nothing that others hold."""
        old = world(
            record('par', ['c1'], paris='4'), record('lyo', ['c2'], paris='9')
        )
        new = old.replace({0: record('par', ['c1'], paris='5')})
        self.assertIs(old.places, new.places)
        self.assertIs(old.sites['lyo'], new.sites['lyo'])

    def test_own_figures_come_and_go(self):
        """A host has its own place while it has figures of its own."""
        sites = world(record('par', ['c1', 'c2'], paris='4'))
        for own in ({'c1__paris': '9'}, {}):
            sites = sites.replace(
                {0: record('par', ['c1', 'c2'], paris='4', **own)}
            )
            is_shared = sites.place('c1') == sites.place('c2')
            self.assertEqual(not own, is_shared)

    def test_status(self):
        """Of several aggregates of a site the stricter status counts."""
        sites = world(
            record('par', edge__status='draining'),
            record('par', edge__status='inactive'),
            record('lyo', edge__status='draining'),
            record('mrs', edge__status='active'),
        )
        status = metadata.Status
        self.assertEqual(
            {'par': status.INACTIVE, 'lyo': status.DRAINING}, sites.closed
        )
        sites = sites.replace({1: None, 2: record('lyo')})
        self.assertEqual({'par': status.DRAINING}, sites.closed)

    @hypothesis.given(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.none()
                | st.builds(
                    record,
                    st.sampled_from(('a', 'b')),
                    st.frozensets(st.sampled_from(('c1', 'c2', 'c3'))),
                    paris=st.just('1'),
                    c1__paris=st.sampled_from(('1', '2')),
                    edge__status=st.sampled_from(STATUSES),
                ),
            ),
            max_size=8,
        )
    )
    def test_as_if_built_anew(self, changes):
        """However it came about, a snapshot depends on the records alone."""
        current = snapshot.Snapshot()
        records = {}
        for aggregate_id, changed in changes:
            current = current.replace({aggregate_id: changed})
            records[aggregate_id] = changed
        self.assertEqual(snapshot.Snapshot().replace(records), current)


class MappedTest(base.TestCase):
    """Figures of a map file, beside those of the aggregates."""

    MAPPED = snapshot.Mapped(
        {
            'p': {'paris': sample.Sample(50.0), 'nice': sample.Sample(51.0)},
            'gone': {'paris': sample.Sample(1.0)},
        },
        {
            'a': {'paris': sample.Sample(60.0), 'lyon': sample.Sample(61.0)},
            'gone': {'paris': sample.Sample(1.0)},
        },
        frozenset({'paris', 'nice', 'lyon', 'brest'}),
    )

    def _rtts_ms(self, current, host):
        place = current.place(host)
        return {
            origin: rtts_ms(
                current.figures(place, origin, ESTIMATOR, lambda _: False)
            )
            for origin in ('paris', 'nice', 'lyon')
        }

    def test_what_counts(self):
        """Host before site, and of the same an aggregate before the file."""
        sites = world(
            record('p', ['a', 'b', 'c'], paris='4', b__paris='5')
        ).with_mapped(self.MAPPED)
        self.assertEqual(
            {'paris': [60.0], 'nice': [51.0], 'lyon': [61.0]},
            self._rtts_ms(sites, 'a'),
        )
        self.assertEqual(
            {'paris': [5.0], 'nice': [51.0], 'lyon': [None]},
            self._rtts_ms(sites, 'b'),
        )
        self.assertEqual(
            {'paris': [4.0], 'nice': [51.0], 'lyon': [None]},
            self._rtts_ms(sites, 'c'),
        )

    def test_before_the_default(self):
        """A figure of the file counts before the default of a site."""
        sites = world(record('p', ['c'], edge__rtt_default='9'))
        self.assertEqual(
            {'paris': [50.0], 'nice': [51.0], 'lyon': [9.0]},
            self._rtts_ms(sites.with_mapped(self.MAPPED), 'c'),
        )

    def test_origins(self):
        """Whom the file names is known, and only as long as it does."""
        sites = world(record('p', ['c'], rome='4'))
        self.assertEqual(
            {'rome', 'paris', 'nice', 'lyon', 'brest'},
            known_origins(sites.with_mapped(self.MAPPED)),
        )
        self.assertEqual(
            {'rome'},
            known_origins(
                sites.with_mapped(self.MAPPED).with_mapped(snapshot.NOT_MAPPED)
            ),
        )

    def test_either_order(self):
        """Whichever changes last, file or aggregates, both count."""
        records = {1: record('p', ['a', 'c'], paris='4')}
        one = snapshot.Snapshot().with_mapped(self.MAPPED).replace(records)
        other = snapshot.Snapshot().replace(records).with_mapped(self.MAPPED)
        self.assertEqual(one, other)
        self.assertEqual('a', one.place('a').host)
        self.assertEqual(
            snapshot.Snapshot().replace(records),
            one.with_mapped(snapshot.NOT_MAPPED),
        )
