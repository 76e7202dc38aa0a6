# SPDX-License-Identifier: Apache-2.0
"""NEAR ENOUGH, HOW NEAR? The rules, as pure functions.

The filters, the weigher and whoever explains them use these functions, so
that an explanation cannot disagree with a decision.
"""

import collections.abc
import dataclasses
import enum
import math
import typing

from edge_filters import spelling
from edge_filters.latency import estimate
from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request

# What binary fractions may be off by: 0.7 + 0.1 is less than 0.8.
_ROUNDING_MS = 1e-9

# How many probes it takes to be 95 % sure that the loss is below 1 %, if none
# was lost: the "rule of three" (Hanley and Lippman-Hand, "If Nothing Goes
# Wrong, Is Everything All Right?", JAMA 249 (13), 1983), in percent.
PROBES_FOR_ONE_PCT = 300


class Provenance(enum.Enum):
    """How a figure is known. Unknown is never zero."""

    # Measured (or written by an operator), and not too old.
    MEASURED = 'measured'
    # Measured, but too old for a budget; it still orders sites.
    STALE = 'stale'
    # Worked out from something else; it orders sites.
    ESTIMATED = 'estimated'
    # No figure.
    UNMEASURED = 'unmeasured'
    # Measured, and no probe was answered.
    UNREACHABLE = 'unreachable'


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What an operator sets for all requests.

    :param max_age_s: age in seconds from which a figure is stale
    :param estimator: works out RTTs where there is no figure
    :param fallback: what happens where nothing meets a budget, unless the
        server says so
    """

    max_age_s: float
    estimator: estimate.Estimator
    fallback: str = 'none'


class Verdict(typing.NamedTuple):
    """The answer for one request and one place.

    Its words are put together when somebody asks for them: most are never
    read, and a request has a verdict for every place.

    :param passes: whether the server may run there
    :param place: where
    :param why: what speaks for or against it, in words
    :param cost_ms: RTT to the farthest origin in milliseconds; None: unknown
    :param provenance: how that is known; None: no origin was given
    :param whence: the users that the figure is about; empty: it is not about
        a figure
    :param figure: what decided; None: unmeasured
    :param age_s: how old that is, in seconds; None: it does not age
    """

    passes: bool
    place: latency_snapshot.Place
    why: str
    cost_ms: float | None = None
    provenance: Provenance | None = None
    whence: str = ''
    figure: sample.Sample | None = None
    age_s: float | None = None

    @property
    def reason(self) -> str:
        """Why it passes or not, in words, with the figures."""
        if not self.whence:
            return self.why
        reason = (
            f'{self.place} is {self._figure} from {self.whence}{self._age}'
        )
        return f'{reason}, {self.why}' if self.why else reason

    @property
    def shown_figure(self) -> str:
        """The figure in words, with its age."""
        return self._figure + self._age

    @property
    def _figure(self) -> str:
        figure = self.figure
        if figure is None:
            return 'not measured'
        if figure.rtt_ms is None:
            if self.provenance is Provenance.UNREACHABLE:
                return 'unreachable'
            return 'no longer known to be unreachable'
        if figure.kind is sample.Kind.BOUND:
            return f'farther than {figure.rtt_ms:g} ms'
        if figure.kind is sample.Kind.ESTIMATE:
            return f'about {figure.rtt_ms:.3g} ms'
        return f'{figure.rtt_ms:g} ms'

    @property
    def _age(self) -> str:
        age_s = self.age_s
        if age_s is None:
            return ''
        if age_s < -sample.CLOCK_TOLERANCE_S:
            return f' (dated {-age_s:.0f} s ahead)'
        return f' ({max(age_s, 0):.0f} s old)'


def judge_site(
    request: origins_request.Request,
    place: latency_snapshot.Place,
    snapshot: latency_snapshot.Snapshot,
    source: latency_snapshot.Place | None = None,
) -> Verdict:
    """Return whether a server may run at the sites of a place.

    The first row that fits decides:

    ========================================== =======
    a site of the place ...                    verdict
    ========================================== =======
    is inactive                                fails
    is draining, and the server is not at it   fails
    is among ``edge:avoid_site``               fails
    (none is among ``edge:site``, if given)    fails
    (none is of ``edge:tier``, if given)       fails
    anything else                              passes
    ========================================== =======

    :param source: where a server that moves is; None: it is booted, or
        nobody knows
    """
    closed = _closed(place, snapshot, source)
    if closed is not None:
        return Verdict(False, place, closed)
    avoided = request.avoid_sites.intersection(place.sites)
    if avoided:
        why = f'{_names(avoided)} is to be avoided'
        return Verdict(False, place, why)
    if request.sites is not None and request.sites.isdisjoint(place.sites):
        why = f'{place} is not among the sites: {_names(request.sites)}'
        return Verdict(False, place, why)
    if request.tiers is not None:
        tiers = snapshot.tiers(place)
        if request.tiers.isdisjoint(tiers):
            its = f'tier {_names(tiers)}' if tiers else 'no tier'
            wanted = _names(request.tiers)
            why = f'{place} has {its}, not tier {wanted}'
            return Verdict(False, place, why)
    return Verdict(True, place, f'{place} is allowed')


def _closed(
    place: latency_snapshot.Place,
    snapshot: latency_snapshot.Snapshot,
    source: latency_snapshot.Place | None,
) -> str | None:
    """Return why no server may come to a place; None: servers may."""
    for name in place.sites:
        status = snapshot.closed.get(name)
        if status is metadata.Status.INACTIVE:
            return f'{name} is inactive'
        if status is metadata.Status.DRAINING and (
            source is None or name not in source.sites
        ):
            return f'{name} is draining'
    return None


def judge_latency(
    request: origins_request.Request,
    place: latency_snapshot.Place,
    snapshot: latency_snapshot.Snapshot,
    rules: Rules,
    now: float,
) -> Verdict:
    """Return whether a place is near enough for a server, and how near.

    Of several origins the worst counts. An origin is near enough if its RTT,
    its jitter and its loss are. What is not known follows
    ``edge:unmeasured``, which is ``reject`` with a budget and ``accept``
    without, unless it is given:

    =============== =============== =============== ===============
    RTT             ``reject``      ``estimate``    ``accept``
    =============== =============== =============== ===============
    measured        RTT <= max      RTT <= max      RTT <= max
    stale           (1)             (2)             passes
    estimated       (1)             (2)             passes
    farther than X  (3)             (3)             (3)
    unmeasured      fails           fails           passes
    unreachable     fails           fails           fails
    =============== =============== =============== ===============

    1. passes without a budget for RTT, jitter or loss; else fails
    2. RTT <= max, where it is, or can be, estimated from what is not stale;
       else as (1)
    3. fails if X is at least the maximum; else as unmeasured

    A jitter passes if it is at most the maximum; where it is not measured, or
    stale, it passes with ``accept`` alone. A loss fails above the maximum; at
    or under it it passes if it was measured with at least 300 / maximum
    probes, else it is not measured. Without a maximum anything passes.

    :param now: seconds since the epoch
    """
    return LatencyJudge(request, snapshot, rules, now).judge(place)


class LatencyJudge:
    """Judges many places for one request, as :func:`judge_latency` does one.

    :param now: seconds since the epoch
    """

    def __init__(
        self,
        request: origins_request.Request,
        snapshot: latency_snapshot.Snapshot,
        rules: Rules,
        now: float,
    ) -> None:
        self._request = request
        self._snapshot = snapshot
        self._estimator = rules.estimator
        self._max_age_s = rules.max_age_s
        self._now = now
        self._has_budget = request.has_budget
        self._unmeasured = request.unmeasured or (
            'reject' if self._has_budget else 'accept'
        )
        self._prefers_estimates = (
            self._has_budget and self._unmeasured == 'estimate'
        )
        self._within = ''
        if request.max_rtt_ms is not None:
            self._within = f'within {request.max_rtt_ms:g} ms'
        self._users = [
            (f'{latitude:g},{longitude:g}', estimate.Position(*position))
            for position in request.near
            for latitude, longitude in [position]
        ]

    def judge(self, place: latency_snapshot.Place) -> Verdict:
        """Return whether a place is near enough, and how near."""
        snapshot, estimator = self._snapshot, self._estimator
        is_too_old = self._is_too_old if self._prefers_estimates else None
        verdicts = []
        for origin in self._request.origins:
            for figure in snapshot.figures(
                place, origin, estimator, is_too_old
            ) or [None]:
                verdicts.append(self._judge(place, origin, figure))
        for whence, users in self._users:
            for figure in snapshot.from_position(place, users, estimator) or [
                None
            ]:
                verdicts.append(self._judge(place, whence, figure))
        if len(verdicts) == 1:
            return verdicts[0]
        if not verdicts:
            return Verdict(True, place, 'no origin was given')
        worst = max(verdicts, key=lambda it: (not it.passes, distance(it)))
        farthest = max(
            verdicts,
            key=lambda it: (
                distance(it),
                it.provenance is Provenance.UNREACHABLE,
            ),
        )
        return worst._replace(
            cost_ms=farthest.cost_ms, provenance=farthest.provenance
        )

    def _is_too_old(self, figure: sample.Sample) -> bool:
        return figure.is_stale(self._now, self._max_age_s)

    def _judge(
        self,
        place: latency_snapshot.Place,
        whence: str,
        figure: sample.Sample | None,
    ) -> Verdict:
        unmeasured = self._unmeasured
        if figure is None:
            passes, provenance = unmeasured == 'accept', Provenance.UNMEASURED
            return Verdict(passes, place, '', None, provenance, whence)
        request = self._request
        is_fresh, age_s = True, None
        if figure.at is not None:
            age_s = self._now - figure.at
            is_fresh = not sample.is_stale(age_s, self._max_age_s)
        provenance = _provenance(figure, is_fresh)
        cost_ms = figure.rtt_ms
        if provenance is Provenance.UNMEASURED:
            cost_ms = None
        passes, why = False, ''
        if provenance is not Provenance.UNREACHABLE:
            why = _object_to_rtt(
                figure, is_fresh, unmeasured, self._has_budget, request
            )
            if not why and request.max_jitter_ms is not None:
                why = _object_to_jitter(
                    figure, is_fresh, unmeasured, request.max_jitter_ms
                )
            if not why and request.max_loss_pct is not None:
                why = _object_to_loss(
                    figure, is_fresh, unmeasured, request.max_loss_pct
                )
            passes = not why
            why = why or self._within
        if (
            passes
            and provenance is not Provenance.MEASURED
            and unmeasured == 'accept'
            and self._has_budget
        ):
            why = 'accepted as it is'
        return Verdict(
            passes, place, why, cost_ms, provenance, whence, figure, age_s
        )


def judge_distance(
    source: latency_snapshot.Place,
    place: latency_snapshot.Place,
    snapshot: latency_snapshot.Snapshot,
    rules: Rules,
) -> Verdict:
    """Return how far a place is from where a server is now.

    Where a server that moves does not tell where its users are, the site of
    its host stands in for them. It orders, and refuses nothing.
    """
    where, whence = f'{place} is', f'from {source}'
    figures = [
        figure
        for name in source.sites
        for figure in snapshot.from_site(place, name, rules.estimator)
    ]
    rtts_ms = [it.rtt_ms for it in figures if it and it.rtt_ms is not None]
    if not figures or len(rtts_ms) < len(figures):
        why = f'{where} at an unknown distance {whence}'
        return Verdict(True, place, why, None, Provenance.UNMEASURED)
    why = f'{where} about {max(rtts_ms):.3g} ms {whence}'
    return Verdict(True, place, why, max(rtts_ms), Provenance.ESTIMATED)


def distance(verdict: Verdict) -> float:
    """Return what orders verdicts from near to far; unknown is last."""
    return math.inf if verdict.cost_ms is None else verdict.cost_ms


def falls_back(
    request: origins_request.Request, rules: Rules, is_move: bool
) -> bool:
    """Return whether the nearest will do where nothing meets the budget.

    ============== ======= =======
    fallback       boots   moves
    ============== ======= =======
    ``none``       no      no
    ``moves``      no      yes
    ``nearest``    yes     yes
    ============== ======= =======

    The nearest is the nearest that is known: what is unknown or unreachable
    is no way out.
    """
    fallback = request.fallback or rules.fallback
    return request.has_budget and (
        fallback == 'nearest' or (fallback == 'moves' and is_move)
    )


def _provenance(figure: sample.Sample, is_fresh: bool) -> Provenance:
    """Return how a figure is known."""
    if figure.rtt_ms is None:
        return Provenance.UNREACHABLE if is_fresh else Provenance.UNMEASURED
    kind = figure.kind
    if kind is sample.Kind.FIGURE:
        return Provenance.MEASURED if is_fresh else Provenance.STALE
    if kind is sample.Kind.ESTIMATE:
        return Provenance.ESTIMATED
    return Provenance.UNMEASURED


def _object_to_rtt(
    figure: sample.Sample,
    is_fresh: bool,
    unmeasured: str,
    has_budget: bool,
    request: origins_request.Request,
) -> str:
    """Return what is wrong with the RTT, in words; empty: nothing."""
    max_rtt_ms = request.max_rtt_ms
    kind = figure.kind
    is_bound = kind is sample.Kind.BOUND
    is_estimate = kind is sample.Kind.ESTIMATE
    if (
        figure.rtt_ms is not None
        and max_rtt_ms is not None
        and is_fresh
        and (unmeasured == 'estimate' or not is_estimate)
    ):
        # Farther than 100 ms is over 100 ms.
        if figure.rtt_ms > max_rtt_ms or (
            is_bound and figure.rtt_ms == max_rtt_ms
        ):
            return f'over {max_rtt_ms:g} ms'
    if unmeasured == 'accept':
        return ''
    if is_bound or figure.rtt_ms is None:
        return 'and nobody knows how far'
    if not has_budget:
        return ''
    if is_estimate and unmeasured == 'reject':
        return 'which is only an estimate'
    return '' if is_fresh else 'too old for a budget'


def _object_to_jitter(
    figure: sample.Sample,
    is_fresh: bool,
    unmeasured: str,
    limit: float,
) -> str:
    """Return what is wrong with the jitter, in words; empty: nothing."""
    if figure.jitter_ms is None or not is_fresh:
        return '' if unmeasured == 'accept' else 'its jitter not measured'
    if figure.jitter_ms > limit:
        return f'its jitter of {figure.jitter_ms:g} ms over {limit:g} ms'
    return ''


def _object_to_loss(
    figure: sample.Sample,
    is_fresh: bool,
    unmeasured: str,
    limit: float,
) -> str:
    """Return what is wrong with the loss, in words; empty: nothing."""
    if figure.loss_pct is None or not is_fresh:
        return '' if unmeasured == 'accept' else 'its loss not measured'
    if figure.loss_pct > limit:
        return f'its loss of {figure.loss_pct:g} % over {limit:g} %'
    is_sure = (figure.probes or 0) * limit >= PROBES_FOR_ONE_PCT
    if is_sure or unmeasured == 'accept':
        return ''
    return f'its loss measured with too few probes for {limit:g} %'


def settle(
    request: origins_request.Request,
    snapshot: latency_snapshot.Snapshot,
    is_move: bool,
    find: collections.abc.Callable[[spelling.Network], str | None],
    project_origins: collections.abc.Sequence[str] = (),
) -> origins_request.Request:
    """Return the request that binds, given the origins that are known.

    Where neither hint nor flavor tells where the users are, the operator's
    table of projects does. Addresses become the origins that they belong to.

    A boot that names an unknown origin or address, or has a budget and no
    origin, has a problem more. A move keeps what can be kept, because the
    hints of a server cannot be changed and a refused evacuation is an outage:
    it forgets what is unknown, the origins of the flavor and then of the
    project count where nothing of the hint is left, and it forgets its budget
    where there is none at all.

    :param find: returns the origin that an address or prefix belongs to, or
        None; raises ValueError with what is wrong if it has several
    :param project_origins: the known ones of what the table says of the
        server's project
    """
    named = {*request.origins, *request.flavor_origins}
    if project_origins and not request.has_users:
        request = dataclasses.replace(
            request, origins=tuple(project_origins), origin_source='project'
        )
    request, is_known = _with_resolved(request, snapshot, find)
    if is_move and not is_known:
        request = _with_known_origins(request, snapshot, project_origins)
    if request.has_budget and not request.has_users:
        request = request.without_budget()
        told = {term.name for term in origins_request.USERS}
        if is_move or not any(it.name in told for it in request.problems):
            problem = origins_request.Problem(
                'the budget',
                'of the server',
                'needs to know where its users are; give '
                f'{origins_request.ORIGIN.name} too',
            )
            request = _with_problem(request, problem)
    hidden = frozenset(request.origins) - named
    return dataclasses.replace(request, hidden_origins=hidden)


def _with_resolved(
    request: origins_request.Request,
    snapshot: latency_snapshot.Snapshot,
    find: collections.abc.Callable[[spelling.Network], str | None],
) -> tuple[origins_request.Request, bool]:
    """Return a request without addresses, and whether all of it is known."""
    origins = dict.fromkeys(request.origins)
    problems = []
    for client in request.clients:
        origin, why = None, 'belongs to no origin'
        try:
            origin = find(client)
        except ValueError:
            # Their names are not for everybody.
            why = 'has addresses of several origins; give a longer prefix'
        if origin is None:
            problems.append(f'{spelling.shown_network(client)} {why}')
        else:
            origins[origin] = None
    if len(origins) > origins_request.MAX_VALUES:
        problems.append(
            f'and {origins_request.ORIGIN.name} are {len(origins)} origins; '
            f'give at most {origins_request.MAX_VALUES}'
        )
    named = tuple(origins)[: origins_request.MAX_VALUES]
    unknown = {it for it in named if not snapshot.knows(it)}
    request = dataclasses.replace(request, origins=named, clients=())
    for why in problems[: origins_request.MAX_PROBLEMS]:
        problem = origins_request.Problem(
            request.origin_source, origins_request.CLIENT_IP.name, why
        )
        request = _with_problem(request, problem)
    if unknown:
        problem = origins_request.Problem(
            request.origin_source,
            origins_request.ORIGIN.name,
            f'{_names(unknown)} is not known: no site has a figure for it',
        )
        request = _with_problem(request, problem)
    return request, not (problems or unknown)


def _with_known_origins(
    request: origins_request.Request,
    snapshot: latency_snapshot.Snapshot,
    project_origins: collections.abc.Sequence[str],
) -> origins_request.Request:
    is_known = snapshot.knows
    origins = tuple(filter(is_known, request.origins))
    source = request.origin_source
    for others, other in (
        (request.flavor_origins, 'flavor'),
        (project_origins, 'project'),
    ):
        if not origins and not request.near:
            origins = tuple(filter(is_known, others))
            source = other if origins else ''
    return dataclasses.replace(request, origins=origins, origin_source=source)


def _with_problem(
    request: origins_request.Request, problem: origins_request.Problem
) -> origins_request.Request:
    return dataclasses.replace(request, problems=(*request.problems, problem))


def _names(names: collections.abc.Collection[str]) -> str:
    if not names:
        return 'none, as hint and flavor have none in common'
    return spelling.listed(sorted(names))


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
    nearest_ms = min(
        (cost_ms for cost_ms in costs_ms if cost_ms is not None), default=0.0
    )
    farthest_tie_ms = nearest_ms + band_ms + _ROUNDING_MS
    scores = []
    for cost_ms in costs_ms:
        if cost_ms is None:
            scores.append(0.0)
            continue
        if cost_ms <= farthest_tie_ms:
            cost_ms = nearest_ms
        scores.append(1 - min(cost_ms, horizon_ms - 1) / horizon_ms)
    return scores
