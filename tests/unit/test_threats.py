# SPDX-License-Identifier: Apache-2.0

import ast
import re

from tests.unit import base
from tests.unit.osc import base as osc_base

ROOT = osc_base.ROOT
PAGE = ROOT / 'doc' / 'source' / 'admin' / 'threats.rst'

_TEST = re.compile(r'``((?:unit|functional|cloud|network)\.[^`]*)``')


def rows():
    """Return the lines of the table: what could be done, what holds it."""
    _, _, *rows = PAGE.read_text().split('\n   * - ')
    for row in rows:
        what, _, held = row.partition('\n     - ')
        yield what, held


def missing(name):
    """Return what there is not of a test, in words; empty: it is there."""
    *modules, class_name, method = name.split('.')
    path = ROOT.joinpath('tests', *modules).with_suffix('.py')
    if not path.is_file():
        return f'{path} is not there'
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            names = {getattr(it, 'name', '') for it in node.body}
            is_test = method.startswith('test_') and method in names
            return '' if is_test else f'{class_name} has no {method}'
    return f'{path} has no {class_name}'


class ThreatsTest(base.TestCase):
    """The page that says what could be done to the scheduler."""

    def test_tests(self):
        """Every test that the page names is there."""
        names = _TEST.findall(PAGE.read_text())
        self.assertGreater(len(names), 40)
        for name in names:
            self.assertEqual('', missing(name), name)

    def test_every_line(self):
        """Every line of it is held by a test, or says that it is accepted."""
        for what, held in rows():
            if what.startswith('**') and not held.strip():
                continue
            is_held = _TEST.search(held) or '*Accepted*:' in what
            self.assertTrue(is_held, what)
            self.assertEqual('', _TEST.sub('', held).strip(' ,\n'), what)

    def test_one_page(self):
        """It is one page: whoever reviews it reads it to the end."""
        self.assertLess(len(PAGE.read_text().splitlines()), 180)
