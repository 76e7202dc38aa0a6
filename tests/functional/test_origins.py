# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import time

import fixtures

from edge_filters.scheduler import known
from tests.functional import base

COSTS = {
    'meta': {
        'cost-type': {'cost-mode': 'numerical', 'cost-metric': 'delay-rt'}
    },
    # Microseconds.
    'cost-map': {
        'rome': {'par': 40000, 'lyo': 20000, 'mrs': 9000},
        'turin': {'par': 30000, 'lyo': 8000, 'mrs': 11000},
    },
}
NETWORKS = {
    'network-map': {
        'rome': {'ipv4': ['198.51.100.0/24']},
        'turin': {'ipv4': ['198.51.100.128/25']},
    }
}
SEEN_WITHIN_S = 60


class PrefixTest(base.TestCase):
    """Users attached to a site, whose addresses are in its prefixes."""

    def setUp(self):
        super().setUp()
        sites = self.make_sites(par=None, lyo=None, mrs=None)
        self.cloud.set_metadata(
            sites['lyo'],
            {
                'edge:prefixes': '203.0.113.0/24,2001:db8:1::/48',
                'edge:site_rtt:mrs': '3',
                'edge:site_rtt:par': '9',
            },
        )
        self.cloud.set_metadata(
            sites['mrs'], {'edge:prefixes': '203.0.113.128/25'}
        )

    def test_boot(self):
        """A server boots at the site whose prefix is the longest."""
        for where, site in (
            ('203.0.113.9', 'lyo'),
            ('2001:db8:1:2::/64', 'lyo'),
            ('203.0.113.200', 'mrs'),
        ):
            _, host = self.boot(hints={'edge:client_ip': where})
            self.assertEqual(site, self.site_of(host), where)

    def test_unknown(self):
        """An address of no origin, or a prefix of two, is refused."""
        for where in ('192.0.2.1', '203.0.113.0/24'):
            _, host = self.boot(hints={'edge:client_ip': where})
            self.assertEqual('', host)
        self.assertIn('192.0.2.1 belongs to no origin', self.log.output)

    def test_moves(self):
        """Its site is gone: it goes to the next, for the same users."""
        server, _ = self.boot(hints={'edge:client_ip': '203.0.113.9'})
        for host in base.SITE_HOSTS['lyo']:
            self.cloud.stop_host(host)
        self.cloud.admin.compute.evacuate_server(server)
        server = self.cloud.wait_for(server)
        self.assertEqual('mrs', self.site_of(self.cloud.host_of(server)))


class MapFileTest(base.TestCase):
    """What is in a file, and in no aggregate."""

    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.map_file = folder / 'map.json'
        self.write(COSTS, NETWORKS)
        self.addCleanup(self.cloud.restart_scheduler, edge_filters=True)
        self.cloud.restart_scheduler(
            base.OPTIONS | {'edge_filters': {'map_files': self.map_file}}
        )
        self.make_sites(par=None, lyo=None, mrs=None)

    def write(self, *maps):
        new = self.map_file.with_suffix('.new')
        new.write_text(json.dumps(maps))
        new.rename(self.map_file)

    def site_of_boot(self, **hints):
        asked = {f'edge:{name}': value for name, value in hints.items()}
        _, host = self.boot(hints=asked)
        return self.site_of(host)

    def test_figures(self):
        """Origins, addresses and budgets go by the file's figures."""
        self.assertEqual('mrs', self.site_of_boot(origin='rome'))
        self.assertEqual('lyo', self.site_of_boot(client_ip='198.51.100.200'))
        self.assertEqual(
            'lyo', self.site_of_boot(origin='turin', max_rtt_ms='8')
        )
        self.assertEqual('', self.site_of_boot(origin='turin', max_rtt_ms='7'))

    def eventually(self, is_true):
        deadline = time.monotonic() + SEEN_WITHIN_S
        while not is_true():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_changes(self):
        """A file that changes counts a moment later, a broken one never."""
        server, host = self.boot(hints={'edge:origin': 'rome'})
        self.assertEqual('mrs', self.site_of(host))
        self.map_file.write_text('{"cost-map": ')
        self.eventually(lambda: 'until it is repaired' in self.log.output)
        self.assertEqual('mrs', self.site_of_boot(origin='rome'))
        self.write(
            COSTS | {'cost-map': {'rome': {'par': 1000, 'mrs': 9000}}},
            {'projects': {server.project_id: ['rome']}},
        )
        self.eventually(lambda: known.now().projects)
        self.assertEqual('par', self.site_of_boot(origin='rome'))
        # Of a server that says nothing the table of projects tells.
        self.assertEqual('par', self.site_of_boot())
