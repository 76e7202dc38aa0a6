# SPDX-License-Identifier: Apache-2.0

from edge_filters.agent import change
from edge_filters.agent import preview
from tests.unit import base


class PreviewTest(base.TestCase):
    def test_table(self):
        """A person sees what is there, what would be, and why."""
        text = preview.table(
            [
                change.Change('par', 'edge:rtt:paris', None, '4.1', 'new'),
                change.Change('par', 'edge:rtt:\x1bx', '3', None, 'far'),
            ]
        )
        _, head, _, first, second, _ = text.splitlines()
        self.assertEqual(
            ['Site', 'Key', 'Published', 'Would be', 'Why'],
            [it.strip() for it in head.strip('|').split('|')],
        )
        self.assertEqual(
            ['par', 'edge:rtt:paris', '', '4.1', 'new'],
            [it.strip() for it in first.strip('|').split('|')],
        )
        self.assertIn('(removed)', second)
        self.assertNotIn('\x1b', text)
