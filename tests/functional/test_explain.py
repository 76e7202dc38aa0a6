# SPDX-License-Identifier: Apache-2.0

import io
import json
import random
import types

from osc_lib import exceptions

from edge_filters.osc import audit
from edge_filters.osc import explain
from edge_filters.osc import plugin
from tests.functional import base

BAND_MS = 2
BOOTS = 50


class ExplainTest(base.TestCase):
    """``openstack edge explain`` against what Nova really does."""

    def setUp(self):
        super().setUp()
        self.manager = types.SimpleNamespace(
            sdk_connection=self.cloud.admin, setup_auth=lambda: None
        )
        self.manager.edge = plugin.make_client(self.manager)
        self.stderr = io.StringIO()

    def command(self, command, *args):
        """Give a command; return its rows."""
        stdout = io.StringIO()
        app = types.SimpleNamespace(
            stdout=stdout, stderr=self.stderr, client_manager=self.manager
        )
        command = command(app, None)
        parser = command.get_parser('edge')
        command.run(parser.parse_args(['-f', 'json', *args]))
        return json.loads(stdout.getvalue())

    def explain(self, flavor, hints):
        args = ['--flavor', flavor.id]
        for name, values in hints.items():
            option = '--' + name.removeprefix('edge:').replace('_', '-')
            for value in values:
                args += [option, value]
        return self.command(explain.Explain, *args)

    def make_world(self, rng):
        """Make the sites; what is known of them differs in every way."""
        sites = self.make_sites(par=4, lyo=5, mrs=3)
        self.cloud.set_metadata(
            sites['par'],
            {
                'edge:tier': 'far-edge',
                'edge:rtt:lyon': '9 jitter=3 loss=0.1 n=3000',
                'edge:rtt:nice': '20 at=2026-01-01T00:00:00Z',
                'edge:latitude': '48.85',
                'edge:longitude': '2.35',
                'edge:prefixes': '192.0.2.0/24',
            },
        )
        self.cloud.set_metadata(
            sites['lyo'],
            {
                'edge:tier': 'core',
                'edge:host_rtt:lyo-b:paris': '12',
                'edge:rtt:lyon': '2.5 jitter=0.3 loss=0 n=3000',
                'edge:rtt_default': '>40',
                'edge:site_rtt:par': '6',
            },
        )
        self.cloud.set_metadata(
            sites['mrs'],
            {
                'edge:status': 'draining',
                'edge:rtt:nice': '- loss=100',
                'edge:latitude': '43.3',
                'edge:longitude': '5.37',
            },
        )
        return sites

    def hints(self, rng):
        """Return what a user might ask."""
        hints = {}
        for name, share, values in (
            ('origin', 0.8, ('paris', 'lyon', 'nice', 'par')),
            ('origin', 0.1, ('lyon',)),
            ('client_ip', 0.1, ('192.0.2.7',)),
            ('near', 0.1, ('48.8,2.3', '43,5')),
            ('max_rtt_ms', 0.4, ('4', '6', '12', '35', '200')),
            ('max_jitter_ms', 0.1, ('1', '5')),
            ('max_loss_pct', 0.1, ('0.1', '1')),
            ('site', 0.1, ('par', 'lyo', 'mrs')),
            ('avoid_site', 0.1, ('par', 'lyo')),
            ('tier', 0.1, ('core', 'far-edge')),
            ('unmeasured', 0.3, ('reject', 'estimate', 'accept')),
            ('fallback', 0.3, ('none', 'moves', 'nearest')),
        ):
            if rng.random() < share:
                value = rng.choice(values)
                its = hints.setdefault(f'edge:{name}', [])
                its += [value] if value not in its else []
        return hints

    def test_where_nova_puts_it(self):
        """What explain says is where Nova puts a server, or why nowhere.

        Nova takes the first place with room, or one that ties with it.
        """
        rng = random.Random(7)
        sites = self.make_world(rng)
        flavors = [
            self.cloud.flavor('small', vcpus=1),
            self.cloud.flavor('large', vcpus=2),
        ]
        booted = []
        placed = 0
        for number in range(BOOTS):
            if number == BOOTS // 2:
                self.cloud.set_metadata(
                    sites['mrs'], {'edge:status': 'active'}
                )
            flavor, hints = rng.choice(flavors), self.hints(rng)
            try:
                rows = self.explain(flavor, hints)
            except exceptions.CommandError as error:
                self.assertIn('Nova would refuse it', str(error))
                rows = []
            good = [
                row
                for row in rows
                if row['Verdict'] != 'fails' and row['With Room']
            ]
            server, host = self.boot(hints=hints, flavor=flavor)
            booted.append(server)
            told = f'{number}: {hints}, {host}, {rows}'
            if not good:
                self.assertEqual('', host, told)
                continue
            nearest_ms = good[0]['Cost ms']
            ties = [
                row
                for row in good
                if row['Cost ms'] == nearest_ms
                or (
                    None not in (row['Cost ms'], nearest_ms)
                    and row['Cost ms'] <= nearest_ms + BAND_MS
                )
            ]
            site = self.site_of(host)
            self.assertIn(
                (site, host),
                [(row['Site'], row['Host'] or host) for row in ties],
                told,
            )
            placed += 1
            if rng.random() < 0.6:
                gone = booted.pop(rng.randrange(len(booted)))
                self.cloud.admin.compute.delete_server(gone)
                self.cloud.admin.compute.wait_for_delete(gone)
        self.assertGreater(placed, BOOTS // 3)
        self.assertGreater(BOOTS - placed, 3)

    def test_server(self):
        """A server out of its budget moves where explain and audit say."""
        sites = self.make_sites(par=4, lyo=9, mrs=None)
        server, host = self.boot(
            hints={'edge:origin': 'paris', 'edge:max_rtt_ms': '10'}
        )
        self.assertEqual('par', self.site_of(host))
        self.assertEqual([], self.command(audit.Audit))
        self.cloud.set_metadata(sites['par'], {'edge:rtt:paris': '15'})
        (row,) = self.command(audit.Audit)
        self.assertEqual('over budget', row['Finding'])
        self.command(explain.Explain, '--server', server.id)
        self.assertIn('is out of its budget', self.stderr.getvalue())
        self.assertIn('It would go to lyo.', self.stderr.getvalue())
        self.cloud.admin.compute.live_migrate_server(server, host=None)
        self.cloud.wait_for(server, 'ACTIVE')
        moved = self.site_of(self.cloud.host_of(server))
        self.assertEqual((row['Better Site'], 'lyo'), (moved, moved))
        self.assertEqual([], self.command(audit.Audit))
