# SPDX-License-Identifier: Apache-2.0
"""HOW ARE THINGS COMPARED? In turns, each where it does not spoil another.

What is measured is prepared in a process of its own, and measured there as
often as is told. Contenders take turns, so that what else the machine does
hits them alike.
"""

from collections.abc import Callable
from collections.abc import Mapping
from concurrent import futures
import gc
import multiprocessing
import time
from typing import Any
from typing import Self

# Measures something once, and returns what it took.
Measure = Callable[[], float]
Measures = Mapping[str, Measure]

# No matter how long it takes.
LEAST = 3


class Process:
    """A process in which something has been prepared, to be measured."""

    def __init__(
        self, prepare: Callable[..., Measures], *arguments: Any
    ) -> None:
        """Start it; it is ready when the first measure returns."""
        self._pool = futures.ProcessPoolExecutor(
            1, multiprocessing.get_context('spawn')
        )
        self._ready = self._pool.submit(_prepare, prepare, arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def measure(self, name: str) -> float:
        """Measure one of what was prepared, by its name."""
        self._ready.result()
        return self._pool.submit(_measure, name).result()


_measures: Measures = {}


def _prepare(prepare: Callable[..., Measures], arguments: Any) -> None:
    global _measures
    _measures = prepare(*arguments)
    # What was prepared is not what is measured.
    gc.collect()
    gc.freeze()


def _measure(name: str) -> float:
    gc.collect()
    return _measures[name]()


def in_turns(
    measures: Measures, seconds: float, least: int = LEAST
) -> dict[str, list[float]]:
    """Measure each in turns until the time is over; return what they took."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < least or time.perf_counter() < end:
        for name, measure in measures.items():
            taken[name].append(measure())
        rounds += 1
    return taken


def cpu_s(function: Callable[[], object]) -> float:
    """Return how long this thread works on a call, in seconds.

    Not the time the machine gives to others: it is for what neither waits
    nor has others work for it.
    """
    start = time.thread_time()
    function()
    return time.thread_time() - start


def wall_s(function: Callable[[], object]) -> float:
    """Return how long a call takes, in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
