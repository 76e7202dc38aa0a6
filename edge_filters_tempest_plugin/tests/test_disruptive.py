# SPDX-License-Identifier: Apache-2.0
"""Tests that other users notice, run one after the other, and if asked for."""

from tempest import config
from tempest.common import waiters
from tempest.lib import decorators
import testtools

from edge_filters_tempest_plugin.tests import base

CONF = config.CONF
FEATURES = CONF.compute_feature_enabled


class DisruptiveTest(base.EdgeFiltersTest):
    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.edge_filters.disruptive:
            raise cls.skipException('[edge_filters] disruptive is not set.')

    def stop_and_force_down(self, server, hosts):
        """Make a server one to evacuate: hosts are down, that of it too."""
        # Its host is not dead, and must not run it a second time.
        self.servers.stop_server(server)
        self.wait(server, 'SHUTOFF')
        found = [
            service['id']
            for host in hosts
            for service in self.services.list_services(
                host=host, binary='nova-compute'
            )['services']
        ]
        for service in found:
            self.addCleanup(
                self.services.update_service, service, forced_down=False
            )
        self.addCleanup(self._delete_evacuated, server, self.host_of(server))
        for service in found:
            self.services.update_service(service, forced_down=True)

    def _delete_evacuated(self, server, host):
        """Nova leaves the host forced down as long as there is the server."""
        if self.host_of(server) != host:
            self._delete(server)
            waiters.wait_for_server_termination(
                self.servers, server, ignore_error=True
            )


@decorators.serial
class StatusTest(DisruptiveTest):
    """edge:status binds every server, whatever it says of the edge."""

    def setUp(self):
        super().setUp()
        self.near, self.other = self.pick_sites(2)
        self.origin = self.make_origin(self.near, self.other)
        self.host = self.site_hosts[self.near][0]

    def _set_status(self, status):
        self.set_key(self.near, 'edge:status', status)

    @decorators.idempotent_id('5d66bfc9-df02-4d67-aa33-5c7cf970e3a8')
    @decorators.attr(type='slow')
    def test_boot(self):
        """A site that is not active takes no boots."""
        for status in ('draining', 'inactive'):
            self._set_status(status)
            self.assertEqual(self.other, self.site_of_boot(origin=self.origin))
        self._set_status('active')
        self.assertEqual(self.near, self.site_of_boot(origin=self.origin))

    @decorators.idempotent_id('c99ec71f-6d3a-4afa-8216-65ac8fe63f83')
    @decorators.attr(type=['negative', 'slow'])
    def test_boot_that_says_nothing(self):
        """Nor those of servers that say nothing about the edge."""
        boot = {'client': self.servers, 'host': self.host}
        self.assertEqual(self.near, self.site_of_boot(**boot))
        for status in ('draining', 'inactive'):
            self._set_status(status)
            self.assertEqual(base.REFUSED, self.site_of_boot(**boot))

    @decorators.idempotent_id('7c2278da-03d8-4f1a-b8dd-b227122dce74')
    @decorators.attr(type=['negative', 'slow'])
    @testtools.skipUnless(FEATURES.live_migration, 'No live migration.')
    def test_move_in(self):
        """A site that is not active takes no moves in from elsewhere."""
        self._set_status('draining')
        server = self.boot(origin=self.origin)
        for status, site in (
            ('draining', self.other),
            ('inactive', self.other),
            ('active', self.near),
        ):
            self._set_status(status)
            self.assertEqual(site, self.live_migrate(server, host=self.host))

    @decorators.idempotent_id('fb10260b-2dc4-4f7e-a407-b8a7b9c4dc4b')
    @decorators.attr(type='slow')
    @testtools.skipUnless(FEATURES.live_migration, 'No live migration.')
    def test_move_within(self):
        """In a draining site servers still move, in an inactive one not."""
        if len(self.site_hosts[self.near]) < 2:
            raise self.skipException('No usable site has two hosts.')
        server = self.boot(origin=self.origin)
        for status, site in (
            ('draining', self.near),
            ('inactive', self.other),
        ):
            self._set_status(status)
            self.assertEqual(site, self.live_migrate(server))


@decorators.serial
class EvacuateTest(DisruptiveTest):
    """A server whose host dies still serves whom it was booted for."""

    @decorators.idempotent_id('b16979e9-33f3-4f83-9f93-e2123e883037')
    @decorators.attr(type='slow')
    def test_evacuate(self):
        """An evacuation goes to the site that meets the budget now."""
        near, other = self.pick_sites(2)
        origin = self.make_origin(near, other)
        server = self.boot(origin=origin, max_rtt_ms=20)
        self.assertEqual(near, self.site_of(server))
        self.set_figure(near, origin, base.TOO_FAR_MS)
        self.settle()
        self.stop_and_force_down(server, [self.host_of(server)])
        self.servers.evacuate_server(server)
        self.wait(server, 'SHUTOFF')
        self.assertEqual(other, self.site_of(server))
