# SPDX-License-Identifier: Apache-2.0

import ipaddress
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
                clients=(
                    ipaddress.ip_network('192.0.2.7'),
                    ipaddress.ip_network('2001:db8::/32'),
                ),
                near=((48.85, 2.35), (45.76, 4.84)),
                max_rtt_ms=20.0,
                max_jitter_ms=2.0,
                max_loss_pct=0.1,
                sites=frozenset({'par-01', 'lyo-01'}),
                avoid_sites=frozenset({'mrs-01'}),
                tiers=frozenset({'far-edge', 'core'}),
                unmeasured='estimate',
                fallback='moves',
            ),
            request.parse(
                {
                    'edge:origin': ['Paris', 'lyon', 'paris'],
                    'edge:client_ip': ['::ffff:192.0.2.7', '2001:db8::/32'],
                    'edge:near': ['48.85,2.35', '45.76, 4.84', '48.85,2.35'],
                    'edge:max_rtt_ms': ['20'],
                    'edge:max_jitter_ms': ['2'],
                    'edge:max_loss_pct': ['0.1'],
                    'edge:site': ['par-01', 'lyo-01'],
                    'edge:avoid_site': 'mrs-01',
                    'edge:tier': ['Far-Edge', 'core'],
                    'edge:unmeasured': ['Estimate'],
                    'edge:fallback': ['moves'],
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
                'hint edge:max_rtt_ms is given more than once; give it once, '
                'for instance 20',
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
                'hint edge:site (a NoneType) is not text; write for instance '
                'par-01',
            ),
            (
                {'edge:orgin': ['paris']},
                "hint 'edge:orgin' is not known; known are edge:origin, "
                'edge:client_ip, edge:near, edge:max_rtt_ms, '
                'edge:max_jitter_ms, '
                'edge:max_loss_pct, edge:site, edge:avoid_site, edge:tier, '
                'edge:unmeasured, edge:fallback; write for instance '
                'edge:origin=paris',
            ),
            (
                {'edge:near': '91,0'},
                "hint edge:near '91,0' is not a number of degrees from -90 "
                'to 90; write for instance 48.85,2.35',
            ),
            (
                {'edge:max_loss_pct': '100.1'},
                "hint edge:max_loss_pct '100.1' is more than 100; write for "
                'instance 0.1',
            ),
            (
                {'edge:unmeasured': 'guess'},
                "hint edge:unmeasured 'guess' is none of reject, estimate, "
                'accept; write for instance accept',
            ),
            (
                {'edge:fallback': 'always'},
                "hint edge:fallback 'always' is none of none, moves, "
                'nearest; write for instance nearest',
            ),
        ):
            (problem,) = request.parse(hints, None).problems
            self.assertEqual(message, str(problem))

    def test_name_in_another_case(self):
        """A hint in another case is ours, and not silently ignored."""
        asked = request.parse({'Edge:Origin': ['paris']}, None)
        self.assertEqual(('paris',), asked.origins)

    def test_text_is_not_split(self):
        """A hint that is one text is one value: it is repeated, not split."""
        asked = request.parse({'edge:origin': 'paris,lyon'}, None)
        self.assertEqual(1, len(asked.problems))

    def test_too_many(self):
        """However much is written, what is read and said is bounded."""
        names = [f'o{number}' for number in range(10000)]
        asked = request.parse({'edge:origin': names}, None)
        self.assertEqual(tuple(names[:16]), asked.origins)
        (problem,) = asked.problems
        self.assertIn('has 10000 values; give at most 16', str(problem))
        asked = request.parse({'edge:origin': names[:16]}, None)
        self.assertEqual((), asked.problems)
        hints = {'edge:origin': names[:16], 'Edge:Origin': names[16:32]}
        asked = request.parse(hints, None)
        self.assertEqual(tuple(names[:16]), asked.origins)
        (problem,) = asked.problems
        self.assertEqual(
            'hint edge:origin is given in two spellings; give it once, for '
            'instance edge:origin=paris',
            str(problem),
        )
        asked = request.parse({f'edge:{name}': '1' for name in names}, None)
        self.assertEqual(5, len(asked.problems))

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
        """Where both speak each term has its rule; see the docstring."""
        for name, hint, spec, field, expected in (
            ('origin', ['paris'], 'lyon', 'origins', ('paris',)),
            ('max_rtt_ms', ['20'], '10', 'max_rtt_ms', 10),
            ('max_rtt_ms', ['10'], '20', 'max_rtt_ms', 10),
            ('max_jitter_ms', ['2'], '1', 'max_jitter_ms', 1),
            ('max_loss_pct', ['0.1'], '1', 'max_loss_pct', 0.1),
            ('site', ['b', 'c'], 'a,b', 'sites', {'b'}),
            ('avoid_site', ['x'], 'y', 'avoid_sites', {'x', 'y'}),
            ('tier', ['far', 'near'], 'near, core', 'tiers', {'near'}),
            ('tier', ['far'], 'core', 'tiers', set()),
            ('unmeasured', ['accept'], 'reject', 'unmeasured', 'reject'),
            ('unmeasured', ['estimate'], 'accept', 'unmeasured', 'estimate'),
            ('unmeasured', ['reject'], 'estimate', 'unmeasured', 'reject'),
            ('fallback', ['nearest'], 'moves', 'fallback', 'moves'),
            ('fallback', ['none'], 'nearest', 'fallback', 'none'),
        ):
            name = f'edge:{name}'
            asked = request.parse({name: hint}, {name: spec})
            self.assertEqual((), asked.problems)
            self.assertEqual(expected, getattr(asked, field), name)

    def test_alone(self):
        """Either may speak alone; a budget of the hint leaves the origin."""
        asked = request.parse(
            {'edge:max_rtt_ms': ['20']},
            {'edge:origin': 'lyon', 'edge:site': 'a'},
        )
        self.assertEqual(('lyon',), asked.origins)
        self.assertEqual('flavor', asked.origin_source)
        self.assertEqual({'a'}, asked.sites)
        self.assertEqual(20, asked.max_rtt_ms)
        self.assertIsNone(asked.fallback)

    def test_position_wins_over_flavor(self):
        """A position in the hint is whom it serves, and not the flavor's."""
        asked = request.parse(
            {'edge:near': ['48.85,2.35']}, {'edge:origin': 'lyon'}
        )
        self.assertEqual((), asked.origins)
        self.assertEqual('hint', asked.origin_source)

    def test_no_position(self):
        """A flavor has no position: it would be the same for all users."""
        asked = request.parse({}, {'edge:near': '48.85,2.35'})
        self.assertIn(
            "flavor 'edge:near' is not known", str(asked.problems[0])
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
        st.sampled_from(tuple(request.FLAVOR_VOCABULARY.values())),
        st.text(max_size=8)
        | st.from_regex(r'[0-9.eE,-]{1,9}', fullmatch=True)
        | st.sampled_from(('reject', 'NEAREST', 'accept', 'moves')),
    )
    def test_pattern_admits_what_is_read(self, term, text):
        """nova-api admits what the scheduler can read, but for ranges."""
        text = text.strip()
        try:
            term.parse(text)
        except ValueError as error:
            if 'more than' not in str(error) and 'degrees' not in str(error):
                self.assertIsNone(re.fullmatch(term.pattern, text))
        else:
            self.assertIsNotNone(re.fullmatch(term.pattern, text))
