# SPDX-License-Identifier: Apache-2.0
"""A small cloud of real services, shared by the tests of a process."""

import fixtures
from oslotest import base

from sandbox import cloud as sandbox_cloud

# Sites of two small hosts each, and a host in no site.
SITE_HOSTS = {
    site: (f'{site}-a', f'{site}-b') for site in ('par', 'lyo', 'mrs')
}
LONELY_HOST = 'lonely'
HOSTS = (*(host for pair in SITE_HOSTS.values() for host in pair), LONELY_HOST)
VCPUS = 4
OPTIONS = {'DEFAULT': {'cpu_allocation_ratio': 1.0}}
UUID = '5b7bd7d4-91a5-4dea-a7c4-7e06a1bd2e5b'


class TestCase(base.BaseTestCase):
    """A test whose docstring is the rule it holds."""

    _shared: sandbox_cloud.Cloud | None = None

    def setUp(self):
        # Before the temporary directory becomes one of this test alone.
        if TestCase._shared is None:
            cloud = sandbox_cloud.Cloud(
                [sandbox_cloud.Host(name, vcpus=VCPUS) for name in HOSTS],
                options=OPTIONS,
            )
            TestCase._shared = cloud
        super().setUp()
        self.cloud = TestCase._shared
        self.addCleanup(self.cloud.reset)
        self.log = self.useFixture(fixtures.FakeLogger(level=20))

    def make_sites(self, **rtts_ms):
        """Make each site, with figures from paris: par=4, lyo='9 n=20'."""
        return {
            site: self.cloud.create_site(
                site,
                SITE_HOSTS[site],
                {} if rtt is None else {'edge:rtt:paris': str(rtt)},
            )
            for site, rtt in rtts_ms.items()
        }

    def boot(self, **how):
        """Boot one server; return it and the host it is on, or ''."""
        (server,) = self.cloud.boot(**how)
        return server, self.cloud.host_of(server)

    def site_of(self, host):
        return host.rpartition('-')[0]
