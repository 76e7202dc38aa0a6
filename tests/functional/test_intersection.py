# SPDX-License-Identifier: Apache-2.0

from tests.functional import test_request_filter

PARIS = test_request_filter.PARIS
TRAIT = 'CUSTOM_EDGE_TEST'
NO_ROOM = (
    'No host with room for the server, and with all that it requires, at the '
)
NOT_ENOUGH = 'There are not enough hosts available'


class IntersectionTest(test_request_filter.QueryTestCase):
    """What Nova itself asks Placement for holds beside the sites.

    A server is at the nearest of the sites that are left, and is refused
    where there is none.
    """

    HINTS = {**PARIS, 'edge:max_rtt_ms': '20'}  # noqa: RUF012

    def setUp(self):
        super().setUp()
        self.make_sites(par=4, lyo=9, mrs=30)
        self.log.reset_output()

    def _assert_in_both(self, host, terms, **how):
        """A server is on a host, and what was asked for; none is at par."""
        server, its_host = self.boot(hints=self.HINTS, **how)
        self.assertEqual(('ACTIVE', host), (server.status, its_host))
        self.assertEqual([terms] * 2, self.queries())
        server, its_host = self.boot(hints={'edge:site': 'par'}, **how)
        self.assertEqual('ERROR', server.status)
        self.assertIn(
            f'{NO_ROOM}one edge site among par', server.fault['message']
        )
        self.assertEqual(1, len(self.queries()))

    def test_availability_zone(self):
        """Within the availability zone that was asked for."""
        self.cloud.create_aggregate(
            'zone', ['lyo-b', 'mrs-a'], {'availability_zone': 'zone'}
        )
        self._assert_in_both(
            'lyo-b', ['lyo', 'zone'], availability_zone='zone'
        )

    def test_tenant_isolation(self):
        """On the hosts that its project is limited to."""
        self.set_options(
            'scheduler', limit_tenants_to_placement_aggregate=True
        )
        self.cloud.create_aggregate(
            'theirs', ['lyo-a', 'mrs-a'], {'filter_tenant_id': 'tenant'}
        )
        self._assert_in_both(
            'lyo-a',
            ['lyo', 'theirs'],
            connection=self.cloud.connect('user', 'tenant'),
        )

    def test_forbidden_aggregates(self):
        """Not on hosts that are kept for servers with a trait."""
        self.set_options('scheduler', enable_isolated_aggregate_filtering=True)
        self.cloud.create_aggregate(
            'kept', ['par-a', 'par-b', 'lyo-a'], {f'trait:{TRAIT}': 'required'}
        )
        self._assert_in_both('lyo-b', ['!kept', 'lyo,par'])

    def test_required_traits(self):
        """On hosts that have the traits that its flavor requires."""
        self._placement('PUT', f'/traits/{TRAIT}')
        for host in ('lyo-b', 'mrs-a'):
            self._add_trait(host)
        flavor = self.cloud.flavor(
            'flavor', extra_specs={f'trait:{TRAIT}': 'required'}
        )
        self._assert_in_both('lyo-b', ['lyo,par'], flavor=flavor)

    def _placement(self, method, url, **body):
        client = self.cloud.scheduler.placement_client
        response = client._client.request(
            url, method, json=body or None, microversion='1.36'
        )
        return response.json() if response.content else None

    def _add_trait(self, host):
        found = self._placement('GET', f'/resource_providers?name={host}')
        (provider,) = found['resource_providers']
        url = f'/resource_providers/{provider["uuid"]}/traits'
        before = self._placement('GET', url)['traits']
        self._set_traits(url, [*before, TRAIT])
        self.addCleanup(self._set_traits, url, before)

    def _set_traits(self, url, traits):
        generation = self._placement('GET', url)[
            'resource_provider_generation'
        ]
        self._placement(
            'PUT',
            url,
            traits=traits,
            resource_provider_generation=generation,
        )

    def test_several_servers(self):
        """For several servers of one request, in the order of the sites.

        Where all of them have no room together, all are refused.
        """
        self.fill('par-b')
        self.log.reset_output()
        for count, sites in (
            (2, ['lyo', 'par']),
            (2, NOT_ENOUGH),
            (1, ['lyo']),
            (2, f'{NO_ROOM}2 edge sites within 20 ms of origin paris'),
        ):
            servers = self.cloud.boot(
                hints=self.HINTS, flavor=self.filling, count=count
            )
            if isinstance(sites, list):
                self.assertEqual(sites, sorted(map(self.site, servers)))
            else:
                for server in servers:
                    self.assertIn(sites, server.fault['message'])
            queries = self.queries()
            self.assertEqual([['lyo,par']] * len(queries), queries)
