# SPDX-License-Identifier: Apache-2.0

import os
import shlex

import fixtures
from osc_lib import exceptions

from edge_filters import cloud
from tests.cloud import transcript
from tests.unit.osc import base

PAGES = base.ROOT / 'doc' / 'source' / 'admin'


class DocumentationTest(base.CommandTestCase):
    def check(self, page):
        """Give the commands of a page, in a directory of their own."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(fixtures.FakeLogger())
        for step in transcript.steps((PAGES / page).read_text()):
            if step.command.startswith('openstack edge '):
                written = self.written(step.command.replace('\\\n', ''))
                self.assertEqual(step.output, written, step)

    def test_cli(self):
        """Every example of the page writes what the page says it writes."""
        self.check('cli.rst')

    def test_import(self):
        """What is exported can be imported, as the page says."""
        self.check('import.rst')

    def written(self, command):
        """Return what a command writes, as a terminal shows it."""
        _, _, *words = shlex.split(command)
        points = base.entry_points('openstack.edge.v1')
        length = 1 if f'edge_{words[0]}' in points else 2
        name, args = ' '.join(words[:length]), words[length:]
        error = ''
        try:
            self.run_command(name, *args)
        except (cloud.CloudError, exceptions.CommandError) as raised:
            error = str(raised)
        return (self.stdout.getvalue() + error).strip()
