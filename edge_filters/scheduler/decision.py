# SPDX-License-Identifier: Apache-2.0
"""WHAT IS DECIDED FOR ONE REQUEST? Nova's request meets the rules."""

import collections.abc
import functools
import time
import typing

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


class Decision:
    """The verdicts for one request, all from one snapshot.

    :param spec: Nova's RequestSpec
    :param host_states: the candidates, as Nova's HostStates
    :param rules: what the operator sets for all requests
    :ivar request: what the server asks of its place
    :ivar site_verdicts: verdicts of :meth:`judge_site` so far
    :ivar latency_verdicts: verdicts of :meth:`judge_latency` so far
    """

    def __init__(
        self,
        spec: typing.Any,
        host_states: collections.abc.Sequence[typing.Any],
        rules: proximity.Rules,
    ) -> None:
        self._spec = spec
        self._server = _server(spec)
        self._host_states = host_states
        self._rules = rules
        now = known.now()
        self._snapshot = now.snapshot
        self._now = time.time()
        self.site_verdicts: Verdicts = {}
        self.latency_verdicts: Verdicts = {}
        self._is_move = _is_move(spec)
        request = origins_request.parse(_hints(spec), _extra_specs(spec))
        project_origins = _project_origins(_project(spec), now)
        if project_origins or not request.asks_nothing:
            request = proximity.settle(
                request,
                now.snapshot,
                self._is_move,
                now.find,
                project_origins,
            )
        self.request = request
        if self._is_move:
            _warn(spec, request)

    @property
    def refusal(self) -> str:
        """What of a boot cannot be read; a move goes on without it."""
        if self._is_move:
            return ''
        return '; '.join(str(problem) for problem in self.request.problems)

    @property
    def falls_back(self) -> bool:
        """Whether the nearest will do where nothing meets the budget."""
        return proximity.falls_back(self.request, self._rules, self._is_move)

    @property
    def concerns_sites(self) -> bool:
        """Whether it can matter at which site a host is."""
        request = self.request
        return bool(
            self._snapshot.closed
            or request.avoid_sites
            or request.sites is not None
            or request.tiers is not None
        )

    @functools.cached_property
    def source(self) -> latency_snapshot.Place | None:
        """Where a server that moves is; None: it boots, or nobody knows."""
        if not self._is_move:
            return None
        host = _source_host(self._spec, self._host_states)
        return None if host is None else self._snapshot.place(host)

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
        return f'{self._server}, {where}'

    def judge_site(self, host: str) -> proximity.Verdict:
        """Return whether the server may run at the site of a host."""
        place = self._snapshot.place(host)
        verdict = self.site_verdicts.get(place)
        if verdict is None:
            # Where a server is matters at sites that are not active only.
            source = self.source if self._snapshot.closed else None
            verdict = proximity.judge_site(
                self.request, place, self._snapshot, source
            )
            self.site_verdicts[place] = verdict
        return verdict

    def at_allowed_sites(
        self, host_states: collections.abc.Iterable[typing.Any]
    ) -> list[typing.Any]:
        """Return the hosts at whose sites the server may run."""
        return [
            host_state
            for host_state in host_states
            if self.judge_site(host_state.host).passes
        ]

    def judge_latency(self, host: str) -> proximity.Verdict:
        """Return whether a host is near enough, and how near it is."""
        place = self._snapshot.place(host)
        verdict = self.latency_verdicts.get(place)
        if verdict is None:
            if self.stand_in is not None:
                verdict = proximity.judge_distance(
                    self.stand_in, place, self._snapshot, self._rules
                )
            else:
                verdict = proximity.judge_latency(
                    self.request,
                    place,
                    self._snapshot,
                    self._rules,
                    self._now,
                )
            self.latency_verdicts[place] = verdict
        return verdict


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
        if origin not in now.snapshot.origins:
            if _WARNINGS.is_due((project, origin)):
                LOG.warning(
                    'Origin %(origin)s of project %(project)s in the map '
                    'files is skipped: no site has a figure for it.',
                    {'origin': origin, 'project': project},
                )
    return [it for it in origins if it in now.snapshot.origins]


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
