# SPDX-License-Identifier: Apache-2.0

import fixtures
from osc_lib import exceptions

from edge_filters import cloud
from tests.unit.osc import base


class ListTest(base.CommandTestCase):
    """openstack edge site list"""

    def test_list(self):
        """A site is a row: hosts, tier, status, figures, and its room."""
        far, lyo, par = self.json('site list')
        self.assertEqual(
            {
                'Name': 'par-01',
                'Hosts': 2,
                'Tier': 'far-edge',
                'Status': 'active',
                'Origins': 2,
                'vCPUs Used': 11,
                'vCPUs Free': 5,
                'Memory MB Used': 12288,
                'Memory MB Free': 20480,
            },
            {key: it for key, it in par.items() if key != 'Oldest Sample'},
        )
        self.assertAlmostEqual(7200, par['Oldest Sample'], delta=60)
        self.assertEqual(('draining', 0), (lyo['Status'], lyo['vCPUs Free']))
        self.assertEqual((None, None), (far['Tier'], far['Oldest Sample']))
        self.assertEqual(2, len(self.nova.calls('GET')))

    def test_table(self):
        """People read ages in words, and nothing where nothing is known."""
        table = self.run_command(
            'site list', '-c', 'Name', '-c', 'Tier', '-c', 'Oldest Sample'
        )
        self.assertIn('| par-01 | far-edge  | 2 h ', table)
        self.assertNotIn('None', table)

    def test_long(self):
        """--long adds the aggregates and the position."""
        far, lyo, par = self.json('site list', '--long')
        self.assertEqual(['lyon-zone'], lyo['Aggregates'])
        self.assertEqual((48.85, 2.35), (par['Latitude'], par['Longitude']))
        self.assertIsNone(far['Latitude'])

    def test_filters(self):
        """--tier and --status leave the sites that have both."""
        for args, names in (
            (['--tier', 'Far-Edge'], ['par-01']),
            (['--status', 'active'], ['far-01', 'par-01']),
            (['--status', 'draining', '--tier', 'far-edge'], []),
        ):
            rows = self.json('site list', *args)
            self.assertEqual(names, [row['Name'] for row in rows])

    def test_sort(self):
        """What is not known comes last when rows are sorted."""
        rows = self.json('site list', '--sort-column', 'Oldest Sample')
        self.assertEqual(
            ['lyo-01', 'par-01', 'far-01'], [row['Name'] for row in rows]
        )

    def test_no_capacity(self):
        """Who does not ask for room is not told any, and no call is made."""
        for row in self.json('site list', '--no-capacity'):
            self.assertIsNone(row['vCPUs Free'])
        self.assertEqual([('/os-aggregates', None)], self.nova.calls('GET'))

    def test_capacity_forbidden(self):
        """Who may not list hypervisors sees the rest, and a warning."""
        log = self.useFixture(fixtures.FakeLogger())
        self.nova.forbidden = {'list-detail'}
        rows = self.json('site list')
        self.assertEqual([None] * 3, [row['vCPUs Free'] for row in rows])
        self.assertIn('os-hypervisors:list-detail does not allow', log.output)

    def test_unknown_host(self):
        """A host without a hypervisor has room that nobody knows."""
        self.nova.hypervisors.clear()
        far, _, par = self.json('site list')
        self.assertIsNone(par['vCPUs Free'])
        self.assertEqual(0, far['vCPUs Free'])

    def test_some_hosts_unknown(self):
        """What is known of some hosts is not told as that of all."""
        del self.nova.hypervisors['par-2']
        _, _, par = self.json('site list')
        self.assertEqual(
            (None, None, None, None),
            (
                par['vCPUs Used'],
                par['vCPUs Free'],
                par['Memory MB Used'],
                par['Memory MB Free'],
            ),
        )

    def test_unnamed(self):
        """An aggregate that is meant to be a site, and is none, is named."""
        log = self.useFixture(fixtures.FakeLogger())
        self.nova.aggregate('bad', edge__site='par/02')
        self.assertEqual(3, len(self.json('site list')))
        self.assertIn(
            "Aggregate 5, site unnamed: edge:site='par/02'", log.output
        )

    def test_forbidden(self):
        """Who may not list aggregates is told which policy is missing."""
        self.nova.forbidden = {'index'}
        error = self.error(cloud.CloudError, 'site list')
        self.assertIn('os_compute_api:os-aggregates:index', error)


class ShowTest(base.CommandTestCase):
    """openstack edge site show"""

    def test_show(self):
        """A site is shown with what its figures are like."""
        shown = self.json('site show', 'PAR-01')
        self.assertAlmostEqual(7200, shown.pop('oldest_sample'), delta=60)
        self.assertEqual(
            {
                'name': 'par-01',
                'aggregates': ['par-01'],
                'hosts': ['par-1', 'par-2'],
                'tier': 'far-edge',
                'status': 'active',
                'latitude': 48.85,
                'longitude': 2.35,
                'prefixes': ['192.0.2.0/24', '2001:db8:75::/48'],
                'origins': 2,
                'figures': 3,
                'stale': 1,
                'unreachable': 0,
                'rtt_default': None,
                'site_rtt_ms': {},
                'problems': [],
            },
            shown,
        )

    def test_problems(self):
        """What of its metadata cannot be read is shown, and why."""
        shown = self.json('site show', 'lyo-01')
        self.assertEqual(
            [
                "lyon-zone, site lyo-01: edge:color='blue' is skipped: no "
                'such key is known'
            ],
            shown['problems'],
        )
        self.assertEqual(
            ('>50', 1), (shown['rtt_default'], shown['unreachable'])
        )

    def test_many_problems(self):
        """Of many problems the first are shown, and how many more."""
        far = self.nova.aggregates[3]['metadata']
        far.update((f'edge:x{it:03}', '') for it in range(60))
        problems = self.json('site show', 'far-01')['problems']
        self.assertEqual((21, '40 more'), (len(problems), problems[-1]))

    def test_servers(self):
        """Each server is shown where it would go if it had to leave."""
        self.nova.aggregate(
            'mrs-01', ['mrs-1'], edge__site='mrs-01', edge__rtt__paris='6'
        )
        self.nova.hypervisor('mrs-1')
        self.nova.flavor('m1.small')
        for name, max_rtt_ms in (('here', '5'), ('any', '9')):
            hints = {'edge:origin': 'paris', 'edge:max_rtt_ms': max_rtt_ms}
            self.nova.server(name, 'par-1', 'm1.small', hints)
        self.nova.server('mrs', 'mrs-1', 'm1.small')
        shown = self.json('site show', 'par-01', '--servers')['servers']
        self.assertEqual(
            [
                ('any', 'mrs-01', 6.0),
                ('here', None, None),
            ],
            [(it['name'], it['to'], it['rtt_ms']) for it in shown],
        )
        self.assertEqual(
            'mrs-01 is 6 ms from paris, over 5 ms', shown[1]['reason']
        )
        text = self.run_command('site show', 'par-01', '--servers')
        self.assertIn(') to mrs-01: mrs-01 is 6 ms from paris, within', text)
        self.assertIn(') to nowhere: mrs-01 is 6 ms from paris, over', text)
        self.nova.hypervisor('mrs-1', vcpus_used=8)
        shown = self.json('site show', 'par-01', '--servers')['servers']
        self.assertIn('no room', shown[0]['reason'])

    def test_servers_in_any_case(self):
        """The servers of a host are found as Nova spells its name."""
        self.nova.aggregate('mars', ['Mars-1'], edge__site='mars')
        self.nova.hypervisor('Mars-1')
        self.nova.flavor('m1.small')
        self.nova.server('red', 'Mars-1', 'm1.small')
        self.nova.server('blue', 'par-1', 'm1.small')
        # Who may not filter by host is told of all.
        self.nova.ignores_host = True
        shown = self.json('site show', 'mars', '--servers')['servers']
        self.assertEqual(['red'], [it['name'] for it in shown])
        # Nobody says where its users are, so that chance decides.
        self.assertEqual('a host without a site, par-01', shown[0]['to'])

    def test_unknown(self):
        """A name that is not known is answered with those like it."""
        self.assertEqual(
            "There is no site 'par-02'. Is it par-01 or far-01? All are "
            'listed by: openstack edge site list',
            self.error(exceptions.CommandError, 'site show', 'par-02'),
        )


class CreateTest(base.CommandTestCase):
    """openstack edge site create"""

    def test_create(self):
        """A site is an aggregate of its name: metadata first, then hosts."""
        shown = self.json(
            'site create',
            'New-01',
            '--host',
            'new-1',
            '--tier',
            'core',
            '--status',
            'inactive',
            '--latitude',
            '-33.9',
            '--longitude',
            '18.4',
            '--user-prefix',
            '198.51.100.0/24',
            '--user-prefix',
            '203.0.113.7',
        )
        self.assertEqual(
            (['new-01'], ['new-1'], 'inactive', -33.9),
            tuple(
                shown[key]
                for key in ('aggregates', 'hosts', 'status', 'latitude')
            ),
        )
        self.assertEqual(
            {
                'edge:site': 'new-01',
                'edge:tier': 'core',
                'edge:status': 'inactive',
                'edge:latitude': '-33.9',
                'edge:longitude': '18.4',
                'edge:prefixes': '198.51.100.0/24,203.0.113.7',
            },
            self.nova.aggregates[5]['metadata'],
        )
        self.assertEqual(
            ['aggregate', 'set_metadata', 'add_host'],
            [next(iter(body)) for _, body in self.nova.changes()],
        )

    def test_adopt(self):
        """An aggregate that is there becomes a site, and stays what it is."""
        for given in ('bare-zone', '4'):
            self.nova.aggregates[4]['metadata'] = {'availability_zone': 'bare'}
            self.run_command('site create', 'bare-01', '--aggregate', given)
            self.assertEqual(
                {'availability_zone': 'bare', 'edge:site': 'bare-01'},
                self.nova.aggregates[4]['metadata'],
            )

    def test_again(self):
        """One that was cut short, and left nothing in it, is made again."""
        self.nova.aggregate('new-01')
        shown = self.json('site create', 'new-01', '--host', 'new-1')
        self.assertEqual(['new-1'], shown['hosts'])
        self.assertEqual(
            {'edge:site': 'new-01'}, self.nova.aggregates[5]['metadata']
        )
        self.assertEqual(5, len(self.nova.aggregates))

    def test_taken(self):
        """What is there already is not made again; it is said what to do."""
        for args, text in (
            (['par-01'], 'change it with: openstack edge site set par-01'),
            (['bare-zone'], 'make it the site with --aggregate bare-zone'),
            (['x', '--aggregate', 'far'], 'is the site far-01 already'),
            (['x', '--aggregate', 'bare'], 'Is it bare-zone?'),
            (['x', '--aggregate', '9' * 5000], 'There is no aggregate'),
        ):
            error = self.error(exceptions.CommandError, 'site create', *args)
            self.assertIn(text, error)
        self.assertEqual([], self.nova.changes())

    def test_half_a_position(self):
        """A latitude without a longitude is no position."""
        error = self.error(
            exceptions.CommandError, 'site create', 'x', '--latitude', '1'
        )
        self.assertIn('give both', error)

    def test_bad_arguments(self):
        """What cannot be read is refused before anything is asked for."""
        stderr = self.useFixture(fixtures.StringStream('stderr')).stream
        self.useFixture(fixtures.MonkeyPatch('sys.stderr', stderr))
        for args in (
            ['par/02'],
            ['x', '--latitude', '91'],
            ['x', '--user-prefix', '192.0.2.0/33'],
            ['x', '--status', 'closed'],
        ):
            self.assertRaises(
                SystemExit, self.run_command, 'site create', *args
            )
        self.assertEqual([], self.nova.mock.request_history)


class SetTest(base.CommandTestCase):
    """openstack edge site set"""

    def metadata(self, number=1):
        return self.nova.aggregates[number]['metadata']

    def test_set(self):
        """All that is set of a site is one call."""
        self.run_command(
            'site set',
            'par-01',
            '--status',
            'draining',
            '--no-tier',
            '--no-position',
            '--user-prefix',
            '198.51.100.0/24',
        )
        self.assertEqual(1, len(self.nova.changes()))
        self.assertEqual('draining', self.metadata()['edge:status'])
        self.assertNotIn('edge:tier', self.metadata())
        self.assertNotIn('edge:latitude', self.metadata())
        self.assertEqual(
            '192.0.2.0/24,2001:db8:75::/48,198.51.100.0/24',
            self.metadata()['edge:prefixes'],
        )

    def test_nothing(self):
        """What a site is already is not sent."""
        self.run_command(
            'site set',
            'par-01',
            '--tier',
            'far-edge',
            '--latitude',
            '48.85',
            '--longitude',
            '2.35',
            '--user-prefix',
            '192.0.2.0/24',
            '--host',
            'par-1',
        )
        self.assertEqual([], self.nova.changes())

    def test_overwrite(self):
        """--no-user-prefix and --no-host with others leave only the others."""
        self.run_command(
            'site set',
            'par-01',
            '--no-user-prefix',
            '--user-prefix',
            '203.0.113.0/24',
            '--no-host',
            '--host',
            'par-2',
            '--host',
            'new-1',
        )
        self.assertEqual('203.0.113.0/24', self.metadata()['edge:prefixes'])
        self.assertEqual(['par-2', 'new-1'], self.nova.aggregates[1]['hosts'])
        self.run_command('site set', 'par-01', '--no-user-prefix', '--no-host')
        self.assertNotIn('edge:prefixes', self.metadata())
        self.assertEqual([], self.nova.aggregates[1]['hosts'])

    def test_several_aggregates(self):
        """A site of several aggregates is set in all; hosts need one."""
        self.nova.aggregate(
            'far-b', edge__site='far-01', edge__prefixes='198.51.100.0/24'
        )
        self.run_command(
            'site set',
            'far-01',
            '--status',
            'inactive',
            '--user-prefix',
            '198.51.100.0/24',
            '--user-prefix',
            '203.0.113.0/24',
        )
        for number in (3, 5):
            self.assertEqual('inactive', self.metadata(number)['edge:status'])
        self.assertEqual('203.0.113.0/24', self.metadata(3)['edge:prefixes'])
        error = self.error(
            exceptions.CommandError, 'site set', 'far-01', '--host', 'new-1'
        )
        self.assertIn('(far, far-b); add new-1 to one of them', error)

    def test_many_prefixes(self):
        """More prefixes than Nova keeps belong into a map file."""
        args = []
        for number in range(16):
            args += ['--user-prefix', f'198.51.100.{number * 16}/28']
        error = self.error(
            exceptions.CommandError, 'site set', 'par-01', *args
        )
        self.assertIn('put them into a map file', error)
        self.assertEqual([], self.nova.changes())


class DeleteTest(base.CommandTestCase):
    """openstack edge site delete"""

    def test_delete(self):
        """An aggregate that is only a site goes, after its hosts."""
        self.run_command('site delete', 'par-01')
        self.assertEqual([2, 3, 4], list(self.nova.aggregates))

    def test_adopted(self):
        """An aggregate that is more than the site keeps what is not ours."""
        log = self.useFixture(fixtures.FakeLogger())
        self.run_command('site delete', 'lyo-01')
        lyo = self.nova.aggregates[2]
        self.assertEqual({'availability_zone': 'lyon'}, lyo['metadata'])
        self.assertEqual(['lyo-1'], lyo['hosts'])
        self.assertEqual(1, len(self.nova.changes()))
        self.assertIn('lyon-zone is kept', log.output)

    def test_same_name(self):
        """So does one of the name of the site, as a zone of it may be."""
        par = self.nova.aggregates[1]
        par['metadata']['availability_zone'] = 'par-01'
        self.run_command('site delete', 'par-01')
        self.assertEqual({'availability_zone': 'par-01'}, par['metadata'])
        self.assertEqual(['par-1', 'par-2'], par['hosts'])

    def test_keep(self):
        """--keep-aggregate keeps any aggregate, with its hosts."""
        self.run_command('site delete', 'par-01', '--keep-aggregate')
        par = self.nova.aggregates[1]
        self.assertEqual(({}, 2), (par['metadata'], len(par['hosts'])))

    def test_many_keys(self):
        """One that takes several calls keeps its status till it is no site."""
        lyo = self.nova.aggregates[2]['metadata']
        lyo['edge:status'] = 'inactive'
        lyo |= {f'edge:rtt:{it:060}': '9' for it in range(1000)}
        self.run_command('site delete', 'lyo-01')
        calls = [
            body['set_metadata']['metadata'] for _, body in self.nova.changes()
        ]
        self.assertGreater(len(calls), 1)
        removed = [key for call in calls for key in call]
        self.assertEqual(['edge:site', 'edge:status'], removed[-2:])
        self.assertEqual(
            {'availability_zone': 'lyon'},
            self.nova.aggregates[2]['metadata'],
        )

    def test_some(self):
        """What cannot be deleted does not keep the others from it."""
        log = self.useFixture(fixtures.FakeLogger())
        error = self.error(
            exceptions.CommandError, 'site delete', 'par-0', 'par-01'
        )
        self.assertEqual('1 of 2 sites failed to delete.', error)
        self.assertIn("Failed to delete site par-0: There is no", log.output)
        self.assertNotIn(1, self.nova.aggregates)
