# SPDX-License-Identifier: Apache-2.0

import re
import shlex

from osc_lib import exceptions

from edge_filters import cloud
from tests.unit.osc import base

PAGE = base.ROOT / 'doc' / 'source' / 'admin' / 'cli.rst'

_BLOCK = re.compile(r'\.\. code-block:: console\n\n((?:   .*\n|\n)+)')


def examples(text):
    """Yield the commands of a page, and what it says that they write."""
    for block in _BLOCK.findall(text):
        lines = re.sub(r'(?m)^   ', '', block).replace('\\\n', '')
        for example in re.split(r'(?m)^\$ ', lines)[1:]:
            command, _, output = example.partition('\n')
            if command.startswith('openstack edge'):
                yield command, output.rstrip()


class DocumentationTest(base.CommandTestCase):
    def test_examples(self):
        """Every example of the page writes what the page says it writes."""
        for command, output in examples(PAGE.read_text()):
            self.assertEqual(output, self.written(command), command)

    def written(self, command):
        """Return what a command writes, as a terminal shows it."""
        _, _, noun, verb, *args = shlex.split(command)
        try:
            return self.run_command(f'{noun} {verb}', *args).rstrip()
        except (cloud.CloudError, exceptions.CommandError) as error:
            return str(error)
