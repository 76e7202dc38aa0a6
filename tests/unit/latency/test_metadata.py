# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st

from edge_filters.latency import metadata
from edge_filters.latency import sample
from tests.unit import base

JUNK = st.text(max_size=255) | st.sampled_from(
    ('nan', 'inf', '-1', '10^400', '1e400', '12,4', '', '-', '- loss=100')
)
KEYS = st.builds(
    lambda prefix, rest: prefix + rest,
    st.sampled_from(('edge:site', 'edge:rtt:', 'edge:host_rtt:', 'edge:', '')),
    st.text(max_size=100),
)
FIGURES = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
SAMPLES = st.builds(
    sample.Sample,
    rtt_ms=FIGURES,
    jitter_ms=st.none() | FIGURES,
    loss_pct=st.none()
    | st.floats(min_value=0, max_value=100, exclude_max=True),
    count=st.none() | st.integers(min_value=0, max_value=10**9),
    at=st.none() | st.integers(min_value=0, max_value=2**33).map(float),
    source=st.none() | st.sampled_from(('icmp', 'tcp', 'azure-2026.8')),
) | st.builds(
    sample.Sample,
    rtt_ms=st.none(),
    loss_pct=st.just(100.0),
    count=st.none() | st.integers(min_value=0, max_value=10**9),
)


class SampleTest(base.TestCase):
    def test_by_hand(self):
        """A figure written by hand is an RTT and nothing else."""
        self.assertEqual(sample.Sample(12.4), metadata.parse_sample('12.4'))

    def test_by_the_agent(self):
        """A figure written by the agent has fields, in any order."""
        expected = sample.Sample(
            rtt_ms=12.4,
            jitter_ms=0.8,
            loss_pct=0.0,
            count=20,
            at=1795428000.0,
            source='icmp',
        )
        for text in (
            '12.4 jitter=0.8 loss=0 n=20 at=2026-11-23T10:00:00Z by=icmp',
            '12.4 by=icmp at=2026-11-23T11:00:00+01:00 n=20 loss=0 jitter=.8',
        ):
            self.assertEqual(expected, metadata.parse_sample(text))

    def test_unreachable(self):
        """Where every probe was lost there is no RTT, whatever is written."""
        for text in ('- loss=100 n=20', '12.4 loss=100 n=20'):
            figure = metadata.parse_sample(text)
            self.assertIsNone(figure.rtt_ms)
            self.assertTrue(figure.is_unreachable)

    def test_later_fields(self):
        """A field that is not known yet does not cost the figure."""
        self.assertEqual(
            sample.Sample(1.0, jitter_ms=0.5),
            metadata.parse_sample('1 hops=7 jitter=0.5'),
        )

    def test_refused(self):
        """A figure that cannot be read is refused in words, never guessed."""
        for text in (
            '',
            '   ',
            'near',
            'nan',
            'inf',
            '-5',
            '10^400',
            '1e400',
            '12,4',
            '12.4ms',
            '1\u0662',
            '-',
            '- n=20',
            '- loss=99',
            '12.4 0.8',
            '12.4 jitter',
            '12.4 jitter=',
            '12.4 jitter=nan',
            '12.4 jitter=-1',
            '12.4 jitter=1 jitter=2',
            '12.4 loss=101',
            '12.4 n=1.5',
            '12.4 n=-1',
            '12.4 at=yesterday',
            '12.4 at=2026-11-23',
            '12.4 at=2026-11-23T10:00:00',
            '12.4 at=99999-01-01T00:00:00Z',
            '12.4 by=' + 'x' * 33,
            'x' * 255,
        ):
            with self.subTest(text):
                error = self.assertRaises(
                    ValueError, metadata.parse_sample, text
                )
                self.assertRegex(str(error), '^is ')

    @hypothesis.given(SAMPLES)
    def test_round_trip(self, figure):
        """What is written is read back, and fits into a metadata value."""
        text = metadata.format_sample(figure)
        self.assertEqual(figure, metadata.parse_sample(text))
        self.assertLessEqual(len(text), 255)


class SiteTest(base.TestCase):
    def test_site(self):
        """An aggregate with edge:site is a site, with figures by origin."""
        record, problems = metadata.parse_site(
            {
                'availability_zone': 'fr',
                'edge:site': 'Par-01',
                'edge:rtt:Paris': '4.1',
                'edge:rtt:isp:lyon': '9.8',
                'edge:host_rtt:Compute-1.example:paris': '6.5',
            },
            ['Compute-1.example', 'compute-2'],
        )
        self.assertEqual([], problems)
        self.assertEqual('par-01', record.site)
        self.assertEqual({'compute-1.example', 'compute-2'}, record.hosts)
        self.assertEqual(
            {'paris': sample.Sample(4.1), 'isp:lyon': sample.Sample(9.8)},
            record.samples,
        )
        self.assertEqual(
            {'compute-1.example': {'paris': sample.Sample(6.5)}},
            record.host_samples,
        )

    def test_no_site(self):
        """An aggregate without edge:site is ignored, without a word."""
        self.assertEqual(
            (None, []), metadata.parse_site({'edge:rtt:paris': 'x'}, ['a'])
        )

    def test_bad_name(self):
        """A site whose name cannot be is ignored as a whole, and said."""
        record, problems = metadata.parse_site(
            {'edge:site': 'par/01', 'edge:rtt:paris': '4.1'}, ['a']
        )
        self.assertIsNone(record)
        self.assertIn("edge:site='par/01' is not a name", str(problems[0]))

    def test_bad_figure(self):
        """A figure that cannot be read costs that figure, and is named."""
        record, problems = metadata.parse_site(
            {
                'edge:site': 'par-01',
                'edge:rtt:paris': '12,4',
                'edge:rtt:lyon': '9.8',
                'edge:rtt:': '1',
                'edge:host_rtt:c1': '1',
                'edge:rrt:nice': '1',
            },
            ['a'],
        )
        self.assertEqual({'lyon': sample.Sample(9.8)}, record.samples)
        self.assertEqual({}, record.host_samples)
        self.assertEqual(
            'edge:host_rtt:c1 edge:rrt:nice edge:rtt: edge:rtt:paris',
            ' '.join(problem.key for problem in problems),
        )
        self.assertEqual(
            "site par-01: edge:rtt:paris='12,4' is skipped: the RTT '12,4' is "
            'not a number of 0 or more, such as 12.5',
            str(problems[-1]),
        )

    def test_same_origin_twice(self):
        """Of two keys that differ in case the larger RTT counts."""
        for keys in (
            {'edge:rtt:Paris': '5', 'edge:rtt:paris': '9'},
            {'edge:rtt:Paris': '9', 'edge:rtt:paris': '5'},
        ):
            record, _ = metadata.parse_site({'edge:site': 'p', **keys}, [])
            self.assertEqual({'paris': sample.Sample(9.0)}, record.samples)

    def test_many_keys(self):
        """More keys than Nova bears well are read, with a warning."""
        keys = {f'edge:rtt:o{i}': '1' for i in range(64)}
        record, problems = metadata.parse_site({'edge:site': 'p', **keys}, [])
        self.assertEqual(64, len(record.samples))
        self.assertIn('65', str(problems[0]))

    @hypothesis.given(st.dictionaries(KEYS, JUNK, max_size=8), st.lists(JUNK))
    def test_never_raises(self, keys, hosts):
        """No metadata whatsoever raises, and every figure is a number."""
        keys['edge:site'] = 'p'
        record, problems = metadata.parse_site(keys, hosts)
        for problem in problems:
            self.assertNotIn('\n', str(problem))
        if record:
            for figure in record.samples.values():
                self.assertTrue(figure.is_unreachable or figure.rtt_ms >= 0)
