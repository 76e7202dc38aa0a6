# SPDX-License-Identifier: Apache-2.0

import enum
import socket

from smallcloud import errors
from smallcloud import layout
from tests.unit import base


class PortsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.sockets = [socket.socket() for _ in range(3)]
        for each in self.sockets:
            self.addCleanup(each.close)
            # As servers do.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((layout.ADDRESS, 0))
        numbers = [each.getsockname()[1] for each in self.sockets]
        names = ('DATABASE', 'BROKER_NODE', 'COMPUTE')
        self.ports = enum.IntEnum(
            'Ports', dict(zip(names, numbers, strict=True))
        )

    def test_free(self):
        """Where nobody listens, nothing is said."""
        for each in self.sockets:
            each.close()
        layout.check_ports_are_free(self.ports)

    def test_in_use(self):
        """Each port in use is named with who needs it, and no other is."""
        database, broker, compute = self.sockets
        database.listen()
        broker.close()
        compute.listen()
        error = self.assertRaises(
            errors.CloudError, layout.check_ports_are_free, self.ports
        )
        self.assertIn(
            f'port {self.ports.DATABASE.value} (database), '
            f'{self.ports.COMPUTE.value} (compute). ',
            str(error),
        )
        self.assertNotIn('broker', str(error))

    def test_somebody_was_there(self):
        """Connections that wait for their end keep no cloud from starting."""
        database, broker, compute = self.sockets
        broker.close()
        compute.close()
        database.listen()
        client = socket.create_connection(database.getsockname())
        accepted, _ = database.accept()
        # Who closes first is who waits.
        accepted.close()
        client.close()
        database.close()
        layout.check_ports_are_free(self.ports)


class HostsTest(base.TestCase):
    def test_spread(self):
        """Hosts are spread over the sites as evenly as can be."""
        self.assertEqual(
            {
                'site-1': ['compute-1-1', 'compute-1-2'],
                'site-2': ['compute-2-1', 'compute-2-2'],
                'site-3': ['compute-3-1', 'compute-3-2'],
            },
            layout.compute_hosts(3, 6),
        )
        for sites, computes in ((1, 1), (4, 4), (4, 11), (12, 30)):
            hosts = layout.compute_hosts(sites, computes)
            self.assertEqual(sites, len(hosts))
            counts = [len(names) for names in hosts.values()]
            self.assertEqual(computes, sum(counts))
            self.assertLessEqual(max(counts) - min(counts), 1)
            names = {name for some in hosts.values() for name in some}
            self.assertEqual(computes, len(names))
            self.assertNotIn(layout.SPARE_HOST, names)
