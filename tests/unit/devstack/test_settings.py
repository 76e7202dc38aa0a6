# SPDX-License-Identifier: Apache-2.0

import re

from tests.unit import base
from tests.unit.devstack import stack

SETTINGS = (stack.PLUGIN / 'settings').read_text()
SAMPLE = (stack.PLUGIN / 'local.conf.sample').read_text()
CODE = ''.join(
    (stack.PLUGIN / name).read_text()
    for name in ('plugin.sh', 'lib/edge-filters')
)
NAMES = set(re.findall('^(EDGE_[A-Z_]+)=', SETTINGS, re.MULTILINE))
# Bash has these itself.
BASH = {'HOSTNAME', 'LINENO', 'SECONDS'}


def assigned(text):
    """Return the variables that a script sets."""
    return set(re.findall(r'^\s*(?:export )?([A-Z][A-Z_]+)\+?=', text, re.M))


def used(text):
    """Return the variables that a script reads."""
    code = re.sub('^ *#.*', '', text, flags=re.MULTILINE)
    names = re.findall(r'\$\{?([A-Z][A-Z_]+)\b', code)
    for expression in re.findall(r'\(\((.*?)\)\)', code, re.DOTALL):
        names += re.findall(r'\b[A-Z][A-Z_]+\b', expression)
    return set(names)


class SettingsTest(base.TestCase):
    def test_used(self):
        """Every variable of settings is used."""
        self.assertEqual(
            set(), NAMES - used(CODE) - {'EDGE_FILTERS_DIR'} - used(SETTINGS)
        )

    def test_known(self):
        """No variable is used that neither settings nor DevStack has."""
        known = assigned((stack.HERE / 'run.sh').read_text()) | BASH
        self.assertEqual(
            set(),
            used(CODE + SETTINGS) - NAMES - assigned(CODE) - known,
        )

    def test_overridden(self):
        """Whatever local.conf sets stays, an empty value of a list too."""
        defaults = stack.settings('')
        self.assertEqual(NAMES, defaults.keys())
        other = {
            name: {'True': 'False', 'False': 'True'}.get(value, 'other')
            for name, value in defaults.items()
        }
        given = ''.join(f'{name}={other[name]}\n' for name in other)
        self.assertEqual(other, stack.settings(given))
        lists = (
            'EDGE_FILTERS_TRUSTED_PROXIES',
            'EDGE_FILTERS_SITES',
            'EDGE_FILTERS_ORIGINS',
        )
        found = stack.settings(''.join(f'{name}=\n' for name in lists))
        self.assertEqual([''] * 3, [found[name] for name in lists])

    def test_sample(self):
        """The sample has every variable, each with its default."""
        section = SAMPLE.partition('[[local|localrc]]\n')[2]
        lines = dict(re.findall('^#?([A-Z_]+)=(.*)$', section, re.MULTILINE))
        for name in ('VIRT_DRIVER', 'NUMBER_FAKE_NOVA_COMPUTE'):
            del lines[name]
        self.assertEqual(NAMES, lines.keys())
        given = ''.join(f'{name}={lines[name]}\n' for name in lines)
        self.assertEqual(stack.settings(''), stack.settings(given))

    def test_sample_names(self):
        """The sample enables the plugin by the name that it has."""
        self.assertIn('enable_plugin edge-filters https://', SAMPLE)
        self.assertIn('define_plugin edge-filters\n', SETTINGS)
        self.assertEqual(
            '/opt/stack/edge-filters', stack.settings('')['EDGE_FILTERS_DIR']
        )


if stack.DEVSTACK:

    class DevStackSettingsTest(base.TestCase):
        def test_known(self):
            """Whatever DevStack is said to set it sets."""
            script = (stack.HERE / 'run.sh').read_text()
            names = used(CODE + SETTINGS) & assigned(script)
            folder = stack.pathlib.Path(stack.DEVSTACK)
            theirs = set()
            for path in folder.rglob('*'):
                if path.is_file() and '.git' not in path.parts:
                    theirs |= assigned(path.read_text(errors='replace'))
            self.assertEqual(set(), names - NAMES - BASH - theirs)
