# SPDX-License-Identifier: Apache-2.0

import ipaddress
import json
import pathlib
import sys
import weakref

import fixtures

from edge_filters import proximity
from edge_filters.latency import estimate
from edge_filters.scheduler import decision
from edge_filters.scheduler import known
from edge_filters.scheduler import latency_filter
from tests.unit.scheduler import base

LYO = {'edge:site': 'lyo'}
PAR = {'edge:site': 'par', 'edge:rtt:paris': '4'}
NETWORK_MAP = {
    'network-map': {
        'paris': {'ipv4': ['192.0.2.0/24'], 'ipv6': ['2001:db8::/32']},
        'lyon': {'ipv4': ['192.0.2.128/25']},
    }
}
COST_MAP = {
    'meta': {
        'cost-type': {'cost-mode': 'numerical', 'cost-metric': 'delay-rt'}
    },
    'cost-map': {
        # RFC 9439 has microseconds.
        'paris': {'par': 50000, 'lyo': 9000, 'host:p2': 6000},
        'lyon': {'lyo': 2000},
    },
}

RULES = proximity.Rules(2400, estimate.Estimator(5, 0.027))


class KnownTest(base.TestCase):
    def follow(self, *contents):
        """Follow map files with such contents, as at the start of Nova."""
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        paths = []
        for number, content in enumerate(contents):
            paths.append(str(folder / f'{number}.json'))
            pathlib.Path(paths[-1]).write_text(json.dumps(content))
        self.set_options(map_files=paths)
        known.follow(paths)
        # The thread that goes on reading them is not for here.
        self.patch(known._maps, 'follow', lambda: None)

    def find(self, where):
        return known.now().find(ipaddress.ip_network(where))

    def passing(self, hints=None, **fields):
        states = base.host_states('p1', 'p2', 'l1')
        spec = base.request_spec(hints, **fields)
        self.filter = latency_filter.EdgeLatencyFilter()
        return [it.host for it in self.filter.filter_all(states, spec)]

    def test_figures(self):
        """Files add figures; an aggregate's own counts before theirs."""
        self.set_sites((PAR, ['p1', 'p2']), ({'edge:site': 'lyo'}, ['l1']))
        self.follow(COST_MAP, NETWORK_MAP)
        for budget, hosts in (
            ('4', ['p1']),
            ('6', ['p1', 'p2']),
            ('9', ['p1', 'p2', 'l1']),
        ):
            self.assertEqual(
                hosts,
                self.passing(
                    {'edge:origin': ['paris'], 'edge:max_rtt_ms': [budget]}
                ),
            )

    def test_largest_cost(self):
        """A cost as large as a number may be is far, and no more than that."""
        self.set_sites(({'edge:site': 'par'}, ['p1']), (LYO, ['l1']))
        costs = {'paris': {'par': sys.float_info.max, 'lyo': 1.0}}
        self.follow({**COST_MAP, 'cost-map': costs})
        hints = {'edge:origin': ['paris']}
        self.assertEqual(['p1', 'p2', 'l1'], self.passing(hints))
        hints['edge:max_rtt_ms'] = ['1e99']
        self.assertEqual(['l1'], self.passing(hints))
        cost_ms = known.now().snapshot.mapped.samples['par']['paris'].rtt_ms
        near, far, unknown = proximity.scores([0.0, cost_ms, None], 300, 2)
        self.assertTrue(near > far > unknown)

    def test_a_site_that_comes_later(self):
        """Figures of the file are there for a site that is made later."""
        self.follow(COST_MAP)
        for origin in ('paris', 'lyon'):
            self.assertTrue(known.now().snapshot.knows(origin))
        self.set_sites(({'edge:site': 'lyo'}, ['l1']))
        hints = {'edge:origin': ['paris'], 'edge:max_rtt_ms': ['9']}
        self.assertEqual(['l1'], self.passing(hints))

    def test_addresses(self):
        """The longest prefix wins, an aggregate's over the same of a file."""
        self.set_sites(
            (PAR | {'edge:prefixes': '192.0.2.192/26,192.0.2.128/25'}, ['p1'])
        )
        self.assertEqual('par', self.find('192.0.2.129'))
        self.assertIsNone(self.find('192.0.2.1'))
        self.follow(NETWORK_MAP)
        for where, origin in (
            ('192.0.2.1', 'paris'),
            ('192.0.2.129', 'par'),
            ('192.0.2.200', 'par'),
            ('192.0.2.128/25', 'par'),
            ('192.0.2.0/25', 'paris'),
            ('2001:db8:1::/48', 'paris'),
            ('203.0.113.9', None),
        ):
            self.assertEqual(origin, self.find(where), where)

    def test_two_origins(self):
        """A prefix of two origins is told which they are."""
        self.set_sites((PAR, ['p1']))
        self.follow(NETWORK_MAP)
        self.assertRaisesRegex(
            ValueError,
            'has addresses of paris and lyon',
            self.find,
            '192.0.2.0/24',
        )

    def test_equal_prefixes(self):
        """Of sites with one prefix the first by name has it, always."""
        sites = {
            name: {'edge:site': name, 'edge:prefixes': '192.0.2.0/24'}
            for name in ('a', 'b', 'c')
        }
        self.set_sites(*((it, []) for it in sites.values()))
        self.assertEqual('a', self.find('192.0.2.1'))
        table = known.now().prefix_table
        sites['a']['edge:rtt:paris'] = '9'
        self.set_sites(*((dict(it), []) for it in sites.values()))
        self.assertEqual('a', self.find('192.0.2.1'))
        self.assertIs(table, known.now().prefix_table)
        self.assertIn('a has it, because it comes first', self.log.output)

    def test_boot_for_an_address(self):
        """A server for an address is one for the origin it belongs to."""
        self.set_sites((PAR, ['p1', 'p2']), ({'edge:site': 'lyo'}, ['l1']))
        self.follow(COST_MAP, NETWORK_MAP)
        hints = {'edge:client_ip': ['192.0.2.1'], 'edge:max_rtt_ms': ['5']}
        self.assertEqual(['p1'], self.passing(hints))
        hints['edge:client_ip'] = ['203.0.113.9']
        self.assertEqual([], self.passing(hints))
        self.assertIn('203.0.113.9 belongs to no origin', self.log.output)

    def test_projects(self):
        """A project's origins count where neither hint nor flavor tells."""
        self.set_sites((PAR, ['p1', 'p2']), ({'edge:site': 'lyo'}, ['l1']))
        self.follow(COST_MAP, {'projects': {'games': ['lyon', 'paris']}})
        for project, hints, users in (
            ('games', None, 'origin lyon, paris (project)'),
            ('games', {'edge:origin': ['paris']}, 'origin paris (hint)'),
            ('other', None, 'no origin'),
            (None, None, 'no origin'),
        ):
            decided = decision.of(
                base.request_spec(hints, project_id=project), RULES
            )
            self.assertIn(users, str(decided))

    def test_unknown_origin_of_a_project(self):
        """A misspelt origin of a project is skipped, with one warning."""
        self.set_sites((PAR, ['p1', 'p2']))
        self.follow({'projects': {'a': ['paris', 'pariss'], 'b': ['pariss']}})
        for project in ('a', 'b'):
            for _ in range(2):
                self.assertEqual(
                    ['p1', 'p2', 'l1'], self.passing(project_id=project)
                )
            decided = decision.of(
                base.request_spec(None, project_id=project), RULES
            )
            self.assertEqual('', decided.refusal)
        self.assertEqual(2, self.log.output.count('Origin pariss of project'))

    def test_maps_are_not_kept(self):
        """Map files that are read again do not leave the old ones behind."""
        self.follow(NETWORK_MAP)
        self.find('192.0.2.1')
        self.follow(COST_MAP)
        self.assertIsNone(known.now()._before)

    def test_nothing_is_kept(self):
        """What is not true any more is forgotten."""
        self.follow(NETWORK_MAP)
        forgotten = []
        for rtt in range(9):
            self.set_sites((PAR | {'edge:rtt:paris': str(rtt)}, ['p1']))
            if rtt % 3:
                self.find('192.0.2.1')
            forgotten.append(weakref.ref(known.now()))
        self.find('192.0.2.1')
        alive = [it for it in forgotten if it() is not None]
        self.assertEqual([forgotten[-1]], alive)

    def test_same_prefixes(self):
        """A figure that changes does not cost a new table of prefixes."""
        self.follow(NETWORK_MAP)
        self.find('192.0.2.1')
        table = known.now().prefix_table
        for rtt in ('8', '9'):
            self.set_sites((PAR | {'edge:rtt:paris': rtt}, ['p1']))
            known.now()
        self.find('192.0.2.1')
        self.assertIs(table, known.now().prefix_table)
