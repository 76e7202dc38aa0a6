# SPDX-License-Identifier: Apache-2.0

import math

import hypothesis
from hypothesis import strategies as st

from edge_filters.agent import change
from edge_filters.latency import sample
from edge_filters.latency import sample_format
from tests.unit import base

NOW = 1.8e9
HYSTERESIS = change.Hysteresis(1.0, 10.0)

# What a driver may give, and what none should.
ANY_NUMBER = st.none() | st.floats() | st.sampled_from((0.0, 100.0, 1e-9, 5.5))
ANY_SAMPLE = st.builds(
    sample.Sample,
    rtt_ms=ANY_NUMBER,
    jitter_ms=ANY_NUMBER,
    loss_pct=ANY_NUMBER | st.floats(0, 100),
    probes=st.none() | st.integers(),
    at=ANY_NUMBER | st.floats(0, NOW + 100),
    source=st.none() | st.text(max_size=40) | st.just('icmp'),
    kind=st.sampled_from(sample.Kind),
)


def figure(rtt_ms=20.0, jitter_ms=None, loss_pct=None, probes=None):
    return sample.Sample(rtt_ms, jitter_ms, loss_pct, probes, NOW, 'icmp')


class DifferenceTest(base.TestCase):
    """What is worth a call."""

    def check(self, expected, before, after):
        said = change.difference(before, after, HYSTERESIS)
        self.assertEqual(expected, bool(said), said)

    def test_rtt(self):
        """An RTT has to move by the milliseconds and by the share, both."""
        for before_ms, after_ms, is_worth in (
            (20, 22, False),
            (20, 22.1, True),
            (20, 17.9, True),
            (2, 2.9, False),
            (2, 3.1, True),
            (100, 91, False),
            (100, 89, True),
        ):
            self.check(is_worth, figure(before_ms), figure(after_ms))

    def test_jitter(self):
        """So does a jitter, by the share of the RTT."""
        self.check(False, figure(50, 1.0), figure(50, 5.9))
        self.check(True, figure(50, 1.0), figure(50, 6.1))
        self.check(True, figure(5, 1.0), figure(5, 2.1))

    def test_known_now(self):
        """What is known for the first time is worth it; forgotten, it is not.

        Who tells jitter or loss now and then is not written all the time.
        """
        self.check(True, figure(), figure(jitter_ms=0.1))
        self.check(False, figure(jitter_ms=0.1), figure())
        self.check(True, figure(), figure(loss_pct=0.0))
        self.check(False, figure(loss_pct=0.0), figure())

    def test_reachability(self):
        """That nothing is answered, or something again, is worth it."""
        lost = figure(None, loss_pct=100.0)
        self.check(True, figure(), lost)
        self.check(True, lost, figure())
        self.check(False, lost, lost)

    def test_loss(self):
        """A loss has to change by a point, and by more than chance."""
        for before, after, is_worth in (
            ((0.0, 1000), (0.9, 1000), False),
            ((0.0, 1000), (2.0, 1000), True),
            ((0.0, 10), (30.0, 10), False),
            ((0.0, 10), (80.0, 10), True),
            ((10.0, 300), (12.0, 300), False),
            ((10.0, 3000), (13.0, 3000), True),
            # Of how many probes nobody says: of few, then.
            ((0.0, None), (30.0, None), False),
            ((0.0, None), (80.0, None), True),
        ):
            (was, some), (now, more) = before, after
            self.check(
                is_worth,
                figure(loss_pct=was, probes=some),
                figure(loss_pct=now, probes=more),
            )


class WrittenTest(base.TestCase):
    """What is written can be read, and is what was measured."""

    def test_objections(self):
        """What cannot be is objected to in words."""
        good = figure(12.5, 0.1, 1.0, 20)
        self.assertEqual('', change.objection(good, NOW))
        for field, value, word in (
            ('at', None, 'when'),
            ('at', NOW + 61, 'ahead'),
            ('at', -1.0, '1970'),
            ('at', math.nan, 'nan'),
            ('rtt_ms', None, 'no RTT'),
            ('rtt_ms', 0.0, 'RTT of 0'),
            ('rtt_ms', 60001.0, '60000'),
            ('rtt_ms', math.nan, 'nan'),
            ('rtt_ms', -3.0, '-3'),
            ('jitter_ms', -1.0, 'jitter'),
            ('jitter_ms', math.inf, 'inf'),
            ('loss_pct', 100.0, 'loss of 100'),
            ('loss_pct', -1.0, 'loss of -1'),
            ('probes', -1, '-1 probes'),
            ('source', 'two words', "'two words'"),
            ('kind', sample.Kind.ESTIMATE, 'estimate'),
        ):
            bad = good._replace(**{field: value})
            self.assertIn(word, change.objection(bad, NOW))
        ahead = good._replace(at=NOW + 59)
        self.assertEqual('', change.objection(ahead, NOW))

    def test_rounding(self):
        """Figures are rounded for people, who lose nothing that matters."""
        for given, text in (
            (figure(12.345678, 0.12345), '12.346 jitter=0.123'),
            (figure(0.00001, 0.00001), '0.001 jitter=0'),
            # A little is not none, nor is nearly all of it all.
            (figure(1.0, loss_pct=0.00001), '1 loss=0.001'),
            (figure(1.0, loss_pct=99.9999), '1 loss=99.999'),
            (figure(None, loss_pct=100.0), '- loss=100'),
        ):
            value = change.value(given, 'agent-1')
            self.assertEqual(
                f'{text} at=2027-01-15T08:00:00Z by=icmp agent=agent-1', value
            )

    def test_bound(self):
        """A bound of nothing stays one of nothing."""
        bound = sample.Sample(0.0, at=NOW, kind=sample.Kind.BOUND)
        self.assertTrue(change.value(bound, 'a').startswith('>0 at='))

    @hypothesis.given(ANY_SAMPLE)
    def test_any(self, given):
        """Whatever is measured is objected to, or reads as what it was."""
        if change.objection(given, NOW):
            return
        text = change.value(given, 'a' * 64)
        self.assertLessEqual(len(text), change.MAX_LENGTH)
        again = sample_format.parse_sample(text)
        self.assertEqual(given.is_unreachable, again.is_unreachable)
        self.assertEqual(given.source, again.source)
        self.assertEqual(int(given.at), again.at)
        self.assertEqual(given.probes, again.probes)
        if not given.is_unreachable:
            self.assertAlmostEqual(given.rtt_ms, again.rtt_ms, delta=0.001)
            self.assertGreater(again.rtt_ms, 0)
        self.assertEqual('', change.difference(given, again, HYSTERESIS))
