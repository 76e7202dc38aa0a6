# SPDX-License-Identifier: Apache-2.0

from tempest import config
from tempest.common import compute
from tempest.lib import decorators
import testtools

from edge_filters_tempest_plugin.tests import base

CONF = config.CONF
FEATURES = CONF.compute_feature_enabled


class MoveTest(base.EdgeFiltersTest):
    """A server that moves still serves whom it was booted for."""

    def setUp(self):
        super().setUp()
        sites = self.pick_sites(2, wanted=3)
        self.near, self.middle, *_ = sites
        self.origin = self.make_origin(*sites)
        self.server = self.boot(origin=self.origin, max_rtt_ms=20)
        self.source = self.host_of(self.server)
        self.assertEqual(self.near, self.site_of(self.server))

    @decorators.idempotent_id('9cde2044-0ba8-4d86-aeb3-959236811720')
    @decorators.attr(type='slow')
    @testtools.skipUnless(FEATURES.live_migration, 'No live migration.')
    def test_live_migration(self):
        """A live migration goes to the site that meets the budget now."""
        self._assert_follows_the_figures(self.live_migrate)

    @decorators.idempotent_id('4b2b39c2-e9e7-4451-96d4-165063007fc3')
    @decorators.attr(type='slow')
    @testtools.skipUnless(FEATURES.cold_migration, 'No cold migration.')
    def test_cold_migration(self):
        """So does a cold migration."""
        self._assert_follows_the_figures(self.cold_migrate)

    @decorators.idempotent_id('1e8b2217-2a1e-4cde-b69c-4b9a991c0c47')
    @decorators.attr(type='slow')
    @testtools.skipUnless(FEATURES.resize, 'No resize.')
    @testtools.skipIf(
        CONF.compute.flavor_ref == CONF.compute.flavor_ref_alt,
        '[compute] flavor_ref_alt is no other flavor.',
    )
    def test_resize(self):
        """So does a resize."""
        self._assert_follows_the_figures(self._resize)

    @decorators.idempotent_id('c058be48-a3cc-4f2d-b5bf-6b804512ef88')
    @decorators.attr(type='slow')
    @testtools.skipUnless(FEATURES.shelve, 'No shelving.')
    def test_unshelve(self):
        """So does an unshelve, though the server has no host at all."""
        self._assert_follows_the_figures(self._unshelve)

    @decorators.idempotent_id('10feb49d-6664-4bdf-a27a-07e01e98c247')
    @decorators.attr(type='slow')
    @testtools.skipUnless(FEATURES.live_migration, 'No live migration.')
    def test_live_migration_to_the_nearest(self):
        """It stays at its site where that has another host."""
        self._assert_goes_to_the_nearest(self.live_migrate)

    @decorators.idempotent_id('b66ba3b9-a07e-45f5-a895-f6789d44bad2')
    @decorators.attr(type='slow')
    @testtools.skipUnless(FEATURES.cold_migration, 'No cold migration.')
    def test_cold_migration_to_the_nearest(self):
        """So does a cold migration."""
        self._assert_goes_to_the_nearest(self.cold_migrate)

    @decorators.idempotent_id('b6d1e371-b7a5-4eea-bdf1-1c6863f35b59')
    @decorators.attr(type=['negative', 'slow'])
    @testtools.skipUnless(FEATURES.live_migration, 'No live migration.')
    def test_live_migration_refused(self):
        """Where no site meets the budget any more the server stays."""
        self._assert_stays(self.servers.live_migrate_server, **base.ANYWHERE)

    @decorators.idempotent_id('8abba74c-3a82-42cb-af01-2b5297fcde68')
    @decorators.attr(type=['negative', 'slow'])
    @testtools.skipUnless(FEATURES.cold_migration, 'No cold migration.')
    def test_cold_migration_refused(self):
        """So it does for a cold migration."""
        self._assert_stays(self.servers.migrate_server)

    # The moves, and what to expect of them

    def _resize(self, server):
        self.settle()
        self.user_servers.resize_server(server, CONF.compute.flavor_ref_alt)
        return self.confirm(server)

    def _unshelve(self, server):
        self.settle()
        compute.shelve_server(
            self.user_servers, server, force_shelve_offload=True
        )
        self.user_servers.unshelve_server(server)
        self.wait(server)
        return self.site_of(server)

    def _assert_follows_the_figures(self, move):
        self.set_figure(self.near, self.origin, base.TOO_FAR_MS)
        self.assertEqual(self.middle, move(self.server))

    def _assert_goes_to_the_nearest(self, move):
        has_another = len(self.site_hosts[self.near]) > 1
        self.assertEqual(
            self.near if has_another else self.middle, move(self.server)
        )
        self.assertNotEqual(self.source, self.host_of(self.server))

    def _assert_stays(self, move, **how):
        for site in (self.near, self.middle):
            self.set_figure(site, self.origin, base.TOO_FAR_MS)
        self.settle()
        move(self.server, **how)
        self.wait(self.server)
        self.assertEqual(self.source, self.host_of(self.server))
