# SPDX-License-Identifier: Apache-2.0
"""WHAT IS DECIDED FOR ONE REQUEST? Nova's request meets the rules."""

import collections.abc
import itertools
import operator
import time
import typing
import weakref

from nova.scheduler import utils
from oslo_log import log as logging

from edge_filters import case
from edge_filters import proximity
from edge_filters import ratelimit
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request
from edge_filters.scheduler import known
from edge_filters.scheduler import nova_compat

LOG = logging.getLogger(__name__)

# Names of the filters, as nova.conf has them.
SITE_FILTER = 'EdgeSiteFilter'
LATENCY_FILTER = 'EdgeLatencyFilter'

# How many of the nearest sites the log names.
_NAMED = 3

_HOST = operator.attrgetter('host')

_WARNINGS = ratelimit.RateLimit()


class Judged(typing.NamedTuple):
    """The verdicts on some hosts.

    :param places: where each host is, in their order
    :param verdicts: one for each place that they are at
    """

    places: list[latency_snapshot.Place]
    verdicts: case.Verdicts

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


class Decision(case.Case):
    """The verdicts for one request, all from one snapshot.

    :param spec: Nova's RequestSpec
    :param rules: what the operator sets for all requests
    :ivar rules: the same
    :ivar server: its UUID
    :ivar narrowed: how the query to Placement was narrowed, in words; empty:
        it was not
    """

    def __init__(self, spec: typing.Any, rules: proximity.Rules) -> None:
        now = known.now()
        project = _project(spec)
        super().__init__(
            now,
            rules,
            time.time(),
            _hints(spec),
            _extra_specs(spec),
            project,
            _is_move(spec),
        )
        self.server: str | None = None
        self.narrowed = ''
        _warn_of_project(project, now)
        if self.is_move:
            _warn(spec, self.request)

    def meet(
        self,
        spec: typing.Any,
        host_states: collections.abc.Iterable[typing.Any],
    ) -> None:
        """Take note of which of several servers it is, and of where it is.

        :param host_states: the candidates so far
        """
        self.server = _server(spec)
        if self.source is None and self.has_use_of_source:
            host = _source_host(spec, host_states)
            if host is not None:
                self.leave(host)

    def __str__(self) -> str:
        """Return which server it is, and where its users are."""
        return f'{self.server}, {self.users}'

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


def is_rebuild(spec: typing.Any) -> bool:
    """Return whether a server is rebuilt where it is, so that it stays."""
    # Nova's own function does not survive hints of None.
    return bool(_hints(spec)) and utils.request_is_rebuild(spec)


def _server(spec: typing.Any) -> str | None:
    return spec.instance_uuid if 'instance_uuid' in spec else None


def _warn_of_project(project: str | None, now: known.Known) -> None:
    """Warn of the origins of a project that nobody knows."""
    for origin in now.projects.get(project or '', ()):
        if not now.snapshot.knows(origin):
            if _WARNINGS.is_due((project, origin)):
                LOG.warning(
                    'Origin %(origin)s of project %(project)s in the map '
                    'files is skipped: no site has a figure for it.',
                    {'origin': origin, 'project': project},
                )


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
