# SPDX-License-Identifier: Apache-2.0

from concurrent import futures

from oslo_log import log
from tempest import config
from tempest.lib import decorators
from tempest.lib import exceptions

from edge_filters_tempest_plugin.tests import base

CONF = config.CONF
LOG = log.getLogger(__name__)

SERVERS = 20


class ManyTest(base.EdgeFiltersTest):
    """Many servers at once, each of them within its budget."""

    def setUp(self):
        super().setUp()
        self._raise_quota()

    def _raise_quota(self):
        """Let the project have as many servers as the test needs."""
        client = self.os_admin.quotas_client
        project = self.user_servers.project_id
        flavor = self.flavors.show_flavor(CONF.compute.flavor_ref)['flavor']
        needed = {
            'instances': SERVERS,
            'cores': SERVERS * flavor['vcpus'],
            'ram': SERVERS * flavor['ram'],
        }

        def lacking():
            quota = client.show_quota_set(project)['quota_set']
            return {
                name: quota[name]
                for name, number in needed.items()
                if -1 < quota[name] < number
            }

        before = lacking()
        try:
            if before:
                client.update_quota_set(project, **dict.fromkeys(before, -1))
                self.addCleanup(
                    client.update_quota_set, project, force=True, **before
                )
        except exceptions.ClientRestClientException as error:
            LOG.info('Nova does not let us change quotas: %s', error)
        # Where limits are kept in Keystone, Nova changes none of them.
        if lacking():
            raise self.skipException(
                f'{SERVERS} servers need {needed}, the quota of the project '
                f'is {lacking()}, and Nova does not let us change it.'
            )

    @decorators.idempotent_id('ad9f7eed-7004-4632-b5df-aaa6e1650570')
    @decorators.attr(type='slow')
    def test_concurrent_boots(self):
        """Of 20 servers booted at once each is near its own users."""
        here, there = self.pick_sites(2)
        origins = [
            self.make_origin(here, there),
            self.make_origin(there, here),
        ]
        self.settle()
        with futures.ThreadPoolExecutor(SERVERS) as pool:
            boots = [
                pool.submit(self.request_server, origin=origin, max_rtt_ms=8)
                for origin in origins * (SERVERS // 2)
            ]
        self.assertEqual(
            [here, there] * (SERVERS // 2),
            [self.site_of_request(boot.result()) for boot in boots],
        )

    @decorators.idempotent_id('2fd067c9-05c5-4f81-af67-87acd5b1e349')
    @decorators.attr(type='slow')
    def test_figures_changed_while_booting(self):
        """A figure that changes while servers boot misleads none of them.

        Each goes to a site that met its budget, at most a moment ago, and the
        one after the last change to a site that still does.
        """
        sites = self.pick_sites(2, wanted=3)
        near, middle, *_ = sites
        budget = {'origin': self.make_origin(*sites), 'max_rtt_ms': 20}
        self.settle()
        boots = []
        with futures.ThreadPoolExecutor(4) as pool:
            for rtt_ms in (base.TOO_FAR_MS, base.RTTS_MS[0]) * 5:
                boots.append(pool.submit(self.request_server, **budget))
                self.set_figure(near, budget['origin'], rtt_ms)
        for boot in boots:
            self.assertIn(self.site_of_request(boot.result()), (near, middle))
        self.set_figure(near, budget['origin'], base.TOO_FAR_MS)
        self.assertEqual(middle, self.site_of_boot(**budget))
