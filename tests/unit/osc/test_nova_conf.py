# SPDX-License-Identifier: Apache-2.0

import pathlib
import tempfile

import nova.conf
from osc_lib import exceptions

from edge_filters.osc import nova_conf
from tests.unit import base


class NovaConfTest(base.TestCase):
    def write(self, text):
        """Return the path of a nova.conf with a text."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, 'nova.conf')
        path.write_text(text)
        return str(path)

    def error(self, *paths):
        """Return why files cannot be read."""
        return str(
            self.assertRaises(
                exceptions.CommandError, nova_conf.read_settings, paths
            )
        )

    def test_defaults(self):
        """Without a file every option has its default."""
        options = nova_conf.read()
        self.assertEqual(1000, options.scheduler.max_placement_results)
        self.assertEqual(2400, nova_conf.read_settings().max_age_s)

    def test_as_nova(self):
        """Nova's own options have the types and defaults of Nova."""
        options = nova_conf.read()
        for group, its in nova_conf._OF_NOVA.items():
            for option in its:
                there = nova.conf.CONF._get_opt_info(option.dest, group)
                self.assertEqual(
                    there['opt'].default, options[group][option.dest]
                )
                self.assertEqual(there['opt'].type, option.type)

    def test_files(self):
        """What a file sets counts, and the last file counts most."""
        first = self.write(
            '[DEFAULT]\ndebug = true\n[edge_filters]\nmax_age = 60\n'
            'fallback = moves\n[filter_scheduler]\n'
            'available_filters = one\navailable_filters = two\n'
        )
        second = self.write('[edge_filters]\nmax_age = 90\n')
        settings = nova_conf.read_settings([first, second])
        self.assertEqual(
            (90, 'moves'), (settings.max_age_s, settings.fallback)
        )
        self.assertEqual(
            ['one', 'two'],
            nova_conf.read([first]).filter_scheduler.available_filters,
        )

    def test_unreadable(self):
        """What cannot be read is one sentence that names file and option."""
        next_step = 'give --config-file the nova.conf that nova-scheduler'
        for text, why in (
            ('[edge_filters\n', 'Invalid section'),
            ('[edge_filters]\nmax_age = soon\n', 'max_age'),
            ('[edge_filters]\nrtt_band_ms = 400\n', 'rtt_band_ms'),
            ('[edge_filters]\nmode = on\n', 'mode'),
            ('[edge_filters]\nmode = $mode\n', 'refers to itself'),
        ):
            path = self.write(text)
            error = self.error(path)
            self.assertIn(why, error)
            self.assertIn(path, error)
            self.assertIn(next_step, error)
            self.assertNotIn('\n', error)
        self.assertIn(next_step, self.error('/does/not/exist'))
