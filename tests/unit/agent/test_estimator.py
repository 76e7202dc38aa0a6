# SPDX-License-Identifier: Apache-2.0

import random

import hypothesis
from hypothesis import strategies as st

from edge_filters.agent import estimator
from edge_filters.agent import reading
from edge_filters.latency import sample_format
from tests.unit import base

RTTS_MS = st.floats(min_value=0.001, max_value=60_000)


@st.composite
def echoes(draw):
    rtts_ms = draw(st.lists(RTTS_MS, max_size=12))
    lost = draw(st.integers(0, 12))
    # Beyond what was sent are answers that came twice.
    twice = draw(st.integers(0, len(rtts_ms)))
    sent = len(rtts_ms) - twice + lost
    at = draw(st.floats(min_value=0, max_value=2**33))
    return reading.Echoes(tuple(rtts_ms), sent, at)


# Of each interval, the echoes of each beacon.
STORIES = st.lists(st.lists(echoes(), max_size=3), max_size=12)
STATISTICS = st.sampled_from(('median', 'p95', 'min'))


def of(*rtts_ms, sent=None, at=0.0):
    """Return what one beacon answered in an interval."""
    return reading.Echoes(rtts_ms, sent or len(rtts_ms), at)


class Story:
    """A path, and what is said of it."""

    def __init__(self, statistic='median', seed=1):
        self.estimator = estimator.Estimator(statistic)
        self.rng = random.Random(seed)
        self.at = 0.0

    def goes_on(self, intervals=1, loss=0.0, rtt_ms=10.0, probes=10):
        """Return the figure of each interval, with a random loss."""
        return [self._interval(loss, rtt_ms, probes) for _ in range(intervals)]

    def _interval(self, loss, rtt_ms, probes):
        self.at += 60
        answered = sum(self.rng.random() >= loss for _ in range(probes))
        return self.estimator.add(
            [of(*[rtt_ms] * answered, sent=probes, at=self.at)]
        )


class RttTest(base.TestCase):
    """What is published as RTT."""

    def test_statistic(self):
        """The statistic is of the probes of the interval."""
        rtts_ms = [float(it) for it in range(1, 101)]
        random.Random(2).shuffle(rtts_ms)
        for statistic, expected in (
            ('median', 50.5),
            ('p95', 95.0),
            ('min', 1.0),
        ):
            figure = estimator.Estimator(statistic).add([of(*rtts_ms, at=7.0)])
            self.assertEqual(expected, figure.rtt_ms)
            self.assertEqual(7.0, figure.at)
            self.assertIsNone(figure.source)

    def test_outliers(self):
        """Probes that are late, fewer than half, do not move the median."""
        for late in (1, 4):
            figure = estimator.Estimator('median').add(
                [of(*[10.0] * (10 - late), *[9000.0] * late)]
            )
            self.assertEqual(10.0, figure.rtt_ms)

    @hypothesis.given(STATISTICS, STORIES, st.lists(echoes(), min_size=1))
    def test_last_interval_alone(self, statistic, past, last):
        """However long the past, the RTT is that of the last interval."""
        hypothesis.assume(any(it.rtts_ms for it in last))
        hypothesis.assume(any(it.sent for it in last))
        old, new = (estimator.Estimator(statistic) for _ in range(2))
        for interval in past:
            old.add(interval)
        self.assertEqual(new.add(last).rtt_ms, old.add(last).rtt_ms)

    def test_several_beacons(self):
        """A lost probe does not draw the figure towards another beacon."""
        near, far = of(*[10.0] * 10), of(*[30.0] * 10)
        fewer = of(*[10.0] * 9, sent=10)
        for heard in ([near, far], [fewer, far]):
            figure = estimator.Estimator('median').add(heard)
            self.assertEqual(20.0, figure.rtt_ms)

    def test_few_answers(self):
        """One answer of ten is a figure, if one with a loss."""
        figure = estimator.Estimator('median').add([of(12.0, sent=10)])
        self.assertEqual(
            (12.0, 90.0, 10), (figure.rtt_ms, figure.loss_pct, figure.probes)
        )


class JitterTest(base.TestCase):
    """What is published as jitter."""

    def test_what_it_is(self):
        """It is how far 95 percent stay within, above the fastest."""
        rtts_ms = [10.0 + it for it in range(100)]
        figure = estimator.Estimator('median').add([of(*rtts_ms)])
        self.assertEqual(94.0, figure.jitter_ms)

    def test_one_probe(self):
        """One probe has no jitter, and neither has one of each beacon."""
        for heard in ([of(5.0)], [of(5.0), of(9.0)], [of(5.0, sent=10)]):
            figure = estimator.Estimator('median').add(heard)
            self.assertIsNone(figure.jitter_ms)

    def test_beacons_far_apart(self):
        """That one beacon is farther than another is no jitter."""
        heard = [of(10.0, 10.5), of(30.0, 30.5)]
        figure = estimator.Estimator('median').add(heard)
        self.assertEqual(0.5, figure.jitter_ms)

    def test_late_probe(self):
        """One late probe makes no jitter, jitter is there in two."""
        path = estimator.Estimator('median')
        calm, late = of(10.0, 10.2, 10.1), of(10.0, 10.2, 500.0)
        for _ in range(3):
            path.add([calm])
        self.assertAlmostEqual(0.2, path.add([late]).jitter_ms)
        self.assertAlmostEqual(490.0, path.add([late]).jitter_ms)

    def test_step(self):
        """That the path became longer is no jitter."""
        path = Story()
        path.goes_on(5, rtt_ms=10.0)
        self.assertEqual(0.0, path.goes_on(rtt_ms=80.0)[0].jitter_ms)


class LossTest(base.TestCase):
    """What is published as loss, and the number that it is of."""

    def test_budget(self):
        """Loss is counted for long enough for a budget of 0.1 percent."""
        figure = Story().goes_on(300)[-1]
        self.assertEqual((0.0, 3000), (figure.loss_pct, figure.probes))

    def test_memory(self):
        """It is counted over no more than 360 intervals."""
        self.assertEqual(3600, Story().goes_on(500)[-1].probes)

    def test_step(self):
        """Loss that begins or ends is not lost among what was before."""
        for seed in range(20):
            path = Story(seed=seed)
            path.goes_on(360)
            figures = path.goes_on(40, loss=0.3)
            self.assertLess(0, figures[1].loss_pct)
            self.assertLess(figures[9].probes, 200)
            self.assertAlmostEqual(30, figures[-1].loss_pct, delta=10)
            figures = path.goes_on(8)
            self.assertLess(figures[-1].loss_pct, 3)

    def test_steady(self):
        """What was counted is not thrown away for a chance."""
        for loss in (0.001, 0.01, 0.3):
            path = Story(seed=3)
            figures = path.goes_on(400, loss=loss)[360:]
            kept = sum(it.probes == 3600 for it in figures)
            self.assertLess(35, kept, loss)
            self.assertAlmostEqual(
                100 * loss, figures[-1].loss_pct, delta=100 * loss / 2
            )

    def test_never_all(self):
        """A path that answers has a loss of less than all."""
        path = Story()
        path.goes_on(5, loss=1.0, probes=100_000)
        figure = path.estimator.add([of(3.0, sent=100_000)])
        self.assertEqual((3.0, 99.99), (figure.rtt_ms, figure.loss_pct))
        self.assertEqual(
            3.0,
            sample_format.parse_sample(
                sample_format.format_sample(figure)
            ).rtt_ms,
        )


class UnreachableTest(base.TestCase):
    """When it is published that nobody is there."""

    def test_cut_link(self):
        """A cut link is unreachable at once, and reached at once again."""
        path = Story()
        path.goes_on(100)
        first, second = path.goes_on(2, loss=1.0)
        for figure in (first, second):
            self.assertEqual('- loss=100 n=10', _text(figure))
        self.assertEqual(path.at, second.at)
        back = path.goes_on(2, rtt_ms=30.0)[-1]
        self.assertEqual(
            (30.0, 0.0, 20), (back.rtt_ms, back.loss_pct, back.probes)
        )

    def test_never_there(self):
        """Who never answered is unreachable from the beginning."""
        figure = Story().goes_on(loss=1.0)[0]
        self.assertTrue(figure.is_unreachable)
        self.assertEqual('- loss=100 n=10', _text(figure))

    def test_one_probe(self):
        """A single probe without an answer is enough, and no outage."""
        path = Story()
        path.goes_on(99, probes=1)
        figure = path.goes_on(loss=1.0, probes=1)[0]
        self.assertEqual('- loss=100 n=1', _text(figure))
        back = path.goes_on(probes=1)[0]
        self.assertEqual((0.9901, 101), (back.loss_pct, back.probes))

    def test_outage(self):
        """An outage that is over is no loss, and what was before is over."""
        path = Story()
        path.goes_on(99, probes=3)
        path.goes_on(loss=1.0, probes=3)
        back = path.goes_on(probes=3)[0]
        self.assertEqual((0.0, 3), (back.loss_pct, back.probes))


class PoolTest(base.TestCase):
    """What is made of the beacons of one path."""

    def test_silent(self):
        """A beacon that is silent while another answers is left out."""
        answers, silent = of(5.0, 6.0, sent=3), of(sent=3)
        self.assertEqual(
            ((answers,), (0, 2)), estimator.pool([silent, answers, silent])
        )

    def test_all_silent(self):
        """Where all are silent, the path is."""
        silent = of(sent=3)
        self.assertEqual(
            ((silent, silent), ()), estimator.pool([silent, silent])
        )

    def test_one_lost(self):
        """A probe or two are lost, as are those of a beacon that answers."""
        path = estimator.Estimator('median')
        for _ in range(30):
            pooled = estimator.pool([of(5.0), of(5.0), of(sent=1)])
            self.assertEqual((), pooled.silent)
            figure = path.add(pooled.heard)
        self.assertEqual((33.33, 90), (figure.loss_pct, figure.probes))


class AnythingTest(base.TestCase):
    """Whatever comes back of the probes."""

    @hypothesis.given(STATISTICS, STORIES)
    def test_ranges(self, statistic, story):
        """A figure can be written, and is within what was seen."""
        path = estimator.Estimator(statistic)
        for interval in story:
            figure = path.add(interval)
            if figure is None:
                self.assertEqual(0, sum(it.sent for it in interval))
                continue
            rtts_ms = [rtt for it in interval for rtt in it.rtts_ms]
            self.assertEqual(not rtts_ms, figure.is_unreachable)
            self.assertEqual(not rtts_ms, figure.loss_pct == 100)
            self.assertEqual(max(it.at for it in interval), figure.at)
            self.assertLess(0, figure.probes)
            self.assertEqual(
                _text(figure),
                _text(sample_format.parse_sample(_text(figure))),
            )
            if rtts_ms:
                self.assertLessEqual(min(rtts_ms) - 0.001, figure.rtt_ms)
                self.assertLessEqual(figure.rtt_ms, max(rtts_ms) + 0.001)

    @hypothesis.given(STATISTICS, STORIES, st.sampled_from((2, 16, 0.5)))
    def test_scale(self, statistic, story, scale):
        """In another unit the figures are the same; loss has none."""
        ours, theirs = (estimator.Estimator(statistic) for _ in range(2))
        for interval in story:
            figure = ours.add(interval)
            scaled = theirs.add(
                [
                    it._replace(rtts_ms=tuple(scale * x for x in it.rtts_ms))
                    for it in interval
                ]
            )
            if figure is None:
                self.assertIsNone(scaled)
                continue
            self.assertEqual(figure[2:], scaled[2:])
            for one, other in zip(figure[:2], scaled[:2], strict=True):
                if one is None:
                    self.assertIsNone(other)
                else:
                    self.assertAlmostEqual(
                        scale * one, other, delta=scale * 0.002
                    )


def _text(figure):
    return sample_format.format_sample(figure._replace(at=None))
