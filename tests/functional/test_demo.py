# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import subprocess
import sys

import fixtures
from oslotest import base


class DemoTest(base.BaseTestCase):
    def test_every_server_is_near(self):
        """The demo ends well, with a picture and all servers accounted for."""
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        finished = subprocess.run(
            [
                *(sys.executable, '-m', 'sandbox.demo'),
                *('--picture', path / 'demo.png'),
                *('--json', path / 'demo.json'),
            ],
            capture_output=True,
            check=False,
            text=True,
        )
        self.assertEqual(0, finished.returncode, finished.stderr[-2000:])
        self.assertGreater((path / 'demo.png').stat().st_size, 100_000)
        boots = json.loads((path / 'demo.json').read_text())['boots']
        self.assertEqual({36}, {len(servers) for servers in boots.values()})
