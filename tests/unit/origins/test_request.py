# SPDX-License-Identifier: Apache-2.0

import re

import hypothesis
from hypothesis import strategies as st

from edge_filters.origins import request
from tests.unit import base

TEXT = st.text(max_size=9)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
ANYTHING = (
    SCALARS
    | st.lists(SCALARS, max_size=3)
    | st.dictionaries(TEXT, SCALARS, max_size=2)
)
NAMES = st.sampled_from(tuple(request.VOCABULARY)) | st.builds(
    'edge:{}'.format, st.text(max_size=8)
)


class HintTest(base.TestCase):
    def test_every_term(self):
        """Each hint is read into what it asks for."""
        self.assertEqual(
            request.Request(
                origins=('paris', 'lyon'),
                origin_source='hint',
                max_rtt_ms=20.0,
                sites=frozenset({'par-01', 'lyo-01'}),
                avoid_sites=frozenset({'mrs-01'}),
            ),
            request.parse(
                {
                    'edge:origin': ['Paris', 'lyon', 'paris'],
                    'edge:max_rtt_ms': ['20'],
                    'edge:site': ['par-01', 'lyo-01'],
                    'edge:avoid_site': 'mrs-01',
                },
                None,
            ),
        )

    def test_of_others(self):
        """Hints and extra specs of others are none of ours."""
        asked = request.parse(
            {'group': ['x'], '_nova_check_type': ['rebuild']},
            {'hw:cpu_policy': 'dedicated', 'edgy:x': '1'},
        )
        self.assertTrue(asked.asks_nothing)

    def test_bad_values(self):
        """What cannot be read is named, with why and an example."""
        for hints, message in (
            (
                {'edge:max_rtt_ms': ['abc']},
                "hint edge:max_rtt_ms 'abc' is not a number of 0 or more, "
                'such as 12.5; write for instance 20',
            ),
            (
                {'edge:max_rtt_ms': ['5', '7']},
                'hint edge:max_rtt_ms is given more than once; give it once',
            ),
            (
                {'edge:origin': []},
                'hint edge:origin has no value; write for instance paris',
            ),
            (
                {'edge:origin': ['paris,lyon']},
                "hint edge:origin 'paris,lyon' is not a name: use 1 to 64 of "
                'the letters a-z, digits and -_:.; write for instance paris',
            ),
            (
                {'edge:site': None},
                'hint edge:site None is not text; write for instance par-01',
            ),
            (
                {'edge:orgin': ['paris']},
                "hint 'edge:orgin' is not known; known are edge:origin, "
                'edge:max_rtt_ms, edge:site, edge:avoid_site',
            ),
        ):
            (problem,) = request.parse(hints, None).problems
            self.assertEqual(message, str(problem))

    def test_name_in_another_case(self):
        """A hint in another case is ours, and not silently ignored."""
        asked = request.parse({'Edge:Origin': ['paris']}, None)
        self.assertEqual(('paris',), asked.origins)

    def test_the_readable_is_kept(self):
        """A value that cannot be read does not cost the others."""
        asked = request.parse(
            {'edge:origin': ['paris', 'l yon'], 'edge:max_rtt_ms': ['x', '5']},
            None,
        )
        self.assertEqual(('paris',), asked.origins)
        self.assertEqual(5, asked.max_rtt_ms)
        self.assertEqual(2, len(asked.problems))

    @hypothesis.given(
        st.dictionaries(NAMES | st.integers(), ANYTHING, max_size=4),
        st.dictionaries(NAMES | TEXT, ANYTHING, max_size=4),
    )
    def test_never_raises(self, hints, extra_specs):
        """No hint or extra spec whatsoever raises or spoils the log."""
        asked = request.parse(hints, extra_specs)
        for problem in asked.problems:
            self.assertNotIn('\n', str(problem))


class FlavorTest(base.TestCase):
    def test_commas(self):
        """A flavor has one value per name: commas separate several."""
        asked = request.parse({}, {'edge:origin': 'paris, lyon'})
        self.assertEqual(('paris', 'lyon'), asked.origins)
        self.assertEqual('flavor', asked.origin_source)

    def test_hint_and_flavor(self):
        """Numbers: the smaller; origins: the hint's; sites: in both."""
        flavor = {
            'edge:origin': 'lyon',
            'edge:max_rtt_ms': '10',
            'edge:site': 'a,b',
            'edge:avoid_site': 'x',
        }
        hints = {
            'edge:origin': ['paris'],
            'edge:max_rtt_ms': ['20'],
            'edge:site': ['b', 'c'],
            'edge:avoid_site': ['y'],
        }
        self.assertEqual(
            request.Request(
                origins=('paris',),
                origin_source='hint',
                max_rtt_ms=10.0,
                sites=frozenset({'b'}),
                avoid_sites=frozenset({'x', 'y'}),
            ),
            request.parse(hints, flavor),
        )

    def test_no_site_in_common(self):
        """Sites of hint and flavor without any in common leave none."""
        asked = request.parse({'edge:site': ['a']}, {'edge:site': 'b'})
        self.assertEqual(frozenset(), asked.sites)


class VocabularyTest(base.TestCase):
    def test_examples(self):
        """The example an error gives is one that can be read."""
        for term in request.VOCABULARY.values():
            term.parse(term.example)

    @hypothesis.given(
        st.sampled_from(tuple(request.VOCABULARY.values())),
        st.text(max_size=8) | st.from_regex(r'[0-9.eE]{1,5}', fullmatch=True),
    )
    def test_pattern_admits_what_is_read(self, term, text):
        """nova-api admits a value exactly when the scheduler can read it."""
        text = text.strip()
        try:
            term.parse(text)
        except ValueError as error:
            if 'too large' not in str(error):
                self.assertIsNone(re.fullmatch(term.pattern, text))
        else:
            self.assertIsNotNone(re.fullmatch(term.pattern, text))
