# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st

from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.latency import snapshot
from tests.unit import base

LOST = '- loss=100'


def record(site, hosts, **keys):
    """A record of a site; a figure's key is its origin, or HOST__ORIGIN."""
    written = {'edge:site': site}
    for key, value in keys.items():
        host, _, origin = key.rpartition('__')
        prefix = f'edge:host_rtt:{host}:' if host else 'edge:rtt:'
        written[prefix + origin] = value
    parsed, problems = metadata.parse_site(written, hosts)
    assert not problems, problems
    return parsed


def world(*records):
    return snapshot.Snapshot().replace(dict(enumerate(records)))


class FigureTest(base.TestCase):
    def _rtt_ms(self, sites, host, origin='paris'):
        figure = sites.figure(sites.place(host), origin)
        return None if figure is None else figure.rtt_ms

    def test_of_the_site(self):
        """A host has the figure of its site, whatever the case of names."""
        sites = world(record('par', ['C1'], paris='4'))
        self.assertEqual(4, self._rtt_ms(sites, 'c1'))
        self.assertEqual(4, self._rtt_ms(sites, 'C1'))

    def test_unmeasured(self):
        """A host in no site, or a pair without a figure, is unmeasured."""
        sites = world(record('par', ['c1'], paris='4'))
        self.assertIsNone(self._rtt_ms(sites, 'c2'))
        self.assertIsNone(self._rtt_ms(sites, 'c1', 'lyon'))

    def test_own_figure_wins(self):
        """A host's own figure wins over its site's, larger or smaller."""
        sites = world(
            record('par', ['c1', 'c2', 'c3'], paris='4', c1__paris='9')
        )
        self.assertEqual(9, self._rtt_ms(sites, 'c1'))
        self.assertEqual(4, self._rtt_ms(sites, 'c2'))
        self.assertEqual(sites.place('c2'), sites.place('c3'))

    def test_two_sites(self):
        """In two sites the larger RTT counts, and a missing one is worse."""
        sites = world(
            record('par', ['c1', 'c2'], paris='4', lyon='1', nice=LOST),
            record('lyo', ['c1'], paris='9'),
        )
        self.assertEqual(9, self._rtt_ms(sites, 'c1'))
        self.assertIsNone(self._rtt_ms(sites, 'c1', 'lyon'))
        self.assertTrue(sites.figure(sites.place('c1'), 'nice').is_unreachable)
        self.assertEqual(4, self._rtt_ms(sites, 'c2'))

    def test_site_of_two_aggregates(self):
        """Aggregates of one name are one site, and complete each other."""
        sites = world(
            record('par', ['c1'], paris='4', lyon='1'),
            record('par', ['c2'], paris='9'),
        )
        for host in ('c1', 'c2'):
            self.assertEqual(9, self._rtt_ms(sites, host))
            self.assertEqual(1, self._rtt_ms(sites, host, 'lyon'))

    def test_known_origins(self):
        """An origin is known once any site, or one host, has a figure."""
        sites = world(record('par', ['c1'], paris='4', c1__lyon='9'))
        self.assertTrue(sites.knows('paris'))
        self.assertTrue(sites.knows('lyon'))
        self.assertFalse(sites.knows('nice'))


class ReplaceTest(base.TestCase):
    def test_old_snapshot_stays(self):
        """A change makes a new snapshot; readers of the old see no change."""
        old = world(record('par', ['c1'], paris='4'))
        new = old.replace({0: record('lyo', ['c2'], paris='9')})
        self.assertEqual(('par',), old.place('c1').sites)
        self.assertEqual(snapshot.NOWHERE, new.place('c1'))
        self.assertEqual(('lyo',), new.place('c2').sites)
        self.assertNotIn('par', new.sites)

    def test_untouched_is_shared(self):
        """New figures of one aggregate cost nothing that others hold."""
        old = world(
            record('par', ['c1'], paris='4'), record('lyo', ['c2'], paris='9')
        )
        new = old.replace({0: record('par', ['c1'], paris='5')})
        self.assertIs(old.places, new.places)
        self.assertIs(old.sites['lyo'], new.sites['lyo'])

    @hypothesis.given(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.none()
                | st.builds(
                    metadata.SiteRecord,
                    st.sampled_from(('a', 'b')),
                    st.frozensets(st.sampled_from(('c1', 'c2', 'c3'))),
                    st.just({'paris': sample.Sample(1.0)}),
                    st.sampled_from(
                        ({}, {'c1': {'paris': sample.Sample(2.0)}})
                    ),
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
        anew = snapshot.Snapshot().replace(records)
        self.assertEqual(anew.sites, current.sites)
        self.assertEqual(anew.places, current.places)
