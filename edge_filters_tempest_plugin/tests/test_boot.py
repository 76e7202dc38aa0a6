# SPDX-License-Identifier: Apache-2.0

from tempest.lib import decorators

from edge_filters_tempest_plugin.tests import base


class BootTest(base.EdgeFiltersTest):
    """A server boots at the site nearest to its users, within its budget."""

    @decorators.idempotent_id('d7a6dcc1-2338-43c1-960a-e1ae787c8f47')
    @decorators.attr(type='smoke')
    def test_origin(self):
        """A server boots at the site nearest to its origin."""
        here, there = self.pick_sites(2)
        near_here = self.make_origin(here, there)
        near_there = self.make_origin(there, here)
        self.assertEqual(here, self.site_of_boot(origin=near_here))
        self.assertEqual(there, self.site_of_boot(origin=near_there))

    @decorators.idempotent_id('020c5071-ae48-4258-90b0-78bafa87e76c')
    def test_several_origins(self):
        """Of several origins the one farthest from a site counts."""
        here, between, there = self.pick_sites(3)
        origins = [
            self.make_origin(here, between, there),
            self.make_origin(there, between, here),
        ]
        self.assertEqual(between, self.site_of_boot(origin=origins))

    @decorators.idempotent_id('96e0a488-4619-45c9-8d18-478f6eb5a0af')
    def test_budget(self):
        """A server with a budget boots at the nearest site that meets it."""
        near, middle = self.pick_sites(2)
        budget = {'origin': self.make_origin(near, middle), 'max_rtt_ms': 20}
        self.assertEqual(near, self.site_of_boot(**budget))
        self.assertEqual(middle, self.site_of_boot(**budget, avoid_site=near))

    @decorators.idempotent_id('273b3941-2dfa-43c6-a968-f09bc1a66102')
    @decorators.attr(type='negative')
    def test_budget_not_met(self):
        """Where no site meets its budget a server is refused."""
        near, middle = self.pick_sites(2)
        budget = {'origin': self.make_origin(near, middle), 'max_rtt_ms': 8}
        self.assertEqual(near, self.site_of_boot(**budget))
        self.assertEqual(
            base.REFUSED, self.site_of_boot(**budget, avoid_site=near)
        )

    @decorators.idempotent_id('1504d037-a4c8-4c3e-9a8a-178798b37357')
    @decorators.attr(type='negative')
    def test_why(self):
        """The user of a server that is refused reads why, without names."""
        near, middle = self.pick_sites(2)
        origin = self.make_origin(near, middle)
        tier = self.make_name('tier').lower()
        for hints, why in (
            (
                {'origin': origin, 'max_rtt_ms': 8, 'avoid_site': near},
                'No edge site but those to be avoided within 8 ms of origin '
                f'{origin}: nearest 12 ms',
            ),
            (
                {'tier': tier},
                f'No edge site of tier {tier}: there is no such site',
            ),
        ):
            before, told, after = self.why_refused(**hints).partition(why)
            self.assertEqual(
                'No valid host was found. Scheduling failed: ', before
            )
            self.assertEqual(why, told)
            # There may be other sites, of which the figures are unknown.
            self.assertRegex(after, r'^(; [1-9][0-9]* not measured)?$')

    @decorators.idempotent_id('cb375b60-986a-4aef-bab6-c574878fb172')
    @decorators.attr(type='negative')
    def test_unmeasured(self):
        """A site that nobody has measured meets no budget."""
        unmeasured, measured = self.pick_sites(2)
        budget = {'origin': self.make_origin(measured), 'max_rtt_ms': 20}
        self.assertEqual(measured, self.site_of_boot(**budget))
        self.assertEqual(
            base.REFUSED, self.site_of_boot(**budget, site=unmeasured)
        )

    @decorators.idempotent_id('6ac88fa7-099b-4bbb-b3ee-53fc6a6d5c0f')
    def test_site(self):
        """A server boots at a site that it asks for, however far it is."""
        near, far = self.pick_sites(2)
        origin = self.make_origin(near, far)
        self.assertEqual(far, self.site_of_boot(origin=origin, site=far))
        self.assertEqual(near, self.site_of_boot(site=near))

    @decorators.idempotent_id('06198e5b-bee6-420b-9bf5-21be92820cb8')
    def test_avoid_site(self):
        """A server boots at no site that it avoids, however near it is."""
        near, middle, far = self.pick_sites(3)
        origin = self.make_origin(near, middle, far)
        self.assertEqual(
            far, self.site_of_boot(origin=origin, avoid_site=[near, middle])
        )

    @decorators.idempotent_id('a37f13f7-8c93-482c-9bf9-414112e75d48')
    def test_tier(self):
        """A server boots at a site of the tier that it asks for."""
        near, other = self.pick_sites(2)
        tier = self._tier_of_one(other, near)
        origin = self.make_origin(near, other)
        self.assertEqual(near, self.site_of_boot(origin=origin))
        self.assertEqual(other, self.site_of_boot(origin=origin, tier=tier))

    def _tier_of_one(self, site, other):
        """Return a tier of a site that another is not of."""
        if not self._tiers(site):
            # As long as it has none, nobody can have asked for it.
            self.set_key(site, 'edge:tier', self.make_name('tier').lower())
        for tier in self._tiers(site) - self._tiers(other):
            return tier
        raise self.skipException(
            f'The sites {site} and {other} are of one tier. Two of different '
            'tiers, or without one, are needed: see [edge_filters] sites.'
        )

    def _tiers(self, site):
        return {
            self.metadata(aggregate).get('edge:tier', '').strip().lower()
            for aggregate in self.site_aggregates[site]
        } - {''}

    @decorators.idempotent_id('4900a01a-ebb0-47b3-b10f-ef736d4481f5')
    @decorators.attr(type='negative')
    def test_unknown_tier(self):
        """A server that asks for a tier that no site is of is refused."""
        tier = self.make_name('tier')
        self.assertEqual(base.REFUSED, self.site_of_boot(tier=tier))


class FlavorTest(base.EdgeFiltersTest):
    """A flavor speaks as hints do; where both speak, this is what counts."""

    @decorators.idempotent_id('084e1d27-7480-45ab-ac8e-0e3164a5a94c')
    def test_origin(self):
        """The origin of a flavor counts, unless a hint has another."""
        here, there = self.pick_sites(2)
        near_there = self.make_origin(there, here)
        flavor = self.make_flavor(origin=self.make_origin(here, there))
        self.assertEqual(here, self.site_of_boot(flavor=flavor))
        self.assertEqual(
            there, self.site_of_boot(flavor=flavor, origin=near_there)
        )

    @decorators.idempotent_id('38fc7884-8c43-495d-8e78-ec69592868ff')
    def test_budget(self):
        """Of the budgets of a flavor and of a hint the smaller counts."""
        near, middle = self.pick_sites(2)
        hints = {'origin': self.make_origin(near, middle), 'site': middle}
        for flavors_ms, hints_ms, site in (
            (20, 20, middle),
            (20, 8, base.REFUSED),
            (8, 20, base.REFUSED),
        ):
            flavor = self.make_flavor(max_rtt_ms=flavors_ms)
            self.assertEqual(
                site,
                self.site_of_boot(flavor=flavor, max_rtt_ms=hints_ms, **hints),
            )
