# SPDX-License-Identifier: Apache-2.0

import json

from edge_filters.origins import map_file
from edge_filters.osc import check_sites
from tests.unit.osc import base


class SitesTest(base.WorldTestCase):
    def found(self, known_hosts=None, maps=None):
        """Return what is wrong with the sites."""
        return list(check_sites.findings(self.world(maps), known_hosts))

    def assert_found(self, *expected, **given):
        """Check which findings there are, and about what."""
        found = [it[:2] for it in self.found(**given)]
        self.assertEqual(list(expected), found)

    def test_none(self):
        """A cloud without sites has nothing that could be placed at."""
        self.nova.aggregate('zone', ['h'], availability_zone='zone')
        self.assert_found(('no-sites', 'edge:site'))

    def test_good(self):
        """Of a site with all that it needs nothing is wrong."""
        self.site(
            edge__tier='far-edge',
            edge__status='draining',
            edge__prefixes='192.0.2.0/24',
            edge__rtt__paris='4.1',
            edge__rtt_default='>50',
            edge_latency_weight_multiplier='30',
            **{'edge__host_rtt__PAR-1__lyon': '8'},
        )
        self.nova.aggregate('zone', ['par-1'], availability_zone='zone')
        self.assert_found(known_hosts={'par-1'})

    def test_keys(self):
        """Keys that no one reads are told, with why."""
        for keys, check, words in (
            ({'edge:color': 'blue'}, 'key-skipped', 'no such key'),
            ({'edge:rtt:paris': '4,1'}, 'key-skipped', 'not a number'),
            (
                {'edge_latency_weight_multiplier': '-1'},
                'key-unread',
                "='-1': it is not a number",
            ),
            ({'edge:site_rtt:par': '4'}, 'key-unread', 'itself'),
            (
                {'edge:host_rtt:lyo-1:lyon': '8'},
                'key-unread',
                'lyo-1:lyon: the host is not in the aggregate',
            ),
        ):
            self.nova.aggregates.clear()
            self.site()['metadata'].update(keys)
            (found,) = self.found()
            self.assertEqual((check, 'par'), found[:2])
            self.assertIn(words, found.what)

    def test_no_site(self):
        """An aggregate that is meant to be a site, and is none, is told."""
        self.site()
        self.nova.aggregate('lyo', edge__rtt__lyon='2', edge__tier='far')
        self.nova.aggregate('nce', edge__site='ni/ce', edge__tier='far')
        self.assert_found(('key-unread', 'lyo'), ('site-unnamed', 'nce'))
        self.assertIn('edge:rtt:lyon, edge:tier', self.found()[0].what)

    def test_too_many_keys(self):
        """A site has at most 64 keys of ours."""
        keys = {f'edge__rtt__o-{number}': '1' for number in range(62)}
        del keys['edge__rtt__o-0']
        self.site(**keys, availability_zone='par')
        self.assert_found()
        self.nova.aggregates.clear()
        self.site(**keys, edge__tier='far')
        self.assert_found(('too-many-keys', 'par'))

    def test_too_many_rows(self):
        """All aggregates count, sites or not, and those without a key."""
        self.site()
        hosts = [f'h-{number}' for number in range(2000)]
        keys = {f'k-{number}': '1' for number in range(99)}
        self.nova.aggregate('large', hosts, **keys)
        # Three of par, 198,000 of the large one.
        self.nova.aggregate('bare', [f'b-{it}' for it in range(1997)])
        self.assert_found()
        self.nova.aggregate('empty')
        self.assert_found(('too-many-rows', 'all aggregates'))
        self.assertIn('have 200001 rows', self.found()[0].what)
        self.assertIn('the most have large, bare, par', self.found()[0].what)

    def test_hosts(self):
        """A host is in one site, and Nova knows it; a site has one."""
        self.site()
        self.site('lyo', ['PAR-1', 'lyo-1'])
        self.assert_found(('host-in-two-sites', 'par-1'))
        self.assert_found(
            ('host-in-two-sites', 'par-1'),
            ('host-unknown', 'lyo-1'),
            known_hosts={'par-1'},
        )
        self.site('nce', [])
        self.assertIn(
            ('site-without-hosts', 'nce'), [it[:2] for it in self.found()]
        )

    def test_several_aggregates(self):
        """One aggregate of a site has what the others need not have."""
        self.site()
        self.nova.aggregate('par-b', edge__site='par')
        self.assert_found()

    def test_position(self):
        """A site without a position is told."""
        self.nova.aggregate('par', ['par-1'], edge__site='par')
        self.assert_found(('site-without-position', 'par'))

    def test_prefixes(self):
        """A prefix is of one origin; one inside another may be meant."""
        self.site(edge__prefixes='192.0.2.0/24')
        self.site('lyo', ['lyo-1'], edge__prefixes='192.0.2.0/24')
        self.site('nce', ['nce-1'], edge__prefixes='192.0.2.64/26')
        self.assert_found(
            ('prefix-twice', '192.0.2.0/24'),
            ('prefix-overlap', '192.0.2.64/26'),
        )

    def test_more_prefixes(self):
        """Of many prefixes in conflict the rest is counted."""
        prefixes = [f'10.{number}.0.0/16' for number in range(14)]
        for name in ('par', 'lyo'):
            for part, at in ((prefixes[:7], 0), (prefixes[7:], 1)):
                self.site(
                    name,
                    [f'{name}-{at}'],
                    f'{name}-{at}',
                    edge__prefixes=','.join(part),
                )
        self.site('nce', ['nce-1'], edge__prefixes=','.join(prefixes[:7]))
        last = self.found()[-1]
        self.assertEqual(('prefix-overlap', 'prefixes'), last[:2])
        self.assertIn('there are 1 more', last.what)

    def test_maps(self):
        """What a map file says of no site, and of prefixes, is told."""
        self.site()
        maps = map_file.parse(
            [
                (
                    'maps.json',
                    json.dumps(
                        {
                            'meta': {
                                'cost-type': {
                                    'cost-mode': 'numerical',
                                    'cost-metric': 'delay-rt',
                                }
                            },
                            'cost-map': {
                                'paris': {
                                    'par': 4100,
                                    'host:par-1': 3000,
                                    'lyo': 9000,
                                    'host:lyo-1': 8000,
                                }
                            },
                            'network-map': {
                                'paris': {'ipv4': ['192.0.2.0/24']},
                                'lyon': {'ipv4': ['192.0.2.0/24']},
                            },
                        }
                    ).encode(),
                )
            ]
        )
        self.assert_found(
            ('prefix-twice', '192.0.2.0/24'),
            ('map-file-unread', 'lyo'),
            ('map-file-unread', 'lyo-1'),
            maps=maps,
        )
