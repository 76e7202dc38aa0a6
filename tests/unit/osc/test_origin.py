# SPDX-License-Identifier: Apache-2.0

import json
import pathlib

import fixtures
from osc_lib import exceptions

from tests.unit.osc import base

FIRST = [
    {
        'network-map': {
            'paris': {'ipv4': ['192.0.2.128/25', '198.51.100.0/24']},
        }
    },
    {'projects': {'0c7e5b1ad2f8': ['paris', 'lyon']}},
]
SECOND = {'network-map': {'nice': {'ipv4': ['198.51.100.0/24', 'x']}}}


class OriginTestCase(base.CommandTestCase):
    """The small cloud, and two map files."""

    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.maps = []
        for name, content in (('first', FIRST), ('second', SECOND)):
            (folder / name).write_text(json.dumps(content))
            self.maps += ['--map-file', str(folder / name)]
        self.first = self.maps[1]


class ListTest(OriginTestCase):
    """openstack edge origin list"""

    def test_list(self):
        """Origins are measured, or attached to a site, or in a map file."""
        self.assertEqual(
            [
                ['lyon', 0, 2, 'lyo-01', 2.3],
                ['nice', 0, 0, None, None],
                ['par-01', 2, 0, None, None],
                ['paris', 2, 2, 'par-01', 4.1],
            ],
            [list(it.values()) for it in self.json('origin list', *self.maps)],
        )


class ShowTest(OriginTestCase):
    """openstack edge origin show"""

    def test_show(self):
        """An origin is shown with its prefixes, and the sites near to it."""
        shown = self.json('origin show', 'paris', *self.maps)
        self.assertEqual(
            {
                'name': 'paris',
                'prefixes': [
                    f'192.0.2.128/25 ({self.first})',
                    f'198.51.100.0/24 ({self.first})',
                ],
                'projects': ['0c7e5b1ad2f8'],
                'sites': 2,
                'nearest_sites': {'par-01': 4.1},
            },
            shown,
        )

    def test_unknown(self):
        """A name that is not known is answered with those like it."""
        self.assertEqual(
            "There is no origin 'pariz'. Is it paris? All are listed by: "
            'openstack edge origin list',
            self.error(exceptions.CommandError, 'origin show', 'pariz'),
        )


class LocateTest(OriginTestCase):
    """openstack edge origin locate"""

    def test_site(self):
        """An address is located by the prefix of a site."""
        self.assertEqual(
            {
                'address': '192.0.2.200',
                'origin': 'par-01',
                'prefix': '192.0.2.0/24',
                'source': 'site par-01',
            },
            self.json('origin locate', '192.0.2.200'),
        )

    def test_map_files(self):
        """The longest prefix wins, and of equal ones the earlier file."""
        for address in ('192.0.2.200', '198.51.100.7', '::ffff:198.51.100.7'):
            shown = self.json('origin locate', address, *self.maps)
            self.assertEqual(
                ('paris', self.first), (shown['origin'], shown['source'])
            )

    def test_nowhere(self):
        """An address of no origin is said to be, and what to do about it."""
        error = self.error(
            exceptions.CommandError, 'origin locate', '203.0.113.9'
        )
        self.assertIn('203.0.113.9 belongs to no origin; give', error)

    def test_ambiguous(self):
        """A prefix of two origins is said to be."""
        error = self.error(
            exceptions.CommandError,
            'origin locate',
            '192.0.2.0/24',
            *self.maps,
        )
        self.assertIn('192.0.2.0/24 has addresses of par-01 and paris', error)

    def test_bad_files(self):
        """A file that is not there, or is none of ours, is named."""
        path = pathlib.Path(self.first)
        path.write_text('{}')
        for file, text in (
            (str(path), f'Map file {path} is no map file: it has none of'),
            ('/nowhere', '/nowhere cannot be read: No such file'),
        ):
            error = self.error(
                exceptions.CommandError,
                'origin locate',
                '::1',
                '--map-file',
                file,
            )
            self.assertIn(text, error)

    def test_bad_entries(self):
        """An entry of a file that cannot be read is warned of."""
        log = self.useFixture(fixtures.FakeLogger())
        self.run_command('origin locate', '192.0.2.1', *self.maps)
        self.assertIn("'x' is skipped: it is no prefix", log.output)
