# SPDX-License-Identifier: Apache-2.0
"""HOW ARE MANY FIGURES KEPT? In columns, a tenth as large as samples.

A large cloud has hundreds of thousands of them, in each scheduler.
"""

import array
import bisect
import collections.abc
import itertools
import math
import operator
import types
import typing

from edge_filters import spelling
from edge_filters.latency import sample

# The values of one field in all figures: as they are, or as an array in which
# None is NaN; and by what they are to be divided, None: they are no floats.
_Column = tuple['_Values | array.array[int] | array.array[float]', int | None]
_Values = tuple[typing.Any, ...]


class Figures(collections.abc.Mapping[str, sample.Sample]):
    """Figures by name, in the order of their names; immutable.

    What comes out is equal to what went in, but is another object.

    :param figures: the figures; none of their numbers is NaN
    """

    __slots__ = ('_columns', '_first', '_names')

    def __init__(
        self, figures: collections.abc.Mapping[str, sample.Sample]
    ) -> None:
        # Most sites have figures of the same names.
        self._names = tuple(map(spelling.shared, sorted(figures)))
        rows = [figures[name] for name in self._names]
        self._first: _Values = tuple(rows[0]) if rows else ()
        # By the place of their field, where not all are as the first.
        self._columns = tuple(
            (place, *column)
            for place, values in enumerate(zip(*rows, strict=True))
            if (column := _column(values))
        )

    def __getitem__(self, name: str) -> sample.Sample:
        figure: sample.Sample | None = self.get(name)
        if figure is None:
            raise KeyError(name)
        return figure

    def get(self, name: object, default: typing.Any = None) -> typing.Any:
        """Return a figure; faster than what is inherited."""
        index = self._find(name)
        if index is None:
            return default
        values = [*self._first]
        for place, column, divisor in self._columns:
            value = column[index]
            if divisor:
                value = value / divisor if value == value else None
            values[place] = value
        return sample.Sample._make(values)

    def __contains__(self, name: object) -> bool:
        return self._find(name) is not None

    def __iter__(self) -> collections.abc.Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({dict(self)!r})'

    def _find(self, name: object) -> int | None:
        if not isinstance(name, str):
            return None
        index = bisect.bisect_left(self._names, name)
        is_there = index < len(self._names) and self._names[index] == name
        return index if is_there else None


def _column(values: _Values) -> _Column | None:
    """Return the values of a field; None: all are the same."""
    if all(map(operator.is_, values, itertools.repeat(values[0]))):
        return None
    kinds = set(map(type, values))
    if kinds == {int}:
        return _ints(values) or values, None
    if kinds <= {float, types.NoneType}:
        return _floats(values)
    return values, None


def _ints(
    values: collections.abc.Sequence[int],
) -> 'array.array[int] | None':
    """Return whole numbers in the smallest array that has room for them."""
    for typecode in 'BHI':
        try:
            return array.array(typecode, values)
        except OverflowError:
            continue
    return None


def _floats(values: collections.abc.Sequence[float | None]) -> _Column | None:
    """Return floats, as whole numbers or thousandths if that is exact."""
    exact = array.array('d', [math.nan if it is None else it for it in values])
    bits = exact.tobytes()
    # Not ==, as 0.0 == -0.0.
    if bits == bits[: exact.itemsize] * len(values):
        return None
    divisor = 1 if all(map(float.is_integer, exact)) else 1000
    try:
        whole = [round(it * divisor) for it in exact]
    except (OverflowError, ValueError):
        return exact, 1
    again = array.array('d', [it / divisor for it in whole])
    column = _ints(whole) if again.tobytes() == bits else None
    return (column, divisor) if column else (exact, 1)
