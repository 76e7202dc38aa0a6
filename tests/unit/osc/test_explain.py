# SPDX-License-Identifier: Apache-2.0

import json
import pathlib

import fixtures
from osc_lib import exceptions

from edge_filters import cloud
from tests.unit import nova_api
from tests.unit.osc import base


class ExplainTestCase(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.nova.aggregate(
            'mrs-01',
            ['mrs-1'],
            edge__site='mrs-01',
            edge__rtt__paris=f'5.5 jitter=1 at={nova_api.ago(60)} by=tcp',
            edge__rtt__lyon='4',
        )
        self.nova.hypervisor('mrs-1')
        self.nova.flavor('m1.small', vcpus=2)
        self.nova.flavor('strict', vcpus=2, edge__max_rtt_ms='5')

    def write(self, text):
        """Return the path of a file with a text."""
        folder = self.useFixture(fixtures.TempDir()).path
        path = pathlib.Path(folder, 'file')
        path.write_text(text)
        return str(path)

    def explain(self, *args):
        """Return the rows by site, or by host where that is one."""
        rows = self.json('explain', *args)
        self.sites = [row['Host'] or row['Site'] for row in rows]
        return dict(zip(self.sites, rows, strict=True))

    @property
    def said(self):
        """What is said in sentences."""
        return self.stderr.getvalue().splitlines()


class BootTest(ExplainTestCase):
    def test_order(self):
        """Those that pass come first, near before far, unknown last."""
        self.explain('--origin', 'paris')
        self.assertEqual(
            ['par-01', 'par-2', 'mrs-01', '', 'far-01', 'lyo-01'], self.sites
        )
        self.assertEqual(
            [
                'It would go to one of par-01, host par-2 of par-01, mrs-01, '
                'which are as near: other weighers choose.'
            ],
            self.said,
        )

    def test_near_and_refused(self):
        """What is refused comes after what passes, however near it is."""
        self.explain('--origin', 'paris', '--avoid-site', 'par-01')
        self.assertEqual('mrs-01', self.sites[0])
        self.assertLess(self.sites.index(''), self.sites.index('par-01'))

    def test_row(self):
        """A row has what is known of a site, and the verdict in words."""
        rows = self.explain('--origin', 'paris', '--flavor', 'strict')
        age_s = rows['mrs-01'].pop('Age')
        self.assertAlmostEqual(60, age_s, delta=5)
        reason = rows['mrs-01'].pop('Reason')
        self.assertRegex(
            reason, r'^mrs-01 is 5\.5 ms from paris \(6\d s old\), over 5 ms$'
        )
        self.assertEqual(
            {
                'Site': 'mrs-01',
                'Host': '',
                'RTT ms': 5.5,
                'Source': 'tcp',
                'State': 'measured',
                'Verdict': 'fails',
                'Cost ms': 5.5,
                'Hosts': 1,
                'With Room': 1,
                'Needs': {'edge:max_rtt_ms': '5.5'},
            },
            rows['mrs-01'],
        )
        self.assertEqual(
            [
                'It would go to par-01.',
                'The nearest that is not near enough, mrs-01, would need '
                'edge:max_rtt_ms=5.5.',
            ],
            self.said,
        )

    def test_room(self):
        """What has no room is not chosen, be it full, down or disabled."""
        self.nova.hypervisor('par-1', state='down')
        rows = self.explain('--origin', 'paris', '--flavor', 'm1.small')
        room = {site: row['With Room'] for site, row in rows.items()}
        self.assertEqual(
            {
                'par-01': 0,
                'par-2': 0,
                'mrs-01': 1,
                'far-01': 0,
                'lyo-01': 0,
                '': 1,
            },
            room,
        )
        self.assertEqual('It would go to mrs-01.', self.said[0])
        self.explain('--origin', 'paris', '--flavor', 'strict')
        self.assertEqual(
            'No site will do, as there is no room at par-01, '
            'host par-2 of par-01.',
            self.said[0],
        )

    def test_room_is_not_told(self):
        """Who may not ask for room is told so, and sees the rest."""
        self.nova.forbidden = {'allocation_candidates:list'}
        log = self.useFixture(fixtures.FakeLogger())
        rows = self.explain('--origin', 'paris', '--flavor', 'strict')
        self.assertIsNone(rows['par-01']['With Room'])
        self.assertEqual(
            'It would go to one of par-01, host par-2 of par-01, '
            'which are as near: other weighers choose.',
            self.said[0],
        )
        self.assertIn(
            'the policy placement:allocation_candidates:list does not allow',
            log.output,
        )

    def test_hosts_in_no_site(self):
        """A host in no site may be all that is left, flavor or not."""
        avoided = []
        for site in ('par-01', 'mrs-01', 'far-01', 'lyo-01'):
            avoided += ['--avoid-site', site]
        for flavor in ([], ['--flavor', 'm1.small']):
            self.explain('--origin', 'paris', *avoided, *flavor)
            self.assertEqual(
                'It would go to a host without a site.', self.said[0]
            )

    def test_hosts_are_not_told(self):
        """Who may not list hypervisors is told so, and sees the sites."""
        self.nova.forbidden = {'list-detail'}
        log = self.useFixture(fixtures.FakeLogger())
        rows = self.explain('--origin', 'paris', '--flavor', 'm1.small')
        self.assertNotIn('', rows)
        self.assertIn('Hosts in no site are not known', log.output)
        self.assertIsNone(rows['par-01']['With Room'])

    def test_zone(self):
        """There is room in the zone alone, unless no aggregate makes it."""
        args = ['--origin', 'paris', '--flavor', 'm1.small']
        self.nova.aggregate('s', ['mrs-1'], availability_zone='south')
        for zone, where in (
            ('south', 'It would go to mrs-01.'),
            ('nova', 'It would go to one of par-01, mrs-01, '),
        ):
            self.explain(*args, '--availability-zone', zone)
            self.assertIn(where, self.said[0])

    def test_no_flavor(self):
        """A flavor without a name is not there."""
        error = self.error(exceptions.CommandError, 'explain', '--flavor', '')
        self.assertIn("no flavor ''", error)

    def test_caveats(self):
        """What makes Nova go by something else is said first."""
        self.nova.aggregate('m', edge_latency_weight_multiplier='9')
        conf = self.write(
            '[edge_filters]\nedge_latency_weight_multiplier = 0\n'
            '[filter_scheduler]\nenabled_filters = EdgeSiteFilter\n'
        )
        log = self.useFixture(fixtures.FakeLogger())
        self.explain('--origin', 'paris', '--config-file', conf)
        self.assertEqual(
            [
                'edge_latency_weight_multiplier is 0: Nova does not prefer '
                'what is near.',
                'Not among enabled_filters: EdgeLatencyFilter.',
                'Aggregates have an edge_latency_weight_multiplier of their '
                'own, which may change the order: m.',
            ],
            log.output.splitlines(),
        )

    def test_endless_option(self):
        """An option that refers to itself is said to."""
        for text in (
            '[edge_filters]\nmode = $mode\n',
            '[filter_scheduler]\nenabled_filters = $enabled_filters\n',
        ):
            error = self.error(
                exceptions.CommandError,
                'explain',
                '--config-file',
                self.write(text),
            )
            self.assertIn('an option refers to itself', error)

    def test_unknown_site(self):
        """A site that is not there is said not to be."""
        for option in ('--site', '--avoid-site'):
            error = self.error(
                exceptions.CommandError, 'explain', option, 'par-02'
            )
            self.assertIn("no site 'par-02'. Is it par-01", error)

    def test_what_if(self):
        """A status may be supposed, and is not there in truth."""
        args = ['--origin', 'lyon', '--max-rtt-ms', '3']
        self.explain(*args)
        self.assertEqual('No site will do.', self.said[0])
        self.explain(*args, '--what-if', 'lyo-01:active')
        self.assertEqual('It would go to lyo-01.', self.said[0])
        self.explain(
            *args, '--what-if', 'lyo-01:active', '--what-if', 'lyo-01:inactive'
        )
        self.assertEqual('No site will do.', self.said[0])
        self.assertEqual([], self.nova.changes())
        self.assertIn(
            "no site 'lyo-1'",
            self.error(
                exceptions.CommandError, 'explain', '--what-if', 'lyo-1:active'
            ),
        )

    def test_fallback(self):
        """Where nothing meets the budget the nearest is the fallback."""
        args = ['--origin', 'paris', '--max-rtt-ms', '1']
        rows = self.explain(*args, '--fallback', 'nearest')
        self.assertEqual('fallback', rows['par-01']['Verdict'])
        self.assertIn('the fallback', rows['par-01']['Reason'])
        self.assertEqual('fails', rows['far-01']['Verdict'])
        # Where the site is closed or full, nothing falls back to it.
        self.nova.aggregate(
            'mars',
            ['mars-1'],
            edge__site='mars',
            edge__status='inactive',
            edge__rtt__paris='3',
        )
        self.nova.hypervisor('mars-1')
        rows = self.explain(*args, '--fallback', 'nearest')
        self.assertEqual('fails', rows['mars']['Verdict'])
        self.assertEqual('mars is inactive', rows['mars']['Reason'])
        self.nova.hypervisor('par-1', vcpus_used=8)
        self.nova.hypervisor('mrs-1', vcpus_used=8)
        rows = self.explain(
            '--origin',
            'paris',
            '--max-rtt-ms',
            '5',
            '--fallback',
            'nearest',
            '--flavor',
            'm1.small',
        )
        verdicts = {site: row['Verdict'] for site, row in rows.items()}
        self.assertEqual(
            {
                'par-01': 'passes',
                'par-2': 'passes',
                'mrs-01': 'fallback',
                'mars': 'fails',
                '': 'fails',
                'far-01': 'fails',
                'lyo-01': 'fails',
            },
            verdicts,
        )
        conf = self.write('[edge_filters]\nfallback = nearest\n')
        rows = self.explain(*args, '--config-file', conf)
        self.assertEqual('fallback', rows['par-01']['Verdict'])

    def test_options(self):
        """The rules are those of the nova.conf that is given."""
        conf = self.write('[edge_filters]\nmax_age = 30\nmode = observe\n')
        log = self.useFixture(fixtures.FakeLogger())
        rows = self.explain(
            '--origin', 'paris', '--max-rtt-ms', '9', '--config-file', conf
        )
        self.assertEqual('stale', rows['mrs-01']['State'])
        self.assertIn('mode is observe: Nova ignores all this', log.output)

    def test_projects(self):
        """A project's origins count, as the map files of nova.conf say."""
        maps = self.write(json.dumps({'projects': {'p': ['lyon']}}))
        conf = self.write(f'[edge_filters]\nmap_files = {maps}\n')
        for args in (['--config-file', conf], ['--map-file', maps]):
            rows = self.explain('--project', 'p', *args)
            self.assertIn('from lyon', rows['mrs-01']['Reason'])

    def test_address(self):
        """An address is one of the origin that it belongs to."""
        rows = self.explain('--client-ip', '192.0.2.9')
        self.assertIn('from par-01', rows['par-01']['Reason'])
        self.assertEqual('estimated', rows['par-01']['State'])

    def test_no_origin(self):
        """Who does not say where the users are may go anywhere."""
        self.explain('--flavor', 'm1.small')
        self.assertIn('as nobody tells where its users are', self.said[0])

    def test_offline(self):
        """Exported files stand in for the cloud, but for room."""
        figures = self.write('origin,site,rtt_ms\nparis,par-02,3\n')
        sites = pathlib.Path(figures).with_name('sites')
        sites.write_text('site,host,tier\npar-02,par-3,core\n')
        files = ['--file', figures, '--file', str(sites)]
        rows = self.explain('--origin', 'paris', *files)
        self.assertEqual(['par-02'], list(rows))
        self.assertEqual(
            (3.0, 1, None, 'measured'),
            tuple(
                rows['par-02'][it]
                for it in ('RTT ms', 'Hosts', 'With Room', 'State')
            ),
        )
        self.assertEqual([], self.nova.calls('GET'))
        for option in ('--flavor', '--server'):
            error = self.error(
                exceptions.CommandError, 'explain', option, 'x', *files
            )
            self.assertIn('leave out --file', error)

    def test_refused(self):
        """What Nova would refuse is said to be, with the reason."""
        for args, why in (
            (['--origin', 'pariz'], 'pariz is not known'),
            (['--origin', 'paris', '--max-rtt-ms', 'soon'], 'edge:max_rtt_ms'),
            (['--max-rtt-ms', '9'], 'give edge:origin too'),
            (['--client-ip', '203.0.113.9'], 'belongs to no origin'),
        ):
            error = self.error(exceptions.CommandError, 'explain', *args)
            self.assertIn('Nova would refuse it: ', error)
            self.assertIn(why, error)


class ServerTest(ExplainTestCase):
    def setUp(self):
        super().setUp()
        hints = {'edge:origin': ['paris'], 'group': ['x']}
        self.number = self.nova.server('web-1', 'mrs-1', 'strict', hints)

    def test_out_of_its_budget(self):
        """Where it is, that this is too far, and where it would go."""
        for name in ('web-1', self.number):
            self.explain('--server', name)
            self.assertRegex(
                self.said[0],
                r"^Server 'web-1' is on mrs-1, and is out of its budget: "
                r'mrs-01 is 5\.5 ms from paris \(6\d s old\), over 5 ms\.$',
            )
            self.assertEqual('It would go to par-01.', self.said[1])

    def test_stays(self):
        """It has room where it is; where nothing is nearer it stays."""
        self.nova.hypervisor('mrs-1', vcpus_used=8)
        self.explain(
            '--server', 'web-1', '--max-rtt-ms', '9', '--flavor', 'm1.small'
        )
        self.assertIn('and is within its budget', self.said[0])
        self.assertEqual(
            'It is where it should be: nothing nearer has room for it.',
            self.said[1],
        )
        self.assertEqual(2, len(self.said))

    def test_other_users(self):
        """Users who are given take the place of those it has."""
        self.nova.servers[self.number]['scheduler_hints'] = {
            'edge:near': ['43.3,5.4'],
            'edge:max_rtt_ms': ['9'],
        }
        rows = self.explain('--server', 'web-1', '--origin', 'lyon')
        self.assertIn('from lyon, within 5 ms', rows['mrs-01']['Reason'])

    def test_project(self):
        """The project that is given takes the place of its own."""
        self.nova.servers[self.number]['scheduler_hints'] = {}
        maps = self.write(json.dumps({'projects': {'p': ['lyon']}}))
        args = ['--server', 'web-1', '--map-file', maps, '--project', 'p']
        rows = self.explain(*args)
        self.assertIn('from lyon', rows['mrs-01']['Reason'])

    def test_host_is_down(self):
        """Where its host is down there is no room for it."""
        self.nova.hypervisor('mrs-1', state='down')
        rows = self.explain('--server', 'web-1', '--max-rtt-ms', '9')
        self.assertEqual(0, rows['mrs-01']['With Room'])
        self.assertEqual('It would go to par-01.', self.said[1])

    def test_no_users(self):
        """Who does not tell where the users are may stay."""
        self.nova.servers[self.number].update(scheduler_hints=None)
        self.explain('--server', 'web-1', '--flavor', 'm1.small')
        self.assertEqual(
            'It may stay: nobody tells where its users are.', self.said[1]
        )

    def test_rights(self):
        """A right that Nova shows by leaving something out is named."""
        server = self.nova.servers[self.number]
        for told, key, policy in (
            (server['flavor'], 'extra_specs', 'os-flavor-extra-specs:index'),
            (server, 'OS-EXT-SRV-ATTR:host', 'os-extended-server-attributes'),
        ):
            del told[key]
            error = self.error(
                cloud.CloudError, 'explain', '--server', 'web-1'
            )
            self.assertIn(f'the policy os_compute_api:{policy}', error)

    def test_zone(self):
        """It stays in the availability zone that it was booted into."""
        self.nova.aggregate(
            'zone', ['lyo-1', 'mrs-1'], availability_zone='south'
        )
        self.nova.servers[self.number]['pinned_availability_zone'] = 'south'
        self.explain('--server', 'web-1')
        self.assertIn('No site will do, as there is no room', self.said[1])

    def test_unreadable(self):
        """A move goes on without what cannot be read, with a warning."""
        self.nova.servers[self.number]['scheduler_hints'] = {
            'edge:origin': ['pariz']
        }
        log = self.useFixture(fixtures.FakeLogger())
        self.explain('--server', 'web-1')
        self.assertIn(
            'moves without what it asks: hint edge:origin pariz', log.output
        )

    def test_nowhere(self):
        """A server that is shelved is on no host."""
        self.nova.servers[self.number].update(
            {'OS-EXT-SRV-ATTR:host': None, 'status': 'SHELVED_OFFLOADED'}
        )
        self.explain('--server', 'web-1')
        self.assertEqual(
            [
                "Server 'web-1' is on no host, and SHELVED_OFFLOADED.",
                'It would go to par-01.',
            ],
            self.said[:2],
        )
