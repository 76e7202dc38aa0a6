# SPDX-License-Identifier: Apache-2.0

import functools
import math
import re

import hypothesis
from hypothesis import strategies as st

from edge_filters import spelling
from tests.unit import base

# What a figure may be, and no number that nobody would measure.
NUMBERS = st.just(0.0) | st.floats(min_value=1e-9, max_value=1e15)


class NameTest(base.TestCase):
    def test_folded(self):
        """A name has one spelling: lower case, without space around it."""
        self.assertEqual('par-01_a:b.c', spelling.parse_name(' Par-01_A:b.C '))

    def test_refused(self):
        """A name is 1 to 64 ASCII letters, digits and -_:. and no other."""
        for text in (
            '',
            ' ',
            'a' * 65,
            'par 01',
            'par/01',
            'paris\n01',
            'pariſ',  # a long s: folds to paris by casefold
            '\u212ayoto',  # the Kelvin sign: folds to kyoto by lower
            'раris',  # Cyrillic er and a
            'paris,lyon',
        ):
            self.assertRaises(ValueError, spelling.parse_name, text)


class NumberTest(base.TestCase):
    def test_read(self):
        """A number is written in decimal, with or without an exponent."""
        for text, number in (
            ('0', 0),
            ('12', 12),
            ('12.5', 12.5),
            ('12.', 12),
            ('.5', 0.5),
            (' 12.5 ', 12.5),
            ('1e2', 100),
            ('5E-1', 0.5),
        ):
            self.assertEqual(number, spelling.parse_number(text))

    def test_refused(self):
        """What Python reads as a number, and people do not, is no number."""
        for text in (
            '',
            'nan',
            'inf',
            '-1',
            '-0',
            '+1',
            '1_000',
            '12,4',
            '0x10',
            '10^400',
            '1e400',
            '1e100',
            '9' * 21,
            '\u0661\u0662',  # Arabic-Indic 12
            '\uff11',  # a full-width 1
            '1 2',
            '12ms',
        ):
            self.assertRaises(ValueError, spelling.parse_number, text)

    def test_maximum(self):
        """A number may be its maximum and no more."""
        self.assertEqual(100, spelling.parse_number('100', 100))
        self.assertRaises(ValueError, spelling.parse_number, '100.1', 100)

    @hypothesis.given(NUMBERS)
    def test_reads_what_python_writes(self, number):
        """Any finite number that Python writes is read back."""
        self.assertEqual(number, spelling.parse_number(repr(number)))

    @hypothesis.given(st.text(max_size=20))
    def test_never_anything_else(self, text):
        """Whatever the text, the outcome is ValueError or a finite number."""
        try:
            number = spelling.parse_number(text)
        except ValueError:
            return
        self.assertTrue(math.isfinite(number) and number >= 0)
        self.assertTrue(re.fullmatch(spelling.NUMBER_PATTERN, text.strip()))


class PositionTest(base.TestCase):
    def test_read(self):
        """A position is a latitude and a longitude, in degrees."""
        for text, position in (
            ('48.85,2.35', (48.85, 2.35)),
            (' -33.9 , +18.4 ', (-33.9, 18.4)),
            ('90,-180', (90, -180)),
        ):
            self.assertEqual(position, spelling.parse_position(text))
            self.assertTrue(
                re.fullmatch(spelling.POSITION_PATTERN, text.strip())
            )

    def test_refused(self):
        """Off the globe, incomplete or wordy is no position."""
        for text in (
            '',
            '48.85',
            '48.85;2.35',
            '90.1,0',
            '0,180.1',
            '--1,0',
            '1,2,3',
            'nan,0',
            '48.85N,2.35E',
        ):
            self.assertRaises(ValueError, spelling.parse_position, text)


class ChoiceTest(base.TestCase):
    def test_read(self):
        """A choice is one of the words, whatever its case."""
        self.assertEqual('b', spelling.parse_choice(' B ', ('a', 'b')))
        error = self.assertRaises(
            ValueError, spelling.parse_choice, 'c', ('a', 'b')
        )
        self.assertEqual('is none of a, b', str(error))


class ListedTest(base.TestCase):
    def test_not_too_many(self):
        """A sentence has a few names in it, and how many more there are."""
        self.assertEqual('', spelling.listed([]))
        self.assertEqual('a and b', spelling.listed(('a', 'b'), ' and '))
        self.assertEqual('a, b, c, d, e', spelling.listed('abcde'))
        self.assertEqual('a, b, c, d, e, 2 more', spelling.listed('abcdefg'))


class ShownTest(base.TestCase):
    def test_one_short_line(self):
        """What stands in the log is quoted, of one line, and short."""
        self.assertEqual("'a\\nb\\xe9'", spelling.shown('a\nbé'))
        self.assertEqual(80, len(spelling.shown('x' * 10000)))
        self.assertEqual('(a list)', spelling.shown([['deep']]))


class LongTest(base.TestCase):
    def test_every_text(self):
        """However long a text is, the time grows with its length alone.

        A hint may be as long as the body of a request, 112 kB. Were the time
        the square of that, this would take minutes.
        """
        choice = functools.partial(spelling.parse_choice, choices=('a',))
        size = 1_000_000
        for part in (' ', '1', '1,', ' 1', '.1', '1e', ':', 'a:', '/1', 'x'):
            text = f'{" " * size}1{part * size}!'
            for parse in (
                spelling.parse_name,
                spelling.parse_number,
                spelling.parse_position,
                spelling.parse_network,
                choice,
            ):
                self.assertRaises(ValueError, parse, text)
            self.assertGreater(81, len(spelling.shown(text)))
