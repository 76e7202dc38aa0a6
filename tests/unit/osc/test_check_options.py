# SPDX-License-Identifier: Apache-2.0

import pathlib
import tempfile

from edge_filters import conf
from edge_filters.osc import check_options
from tests.unit import base
from tests.unit.osc import test_check_config


class OptionsTest(base.TestCase):
    def found(self, text):
        """Return checks, subjects and remedies for a nova.conf."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, 'nova.conf')
        path.write_text(text)
        return [
            (it.check, it.subject, it.remedy)
            for it in check_options.findings([str(path)])
        ]

    def test_known(self):
        """What the README says, every option, and all of Nova's are right."""
        self.assertEqual([], self.found(test_check_config.readme()))
        lines = [f'{option.name} = 1\n' for option in conf.OPTIONS]
        self.assertEqual(
            [],
            self.found(
                '[DEFAULT]\ndebug = 1\n[filter_scheduler]\nx = 1\n'
                '[Edge_Filters]\n' + ''.join(lines)
            ),
        )

    def test_option(self):
        """An option of ours that there is not has no effect, and is told."""
        found = self.found(
            '[edge_filters]\nmax_aeg = 60\nMode = off\ncolour = blue\n'
        )
        self.assertEqual(
            [
                (
                    'option-unknown',
                    '[edge_filters] max_aeg',
                    'spell it max_age',
                ),
                ('option-unknown', '[edge_filters] Mode', 'spell it mode'),
                (
                    'option-unknown',
                    '[edge_filters] colour',
                    'remove the line',
                ),
            ],
            found,
        )

    def test_section(self):
        """So is a section that is meant to be ours."""
        for name in ('edge_filter', 'edge-filters', 'EdgeFilters'):
            self.assertEqual(
                [('option-unknown', f'[{name}]', 'spell it [edge_filters]')],
                self.found(f'[{name}]\nmax_age = 60\n'),
            )

    def test_gone(self):
        """A file that went away is no failure: it was told before."""
        self.assertEqual([], list(check_options.findings(['/no/file'])))
