# SPDX-License-Identifier: Apache-2.0
"""The sites of a cloud, origins of our own, and where servers come up."""

import collections
import json
import math
import time

from tempest import config
from tempest import exceptions
from tempest import test
from tempest.common import tempest_fixtures
from tempest.common import waiters
from tempest.lib.common import api_version_utils
from tempest.lib.common.utils import data_utils
from tempest.lib.common.utils import test_utils

CONF = config.CONF

# How far sites are that the tests write figures for: the first, the second
# and the third. Farther apart than [edge_filters] rtt_band_ms, within which
# sites are equally near.
RTTS_MS = (4, 12, 30)
TOO_FAR_MS = 60

# Where a live migration goes: Nova says.
ANYWHERE = {'host': None, 'block_migration': 'auto'}

# What stands for the name of a site where there is none.
REFUSED = '(refused)'
NO_SITE = '(no site)'

# nova-api casts a changed aggregate to the schedulers, and nobody can be asked
# whether they have it. They do after 20 ms.
PROPAGATION_S = 1.0


class EdgeFiltersTest(
    api_version_utils.BaseMicroversionTest, test.BaseTestCase
):
    """A test that writes figures of its own, and looks where servers go."""

    credentials = ('primary', 'admin')
    # From here on an administrator may say which host a server boots on.
    min_microversion = '2.74'

    _changed_at = -math.inf

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not (
            CONF.service_available.nova and CONF.service_available.edge_filters
        ):
            raise cls.skipException('edge-filters is not available.')
        api_version_utils.check_skip_with_microversion(
            cls.min_microversion,
            cls.max_microversion,
            CONF.compute.min_microversion,
            CONF.compute.max_microversion,
        )

    @classmethod
    def setup_credentials(cls):
        cls.set_network_resources()
        super().setup_credentials()

    @classmethod
    def setup_clients(cls):
        super().setup_clients()
        cls.user_servers = cls.os_primary.servers_client
        cls.servers = cls.os_admin.servers_client
        cls.flavors = cls.os_admin.flavors_client
        cls.aggregates = cls.os_admin.aggregates_client
        cls.services = cls.os_admin.services_client

    @classmethod
    def resource_setup(cls):
        super().resource_setup()
        cls.setup_api_microversion_fixture(
            compute_microversion=api_version_utils.select_request_microversion(
                cls.min_microversion, CONF.compute.min_microversion
            )
        )
        flavor = cls.flavors.show_flavor(CONF.compute.flavor_ref)['flavor']
        if any(name.startswith('edge:') for name in flavor['extra_specs']):
            raise cls.skipException(
                f'Flavor {flavor["name"]} of [compute] flavor_ref has edge: '
                'extra specs; the tests need one without.'
            )
        cls.find_sites()

    @classmethod
    def find_sites(cls):
        """Learn the sites, the hosts of each, and which of them to use."""
        up = {
            service['host']
            for service in cls.services.list_services(binary='nova-compute')[
                'services'
            ]
            if (service['status'], service['state']) == ('enabled', 'up')
        }
        cls.site_aggregates = collections.defaultdict(list)
        cls.host_sites = collections.defaultdict(set)
        for aggregate in cls.aggregates.list_aggregates()['aggregates']:
            site = aggregate['metadata'].get('edge:site', '').strip().lower()
            if site:
                cls.site_aggregates[site].append(aggregate)
                for host in aggregate['hosts']:
                    cls.host_sites[host].add(site)
        cls.site_hosts = {
            site: sorted(
                host for host in up if site in cls.host_sites.get(host, ())
            )
            for site in cls.site_aggregates
        }
        # The site with the most hosts is the first.
        cls.usable_sites = sorted(
            filter(cls._is_usable, cls.site_aggregates),
            key=lambda site: (-len(cls.site_hosts[site]), site),
        )
        for site, aggregates in cls.site_aggregates.items():
            if min(map(_default_rtt_ms, aggregates)) < TOO_FAR_MS:
                raise cls.skipException(
                    f'edge:rtt_default of site {site} would stand for the '
                    f'origins of the tests: it is not {TOO_FAR_MS} ms or more.'
                )

    @classmethod
    def _is_usable(cls, site):
        wanted = {name.strip().lower() for name in CONF.edge_filters.sites}
        return (
            (not wanted or site in wanted)
            and cls.site_hosts[site]
            and all(
                aggregate['metadata'].get('edge:status', '').strip().lower()
                in ('', 'active')
                and all(
                    cls.host_sites[it] == {site} for it in aggregate['hosts']
                )
                for aggregate in cls.site_aggregates[site]
            )
        )

    def setUp(self):
        super().setUp()
        self._booted = []
        # This runs last, so that they are all being deleted by then.
        self.addCleanup(self._await_deletions)

    def _await_deletions(self):
        for server in self._booted:
            waiters.wait_for_server_termination(
                self.servers, server, ignore_error=True
            )

    @staticmethod
    def make_name(of_what):
        return data_utils.rand_name(of_what, CONF.resource_name_prefix)

    # The sites, and what is written on them

    def pick_sites(self, needed, wanted=None):
        """Return the names of so many sites, or skip the test.

        :param wanted: how many it takes if there are more than it needs
        """
        found = self.usable_sites
        if len(found) < needed:
            raise self.skipException(
                f'{needed} sites are needed that [edge_filters] sites allows, '
                'whose edge:status is active, which have a nova-compute that '
                'is up, and no host that another site has as well; found: '
                f'{", ".join(found) or "none"}.'
            )
        return found[: wanted or needed]

    def make_origin(self, *sites):
        """Return a new origin, from which these are 4, 12 and 30 ms away."""
        origin = self.make_name('origin').lower()
        for site, rtt_ms in zip(sites, RTTS_MS, strict=False):
            self.set_figure(site, origin, rtt_ms)
        return origin

    def set_figure(self, site, origin, rtt_ms):
        self.set_key(site, f'edge:rtt:{origin}', str(rtt_ms))

    def set_key(self, site, key, value):
        """Set a key of a site until the end of the test."""
        self._set_key(site, key, value, self.addCleanup)

    @classmethod
    def set_key_for_class(cls, site, key, value):
        """Set a key of a site until the end of all tests of the class."""
        cls._set_key(site, key, value, cls.addClassResourceCleanup)

    @classmethod
    def _set_key(cls, site, key, value, add_cleanup):
        for aggregate in cls.site_aggregates[site]:
            before = cls.metadata(aggregate).get(key)
            add_cleanup(cls._write, aggregate['id'], key, before)
            cls._write(aggregate['id'], key, value)

    @classmethod
    def metadata(cls, aggregate):
        """Return the metadata that an aggregate has now."""
        shown = cls.aggregates.show_aggregate(aggregate['id'])
        return shown['aggregate']['metadata']

    @classmethod
    def _write(cls, aggregate_id, key, value):
        # Of two writes to an aggregate at one time Nova may leave the
        # schedulers without one, so that the workers take turns.
        with tempest_fixtures.LockFixture('edge_filters_aggregates'):
            cls.aggregates.set_metadata(aggregate_id, metadata={key: value})
        cls._changed_at = time.monotonic()

    def settle(self):
        """Wait until the schedulers have what was written."""
        rest_s = self._changed_at + PROPAGATION_S - time.monotonic()
        time.sleep(max(0, rest_s))

    # Flavors and servers

    def make_flavor(self, **specs):
        """Return a flavor that says so of the edge: max_rtt_ms=20."""
        model = self.flavors.show_flavor(CONF.compute.flavor_ref)['flavor']
        flavor = self.flavors.create_flavor(
            name=self.make_name('edge-flavor'),
            ram=model['ram'],
            vcpus=model['vcpus'],
            disk=model['disk'],
            ephemeral=model['OS-FLV-EXT-DATA:ephemeral'],
            swap=model['swap'] or 0,
            is_public=False,
        )['flavor']['id']
        self.addCleanup(self.flavors.delete_flavor, flavor)
        self.flavors.add_flavor_access(flavor, self.user_servers.project_id)
        self.flavors.set_flavor_extra_spec(
            flavor, **model['extra_specs'], **_edge(specs)
        )
        return flavor

    def request_server(
        self,
        client=None,
        flavor=None,
        host=None,
        called_from=None,
        **hints,
    ):
        """Ask for a server with such hints: origin=..., and return its ID.

        :param called_from: address that nova-api takes for the caller's
        """
        body = {'server': self.describe_server(flavor)}
        if hints:
            body['os:scheduler_hints'] = _edge(hints)
        if host:
            body['server']['host'] = host
        client = client or self.user_servers
        server = self.post(client, 'servers', body, called_from)['server']
        return self.keep_track(server['id'])

    def describe_server(self, flavor=None):
        """Return what a request for a server has to say."""
        return {
            'name': self.make_name('edge-server'),
            'imageRef': CONF.compute.image_ref,
            'flavorRef': flavor or CONF.compute.flavor_ref,
            'networks': 'none',
        }

    @staticmethod
    def post(client, path, body, called_from=None):
        """Send a request as if from an address, and return the answer."""
        headers = {'X-Forwarded-For': str(called_from)} if called_from else {}
        _, text = client.post(
            path, json.dumps(body), headers=headers, extra_headers=True
        )
        return json.loads(text) if text else {}

    def keep_track(self, server):
        """Delete a server at the end of the test, and return its ID."""
        self._booted.append(server)
        self.addCleanup(self._delete, server)
        return server

    def _delete(self, server):
        test_utils.call_and_ignore_notfound_exc(
            self.servers.delete_server, server
        )

    def wait(self, server, status='ACTIVE'):
        waiters.wait_for_server_status(self.servers, server, status)

    def boot(self, **how):
        """Boot a server and return its ID once it is there."""
        self.settle()
        server = self.request_server(**how)
        self.wait(server)
        return server

    def site_of_boot(self, **how):
        """Return the site that a server so asked for boots at, or REFUSED."""
        self.settle()
        return self.site_of_request(self.request_server(**how))

    def site_of_request(self, server):
        """The same for a server that has been asked for."""
        try:
            self.wait(server)
        except exceptions.BuildErrorException as error:
            self.assertIn('No valid host', str(error))
            return REFUSED
        return self.site_of(server)

    def why_refused(self, **how):
        """Return what the user of a server reads that is refused."""
        self.settle()
        server = self.request_server(**how)
        self.assertEqual(REFUSED, self.site_of_request(server))
        shown = self.user_servers.show_server(server)['server']
        return shown['fault']['message']

    def host_of(self, server):
        return self.servers.show_server(server)['server'][
            'OS-EXT-SRV-ATTR:host'
        ]

    def site_of(self, server):
        sites = self.host_sites.get(self.host_of(server), {NO_SITE})
        return ' '.join(sorted(sites))

    # Moves. Each returns the site where the server is then.

    def live_migrate(self, server, **how):
        self.settle()
        self.servers.live_migrate_server(server, **(ANYWHERE | how))
        self.wait(server)
        return self.site_of(server)

    def cold_migrate(self, server):
        self.settle()
        self.servers.migrate_server(server)
        return self.confirm(server)

    def confirm(self, server):
        """Confirm a cold migration or a resize."""
        self.wait(server, 'VERIFY_RESIZE')
        self.servers.confirm_resize_server(server)
        self.wait(server)
        return self.site_of(server)


def _edge(names):
    """Hints or extra specs as Nova wants them, from names without edge:."""
    return {
        f'edge:{name}': value if isinstance(value, list) else str(value)
        for name, value in names.items()
    }


def _default_rtt_ms(aggregate):
    """How far an aggregate says all origins are that it does not list."""
    text = aggregate['metadata'].get('edge:rtt_default', '')
    try:
        return float(text.strip().partition(' ')[0])
    except ValueError:
        # Not there, or a bound such as >100: no figure, then.
        return math.inf
