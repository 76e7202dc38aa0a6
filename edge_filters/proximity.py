# SPDX-License-Identifier: Apache-2.0
"""NEAR ENOUGH, HOW NEAR? The rules, as pure functions.

The filters, the weigher and whoever explains them use these functions, so
that an explanation cannot disagree with a decision.
"""

import collections.abc
import dataclasses
import enum
import math

from edge_filters.latency import sample
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request

# What binary fractions may be off by: 12.4 - 10.4 is more than 2.0.
_ROUNDING_MS = 1e-9


class Provenance(enum.Enum):
    """How a figure is known. Unknown is never zero."""

    # Measured (or written by an operator), and not too old.
    MEASURED = 'measured'
    # Measured, but too old for a budget; it still orders sites.
    STALE = 'stale'
    # No figure.
    UNMEASURED = 'unmeasured'
    # Measured, and no probe was answered.
    UNREACHABLE = 'unreachable'


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one request and one place.

    :param passes: whether the server may run there
    :param reason: why, in words, with the figures
    :param cost_ms: RTT to the farthest origin in milliseconds; None: unknown
    :param provenance: how the cost is known; None: no origin was given
    """

    passes: bool
    reason: str
    cost_ms: float | None = None
    provenance: Provenance | None = None


def judge_site(
    request: origins_request.Request, place: latency_snapshot.Place
) -> Verdict:
    """Return whether a server may run at the sites of a place.

    ========================= ====================== =======
    ``edge:site``             ``edge:avoid_site``    verdict
    ========================= ====================== =======
    not given                 no site of the place   passes
    names a site of the place no site of the place   passes
    names others              any                    fails
    any                       a site of the place    fails
    ========================= ====================== =======
    """
    where = _where(place)
    avoided = request.avoid_sites.intersection(place.sites)
    if avoided:
        return Verdict(False, f'{where} is to be avoided')
    if request.sites is not None and request.sites.isdisjoint(place.sites):
        wanted = ', '.join(sorted(request.sites)) or (
            'none, as hint and flavor have none in common'
        )
        return Verdict(False, f'{where} is not among the sites: {wanted}')
    return Verdict(True, f'{where} is allowed')


def judge_latency(
    request: origins_request.Request,
    place: latency_snapshot.Place,
    snapshot: latency_snapshot.Snapshot,
    now: float,
    max_age_s: float,
) -> Verdict:
    """Return whether a place is near enough for a server, and how near.

    Of several origins the worst counts. For each of them:

    ============ ===================== ==============
    figure       with a budget         without
    ============ ===================== ==============
    measured     passes if RTT <= max  passes
    stale        fails                 passes
    unmeasured   fails                 passes
    unreachable  fails                 fails
    ============ ===================== ==============

    :param now: seconds since the epoch
    :param max_age_s: age from which a figure is stale
    """
    if not request.origins:
        return Verdict(True, 'no origin was given')
    verdicts = [
        _judge_origin(
            origin,
            _where(place),
            snapshot.figure(place, origin),
            request.max_rtt_ms,
            now,
            max_age_s,
        )
        for origin in request.origins
    ]
    return max(verdicts, key=lambda it: (not it.passes, distance(it)))


def distance(verdict: Verdict) -> float:
    """Return what orders verdicts from near to far; unknown is last."""
    return math.inf if verdict.cost_ms is None else verdict.cost_ms


def _judge_origin(
    origin: str,
    where: str,
    figure: sample.Sample | None,
    max_rtt_ms: float | None,
    now: float,
    max_age_s: float,
) -> Verdict:
    if figure is None:
        return Verdict(
            max_rtt_ms is None,
            f'{where} is not measured from {origin}',
            None,
            Provenance.UNMEASURED,
        )
    is_stale = figure.is_stale(now, max_age_s)
    age = _age(figure, now)
    if figure.rtt_ms is None:
        if is_stale:
            return Verdict(
                max_rtt_ms is None,
                f'{where} was unreachable from {origin}{age}, too long ago '
                'to count',
                None,
                Provenance.UNMEASURED,
            )
        return Verdict(
            False,
            f'{where} is unreachable from {origin}{age}',
            None,
            Provenance.UNREACHABLE,
        )
    reason = f'{where} is {figure.rtt_ms:g} ms from {origin}{age}'
    if is_stale:
        if max_rtt_ms is not None:
            reason += ', too old for a budget'
        return Verdict(
            max_rtt_ms is None, reason, figure.rtt_ms, Provenance.STALE
        )
    is_near = True
    if max_rtt_ms is not None:
        is_near = figure.rtt_ms <= max_rtt_ms
        reason += f', {"within" if is_near else "over"} {max_rtt_ms:g} ms'
    return Verdict(is_near, reason, figure.rtt_ms, Provenance.MEASURED)


def _age(figure: sample.Sample, now: float) -> str:
    age_s = figure.age_s(now)
    if age_s is None:
        return ''
    if age_s < -sample.CLOCK_TOLERANCE_S:
        return f' (dated {-age_s:.0f} s ahead)'
    return f' ({max(age_s, 0):.0f} s old)'


def settle(
    request: origins_request.Request,
    snapshot: latency_snapshot.Snapshot,
    is_move: bool,
) -> origins_request.Request:
    """Return the request that binds, given the origins that are known.

    A boot that names an unknown origin, or has a budget and no origin, has a
    problem more. A move keeps what can be kept, because the hints of a server
    cannot be changed and a refused evacuation is an outage: it forgets
    unknown origins, and its budget where no origin is left.
    """
    problems = [
        origins_request.Problem(
            request.origin_source,
            origins_request.ORIGIN.name,
            f'{origin!r} is not known: no site has a figure for it',
        )
        for origin in request.origins
        if not snapshot.knows(origin)
    ]
    origins = request.origins
    max_rtt_ms = request.max_rtt_ms
    if is_move:
        origins = tuple(filter(snapshot.knows, origins))
    if max_rtt_ms is not None and not origins:
        problems.append(
            origins_request.Problem(
                'the budget',
                origins_request.MAX_RTT_MS.name,
                'needs to know where the users are; give '
                f'{origins_request.ORIGIN.name} too',
            )
        )
        max_rtt_ms = None
    return dataclasses.replace(
        request,
        origins=origins,
        max_rtt_ms=max_rtt_ms,
        problems=(*request.problems, *problems),
    )


def _where(place: latency_snapshot.Place) -> str:
    return ' and '.join(place.sites) or 'a host without a site'


def scores(
    costs_ms: collections.abc.Sequence[float | None],
    horizon_ms: float,
    band_ms: float,
) -> list[float]:
    """Return a score from 0 to 1 for each cost; the highest is the nearest.

    ``1 - min(cost, horizon) / horizon``: a fixed scale, on which a
    millisecond is worth the same in every request. Costs within ``band_ms``
    of the nearest tie with it. A known cost is capped at one millisecond
    below the horizon, so that an unknown one (None), which scores 0, never
    ranks above it and never ties with it.

    :param costs_ms: RTTs in milliseconds; None: unknown
    """
    capped = [
        None if cost_ms is None else min(cost_ms, horizon_ms - 1)
        for cost_ms in costs_ms
    ]
    nearest_ms = min(
        (cost_ms for cost_ms in capped if cost_ms is not None), default=0.0
    )
    farthest_tie_ms = nearest_ms + band_ms + _ROUNDING_MS
    return [
        0.0
        if cost_ms is None
        else 1
        - (nearest_ms if cost_ms <= farthest_tie_ms else cost_ms) / horizon_ms
        for cost_ms in capped
    ]
