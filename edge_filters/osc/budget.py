# SPDX-License-Identifier: Apache-2.0
"""WHAT BUDGET WOULD IT TAKE? The least that a server has to give way.

The rules themselves are asked, with one limit after the other as wide as the
figures are, so that the answer is never one that they refuse.
"""

import collections.abc
import dataclasses
import math
import typing

from edge_filters import case
from edge_filters import proximity
from edge_filters.latency import estimate
from edge_filters.latency import sample
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request

# By what a request calls them.
_LIMITS = {
    'max_rtt_ms': origins_request.MAX_RTT_MS,
    'max_jitter_ms': origins_request.MAX_JITTER_MS,
    'max_loss_pct': origins_request.MAX_LOSS_PCT,
}


def needed(
    decided: case.Case, place: latency_snapshot.Place, now: float
) -> dict[str, str]:
    """Return what to ask instead, by name, for a place to be near enough.

    Empty: nothing will do, as nobody can be reached from there.

    :param now: seconds since the epoch
    """
    request = decided.request
    wide = {
        name: limit
        for name, limit in _widest(decided, place).items()
        if limit > getattr(request, name)
    }
    for unmeasured in _choices(request):
        asked = dataclasses.replace(request, unmeasured=unmeasured)
        if not _passes(decided, asked, wide, place, now):
            continue
        # One that was no matter is left as it is.
        for name in list(wide):
            rest = {key: it for key, it in wide.items() if key != name}
            if _passes(decided, asked, rest, place, now):
                wide = rest
        terms = {_LIMITS[name].name: f'{it:.12g}' for name, it in wide.items()}
        if unmeasured != request.unmeasured:
            terms[origins_request.UNMEASURED.name] = str(unmeasured)
        return terms
    return {}


def _choices(
    request: origins_request.Request,
) -> collections.abc.Iterator[str | None]:
    """Yield what unknown figures may mean, the strictest first."""
    yield request.unmeasured
    choices = origins_request.UNMEASURED_CHOICES
    yield from choices[choices.index(request.unmeasured or choices[0]) + 1 :]


def _widest(
    decided: case.Case, place: latency_snapshot.Place
) -> dict[str, float]:
    """Return limits that no figure of a place is beyond.

    How far a bound is beyond them nobody knows.
    """
    request = decided.request
    figures = [
        it
        for it in _figures(decided, place)
        if it is not None and it.kind is not sample.Kind.BOUND
    ]
    widest = {}
    if request.max_rtt_ms is not None:
        widest['max_rtt_ms'] = _largest(it.rtt_ms for it in figures)
    if request.max_jitter_ms is not None:
        widest['max_jitter_ms'] = _largest(it.jitter_ms for it in figures)
    if request.max_loss_pct is not None:
        # So few probes are sure of no smaller loss.
        widest['max_loss_pct'] = _largest(
            min(
                max(it.loss_pct, proximity.PROBES_FOR_ONE_PCT / it.probes), 100
            )
            for it in figures
            if it.loss_pct is not None and it.probes
        )
    return widest


def _largest(values: collections.abc.Iterable[float | None]) -> float:
    """Return the largest value, rounded up; none: 0."""
    largest = max((it for it in values if it is not None), default=0.0)
    return math.ceil(largest * 1000) / 1000


def _figures(
    decided: case.Case, place: latency_snapshot.Place
) -> collections.abc.Iterator[sample.Sample | None]:
    snapshot, estimator = decided.snapshot, decided.rules.estimator
    for origin in decided.request.origins:
        yield from snapshot.figures(place, origin, estimator)
        yield from snapshot.figures(place, origin, estimator, _is_no_good)
    for position in decided.request.near:
        yield from snapshot.from_position(
            place, estimate.Position(*position), estimator
        )


def _is_no_good(figure: sample.Sample) -> bool:
    """Return that an estimate will do instead."""
    return True


def _passes(
    decided: case.Case,
    request: origins_request.Request,
    limits: collections.abc.Mapping[str, typing.Any],
    place: latency_snapshot.Place,
    now: float,
) -> bool:
    return proximity.judge_latency(
        dataclasses.replace(request, **limits),
        place,
        decided.snapshot,
        decided.rules,
        now,
    ).passes
