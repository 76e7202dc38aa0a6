# SPDX-License-Identifier: Apache-2.0

import math
import tracemalloc

import hypothesis
from hypothesis import strategies as st

from edge_filters.latency import figures
from edge_filters.latency import sample
from edge_filters.latency import sample_format
from tests.unit import base
from tests.unit.latency import test_sample_format

_THOUSANDTHS = st.integers(0, 2**33).map(lambda number: number / 1000)
# What one field of all figures may be, and what no parser would return.
_SORTS = st.sampled_from(
    (
        st.none(),
        st.integers(0, 2**8),
        st.integers(0, 2**16),
        st.integers(0, 2**32),
        st.integers(),
        st.integers(-1, 300).map(float),
        st.integers(0, 2**33).map(float),
        _THOUSANDTHS,
        st.none() | _THOUSANDTHS,
        st.floats(allow_nan=False),
        st.sampled_from((0.0, -0.0)),
        st.sampled_from((1, 1.0, None)),
        st.sampled_from((None, 'icmp', 'tcp')),
        st.sampled_from(sample.Kind),
    )
)
_NAMES = st.text(max_size=5) | st.integers(0, 99).map('origin-{}'.format)


@st.composite
def _of_sorts(draw):
    """Figures in which each field has values of one sort."""
    sorts = [draw(_SORTS) for _ in sample.Sample._fields]
    return {
        name: sample.Sample(*map(draw, sorts))
        for name in draw(st.lists(_NAMES, unique=True, max_size=9))
    }


MAPPINGS = _of_sorts() | st.dictionaries(_NAMES, test_sample_format.SAMPLES)


class FiguresTest(base.TestCase):
    @hypothesis.given(MAPPINGS)
    def test_exact(self, given):
        """What comes out is what went in, to the last bit."""
        kept = figures.Figures(given)
        for name, figure in given.items():
            # Unlike ==, repr tells 12 from 12.0, and 0.0 from -0.0.
            self.assertEqual(repr(figure), repr(kept[name]))
            self.assertEqual(figure, kept.get(name))

    def test_limits(self):
        """Numbers as large as a column holds are exact, and larger ones."""
        for largest in (2**8, 2**16, 2**32, 2**53, 10**30):
            for step in (-1, 0, 1):
                for number in (
                    largest + step,
                    float(largest + step),
                    (largest + step) / 1000,
                    math.nextafter((largest + step) / 1000, 0),
                ):
                    given = {
                        'a': sample.Sample(number, at=0.0),
                        'b': sample.Sample(0.5, at=number),
                        'c': sample.Sample(type(number)(1), at=5.0),
                        'd': sample.Sample(None, at=0.0),
                    }
                    for names in ('ab', 'ac', 'ad', 'bd'):
                        part = {name: given[name] for name in names}
                        self.assertEqual(
                            repr(part), repr(dict(figures.Figures(part)))
                        )

    @hypothesis.given(MAPPINGS)
    def test_mapping(self, given):
        """Figures are a mapping, in the order of their names."""
        kept = figures.Figures(given)
        self.assertEqual(sorted(given), [*kept])
        self.assertEqual(len(given), len(kept))
        self.assertEqual(given.keys(), kept.keys())
        self.assertEqual([kept[name] for name in kept], [*kept.values()])
        self.assertTrue(kept == given and given == kept)
        self.assertEqual(kept, figures.Figures(kept))
        self.assertNotEqual(kept, {**given, '': None})

    @hypothesis.given(MAPPINGS, _NAMES | st.none() | st.integers())
    def test_membership(self, given, name):
        """What is not there is not there, whatever it is."""
        kept = figures.Figures(given)
        self.assertEqual(name in given, name in kept)
        self.assertEqual(given.get(name), kept.get(name))
        if name not in given:
            self.assertRaises(KeyError, kept.__getitem__, name)

    def test_immutable(self):
        """Figures never change, whatever becomes of what they are made of."""
        given = {'paris': sample.Sample(4.1)}
        kept = figures.Figures(given)
        given['paris'] = given['lyon'] = sample.Sample(9.8)
        self.assertEqual({'paris': sample.Sample(4.1)}, kept)
        with self.assertRaises(TypeError):
            kept['paris'] = sample.Sample(9.8)
        with self.assertRaises(TypeError):
            del kept['paris']
        with self.assertRaises(AttributeError):
            kept.paris = sample.Sample(9.8)

    def test_shown(self):
        """In a message figures are shown as they were given."""
        self.assertEqual(
            f"Figures({{'paris': {sample.Sample(4.1)}}})",
            repr(figures.Figures({'paris': sample.Sample(4.1)})),
        )


class MemoryTest(base.TestCase):
    def bytes_a_figure(self, write):
        """How large figures are that are read from text.

        :param write: returns a figure by site and origin, as it is written
        """

        def read(site):
            return figures.Figures(
                {
                    f'origin-{origin}': sample_format.parse_sample(
                        write(site, origin)
                    )
                    for origin in range(300)
                }
            )

        # The names of the first are those of all.
        kept = [read(0)]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        kept += map(read, range(1, 4))
        after, _ = tracemalloc.get_traced_memory()
        return (after - before) / sum(map(len, kept[1:]))

    def test_by_hand(self):
        """A figure written by hand takes a tenth of what Nova takes for it."""
        self.assertLess(
            self.bytes_a_figure(
                lambda site, origin: f'{origin % 60 + site / 10}'
            ),
            17,
        )

    def test_by_the_agent(self):
        """One that is measured, with all there is to tell, a seventh."""
        self.assertLess(
            self.bytes_a_figure(
                lambda site, origin: (
                    f'{origin + site / 10} jitter={origin / 100} '
                    f'loss={origin % 20} n={1000 + site + origin} '
                    f'at=2026-11-23T{site:02}:{origin % 60:02}:00Z by=icmp'
                )
            ),
            31,
        )

    def test_many_decimals(self):
        """One with all the digits that Python writes, a fifth."""
        self.assertLess(
            self.bytes_a_figure(
                lambda site, origin: (
                    f'{origin + site / 7} jitter={origin / 7} loss=0 n=20 '
                    f'at=2026-11-23T{site:02}:{origin % 60:02}:00Z by=icmp'
                )
            ),
            42,
        )

    def test_unreachable(self):
        """One beside others that are unreachable, a fifth."""
        self.assertLess(
            self.bytes_a_figure(
                lambda site, origin: (
                    f'- loss=100 n={20 + site} by=icmp'
                    if origin % 9 == 0
                    else f'{origin + site / 10} jitter={origin / 100} loss=0 '
                    f'n={20 + site} by=icmp'
                )
            ),
            42,
        )
