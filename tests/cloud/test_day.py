# SPDX-License-Identifier: Apache-2.0

import pathlib
import shutil

import fixtures

from tests.cloud import base
from tests.cloud import test_openstack_edge
from tests.cloud import transcript

PAGE = pathlib.Path(__file__).parents[2] / 'doc/source/admin/day.rst'
SERVERS = ('web-1', 'web-2')


class DayTest(test_openstack_edge.CloudTestCase):
    """The page on an operator's day, in a cloud without sites."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self._delete_servers)
        compute = self.openstack.compute
        for aggregate in compute.aggregates():
            edge = [it for it in aggregate.metadata if it.startswith('edge:')]
            compute.set_aggregate_metadata(aggregate, dict.fromkeys(edge))
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        # As an operator would copy it from a scheduler's host.
        shutil.copy(base.FOLDER / 'etc' / 'nova.conf', self.folder)

    def _delete_servers(self):
        compute = self.openstack.compute
        for server in list(compute.servers()):
            if server.name in SERVERS:
                compute.delete_server(server)
                compute.wait_for_delete(server)

    def test_day(self):
        """Every command of the page writes what the page shows."""
        count = transcript.run(PAGE, self.folder, base.environment())
        self.assertGreater(count, 20)
