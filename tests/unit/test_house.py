# SPDX-License-Identifier: Apache-2.0

import ast
import pathlib

import edge_filters
from tests.unit import base

ROOT = pathlib.Path(edge_filters.__file__).parent

# Which rooms of the house a room may import from, besides itself.
MAY_IMPORT = {
    '': {'spelling'},
    'conf': {'spelling'},
    'spelling': set(),
    'agent': {'cloud', 'conf', 'latency', 'ratelimit', 'spelling'},
    'cmd': {'agent', 'cloud', 'conf'},
    'background': set(),
    'ratelimit': set(),
    'latency': {'spelling'},
    'origins': {'background', 'latency', 'ratelimit', 'spelling'},
    'cloud': {'latency', 'spelling'},
    'proximity': {'latency', 'origins', 'spelling'},
    'world': {'latency', 'origins', 'spelling'},
    'case': {
        'conf',
        'latency',
        'origins',
        'proximity',
        'spelling',
        'world',
    },
    'refusal': {'latency', 'origins', 'proximity', 'spelling'},
    'api': {
        'background',
        'conf',
        'latency',
        'origins',
        'ratelimit',
        'spelling',
    },
    'osc': {
        'case',
        'cloud',
        'conf',
        'latency',
        'origins',
        'proximity',
        'spelling',
        'world',
    },
    'scheduler': {
        'background',
        'case',
        'conf',
        'latency',
        'origins',
        'proximity',
        'ratelimit',
        'refusal',
        'spelling',
        'world',
    },
}
MAY_IMPORT_NOVA = {'api', 'scheduler'}


def imports(path):
    """Full names of all that a module imports, wherever in the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path} has a relative import'
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


class HouseTest(base.TestCase):
    def test_every_room_is_known(self):
        """A new room is written into the plan before it is built."""
        rooms = {
            path.relative_to(ROOT).parts[0].removesuffix('.py')
            for path in ROOT.rglob('*.py')
        }
        self.assertEqual(set(MAY_IMPORT) - {''}, rooms - {'__init__'})

    def test_tempest_plugin(self):
        """The Tempest plugin needs a cloud to run, and nothing of ours."""
        for path in (ROOT.parent / 'edge_filters_tempest_plugin').rglob(
            '*.py'
        ):
            for name in imports(path):
                self.assertNotIn(
                    name.partition('.')[0],
                    ('edge_filters', 'nova', 'sandbox', 'tests'),
                    path,
                )

    def test_direction(self):
        """Imports point inward, and only the outermost rooms know Nova."""
        for path in ROOT.rglob('*.py'):
            room = path.relative_to(ROOT).parts[0].removesuffix('.py')
            room = '' if room == '__init__' else room
            for name in imports(path):
                package, _, rest = name.partition('.')
                other = rest.partition('.')[0]
                if package == 'nova':
                    self.assertIn(room, MAY_IMPORT_NOVA, f'{path}: {name}')
                elif package == 'edge_filters' and other != room:
                    self.assertIn(other, MAY_IMPORT[room], f'{path}: {name}')
                self.assertNotIn(
                    package, ('sandbox', 'tests', 'eventlet', 'asyncio'), path
                )
