# SPDX-License-Identifier: Apache-2.0

import json
import pathlib

import fixtures

from edge_filters import cloud
from edge_filters.osc import finding
from tests.unit.osc import base


class AuditTest(base.CommandTestCase):
    """Servers at par-01, 4.1 ms from paris, and at mrs-01, 20 ms from it."""

    def setUp(self):
        super().setUp()
        self.mrs = self.nova.aggregate(
            'mrs-01', ['mrs-1'], edge__site='mrs-01', edge__rtt__paris='20'
        )
        self.nova.hypervisor('mrs-1')
        self.nova.flavor('m1.small')

    def server(self, name, host='mrs-1', /, **hints):
        hints = {f'edge:{key}': [it] for key, it in hints.items()}
        self.nova.server(name, host, 'm1.small', hints)

    def audit(self, *args):
        """Return what is found, by the name of the server."""
        rows = self.json('audit', *args)
        self.assertEqual(finding.FOUND if rows else 0, self.status)
        return {row['Name']: row for row in rows}

    def findings(self, *args):
        return {it: row['Finding'] for it, row in self.audit(*args).items()}

    def test_nothing(self):
        """Servers where they should be are not listed; the status is 0."""
        self.assertEqual({}, self.audit())
        self.server('here', 'par-1', origin='paris', max_rtt_ms='5')
        self.server('anywhere')
        self.server('elsewhere', 'mrs-1', site='mrs-01')
        self.server('off', origin='paris', max_rtt_ms='5')
        for server in self.nova.servers.values():
            if server['name'] == 'off':
                server['status'] = 'SHUTOFF'
        self.assertEqual({}, self.audit())

    def test_over_budget(self):
        """A server too far from its users is, with where it might go."""
        self.server('far', origin='paris', max_rtt_ms='10')
        row = self.audit()['far']
        self.assertEqual(
            ('over budget', 20.0, 'par-01', 4.1, 'mrs-1'),
            tuple(
                row[it]
                for it in (
                    'Finding',
                    'RTT ms',
                    'Better Site',
                    'Better RTT ms',
                    'Host',
                )
            ),
        )
        self.assertEqual(
            'mrs-01 is 20 ms from paris, over 10 ms', row['Reason']
        )

    def test_nearer(self):
        """A site much nearer is told of, as much as one asks for."""
        self.server('far', origin='paris')
        self.assertEqual({'far': 'nearer site'}, self.findings())
        self.assertEqual({}, self.findings('--nearer-ms', '16'))
        self.assertEqual(
            {'far': 'nearer site'}, self.findings('--nearer-ms', '15.9')
        )

    def test_room(self):
        """A site without room, or in another zone, is not better."""
        self.server('far', origin='paris')
        number = next(iter(self.nova.servers))
        self.nova.servers[number]['pinned_availability_zone'] = 'south'
        self.nova.aggregate('zone', ['mrs-1'], availability_zone='south')
        self.assertEqual({}, self.audit())
        self.nova.servers[number]['pinned_availability_zone'] = None
        self.nova.hypervisor('par-1', vcpus_used=8)
        self.assertEqual({}, self.audit())

    def test_unknown_is_no_gain(self):
        """Where nobody knows how far a site is, none is said to be nearer."""
        self.server('there', 'new-1', origin='paris')
        self.assertEqual({}, self.audit())
        self.server('strict', 'new-1', origin='paris', max_rtt_ms='9')
        self.assertEqual({'strict': 'not measured'}, self.findings())

    def test_unreachable(self):
        """A server that its users cannot reach needs no budget."""
        self.server('lost', 'lyo-1', origin='paris')
        self.assertEqual({'lost': 'unreachable'}, self.findings())

    def test_unreadable(self):
        """A budget that nobody can hold any more is told of."""
        self.server('lost', origin='pariz', max_rtt_ms='9')
        row = self.audit()['lost']
        self.assertEqual('unreadable', row['Finding'])
        self.assertIn('pariz is not known', row['Reason'])

    def test_unknown(self):
        """What nobody has measured is not out of reach."""
        self.server('asks', 'new-1', origin='paris', unmeasured='reject')
        self.assertEqual({'asks': 'not measured'}, self.findings())

    def test_lost_request(self):
        """A server whose hints Nova has lost asks for nothing."""
        self.server('lost')
        for server in self.nova.servers.values():
            server['scheduler_hints'] = None
        self.assertEqual({}, self.audit())

    def test_nonsense(self):
        """One that cannot be read does not hide the others."""
        for name in ('far', 'bad'):
            self.server(name, origin='paris')
        for server in self.nova.servers.values():
            if server['name'] == 'bad':
                server['flavor']['swap'] = 'x'
        log = self.useFixture(fixtures.FakeLogger())
        self.assertEqual(['far'], list(self.audit()))
        self.assertEqual(1, log.output.count('is left out.'))

    def test_unlike(self):
        """Servers that differ in what matters are not taken for alike."""
        maps = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'm')
        projects = {'p': ['lyon'], 'q': ['paris']}
        maps.write_text(json.dumps({'projects': projects}))
        self.nova.aggregate('zone', ['mrs-1'], availability_zone='south')
        self.mrs['metadata']['edge:rtt:lyon'] = '30'
        args = ['--map-file', str(maps)]
        for name, other in (
            ('far', {}),
            ('zone', {'pinned_availability_zone': 'south'}),
        ):
            self.server(name, origin='paris')
            self.nova.servers[list(self.nova.servers)[-1]].update(other)
        for name, project in (('p', 'p'), ('q', 'q'), ('none', 'r')):
            self.server(name)
            number = list(self.nova.servers)[-1]
            self.nova.servers[number]['tenant_id'] = project
        self.assertEqual(
            {'far': 4.1, 'p': 9.7, 'q': 4.1},
            {
                name: row['Better RTT ms']
                for name, row in self.audit(*args).items()
            },
        )

    def test_any_case(self):
        """A hint counts in any case, as it does for nova-scheduler."""
        for name, hints in (
            ('none', {}),
            ('far', {' EDGE:origin': ['paris'], 'Edge:max_rtt_ms': ['9']}),
        ):
            self.nova.server(name, 'mrs-1', 'm1.small', hints)
        self.assertEqual({'far': 'over budget'}, self.findings())

    def test_cell_is_down(self):
        """A server of a cell that is down is told to be left out."""
        number = '6a1f9f0e-0000-4000-8000-000000000000'
        self.nova.servers[number] = {'id': number, 'status': 'UNKNOWN'}
        self.nova.lists_all = True
        log = self.useFixture(fixtures.FakeLogger())
        self.assertEqual({}, self.audit())
        self.assertIn(f'{number}: its cell does not answer', log.output)

    def test_control_characters(self):
        """A name does not steer the terminal."""
        self.server('\x1b[31mred\r\n', origin='paris')
        self.assertEqual(['\\x1b[31mred\\r\\n'], list(self.audit()))

    def test_draining(self):
        """A server may move within its own site while that is draining."""
        self.mrs['metadata']['edge:status'] = 'draining'
        self.mrs['metadata']['edge:host_rtt:mrs-2:paris'] = '1'
        self.mrs['hosts'].append('mrs-2')
        self.nova.hypervisor('mrs-2')
        self.server('within', origin='paris')
        self.server('outside', 'par-1', origin='paris')
        row = self.audit('--nearer-ms', '3')
        self.assertEqual(
            {'within': 'host mrs-2 of mrs-01'},
            {name: it['Better Site'] for name, it in row.items()},
        )

    def test_mode(self):
        """It is said that Nova does not go by it, if it does not."""
        conf = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'c')
        conf.write_text('[edge_filters]\nmode = off\n')
        log = self.useFixture(fixtures.FakeLogger())
        self.audit('--config-file', str(conf))
        self.assertIn('mode is off: Nova ignores all this', log.output)

    def test_refused(self):
        """A policy that is missing is the one that Nova names."""
        self.nova.forbidden = {'servers:detail:get_all_tenants'}
        error = self.error(cloud.CloudError, 'audit')
        self.assertIn(
            'the policy os_compute_api:servers:detail:get_all_tenants does',
            error,
        )

    def test_sites(self):
        """Servers of some sites alone may be asked for."""
        self.server('far', origin='paris')
        self.assertEqual({}, self.audit('--site', 'par-01'))
        self.assertEqual(['far'], list(self.audit('--site', 'mrs-01')))

    def test_room_is_not_told(self):
        """Who may not ask for room is warned once."""
        self.nova.forbidden = {'allocation_candidates:list'}
        log = self.useFixture(fixtures.FakeLogger())
        for name in 'ab':
            self.server(name, origin='paris')
        self.assertEqual(2, len(self.audit()))
        self.assertEqual(
            1, log.output.count('Where there is room is not known')
        )

    def test_calls(self):
        """Many servers alike take as many calls as one."""
        for number in range(20):
            self.server(f'web-{number}', origin='paris')
        self.audit()
        paths = [path for path, _ in self.nova.calls('GET')]
        self.assertEqual(1, paths.count('/allocation_candidates'))
        self.assertEqual(1, paths.count('/servers/detail'))

    def test_calls_refused(self):
        """What was refused once is not asked for again."""
        self.nova.forbidden = {'allocation_candidates:list'}
        for number in range(5):
            self.server(f'web-{number}', origin='paris')
        self.audit()
        paths = [path for path, _ in self.nova.calls('GET')]
        self.assertEqual(1, paths.count('/allocation_candidates'))
