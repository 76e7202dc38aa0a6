# SPDX-License-Identifier: Apache-2.0

from nova import context as nova_context
from nova import objects

from sandbox import standins
from tests.functional import base

PARIS = {'edge:origin': 'paris'}


def spec(hints, extra_specs=None, **fields):
    """A request as the scheduler gets it."""
    return objects.RequestSpec(
        instance_uuid=base.UUID,
        project_id='project',
        user_id='user',
        scheduler_hints=hints,
        flavor=objects.Flavor(
            vcpus=1,
            memory_mb=512,
            root_gb=1,
            ephemeral_gb=0,
            swap=0,
            extra_specs=extra_specs or {},
        ),
        image=objects.ImageMeta(properties=objects.ImageMetaProps()),
        force_hosts=None,
        force_nodes=None,
        requested_destination=None,
        requested_networks=objects.NetworkRequestList(objects=[]),
        requested_resources=[],
        request_level_params=objects.RequestLevelParams(),
        instance_group=None,
        is_bfv=False,
        pci_requests=None,
        numa_topology=None,
        limits=None,
        **{
            'availability_zone': None,
            'ignore_hosts': None,
            'num_instances': 1,
        }
        | fields,
    )


def host_states(cloud):
    """All hosts as the scheduler sees them."""
    return list(
        cloud.scheduler.host_manager.get_host_states_by_uuids(
            nova_context.get_admin_context(), None, spec({})
        )
    )


def ranking(manager, states, asked):
    """The hosts that a manager would take, best first, and their weights."""
    passing = manager.get_filtered_hosts(states, asked)
    return [
        (weighed.obj.host, weighed.weight)
        for weighed in manager.get_weighed_hosts(passing, asked)
    ]


class BootTest(base.TestCase):
    """Servers are booted through the API, and placed by the scheduler."""

    def test_nearest_site(self):
        """A server goes to the site nearest to its origin, by hint."""
        self.make_sites(par=30, lyo='4 jitter=1 n=20 by=icmp', mrs=9)
        server, host = self.boot(hints=PARIS)
        self.assertEqual('ACTIVE', server.status)
        self.assertEqual('lyo', self.site_of(host))

    def test_by_flavor(self):
        """A flavor steers like a hint, and the hint's origin wins."""
        sites = self.make_sites(par=4, lyo=9, mrs=None)
        self.cloud.set_metadata(sites['mrs'], {'edge:rtt:nice': '2'})
        flavor = self.cloud.flavor('ar', extra_specs=PARIS)
        _, host = self.boot(flavor=flavor)
        self.assertEqual('par', self.site_of(host))
        _, host = self.boot(flavor=flavor, hints={'edge:origin': 'nice'})
        self.assertEqual('mrs', self.site_of(host))

    def test_worst_of_several_origins(self):
        """Of several origins the one farthest from a site counts."""
        sites = self.make_sites(par=1, lyo=9, mrs=5)
        for site, rtt_ms in (('par', 50), ('lyo', 2), ('mrs', 30)):
            self.cloud.set_metadata(
                sites[site], {'edge:rtt:nice': str(rtt_ms)}
            )
        _, host = self.boot(hints={'edge:origin': ['paris', 'nice']})
        self.assertEqual('lyo', self.site_of(host))

    def test_budget(self):
        """Where no site is near enough, and measured, a boot is refused."""
        self.make_sites(par=30, lyo=9, mrs=None)
        _, host = self.boot(hints={**PARIS, 'edge:max_rtt_ms': '9'})
        self.assertEqual('lyo', self.site_of(host))
        server, host = self.boot(hints={**PARIS, 'edge:max_rtt_ms': '8.9'})
        self.assertEqual(('ERROR', ''), (server.status, host))
        self.assertIn('No valid host', server.fault['message'])
        self.assertIn('lyo is 9 ms from paris, over 8.9 ms', self.log.output)

    def test_unmeasured_is_last(self):
        """Without a budget the unmeasured is taken when all else is full."""
        self.make_sites(par=250, lyo=None)
        sites = [
            self.site_of(self.boot(hints=PARIS)[1])
            for _ in range(2 * base.VCPUS + 1)
        ]
        self.assertEqual(['par'] * 2 * base.VCPUS, sites[:-1])
        self.assertNotEqual('par', sites[-1])

    def test_site_and_avoid_site(self):
        """A server runs at the sites it asks for, at none it avoids."""
        self.make_sites(par=4, lyo=9, mrs=30)
        for hints, site in (
            ({**PARIS, 'edge:avoid_site': 'par'}, 'lyo'),
            ({**PARIS, 'edge:site': ['mrs', 'lyo']}, 'lyo'),
            ({'edge:site': 'MRS'}, 'mrs'),
        ):
            _, host = self.boot(hints=hints)
            self.assertEqual(site, self.site_of(host))

    def test_own_figure_of_a_host(self):
        """A host's own figure wins over that of its site."""
        sites = self.make_sites(par=4, lyo=9)
        self.cloud.set_metadata(
            sites['par'],
            {
                'edge:host_rtt:par-a:paris': '40',
                'edge:host_rtt:par-b:paris': '20',
            },
        )
        _, host = self.boot(hints=PARIS)
        self.assertEqual('lyo', self.site_of(host))

    def test_multi_create(self):
        """Several servers of one request fill the nearest sites in order."""
        self.make_sites(par=4, lyo=9, mrs=30)
        servers = self.cloud.boot(hints=PARIS, count=2 * base.VCPUS + 1)
        sites = [self.site_of(self.cloud.host_of(one)) for one in servers]
        self.assertEqual(2 * base.VCPUS, sites.count('par'))
        self.assertEqual(1, sites.count('lyo'))

    def test_forced_host(self):
        """A host that an administrator forces is not argued with."""
        self.make_sites(par=4, lyo=9)
        server, host = self.boot(
            hints={**PARIS, 'edge:max_rtt_ms': '5'},
            availability_zone='nova:lyo-a',
        )
        self.assertEqual(('ACTIVE', 'lyo-a'), (server.status, host))

    def test_rebuild(self):
        """A rebuild stays on its host, however far that has become."""
        sites = self.make_sites(par=4, lyo=9)
        server, host = self.boot(hints={**PARIS, 'edge:max_rtt_ms': '5'})
        self.cloud.set_metadata(sites['par'], {'edge:rtt:paris': '40'})
        # Another image, so that Nova asks the scheduler.
        self.cloud.admin.compute.rebuild_server(
            server, image=standins.OTHER_IMAGE_ID
        )
        server = self.cloud.wait_for(server, 'ACTIVE', 'ERROR')
        self.assertEqual('ACTIVE', server.status)
        self.assertEqual(host, self.cloud.host_of(server))

    def test_changed_figures(self):
        """The next boot knows what an operator has just changed."""
        sites = self.make_sites(par=4, lyo=9)
        self.assertEqual('par', self.site_of(self.boot(hints=PARIS)[1]))
        self.cloud.set_metadata(sites['par'], {'edge:rtt:paris': '40'})
        self.assertEqual('lyo', self.site_of(self.boot(hints=PARIS)[1]))
        self.cloud.set_metadata(sites['lyo'], {'edge:site': None})
        self.assertEqual('par', self.site_of(self.boot(hints=PARIS)[1]))


class NothingAskedTest(base.TestCase):
    def test_ranked_as_without_us(self):
        """A server that says nothing about the edge is ranked as ever."""
        self.make_sites(par=4, lyo=9, mrs=None)
        self.boot()
        self.boot(hints=PARIS)
        states = host_states(self.cloud)
        self.assertEqual(len(base.HOSTS), len(states))
        ours = ranking(self.cloud.scheduler.host_manager, states, spec({}))
        self.cloud.restart_scheduler(edge_filters=False)
        self.addCleanup(self.cloud.restart_scheduler, edge_filters=True)
        stock = self.cloud.scheduler.host_manager
        self.assertNotIn('EdgeLatencyFilter', stock.filter_cls_map)
        self.assertEqual(ranking(stock, states, spec({})), ours)
        self.assertEqual(len(base.HOSTS), len(ours))


class BadInputTest(base.TestCase):
    def test_bad_hint(self):
        """A hint that cannot be read refuses the boot, and the log says why.

        One line of INFO, whatever the number of hosts; the others are Nova's.
        """
        self.make_sites(par=4, lyo=9)
        for hints, message in (
            (
                {**PARIS, 'edge:max_rtt_ms': 'near'},
                "hint edge:max_rtt_ms 'near' is not a number",
            ),
            (
                {'edge:origin': 'pariss'},
                'hint edge:origin pariss is not known',
            ),
            ({**PARIS, 'edge:tear': 'far'}, "hint 'edge:tear' is not known"),
        ):
            self.log.reset_output()
            server, host = self.boot(hints=hints)
            self.assertEqual(('ERROR', ''), (server.status, host))
            (line,) = (
                line
                for line in self.log.output.splitlines()
                if line.startswith('Edge decision')
            )
            self.assertIn(f'refused: {message}', line)

    def test_bad_extra_spec(self):
        """nova-api refuses extra specs that the scheduler could not read."""
        flavor = self.cloud.flavor('ar')
        for name, value, is_good in (
            ('edge:max_rtt_ms', '20', True),
            ('edge:max_rtt_ms', 'near', False),
            ('edge:bogus', '1', False),
        ):
            response = self.cloud.admin.compute.post(
                f'/flavors/{flavor.id}/os-extra_specs',
                json={'extra_specs': {name: value}},
                microversion='2.86',
            )
            self.assertEqual(200 if is_good else 400, response.status_code)

    def test_bad_figure(self):
        """A figure that cannot be read costs that figure alone, named once."""
        sites = self.make_sites(par='4,5', lyo=9)
        for _ in range(2):
            _, host = self.boot(hints=PARIS)
            self.assertEqual('lyo', self.site_of(host))
        self.cloud.set_metadata(sites['par'], {'edge:rtt:nice': '1'})
        self.assertEqual(
            1, self.log.output.count("site par: edge:rtt:paris='4,5'")
        )
