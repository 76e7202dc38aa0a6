# SPDX-License-Identifier: Apache-2.0
"""WHAT SHOULD BE REACHED? Each figure of the scheduler, and its reference."""

from collections.abc import Sequence
import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Figure:
    """What is measured, and what it should be.

    :param number: which it is
    :param name: what is measured, and beside what
    :param unit: in what
    :param measure: the name of what measures it
    :param reference: the name of what measures the reference
    :param at_most: what part of the reference it should be at most; None: it
        is only told
    :param at_least: what it should be at least; None: see ``at_most``
    """

    number: int
    name: str
    unit: str
    measure: str
    reference: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def goal(self) -> str:
        """What it should be, in words."""
        if self.at_least is not None:
            return f'{self.at_least:g}'
        return '' if self.at_most is None else f'{self.at_most:.3g}'

    def is_missed(self, value: float, reference: float) -> bool:
        if self.at_least is not None:
            return value < self.at_least
        return self.at_most is not None and value > self.at_most * reference


# Those that are measured in turns with one another stand together.
FILTERS = (
    Figure(
        1,
        'latency filter / in-tree aggregate filter',
        'us/host',
        'filter',
        'aggregate filter',
        1 / 25,
    ),
    # In a scheduler the request filter has judged the sites before.
    Figure(
        1,
        'the same, after the request filter',
        'us/host',
        'second filter',
        'aggregate filter',
        1 / 25,
    ),
    Figure(
        2,
        'latency filter / empty filter',
        'us/host',
        'filter',
        'empty filter',
        2.5,
    ),
    Figure(
        2,
        'the same, after the request filter',
        'us/host',
        'second filter',
        'empty filter',
        2.5,
    ),
)
MAPPED = (
    Figure(
        3,
        'latency filter, 1,000 / 10 origins a site',
        'us/host',
        'many origins',
        'few origins',
        1.2,
    ),
)
WEIGHERS = (
    Figure(
        4,
        'latency weigher / trivial weigher',
        'us/host',
        'weigher',
        'trivial weigher',
        1.5,
    ),
    # In a scheduler the filter has judged the sites before.
    Figure(
        4,
        'the same, after the latency filter',
        'us/host',
        'second weigher',
        'trivial weigher',
        1.5,
    ),
)
DEFAULTS = (
    Figure(
        5,
        'all filters and weighers, no hint / stock Nova',
        'us/host',
        'all',
        'stock',
        1.05,
    ),
)
BOOTS = (
    Figure(
        6,
        'boot with a budget / stock Nova',
        'ms',
        'ours',
        'stock',
        0.4,
    ),
)
NEAREST = (
    Figure(
        7,
        'nearest site found / by weighing alone',
        '%',
        'request filter',
        'weighing',
        at_least=100.0,
    ),
)
UPDATES = (
    Figure(
        8,
        'one aggregate updated / all read',
        'ms',
        'update',
        'build',
        1 / 300,
    ),
    Figure(
        8,
        "the same without Nova's own part / all read",
        'ms',
        'our part',
        'build',
        1 / 300,
    ),
)
MEMORY = (
    Figure(
        9,
        'memory, plain figures / in Nova',
        'MB',
        'plain',
        'plain in nova',
        1 / 5,
    ),
    Figure(
        9,
        "memory, an agent's figures / in Nova",
        'MB',
        'agent',
        'agent in nova',
        1 / 5,
    ),
)
START = (
    Figure(10, 'start / without figures', 's', 'start', 'empty start'),
    Figure(10, 'its memory / without figures', 'MB', 'memory', 'empty memory'),
)
GROWTH = (
    Figure(
        11,
        'memory after all updates / after the first',
        'MB',
        'last',
        'first',
        1.05,
    ),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the result.

    :param hosts: how many hosts there are
    :param aggregates: in how many aggregates each is
    :param taken: what the figure and the reference took, each time
    """

    figure: Figure
    hosts: int
    aggregates: int
    value: float
    reference: float
    taken: tuple[Sequence[float], Sequence[float]]

    @property
    def ratio(self) -> float:
        return self.value / self.reference if self.reference else float('inf')

    @property
    def is_missed(self) -> bool:
        return self.figure.is_missed(self.value, self.reference)

    def __str__(self) -> str:
        words = f'{self.figure.number:>2}  {self.figure.name:46}'
        numbers = ''.join(
            f'{_rounded(it):>10}'
            for it in (self.value, self.reference, self.ratio)
        )
        missed = '  missed' if self.is_missed else ''
        line = (
            f'{words}{self.hosts:>7,}{self.aggregates:>4}{numbers}'
            f'{self.figure.goal:>9}  {self.figure.unit:7}{missed}'
        )
        return line.rstrip()

    def report(self) -> dict[str, object]:
        """Return it for those who read JSON."""
        return dataclasses.asdict(self.figure) | {
            'hosts': self.hosts,
            'aggregates': self.aggregates,
            'value': self.value,
            'reference_value': self.reference,
            'ratio': self.ratio,
            'is_missed': self.is_missed,
            'medians': [statistics.median(it) for it in self.taken],
            'repetitions': [len(it) for it in self.taken],
        }


HEADER = (
    f'{"":4}{"figure / reference":46}{"hosts":>7}{"agg":>4}{"figure":>10}'
    f'{"reference":>10}{"ratio":>10}{"to reach":>9}'
)


def _rounded(number: float) -> str:
    if number >= 100:
        return f'{number:.0f}'
    return f'{number:.2f}' if number >= 1 else f'{number:.3g}'
