# SPDX-License-Identifier: Apache-2.0

from tests.functional import base

PARIS = {'edge:origin': 'paris'}
BUDGET = {**PARIS, 'edge:max_rtt_ms': '10'}


class MoveTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.nova = self.cloud.admin.compute
        self.memory_mb = 512

    def live_migrate(self, server):
        self.nova.live_migrate_server(server, block_migration='auto')
        return self.cloud.wait_for(server)

    def cold_migrate(self, server):
        self.nova.migrate_server(server)
        return self.cloud.wait_for(server, 'VERIFY_RESIZE', 'ERROR', 'ACTIVE')

    def resize(self, server):
        self.memory_mb += 8
        flavor = self.cloud.flavor(
            f'{self.memory_mb} MB', memory_mb=self.memory_mb
        )
        self.nova.resize_server(server, flavor)
        return self.cloud.wait_for(server, 'VERIFY_RESIZE', 'ERROR', 'ACTIVE')

    def unshelve(self, server):
        self.nova.shelve_server(server)
        self.cloud.wait_for(server, 'SHELVED_OFFLOADED')
        self.nova.unshelve_server(server)
        return self.cloud.wait_for(
            server, 'ACTIVE', 'ERROR', 'SHELVED_OFFLOADED'
        )

    def evacuate(self, server):
        """The host of the server dies, and its server is evacuated."""
        self.cloud.stop_host(self.cloud.host_of(server))
        self.nova.evacuate_server(server)
        return self.cloud.wait_for(server)

    def site(self, server):
        return self.site_of(self.cloud.host_of(server))


class OriginTest(MoveTestCase):
    """The origin in the hints holds for every move, whoever asks for it."""

    def setUp(self):
        super().setUp()
        # Both of par's neighbours are nearer to it than lyo, which is nearer
        # to the users.
        sites = self.make_sites(par=4, lyo=9, mrs=30)
        self.cloud.set_metadata(
            sites['par'], {'edge:site_rtt:mrs': '1', 'edge:site_rtt:lyo': '50'}
        )
        self.server, self.source = self.boot(hints=PARIS)
        self.assertEqual('par', self.site_of(self.source))
        self.par = sites['par']

    def _leave_par(self):
        """par becomes the farthest site."""
        self.cloud.set_metadata(self.par, {'edge:rtt:paris': '99'})

    def _assert_stays_near(self, move):
        moved = move(self.server)
        self.assertEqual('par', self.site(moved))
        self.assertNotEqual(self.source, self.cloud.host_of(moved))

    def test_live_migration(self):
        """A live migration goes to the other host of the nearest site."""
        self._assert_stays_near(self.live_migrate)

    def test_cold_migration(self):
        """So does a cold migration."""
        self._assert_stays_near(self.cold_migrate)

    def test_evacuate(self):
        """So does an evacuation."""
        self._assert_stays_near(self.evacuate)

    def test_resize(self):
        """A resize goes to the site that is the nearest now."""
        self._leave_par()
        self.assertEqual('lyo', self.site(self.resize(self.server)))

    def test_unshelve(self):
        """So does an unshelve, though the server has no host at all."""
        self._leave_par()
        self.assertEqual('lyo', self.site(self.unshelve(self.server)))

    def test_evacuate_to_the_next(self):
        """An evacuation goes to the site nearest to the users.

        Not to the site nearest to that of the dead host.
        """
        self.cloud.stop_host('par-a')
        self.cloud.stop_host('par-b')
        self.nova.evacuate_server(self.server)
        self.cloud.wait_for(self.server)
        self.assertEqual('lyo', self.site(self.server))


class StandInTest(MoveTestCase):
    """Without an origin the site of the source host stands in."""

    def setUp(self):
        super().setUp()
        sites = self.make_sites(par=None, lyo=None, mrs=None)
        self.cloud.set_metadata(
            sites['par'], {'edge:site_rtt:mrs': '3', 'edge:site_rtt:lyo': '50'}
        )
        hints = {'edge:avoid_site': 'elsewhere'}
        self.server, self.source = self.boot(
            hints=hints, availability_zone='nova:par-a'
        )

    def test_within_the_site(self):
        """A server moves within its site where there is room."""
        for move in (self.live_migrate, self.cold_migrate):
            self.assertEqual('par', self.site(move(self.server)))

    def test_resize(self):
        """So does a resize."""
        self.assertEqual('par', self.site(self.resize(self.server)))

    def test_resize_from_a_full_host(self):
        """So does one that could have stayed on its host, had it room."""
        self.cloud.restart_scheduler(
            base.OPTIONS
            | {
                'DEFAULT': base.OPTIONS['DEFAULT']
                | {'allow_resize_to_same_host': True}
            }
        )
        self.addCleanup(self.cloud.restart_scheduler)
        for _ in range(base.VCPUS - 1):
            self.boot(availability_zone='nova:par-a')
        moved = self.resize(self.server)
        self.assertEqual('VERIFY_RESIZE', moved.status)
        self.assertEqual('par-b', self.cloud.host_of(moved))

    def test_unshelve(self):
        """A server without a host has no site to stand in: it goes on."""
        moved = self.unshelve(self.server)
        self.assertEqual('ACTIVE', moved.status)
        self.assertIn('no origin: 7 of 7 hosts pass.', self.log.output)

    def test_to_the_nearest_site(self):
        """Where the site is gone it moves to the site nearest to it."""
        self.cloud.stop_host('par-b')
        self.assertEqual('mrs', self.site(self.evacuate(self.server)))


class BadInputTest(MoveTestCase):
    """What cannot be read does not block a move; what can be binds."""

    def setUp(self):
        super().setUp()
        self.sites = self.make_sites(par=4, lyo=9, mrs=30)

    def _assert_goes_on(self, move):
        for site in self.sites.values():
            self.cloud.set_metadata(site, {'edge:rtt:nice': '5'})
        server, host = self.boot(
            hints={'edge:origin': 'nice', 'edge:max_rtt_ms': '8'}
        )
        for site in self.sites.values():
            self.cloud.set_metadata(site, {'edge:rtt:nice': None})
        moved = move(server)
        self.assertIn(moved.status, ('ACTIVE', 'VERIFY_RESIZE', 'SHUTOFF'))
        if move != self.unshelve:
            self.assertNotEqual(host, self.cloud.host_of(moved))
        self.assertIn(
            'moves without what it asked for: hint edge:origin nice is not '
            'known',
            self.log.output,
        )

    def test_unknown_origin_live_migration(self):
        """A live migration goes on without an origin that is not known."""
        self._assert_goes_on(self.live_migrate)

    def test_unknown_origin_cold_migration(self):
        """So does a cold migration."""
        self._assert_goes_on(self.cold_migrate)

    def test_unknown_origin_evacuate(self):
        """So does an evacuation."""
        self._assert_goes_on(self.evacuate)

    def test_unknown_origin_resize(self):
        """So does a resize."""
        self._assert_goes_on(self.resize)

    def test_unknown_origin_unshelve(self):
        """So does an unshelve."""
        self._assert_goes_on(self.unshelve)

    def test_hints_that_cannot_be_read(self):
        """Nor do hints that a forced boot brought past all filters."""
        server, _ = self.boot(
            hints={
                'edge:origin': ['paris', 'p ris'],
                'edge:max_rtt_ms': '10',
                'edge:bogus': 'x',
            },
            availability_zone='nova:mrs-a',
        )
        moved = self.live_migrate(server)
        self.assertEqual('par', self.site(moved))
        for message in ("'p ris' is not a name", "'edge:bogus' is not known"):
            self.assertIn(message, self.log.output)


class BudgetTest(MoveTestCase):
    """A budget binds moves too, unless edge:fallback says otherwise."""

    def setUp(self):
        super().setUp()
        self.make_sites(par=4, lyo=40, mrs=30)

    def _evacuate_from_par(self, **hints):
        server, _ = self.boot(hints=BUDGET | hints)
        self.assertEqual('par', self.site(server))
        self.cloud.stop_host('par-a')
        self.cloud.stop_host('par-b')
        self.nova.evacuate_server(server)
        return self.cloud.wait_for(server)

    def test_refused(self):
        """Where no host meets the budget the evacuation is refused.

        Placement does not know which hosts are down. So Nova refuses what is
        left, and the log says that Placement was asked for no more.
        """
        server = self._evacuate_from_par()
        self.assertEqual('par', self.site(server))
        query = (
            'Placement is asked for 1 of 3 sites (the farthest: par is 4 ms '
            'from paris, within 10 ms).'
        )
        # The boot and the evacuation.
        _, _, after = self.log.output.split(query)
        self.assertIn("'ComputeFilter: (start: 1, end: 0)'", after)

    def test_fallback(self):
        """With edge:fallback=moves it goes to the nearest that is known."""
        server = self._evacuate_from_par(**{'edge:fallback': 'moves'})
        self.assertEqual('mrs', self.site(server))

    def test_fallback_of_a_boot(self):
        """A boot does with edge:fallback=nearest alone."""
        budget = {**PARIS, 'edge:max_rtt_ms': '3'}
        for fallback, status, site in (
            ('none', 'ERROR', ''),
            ('moves', 'ERROR', ''),
            ('nearest', 'ACTIVE', 'par'),
        ):
            server, host = self.boot(
                hints=budget | {'edge:fallback': fallback}
            )
            self.assertEqual(
                (status, site), (server.status, self.site_of(host))
            )
