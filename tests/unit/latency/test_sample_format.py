# SPDX-License-Identifier: Apache-2.0

import datetime

import hypothesis
from hypothesis import strategies as st

from edge_filters.latency import sample
from edge_filters.latency import sample_format
from tests.unit import base
from tests.unit import test_spelling

_WORDS = st.sampled_from(
    ('nan', 'inf', '-1', '10^400', '1e400', '12,4', '', '-', '5', '>5')
) | st.text(max_size=20)
JUNK = st.text(max_size=255) | st.builds(
    lambda rtt, fields: ' '.join([rtt, *map('='.join, fields)]),
    _WORDS,
    st.lists(
        st.tuples(
            st.sampled_from(('jitter', 'loss', 'n', 'at', 'by')),
            _WORDS | st.sampled_from(('100', '2026-11-23T10:00:00Z')),
        ),
        max_size=3,
    ),
)
FIGURES = test_spelling.NUMBERS
SAMPLES = st.builds(
    sample.Sample,
    rtt_ms=FIGURES,
    jitter_ms=st.none() | FIGURES,
    loss_pct=st.none()
    | st.just(0.0)
    | st.floats(min_value=1e-9, max_value=100, exclude_max=True),
    probes=st.none() | st.integers(min_value=0, max_value=10**9),
    at=st.none() | st.integers(min_value=0, max_value=2**33).map(float),
    source=st.none() | st.sampled_from(('icmp', 'tcp', 'azure-2026.8')),
    kind=st.just(sample.Kind.FIGURE),
) | st.builds(
    lambda probes: sample.Sample(None, loss_pct=100.0, probes=probes),
    st.none() | st.integers(min_value=0, max_value=10**9),
)
# Figures of which many are near the limits of numbers and of the calendar.
_NUMBER = st.builds(
    '{}e{}'.format, st.integers(0, 10**20 - 1), st.integers(-99, 99)
)
_TIME = st.builds(
    '{:%Y-%m-%dT%H:%M:%S}.{:06}{}{:02}:00'.format,
    st.datetimes()
    | st.sampled_from(
        [datetime.datetime(year, 12, 31, 23, 59, 59) for year in (1969, 9998)]
    ),
    st.sampled_from([0, 999_999]),
    st.sampled_from('+-'),
    st.integers(0, 23),
)
FIELDS = st.tuples(
    _NUMBER | _NUMBER.map('>{}'.format),
    _NUMBER.map('jitter={}'.format) | st.just(''),
    _NUMBER.map('loss={}'.format) | st.just(''),
    _TIME.map('at={}'.format) | st.just(''),
)


class SampleTest(base.TestCase):
    def test_by_hand(self):
        """A figure written by hand is an RTT and nothing else."""
        self.assertEqual(
            sample.Sample(12.4), sample_format.parse_sample('12.4')
        )

    def test_by_the_agent(self):
        """A figure written by the agent has fields, in any order."""
        expected = sample.Sample(
            rtt_ms=12.4,
            jitter_ms=0.8,
            loss_pct=0.0,
            probes=20,
            at=1795428000.0,
            source='icmp',
        )
        for text in (
            '12.4 jitter=0.8 loss=0 n=20 at=2026-11-23T10:00:00Z by=icmp',
            '12.4 by=icmp at=2026-11-23T11:00:00+01:00 n=20 loss=0 jitter=.8',
        ):
            self.assertEqual(expected, sample_format.parse_sample(text))

    def test_unreachable(self):
        """Where every probe was lost there is no RTT, whatever is written."""
        for text in ('- loss=100 n=20', '12.4 loss=100 n=20'):
            figure = sample_format.parse_sample(text)
            self.assertIsNone(figure.rtt_ms)
            self.assertTrue(figure.is_unreachable)

    def test_bound(self):
        """A bound says what the RTT is larger than, where it may be one."""
        for text in ('>100', '>100 at=2026-11-23T10:00:00Z'):
            figure = sample_format.parse_sample(text, may_be_bound=True)
            self.assertEqual(100, figure.rtt_ms)
            self.assertIs(sample.Kind.BOUND, figure.kind)
            self.assertEqual(text, sample_format.format_sample(figure))
            self.assertRaises(ValueError, sample_format.parse_sample, text)
        figure = sample_format.parse_sample('>5 loss=100', True)
        self.assertEqual('- loss=100', sample_format.format_sample(figure))
        for text in ('>', '>-', '>- loss=100', '>>1', '> 100', '>nan'):
            self.assertRaises(
                ValueError, sample_format.parse_sample, text, True
            )

    def test_later_fields(self):
        """A field that is not known yet does not cost the figure."""
        self.assertEqual(
            sample.Sample(1.0, jitter_ms=0.5),
            sample_format.parse_sample('1 hops=7 jitter=0.5'),
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
            '12.4 hops=',
            '12.4 =7',
            '12.4 Hops=7',
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
            '12.4 at=1969-12-31T23:59:59Z',
            '12.4 at=0001-01-01T00:00:00+14:00',
            '12.4 at=0500-06-01T00:00:00Z',
            '12.4 at=9999-12-31T23:59:59-14:00',
            '12.4 at=9998-12-31T23:59:59-14:00',
            '12.4 at=9999-12-31T23:59:59.999999Z',
            '1' + '0' * 19 + 'e99',
            '1.1e99',
            '12.4 jitter=0.1e-99',
            '12.4 by=' + 'x' * 33,
            'x' * 255,
        ):
            with self.subTest(text):
                error = self.assertRaises(
                    ValueError, sample_format.parse_sample, text
                )
                self.assertRegex(str(error), '^is ')

    @hypothesis.given(FIELDS)
    def test_read_is_written(self, words):
        """What can be read can be written, and is read as the same again."""
        try:
            figure = sample_format.parse_sample(' '.join(words), True)
        except ValueError:
            return
        text = sample_format.format_sample(figure)
        again = sample_format.parse_sample(text, True)
        at = figure.at and float(int(figure.at))
        self.assertEqual(figure._replace(at=at), again)

    def test_unwritable(self):
        """What could not be read again is not written."""
        for figure in (
            sample.Sample(1e305),
            sample.Sample(1.0, jitter_ms=1e-305),
            sample.Sample(float('nan')),
            sample.Sample(1.0, at=-1.0),
            sample.Sample(1.0, at=1e12),
        ):
            self.assertRaises(ValueError, sample_format.format_sample, figure)

    def test_negative_zero(self):
        """A zero is written as one, whatever sign it has."""
        figure = sample.Sample(1.0, jitter_ms=-0.0, loss_pct=-0.0)
        self.assertEqual(
            '1 jitter=0 loss=0', sample_format.format_sample(figure)
        )

    def test_agent(self):
        """Who wrote a figure stands in it, and does not change it."""
        figure = sample.Sample(12.4, loss_pct=0.0, source='icmp')
        text = sample_format.format_sample(figure, 'par-agent')
        self.assertEqual('12.4 loss=0 by=icmp agent=par-agent', text)
        self.assertEqual(figure, sample_format.parse_sample(text))
        self.assertEqual('par-agent', sample_format.parse_agent(text))
        for other in ('', '12.4', '12.4 by=icmp', 'agent=x'):
            self.assertEqual('', sample_format.parse_agent(other))

    @hypothesis.given(SAMPLES)
    def test_round_trip(self, figure):
        """What is written is read back, and fits into a metadata value."""
        text = sample_format.format_sample(figure)
        self.assertEqual(figure, sample_format.parse_sample(text))
        self.assertLessEqual(len(text), 255)
