# SPDX-License-Identifier: Apache-2.0

from tests.functional import test_moves


class StatusTest(test_moves.MoveTestCase):
    """edge:status binds every server, whatever it says of the edge."""

    def setUp(self):
        super().setUp()
        self.sites = self.make_sites(par=4, lyo=9, mrs=30)

    def _set_status(self, **statuses):
        for site, status in statuses.items():
            self.cloud.set_metadata(self.sites[site], {'edge:status': status})

    def test_boot(self):
        """A site that is not active takes no boots."""
        for status in ('draining', 'inactive'):
            self._set_status(par=status)
            _, host = self.boot(hints=test_moves.PARIS)
            self.assertEqual('lyo', self.site_of(host))
        self._set_status(par='active')
        _, host = self.boot(hints=test_moves.PARIS)
        self.assertEqual('par', self.site_of(host))

    def test_boot_that_says_nothing(self):
        """It binds servers that say nothing about the edge."""
        self._set_status(par='draining', lyo='inactive', mrs='inactive')
        for _ in range(2):
            _, host = self.boot()
            self.assertEqual('lonely', host)
        self.cloud.stop_host('lonely')
        server, _ = self.boot()
        self.assertEqual('ERROR', server.status)
        self.assertIn(
            'no origin: no host passes: lyo is inactive; mrs is inactive; par '
            'is draining',
            self.log.output,
        )

    def test_moves(self):
        """draining: moves within go on, moves in do not; inactive: none."""
        inside, _ = self.boot(hints=test_moves.PARIS)
        outside, _ = self.boot(
            hints={**test_moves.PARIS, 'edge:avoid_site': 'par'},
        )
        self.assertEqual('lyo', self.site(outside))
        self._set_status(par='draining')
        self.assertEqual('par', self.site(self.live_migrate(inside)))
        self.assertEqual('lyo', self.site(self.live_migrate(outside)))
        self._set_status(par='inactive')
        self.assertEqual('lyo', self.site(self.live_migrate(inside)))

    def test_moves_that_say_nothing(self):
        """Servers that say nothing move within a draining site as well."""
        server, _ = self.boot(availability_zone='nova:par-a')
        self._set_status(par='draining', lyo='inactive', mrs='inactive')
        self.cloud.stop_host('lonely')
        self.assertEqual('par-b', self.cloud.host_of(self.evacuate(server)))

    def test_resize_on_the_same_host(self):
        """A resize may stay on its host in a draining site, and does not
        come in from elsewhere; in an inactive one nothing stays.
        """
        self.cloud.restart_scheduler(
            {
                'DEFAULT': {
                    'cpu_allocation_ratio': 1.0,
                    'allow_resize_to_same_host': True,
                }
            }
        )
        self.addCleanup(self.cloud.restart_scheduler)
        server, _ = self.boot(availability_zone='nova:par-a')
        for host in ('par-b', 'lonely'):
            self.cloud.stop_host(host)
        self._set_status(par='draining', lyo='inactive', mrs='inactive')
        resized = self.resize(server)
        self.assertEqual('VERIFY_RESIZE', resized.status)
        self.assertEqual('par-a', self.cloud.host_of(resized))
        self.nova.revert_server_resize(resized)
        self.cloud.wait_for(server, 'ACTIVE')
        self._set_status(par='inactive')
        self.assertEqual('ACTIVE', self.resize(server).status)

    def test_tier(self):
        """edge:tier keeps a server at sites of that tier."""
        for site, tier in (('par', 'core'), ('lyo', 'far-edge')):
            self.cloud.set_metadata(self.sites[site], {'edge:tier': tier})
        _, host = self.boot(
            hints={**test_moves.PARIS, 'edge:tier': 'Far-Edge'}
        )
        self.assertEqual('lyo', self.site_of(host))
        flavor = self.cloud.flavor(
            'core', extra_specs={'edge:tier': 'core,near-edge'}
        )
        server, host = self.boot(flavor=flavor)
        self.assertEqual('par', self.site_of(host))
        server, _ = self.boot(flavor=flavor, hints={'edge:tier': 'far-edge'})
        self.assertEqual('ERROR', server.status)
