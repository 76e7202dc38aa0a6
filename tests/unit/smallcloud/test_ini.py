# SPDX-License-Identifier: Apache-2.0

from oslo_config import cfg

from smallcloud import ini
from tests.unit.smallcloud import base


class IniTest(base.TestCase):
    def test_read_back(self):
        """oslo.config reads what was written; a list is on several lines."""
        path = ini.write(
            self.folder / 'new' / 'a.conf',
            {'DEFAULT': {'debug': True}, 'a': {'b': ['x', 'y'], 'c': -1}},
            '[d]\ne = f = g\n',
        )
        sections = {}
        cfg.ConfigParser(str(path), sections).parse()
        self.assertEqual(
            {
                'DEFAULT': {'debug': ['True']},
                'a': {'b': ['x', 'y'], 'c': ['-1']},
                'd': {'e': ['f = g']},
            },
            sections,
        )
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
