# SPDX-License-Identifier: Apache-2.0

import shlex
import subprocess

from tests.cloud import base

TIMEOUT_S = 60


def commands():
    """The openstack lines of the README, as a person types them."""
    readme = (base.FOLDER.parent / 'README.rst').read_text()
    lines = readme.replace('\\\n', ' ').splitlines()
    return [
        line.strip().removeprefix('$ ')
        for line in lines
        if line.startswith('    $ openstack ')
    ]


class ReadmeTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self._remove_what_it_makes)

    def _remove_what_it_makes(self):
        compute = self.openstack.compute
        servers = list(compute.servers())
        for server in servers:
            compute.delete_server(server)
        for server in servers:
            compute.wait_for_delete(server)
        if flavor := compute.find_flavor('surgery'):
            compute.delete_flavor(flavor)
        if aggregate := compute.find_aggregate('par-01'):
            for host in aggregate.hosts:
                compute.remove_host_from_aggregate(aggregate.id, host)
            compute.delete_aggregate(aggregate.id)

    def test_openstack_lines(self):
        """What the README tells a person to type works as it stands."""
        booted = []
        for command in commands():
            if ' server create ' in command:
                command += ' --wait'
                booted.append(shlex.split(command)[-2])
            done = subprocess.run(
                ['sh', '-c', f'. {base.FOLDER}/openrc && {command}'],
                capture_output=True,
                check=False,
                text=True,
                timeout=TIMEOUT_S,
            )
            self.assertEqual(0, done.returncode, f'{command}\n{done.stderr}')
        self.assertEqual(['ar-1', 'scene-1', 'theatre-1'], booted)
        self.assertEqual(
            {(name, 'ACTIVE', 'compute-par-1') for name in booted},
            {
                (server.name, server.status, server.compute_host)
                for server in self.openstack.compute.servers(details=True)
            },
        )
