# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st

from edge_filters.agent import change
from edge_filters.agent import choice
from edge_filters.latency import sample
from tests.unit import base

HYSTERESIS = change.Hysteresis(1.0, 10.0)
LOST = sample.Sample(None, loss_pct=100.0, at=5.0)

NAMES = [f'n{number:02}' for number in range(12)]
RTTS = st.floats(0.001, 200) | st.sampled_from((10.0, 20.0, 21.0))
FIGURES = st.dictionaries(
    st.sampled_from(NAMES),
    st.just(LOST) | RTTS.map(lambda it: sample.Sample(it, at=9.0)),
)
SETS = st.sets(st.sampled_from(NAMES))
BOOLEANS = st.booleans()


def figures(*rtts_ms):
    """Return figures of n00, n01, ...; None: unreachable."""
    return {
        name: LOST if it is None else sample.Sample(float(it), at=9.0)
        for name, it in zip(NAMES, rtts_ms, strict=False)
    }


def nearest(its, published=(), count=2, **options):
    published = frozenset(NAMES[it] for it in published)
    chosen = choice.nearest(its, published, count, HYSTERESIS, **options)
    return [NAMES.index(it) for it in chosen]


class NearestTest(base.TestCase):
    """Who gets a key."""

    def test_nearest(self):
        """The nearest are chosen, and the unreachable after all others."""
        self.assertEqual([2, 0], nearest(figures(20, 30, 10, None)))
        self.assertEqual([0, 1], nearest(figures(20, None, None)))
        self.assertEqual([], nearest({}))

    def test_stays_by_rank(self):
        """Who is published stays among 1.25 times as many."""
        its = figures(10, 20, 30, 40, 47, 60, 90)
        self.assertEqual([0, 1, 2, 4], nearest(its, [0, 1, 2, 4], count=4))
        self.assertEqual([0, 1, 2, 3], nearest(its, [0, 1, 2, 6], count=4))

    def test_comes(self):
        """Who is clearly nearer than one of those that stay comes."""
        its = figures(10, 20, 30, 40, 50)
        self.assertEqual([0, 1, 2, 3, 4], nearest(its, [0, 1, 3, 4], count=4))
        its = figures(10, 20, 38, 40, 41)
        self.assertEqual([0, 1, 3, 4], nearest(its, [0, 1, 3, 4], count=4))

    def test_unreachable_stays(self):
        """Who is published and unreachable stays, and takes no place."""
        its = figures(10, 20, 30, None, None)
        self.assertEqual([0, 1, 3], nearest(its, [3]))
        its = figures(None, None, None, None)
        self.assertEqual([2, 3], nearest(its, [2, 3]))

    def test_strict(self):
        """Where places are all there are, there are no more of them."""
        its = figures(10, 20, 30, 40, None)
        self.assertEqual(
            [0, 4], nearest(its, [2, 3, 4], count=2, is_strict=True)
        )
        self.assertEqual([], nearest(its, [0], count=0, is_strict=True))

    @hypothesis.given(FIGURES, SETS, st.integers(1, 6), BOOLEANS)
    def test_any(self, its, published, count, is_strict):
        """Nobody who is left out is clearly nearer than who is chosen.

        Those who are chosen need not be more than there are places, and
        nobody who is unreachable goes.
        """
        chosen = choice.nearest(its, published, count, HYSTERESIS, is_strict)
        self.assertEqual(len(chosen), len(set(chosen)))
        self.assertLessEqual(set(chosen), its.keys())
        self.assertGreaterEqual(len(chosen), min(count, len(its)))
        lost = {name for name, it in its.items() if it.is_unreachable}
        self.assertLessEqual(lost & published, set(chosen))
        if is_strict:
            kept = len(lost & published)
            self.assertLessEqual(len(chosen), max(count, kept))
            return
        reachable = sorted(its.keys() - lost, key=lambda it: its[it].rtt_ms)
        for rank, name in enumerate(reachable, 1):
            if name in published and rank <= count:
                self.assertIn(name, chosen)
            if name not in chosen and rank <= count:
                for other in set(chosen) - lost:
                    margin_ms = 2 * HYSTERESIS.margin_ms(its[name].rtt_ms)
                    self.assertLessEqual(
                        its[other].rtt_ms - margin_ms, its[name].rtt_ms
                    )

    @hypothesis.given(
        st.lists(st.floats(1, 200), min_size=2, max_size=12),
        st.lists(st.lists(st.floats(-1, 1), min_size=12, max_size=12)),
        st.integers(1, 6),
        BOOLEANS,
    )
    def test_noise(self, rtts_ms, rounds, count, is_strict):
        """Within the hysteresis everybody comes at most once."""
        published, came = set(), []
        for noise in rounds:
            its = figures(
                *(
                    # A figure moves by less than the hysteresis of both.
                    it + 0.45 * HYSTERESIS.margin_ms(it) * some
                    for it, some in zip(rtts_ms, noise, strict=False)
                )
            )
            chosen = choice.nearest(
                its, published, count, HYSTERESIS, is_strict
            )
            came += set(chosen) - published
            published = set(chosen)
        self.assertEqual(len(came), len(set(came)), came)


class BoundTest(base.TestCase):
    """What is said of the rest."""

    def bound(self, its, published=(), known=()):
        published = {NAMES[it] for it in published}
        known = {NAMES[it] for it in known}
        return choice.bound(its, published, known, HYSTERESIS)

    def test_bound(self):
        """It is below the nearest of the rest, and as old as the oldest."""
        its = figures(10, 30, 60, None)
        bound = self.bound(its, [0], range(4))
        self.assertEqual((24.0, 5.0), (bound.rtt_ms, bound.at))
        self.assertIs(sample.Kind.BOUND, bound.kind)
        self.assertEqual(9.0, self.bound(its, [0, 3], range(4)).at)

    def test_none(self):
        """It is not said of what is not measured, nor of nothing."""
        its = figures(10, 30)
        self.assertIsNone(self.bound(its, [0], [0, 1, 2]))
        self.assertIsNone(self.bound(its, [0, 1], [0, 1]))
        self.assertIsNone(self.bound(figures(None), [], [0]))
        # What is published is not of the rest.
        self.assertIsNotNone(self.bound(its, [0, 2], [0, 1, 2]))

    def test_no_room(self):
        """Near as the rest may be, a bound is never below nothing."""
        self.assertEqual(0.0, self.bound(figures(0.5)).rtt_ms)

    @hypothesis.given(FIGURES, SETS, SETS)
    def test_true(self, its, published, known):
        """It is true of all that is known, now and after a little noise."""
        bound = choice.bound(its, published, known, HYSTERESIS)
        if bound is None:
            return
        for name in known - published:
            figure = its[name]
            self.assertGreaterEqual(figure.at, bound.at)
            if figure.rtt_ms is not None and bound.rtt_ms:
                self.assertLess(
                    bound.rtt_ms,
                    figure.rtt_ms - 1.5 * HYSTERESIS.margin_ms(figure.rtt_ms),
                )
        self.assertFalse(choice.is_false(bound, its, published))

    def test_false(self):
        """It is wrong where something of the rest is no farther."""
        bound = sample.Sample(20.0, at=9.0, kind=sample.Kind.BOUND)
        for published, rtt_ms, is_false in (
            ((), 20, True),
            ((), 20.1, False),
            (NAMES, 10, False),
            ((), None, False),
        ):
            self.assertEqual(
                is_false,
                choice.is_false(bound, figures(rtt_ms), frozenset(published)),
            )
        figure = sample.Sample(20.0, at=9.0)
        self.assertFalse(choice.is_false(figure, figures(10), frozenset()))
