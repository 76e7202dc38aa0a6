# SPDX-License-Identifier: Apache-2.0

import ast
import configparser
import importlib.metadata
import itertools
import re
import sys

from tests.unit import base
from tests.unit import test_house
from tests.unit.osc import base as osc_base

ROOT = osc_base.ROOT
PACKAGES = ('edge_filters', 'edge_filters_tempest_plugin')

# What a requirement is: a name and a lower bound, and no place to get it from.
_BOUND = re.compile(r'[A-Za-z][\w.\-]*>=[0-9][0-9.]*(?: # .+)?')
_PIN = re.compile(r'[A-Za-z][\w.\-]*={2,3}[0-9][\w.+!]*')

# By the names under which they are imported, where these differ.
_IMPORTED_AS = {
    'openstacksdk': 'openstack',
    'oslo-config': 'oslo_config',
    'oslo-log': 'oslo_log',
    'osc-lib': 'osc_lib',
    'python-openstackclient': 'openstackclient',
    'prometheus-client': 'prometheus_client',
}
# Of Nova, which is there before us; and what comes with it.
_OF_NOVA = {'nova', 'os_traits', 'webob'}
# What makes code, or programs, of data.
_DANGEROUS = {'ctypes', 'marshal', 'pickle', 'shelve', 'subprocess'}


def config():
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    return config


def lines(text):
    """Return the lines of a text that are no comments."""
    return [
        line for line in text.splitlines() if line and not line.startswith('#')
    ]


def files(package):
    """Return the files of a package, without what Python leaves there."""
    return [
        path
        for path in (ROOT / package).rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    ]


class RequirementsTest(base.TestCase):
    """What is installed with it, and from where."""

    def requirements(self):
        extras = config()['extras']
        for text in (
            (ROOT / 'requirements.txt').read_text(),
            *(extras[extra] for extra in extras),
        ):
            yield from lines(text)

    def test_bounds(self):
        """A requirement has a lower bound, and no address of its own."""
        for line in self.requirements():
            self.assertIsNotNone(_BOUND.fullmatch(line), line)

    def test_constraints(self):
        """Every version that was tested is exact, and of a registry."""
        pins = lines((ROOT / 'constraints.txt').read_text())
        for line in pins:
            self.assertIsNotNone(_PIN.fullmatch(line), line)
        pinned = {_normal(re.split('=+', line)[0]) for line in pins}
        for line in self.requirements():
            self.assertIn(_normal(line.partition('>=')[0]), pinned)

    def test_imports(self):
        """Nothing is imported that is not said to be required."""
        required = {
            _normal(line.partition('>=')[0]) for line in self.requirements()
        }
        allowed = {
            _IMPORTED_AS.get(name, name.replace('-', '_')) for name in required
        }
        allowed |= {*PACKAGES, *_OF_NOVA, *sys.stdlib_module_names}
        for path in files('edge_filters'):
            self.assertEqual(set(), imported(path) - allowed, path)


class PackageTest(base.TestCase):
    """What is installed."""

    def test_packages(self):
        """The wheel has our two packages: modules, and nothing else."""
        parts = config()['files']
        self.assertEqual([*PACKAGES], parts['packages'].split())
        self.assertEqual(
            'etc/edge-filters = etc/edge-filters/*',
            parts['data_files'].strip(),
        )
        for path in itertools.chain.from_iterable(map(files, PACKAGES)):
            self.assertEqual('.py', path.suffix, path)

    def test_entry_points(self):
        """Everything that others load of us is ours, and is there."""
        sections = config()['entry_points']
        for group in sections:
            for name, target in osc_base.entry_points(group).items():
                self.assertIn(target.split('.')[0], PACKAGES)
                point = importlib.metadata.EntryPoint(name, target, group)
                if group != 'tempest.test_plugins':
                    self.assertIsNotNone(point.load(), target)

    def test_nothing_is_run(self):
        """No text becomes code, no program is started, no pickle is read."""
        for path in files('edge_filters'):
            called = {
                it.func.id
                for it in ast.walk(ast.parse(path.read_text()))
                if isinstance(it, ast.Call) and isinstance(it.func, ast.Name)
            }
            self.assertEqual(set(), called & {'eval', 'exec', 'compile'}, path)
            self.assertEqual(set(), imported(path) & _DANGEROUS, path)


def imported(path):
    return {it.partition('.')[0] for it in test_house.imports(path)}


def _normal(name):
    return re.sub('[-_.]+', '-', name).lower()
