# SPDX-License-Identifier: Apache-2.0

import os
import pathlib

import fixtures

from tests.cloud import transcript
from tests.unit import base

PAGE = """\
A page
======

.. code-block:: text
   :caption: sites.csv

   par-01,48.85

   lyo-01,45.76

.. code-block:: text
   :caption: Not the name of a file

   nothing

Then:

.. code-block:: console

   $ wc -l \\
       sites.csv
   3  sites.csv
   $ CITY=paris

.. code-block:: console

   $ echo $CITY; cat included.txt

   paris
   of another page

.. literalinclude:: included.txt
"""

TABLE = """\
+------+--------------------------------------+-------+
| Name | ID                                   | Age   |
+------+--------------------------------------+-------+
| ar-1 | 2f6b1c5e-98a1-4b5c-9f0e-0a1b2c3d4e5f | 4 min |
+------+--------------------------------------+-------+
"""


class ParseTest(base.TestCase):
    def test_steps(self):
        """Commands have the lines that they are on, and their output."""
        self.assertEqual(
            [
                transcript.Step(20, 'wc -l \\\n    sites.csv', '3  sites.csv'),
                transcript.Step(23, 'CITY=paris', ''),
                transcript.Step(
                    27,
                    'echo $CITY; cat included.txt',
                    'paris\nof another page',
                ),
            ],
            list(transcript.steps(PAGE)),
        )


class NormalTest(base.TestCase):
    """What differs from run to run does not matter, and the rest does."""

    def test_same(self):
        """IDs, ages, times and widths may differ."""
        for shown, seen in (
            (
                TABLE,
                TABLE.replace('2f6b1c5e', 'ffffffff')
                .replace('4 min', '119 s')
                .replace('------', '---'),
            ),
            ('40 s old', '7 s old'),
            ('at=2026-11-23T10:00:00Z', 'at=2027-01-02T03:04:05Z'),
            ('first\n...\nlast', 'first\n1\n2\nlast\n'),
            ('first\n...', 'first\n'),
            ('...', ''),
        ):
            self.assertTrue(transcript.is_as_shown(shown, seen), seen)

    def test_different(self):
        """Figures, names, rows and columns may not."""
        for shown, seen in (
            (TABLE, TABLE.replace('ar-1', 'ar-2')),
            (TABLE, TABLE + '| ar-2 |\n'),
            ('nearest 27.2 ms', 'nearest 27.3 ms'),
            ('| 20 ms |', '| 21 ms |'),
            ('a.b', 'a-b'),
            ('', 'a warning'),
            ('first\n...\nlast', 'first\n'),
        ):
            self.assertFalse(transcript.is_as_shown(shown, seen), seen)


class RunTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.page = self.folder / 'page.rst'
        self.work = self.folder / 'work'
        self.work.mkdir()

    def run_page(self, text, **options):
        self.page.write_text(text)
        environment = {'PATH': os.environ['PATH']}
        return transcript.run(self.page, self.work, environment, **options)

    def error(self, *lines, **options):
        """Return what is said of a page with a block of some lines."""
        block = '\n   '.join(['.. code-block:: console\n', *lines])
        error = self.assertRaises(
            AssertionError, self.run_page, block, **options
        )
        return str(error)

    def test_run(self):
        """Files are written, and one shell knows what was said before."""
        (self.folder / 'included.txt').write_text('of another page\n')
        self.assertEqual(3, self.run_page(PAGE))
        self.assertEqual(
            ['included.txt', 'sites.csv'], sorted(os.listdir(self.work))
        )

    def test_mismatch(self):
        """The line, what is shown and what is seen are told."""
        self.assertEqual(
            'page.rst, line 5, exit status 0\n'
            '$ echo b\n--- shown\nc\n--- seen\nb\n',
            self.error('$ echo a', 'a', '$ echo b', 'c'),
        )

    def test_status(self):
        """A command that shows nothing has to succeed."""
        self.assertIn('line 3, exit status 1', self.error('$ false'))
        self.assertIn('unexpected EOF', self.error('$ echo "a'))

    def test_end(self):
        """A command that does not end, or ends the shell, is told."""
        for command in ('sleep 60', 'exit 0'):
            error = self.error(f'$ {command}', timeout_s=0.1)
            self.assertIn('the shell is gone', error)
        # Nobody answers it.
        self.assertEqual(
            1, self.run_page('.. code-block:: console\n\n   $ cat')
        )
