# SPDX-License-Identifier: Apache-2.0
"""WHAT IS DECIDED FOR ONE REQUEST? Nova's request meets the rules."""

import collections.abc
import dataclasses
import functools
import itertools
import operator
import time
import typing
import weakref

from nova.scheduler import utils
from oslo_log import log as logging

from edge_filters import conf
from edge_filters import proximity
from edge_filters import ratelimit
from edge_filters import spelling
from edge_filters.latency import estimate
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request
from edge_filters.scheduler import known
from edge_filters.scheduler import nova_compat

LOG = logging.getLogger(__name__)

Verdicts = dict[latency_snapshot.Place, proximity.Verdict]

# Names of the filters, as nova.conf has them.
SITE_FILTER = 'EdgeSiteFilter'
LATENCY_FILTER = 'EdgeLatencyFilter'

# How many of the nearest sites the log names.
_NAMED = 3

_HOST = operator.attrgetter('host')

_WARNINGS = ratelimit.RateLimit()


def rules(settings: conf.Settings) -> proximity.Rules:
    """Return what the options set for all requests."""
    return proximity.Rules(
        max_age_s=settings.max_age_s,
        estimator=estimate.Estimator(
            access_rtt_ms=settings.access_rtt_ms,
            ms_per_km=settings.estimate_ms_per_km,
        ),
        fallback=settings.fallback,
    )


class Judged(typing.NamedTuple):
    """The verdicts on some hosts.

    :param places: where each host is, in their order
    :param verdicts: one for each place that they are at
    """

    places: list[latency_snapshot.Place]
    verdicts: Verdicts

    def select(
        self,
        hosts: collections.abc.Iterable[typing.Any],
        is_wanted: collections.abc.Callable[
            [proximity.Verdict], bool
        ] = operator.attrgetter('passes'),
    ) -> list[typing.Any]:
        """Return those of the hosts whose verdict is as it is wanted."""
        wanted = {
            place: is_wanted(verdict)
            for place, verdict in self.verdicts.items()
        }
        chosen = map(wanted.__getitem__, self.places)
        return list(itertools.compress(hosts, chosen))


class Decision:
    """The verdicts for one request, all from one snapshot.

    :param spec: Nova's RequestSpec
    :param rules: what the operator sets for all requests
    :ivar rules: the same
    :ivar request: what the server asks of its place
    :ivar snapshot: what is known of the sites
    :ivar server: its UUID
    :ivar is_move: whether an existing server is moved
    :ivar narrowed: how the query to Placement was narrowed, in words; empty:
        it was not
    """

    def __init__(self, spec: typing.Any, rules: proximity.Rules) -> None:
        self.rules = rules
        now = known.now()
        self.snapshot = now.snapshot
        self.server: str | None = None
        self._source: latency_snapshot.Place | None = None
        self._site_verdicts: Verdicts = {}
        self._latency_verdicts: Verdicts = {}
        self.narrowed = ''
        self.is_move = _is_move(spec)
        request = origins_request.parse(_hints(spec), _extra_specs(spec))
        project_origins = _project_origins(_project(spec), now)
        if project_origins or not request.asks_nothing:
            request = proximity.settle(
                request,
                now.snapshot,
                self.is_move,
                now.find,
                project_origins,
            )
        self.request = request
        self._judge: collections.abc.Callable[
            [latency_snapshot.Place], proximity.Verdict
        ] = proximity.LatencyJudge(
            request, now.snapshot, rules, time.time()
        ).judge
        if self.is_move:
            _warn(spec, request)

    def meet(
        self,
        spec: typing.Any,
        host_states: collections.abc.Iterable[typing.Any],
    ) -> None:
        """Take note of which of several servers it is, and of where it is.

        :param host_states: the candidates so far
        """
        self.server = _server(spec)
        if self.source is None and self._has_use_of_source:
            host = _source_host(spec, host_states)
            if host is not None:
                self._source = self.snapshot.place(host)
                self._site_verdicts.clear()
                self._latency_verdicts.clear()
                stand_in = self.stand_in
                if stand_in is not None:
                    # No method of ours, which would keep it alive.
                    self._judge = functools.partial(
                        _judge_distance, stand_in, self.snapshot, self.rules
                    )

    @property
    def source(self) -> latency_snapshot.Place | None:
        """Where a server that moves is; None: it boots, or nobody knows."""
        return self._source

    @property
    def _has_use_of_source(self) -> bool:
        # Where a server is matters at sites that are not active, and where
        # its own site has to stand in for its users.
        request = self.request
        return self.is_move and bool(
            self.snapshot.closed
            or not (request.has_users or request.asks_nothing)
        )

    @property
    def refusal(self) -> str:
        """What of a boot cannot be read; a move goes on without it."""
        if self.is_move:
            return ''
        return '; '.join(str(problem) for problem in self.request.problems)

    @property
    def falls_back(self) -> bool:
        """Whether the nearest will do where nothing meets the budget."""
        return proximity.falls_back(self.request, self.rules, self.is_move)

    @property
    def concerns_sites(self) -> bool:
        """Whether it can matter at which site a host is."""
        request = self.request
        return bool(
            self.snapshot.closed
            or request.avoid_sites
            or request.sites is not None
            or request.tiers is not None
        )

    @property
    def has_order(self) -> bool:
        """Whether some sites are nearer than others."""
        return self.request.has_users or self.stand_in is not None

    @property
    def stand_in(self) -> latency_snapshot.Place | None:
        """What stands in for the users of a server that does not tell."""
        request = self.request
        if request.has_users or request.asks_nothing:
            return None
        return self.source if self.source and self.source.sites else None

    def __str__(self) -> str:
        """Return which server it is, and where its users are."""
        users = [
            *self.request.origins,
            *(
                f'{latitude:g},{longitude:g}'
                for latitude, longitude in self.request.near
            ),
        ]
        named = spelling.listed(users)
        where = f'origin {named} ({self.request.origin_source})'
        if self.stand_in is not None:
            where = (
                f'no origin, so near {spelling.listed(self.stand_in.sites)}'
            )
        elif not users:
            where = 'no origin'
        return f'{self.server}, {where}'

    def judge_site(self, place: latency_snapshot.Place) -> proximity.Verdict:
        """Return whether the server may run at the site of a place."""
        verdict = self._site_verdicts.get(place)
        if verdict is None:
            verdict = proximity.judge_site(
                self.request, place, self.snapshot, self.source
            )
            self._site_verdicts[place] = verdict
        return verdict

    def may_be_at(self, place: latency_snapshot.Place) -> bool:
        """Return whether a server may run at a place, as far as it is known.

        It may move within a site that is draining. Where nobody knows whence
        it moves, the filters may still see it in the candidates.
        """
        if self.judge_site(place).passes:
            return True
        is_lost = self.is_move and self.source is None
        return is_lost and self.status(place) == 'draining'

    @functools.cached_property
    def _opened(self) -> latency_snapshot.Snapshot:
        """The sites as if all of them were open."""
        return dataclasses.replace(self.snapshot, closed={})

    def status(self, place: latency_snapshot.Place) -> str:
        """Return why a place that would do is closed; empty: it is not."""
        if self.judge_site(place).passes:
            return ''
        if not proximity.judge_site(self.request, place, self._opened).passes:
            return ''
        return max(
            self.snapshot.closed[name]
            for name in place.sites
            if name in self.snapshot.closed
        ).name.lower()

    def judge_latency(
        self, place: latency_snapshot.Place
    ) -> proximity.Verdict:
        """Return whether a place is near enough, and how near it is."""
        verdict = self._latency_verdicts.get(place)
        if verdict is None:
            verdict = self._latency_verdicts[place] = self._judge(place)
        return verdict

    def judge(
        self,
        host_states: collections.abc.Iterable[typing.Any],
        judge: collections.abc.Callable[
            [latency_snapshot.Place], proximity.Verdict
        ],
    ) -> Judged:
        """Return what one of the two above says of hosts."""
        places = self.snapshot.places_of(map(_HOST, host_states))
        return Judged(
            places, {place: judge(place) for place in dict.fromkeys(places)}
        )


# A request has one decision, whichever of our classes asks for it.
_DECISIONS: weakref.WeakKeyDictionary[typing.Any, Decision] = (
    weakref.WeakKeyDictionary()
)


def of(
    spec: typing.Any,
    rules: proximity.Rules,
    host_states: collections.abc.Iterable[typing.Any] = (),
) -> Decision:
    """Return the decision on a request: the same for all who ask.

    :param spec: Nova's RequestSpec
    :param rules: what the operator sets for all requests
    :param host_states: the candidates so far, as Nova's HostStates
    """
    decision = _DECISIONS.get(spec)
    if decision is None or decision.rules != rules:
        decision = _DECISIONS[spec] = Decision(spec, rules)
    decision.meet(spec, host_states)
    return decision


def log(decided: Decision, mode: str, outcome: str) -> None:
    """Log the one line that a decision has."""
    LOG.info(
        'Edge decision (%(mode)s) for server %(decided)s: %(outcome)s.',
        {'mode': mode, 'decided': decided, 'outcome': outcome},
    )


def in_words(verdicts: collections.abc.Iterable[proximity.Verdict]) -> str:
    """Return what is wrong at the nearest sites, for the operator's log."""
    nearest: dict[tuple[str, ...], str] = {}
    for verdict in sorted(
        verdicts, key=lambda it: (proximity.distance(it), it.place)
    ):
        nearest.setdefault(verdict.place.sites, verdict.reason)
    reasons = list(nearest.values())[:_NAMED]
    if len(nearest) > _NAMED:
        reasons.append(f'and {len(nearest) - _NAMED} more')
    return '; '.join(reasons)


def _judge_distance(
    source: latency_snapshot.Place,
    snapshot: latency_snapshot.Snapshot,
    rules: proximity.Rules,
    place: latency_snapshot.Place,
) -> proximity.Verdict:
    return proximity.judge_distance(source, place, snapshot, rules)


def is_rebuild(spec: typing.Any) -> bool:
    """Return whether a server is rebuilt where it is, so that it stays."""
    # Nova's own function does not survive hints of None.
    return bool(_hints(spec)) and utils.request_is_rebuild(spec)


def _server(spec: typing.Any) -> str | None:
    return spec.instance_uuid if 'instance_uuid' in spec else None


def _project_origins(project: str | None, now: known.Known) -> list[str]:
    """Return the origins of a project that are known, and warn of others."""
    origins = now.projects.get(project or '', ())
    for origin in origins:
        if not now.snapshot.knows(origin):
            if _WARNINGS.is_due((project, origin)):
                LOG.warning(
                    'Origin %(origin)s of project %(project)s in the map '
                    'files is skipped: no site has a figure for it.',
                    {'origin': origin, 'project': project},
                )
    return [it for it in origins if now.snapshot.knows(it)]


def _project(spec: typing.Any) -> str | None:
    return spec.project_id if 'project_id' in spec else None


def _hints(
    spec: typing.Any,
) -> collections.abc.Mapping[str, object] | None:
    return spec.scheduler_hints if 'scheduler_hints' in spec else None


def _extra_specs(
    spec: typing.Any,
) -> collections.abc.Mapping[str, object] | None:
    if 'flavor' not in spec or 'extra_specs' not in spec.flavor:
        return None
    extra_specs: dict[str, object] | None = spec.flavor.extra_specs
    return extra_specs


def _is_move(spec: typing.Any) -> bool:
    """Return whether an existing server is moved; no boot names a cell."""
    if 'requested_destination' not in spec:
        return False
    destination = spec.requested_destination
    # It is None where a move to a named host may leave the cell.
    return destination is not None and 'cell' in destination


def _source_host(
    spec: typing.Any, host_states: collections.abc.Iterable[typing.Any]
) -> str | None:
    """Return the host that a server moves from; None: nobody knows.

    Nova ignores it first of all, but where a server may be resized on its own
    host. Then the scheduler holds it in memory, or the candidate has it.
    """
    ignored = spec.ignore_hosts if 'ignore_hosts' in spec else None
    if ignored:
        return str(ignored[0])
    server = _server(spec)
    if server is None:
        return None
    return nova_compat.host_of(server) or next(
        (
            str(state.host)
            for state in host_states
            if server in (state.instances or ())
        ),
        None,
    )


def _warn(spec: typing.Any, request: origins_request.Request) -> None:
    server = _server(spec)
    for problem in request.problems:
        if _WARNINGS.is_due((server, problem)):
            LOG.warning(
                'Server %(server)s moves without what it asked for: '
                '%(problem)s.',
                {'server': server, 'problem': problem},
            )
