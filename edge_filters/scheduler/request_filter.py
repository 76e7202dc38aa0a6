# SPDX-License-Identifier: Apache-2.0
"""WHICH HOSTS IS PLACEMENT ASKED FOR? The sites that can serve a request.

Placement returns so many candidates and no more, in an order that knows
nothing of latency: beyond that, filters and weighers choose among the wrong
hosts. Nova lets a request filter require aggregates, and a site is one or
more of them. Where no site can serve a request, it is refused here, because
this reason, and no other, reaches the user.
"""

import collections.abc
import dataclasses
import math
import typing
import zlib

from nova import exception
from nova import objects
import nova.conf
from nova.scheduler import utils
from nova.scheduler.client import report
import os_traits
from oslo_log import log as logging

from edge_filters import case
from edge_filters import conf
from edge_filters import proximity
from edge_filters import ratelimit
from edge_filters import refusal
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request
from edge_filters.scheduler import decision
from edge_filters.scheduler import nova_compat

CONF = nova.conf.CONF

LOG = logging.getLogger(__name__)

# Apache reads 8,190 bytes of a request's first line, with its method, path
# and version (LimitRequestLine); this is what the query may have of it.
MAX_QUERY_CHARS = 8000

# The least number of hosts for each server of a request.
_HOSTS_A_SERVER = 10

# How many times Placement may be asked before Nova asks it; like Nova's own
# query, each may be two where CPUs are pinned.
_MAX_QUERIES = 2

# How much more is asked for than needed, as some hosts have no room.
_HEADROOM = 2.0

# What of the hints of a server makes Nova ask for all candidates.
_OF_OTHER_SERVERS = ('same_host', 'different_host')

_WARNINGS = ratelimit.RateLimit()


class _Site(typing.NamedTuple):
    """A site that may serve a request.

    :param nearest: the best verdict on a place of it
    :param aggregates: UUIDs of the aggregates that it consists of
    :param hosts: how many hosts are in them
    """

    nearest: proximity.Verdict
    aggregates: list[str]
    hosts: int


class _Query:
    """What Nova will ask Placement for a request.

    :param context: Nova's RequestContext
    :param spec: Nova's RequestSpec, which stays as it is
    """

    def __init__(self, context: typing.Any, spec: typing.Any) -> None:
        self._context = context
        # Once, as a server may have thousands of hints; Nova, too, makes
        # several queries of one spec.
        self._spec = spec.obj_clone()
        require(self._spec, [])

    def room(self) -> int:
        """Return how many aggregates more can be asked for."""
        query = self._resources([], True).to_querystring()
        # A UUID of 36 characters, and a comma of three.
        return int((MAX_QUERY_CHARS - len(query)) // 39)

    def count_computes(
        self, aggregates: list[str], at_most: int | None = None
    ) -> int | None:
        """Return on how many computes there are candidates; None: unknown.

        :param aggregates: UUIDs of aggregates, of which a host is in one
        :param at_most: how many candidates are looked at, which is cheaper;
            None: as many as Nova looks at
        """
        resources = self._resources(aggregates, True)
        computes = self._computes(resources, at_most)
        if (
            computes is not None
            and len(computes) != at_most
            and resources.cpu_pinning_requested
            and not CONF.workarounds.disable_fallback_pcpu_query
        ):
            # Hosts that do not tell their pinned CPUs yet; so does Nova.
            resources = self._resources(aggregates, False)
            others = self._computes(resources, at_most)
            computes = None if others is None else computes | others
        return None if computes is None else len(computes)

    def _resources(
        self, aggregates: list[str], translates: bool
    ) -> typing.Any:
        self._spec.requested_destination.aggregates[-1] = ','.join(aggregates)
        # Only for hosts that are named does it need a HostManager.
        return utils.resources_from_request_spec(
            self._context,
            self._spec,
            None,
            enable_pinning_translate=translates,
        )

    def _computes(
        self, resources: typing.Any, at_most: int | None
    ) -> set[str] | None:
        if at_most is not None:
            nova_compat.limit(resources, at_most)
        client = report.report_client_singleton()
        found = client.get_allocation_candidates(self._context, resources)
        if found is None or found[1] is None:
            return None
        return {
            summary.get('root_provider_uuid') or uuid
            for uuid, summary in found[1].items()
            if os_traits.MISC_SHARES_VIA_AGGREGATE
            not in summary.get('traits', ())
        }


class EdgeRequestFilter:
    """Narrows what Nova asks Placement for, or refuses the request.

    :param settings: the options
    :param enabled_filters: names of the filters that decide later
    """

    def __init__(
        self,
        settings: conf.Settings,
        enabled_filters: collections.abc.Container[str],
    ) -> None:
        self._settings = settings
        self._rules = case.rules(settings)
        self._judges_sites = decision.SITE_FILTER in enabled_filters
        self._judges_latency = decision.LATENCY_FILTER in enabled_filters

    def __call__(self, context: typing.Any, spec: typing.Any) -> bool:
        """Require the aggregates of the sites that can serve a request.

        :param context: Nova's RequestContext
        :param spec: Nova's RequestSpec
        :returns: whether it was narrowed
        :raises RequestFilterFailed: if no host can serve it
        """
        try:
            return self._narrow(context, spec)
        except exception.RequestFilterFailed:
            raise
        except Exception as error:
            if _WARNINGS.is_due(type(error).__name__):
                LOG.exception('What Placement is asked for is not narrowed')
            return False

    def _narrow(self, context: typing.Any, spec: typing.Any) -> bool:
        if (
            self._settings.mode != 'enforce'
            or decision.is_rebuild(spec)
            or _is_forced(spec)
        ):
            return False
        decided = decision.of(spec, self._rules)
        if decided.request.asks_nothing:
            return False
        if decided.refusal:
            if self._judges_sites or self._judges_latency:
                words = f'refused: {decided.refusal}'
                self._refuse(decided, words, decided.refusal)
            return False
        ranks = self._ranks(decided)
        if not ranks:
            self._refuse_all(decided)
        if not _may_narrow(spec, decided):
            return False
        within = _hosts_within(spec)
        is_hard = latency_snapshot.NOWHERE not in ranks
        if not is_hard and not self._is_hidden(decided, within):
            return False
        sites = self._sites(decided, ranks, within)
        if is_hard and not sites:
            # Placement will say that there is nothing.
            sites = self._sites(decided, ranks, None)
        if not is_hard and (not sites or sites[0].nearest.cost_ms is None):
            # Nobody knows which is the nearest.
            return False
        return self._ask(context, spec, decided, sites, is_hard)

    def _is_hidden(
        self, decided: decision.Decision, within: set[str] | None
    ) -> bool:
        """Return whether the nearest host may be one Placement leaves out.

        :param within: the hosts that a request may have; None: all
        """
        count = nova_compat.count_hosts() if within is None else len(within)
        return (
            decided.has_order
            and self._settings.edge_latency_weight_multiplier > 0
            and count > CONF.scheduler.max_placement_results
        )

    def _ranks(
        self, decided: decision.Decision
    ) -> dict[latency_snapshot.Place, int]:
        """Return the places that may serve a request; the lower the better.

        Where nothing meets the budget, the filter may fall back on what does
        not. Hosts in no site are at a place of their own.
        """
        ranks = {}
        for place in {
            latency_snapshot.NOWHERE,
            *decided.snapshot.all_places(),
        }:
            if self._judges_sites and not decided.may_be_at(place):
                continue
            verdict = decided.judge_latency(place)
            if verdict.passes or not self._judges_latency:
                ranks[place] = 0
            elif decided.falls_back and verdict.cost_ms is not None:
                ranks[place] = 1
        if latency_snapshot.NOWHERE in ranks:
            # Hosts in no site pass, and nobody falls back before they are
            # full.
            return {place: rank for place, rank in ranks.items() if not rank}
        return ranks

    def _sites(
        self,
        decided: decision.Decision,
        ranks: dict[latency_snapshot.Place, int],
        within: set[str] | None,
    ) -> list[_Site]:
        """Return the sites that may serve a request, the nearest first.

        :param within: the hosts that it may have; None: all. Sites that have
            none of them are left out.
        """
        best: dict[str, tuple[int, float, int, proximity.Verdict]] = {}
        for place, rank in ranks.items():
            verdict = decided.judge_latency(place)
            for name in place.sites:
                # Where sites are equally far, each server begins elsewhere.
                order = zlib.crc32(f'{decided.server} {name}'.encode())
                key = (rank, proximity.distance(verdict), order)
                if name not in best or key < best[name][:3]:
                    best[name] = (*key, verdict)
        sites = []
        for name in sorted(best, key=lambda it: best[it][:3]):
            aggregates = []
            hosts = 0
            for its_id, record in decided.snapshot.sites[name].items():
                uuid = nova_compat.uuid(its_id)
                its_hosts = record.hosts
                if within is not None:
                    its_hosts = its_hosts & within
                if uuid is not None and its_hosts:
                    aggregates.append(uuid)
                    hosts += len(its_hosts)
            if aggregates:
                sites.append(_Site(best[name][3], aggregates, hosts))
        return sites

    def _ask(
        self,
        context: typing.Any,
        spec: typing.Any,
        decided: decision.Decision,
        sites: list[_Site],
        is_hard: bool,
    ) -> bool:
        """Narrow a request to the nearest sites that have enough hosts.

        :param sites: those that may serve it, the nearest first
        :param is_hard: whether no other host may serve it
        :returns: whether it was narrowed
        """
        limit = CONF.scheduler.max_placement_results
        least, needed = self._count_needed(spec, decided, limit)
        # What Placement cuts off it cuts off in its own order.
        wanted = min(_HEADROOM * needed, limit)
        total = sum(site.hosts for site in sites)
        if is_hard and (total <= limit or not decided.has_order):
            wanted = math.inf
        query = _Query(context, spec)
        room = query.room()
        longest = len(_nearest(sites, math.inf, room))
        chosen: list[_Site] = []
        for _ in range(_MAX_QUERIES):
            before = chosen
            chosen = _nearest(sites, wanted, room)
            if len(chosen) == len(before):
                # There are no more, or no room for more.
                break
            # Where no other site will do, one candidate is enough to know.
            is_all = is_hard and len(chosen) == len(sites)
            found = query.count_computes(
                _aggregates(chosen), 1 if is_all else None
            )
            if found is None:
                return False
            if is_all and not found:
                self._refuse_for_room(decided, sites)
            if len(chosen) == longest < len(sites):
                # Of small sites there is no room for more.
                needed = min(needed, least)
            if is_all or found >= needed:
                self._require(spec, decided, chosen, sites)
                return True
            asked = sum(site.hosts for site in chosen)
            wanted = _HEADROOM * needed * asked / max(found, 1)
        if is_hard and longest == len(sites) > 0:
            self._require(spec, decided, sites, sites)
            return True
        LOG.debug(
            'Server %s: what Placement is asked for is not narrowed, as '
            'too few hosts of the nearest sites are candidates',
            decided,
        )
        return False

    def _count_needed(
        self, spec: typing.Any, decided: decision.Decision, limit: int
    ) -> tuple[int, int]:
        """Return how many hosts are the least, and how many are enough.

        Hosts that Nova will ignore may be among them.

        :param limit: how many candidates Placement returns
        """
        # On a move it says how many were booted together, once.
        is_told = 'num_instances' in spec and not decided.is_move
        servers = spec.num_instances if is_told else 1
        ignored = len(spec.ignore_hosts or ()) if 'ignore_hosts' in spec else 0
        least = _HOSTS_A_SERVER * servers
        enough = max(self._settings.request_filter_min_hosts, least)
        enough = min(enough, int(limit / _HEADROOM) or 1)
        return least + ignored, enough + ignored

    def _require(
        self,
        spec: typing.Any,
        decided: decision.Decision,
        chosen: list[_Site],
        sites: list[_Site],
    ) -> None:
        all_sites = len(decided.snapshot.sites)
        words = f'Placement is asked for {len(chosen)} of {all_sites} sites'
        if len(chosen) < len(sites):
            words += f', the first of {len(sites)} that may serve it'
        if decided.has_order:
            farthest = max(
                (it.nearest for it in chosen), key=proximity.distance
            )
            words += f' (the farthest: {farthest.reason})'
        decided.narrowed = words
        LOG.info('Edge query for server %s: %s.', decided, words)
        require(spec, _aggregates(chosen))

    def _refuse_all(self, decided: decision.Decision) -> typing.NoReturn:
        """Refuse a request that no host may serve."""
        outlooks = [
            self._outlook(decided, place)
            for place in decided.snapshot.all_places()
        ]
        verdicts = (
            it.latency
            if it.site.passes
            else it.site._replace(cost_ms=it.latency.cost_ms)
            for it in outlooks
        )
        words = decision.in_words(verdicts) or 'there is no site'
        told = refusal.no_site(
            self._asked(decided), outlooks, self._settings.refusal_details
        )
        self._refuse(decided, f'no host passes: {words}', told)

    def _asked(self, decided: decision.Decision) -> origins_request.Request:
        """Return that part of a request that the enabled filters bind."""
        nothing: dict[str, typing.Any] = {}
        if not self._judges_sites:
            nothing.update(sites=None, tiers=None, avoid_sites=frozenset())
        if not self._judges_latency:
            nothing.update(origins=(), near=())
        return dataclasses.replace(decided.request, **nothing)

    def _outlook(
        self, decided: decision.Decision, place: latency_snapshot.Place
    ) -> refusal.Outlook:
        latency = decided.judge_latency(place)
        if not self._judges_latency:
            latency = latency._replace(passes=True)
        if not self._judges_sites:
            return refusal.Outlook(latency._replace(passes=True), latency)
        return refusal.Outlook(
            decided.judge_site(place), latency, decided.status(place)
        )

    def _refuse_for_room(
        self, decided: decision.Decision, sites: list[_Site]
    ) -> typing.NoReturn:
        """Refuse a request for which Placement has no candidate."""
        nearest = sites[0].nearest
        asked = self._asked(decided)
        if decided.falls_back:
            asked = asked.without_budget()
        told = refusal.no_room(
            asked,
            nearest,
            len(sites),
            self._settings.refusal_details,
        )
        words = (
            f'Placement has no candidate at the {len(sites)} sites that may '
            f'serve it: {decision.in_words(it.nearest for it in sites)}'
        )
        self._refuse(decided, words, told)

    def _refuse(
        self, decided: decision.Decision, logged: str, told: str
    ) -> typing.NoReturn:
        decision.log(decided, self._settings.mode, logged)
        raise exception.RequestFilterFailed(reason=refusal.shorten(told))


def enable(
    settings: conf.Settings,
    enabled_filters: collections.abc.Container[str],
) -> None:
    """Have Nova call a request filter of ours; once, however often asked."""
    wanted = None
    if settings.request_filter:
        wanted = EdgeRequestFilter(settings, enabled_filters)
    nova_compat.set_request_filter(wanted, EdgeRequestFilter)


def require(spec: typing.Any, aggregates: list[str]) -> None:
    """Have a request served by a host in one of these aggregates.

    What it requires already it goes on to require.

    :param spec: Nova's RequestSpec
    :param aggregates: UUIDs
    """
    if (
        'requested_destination' not in spec
        or spec.requested_destination is None
    ):
        spec.requested_destination = objects.Destination()
    spec.requested_destination.require_aggregates(aggregates)


def _is_forced(spec: typing.Any) -> bool:
    """Return whether an administrator said which host it must be."""
    return any(
        name in spec and getattr(spec, name)
        for name in ('force_hosts', 'force_nodes')
    )


def _may_narrow(spec: typing.Any, decided: decision.Decision) -> bool:
    """Return whether hosts that are left out would not be missed."""
    destination = _destination(spec)
    if destination is not None and any(
        name in destination and getattr(destination, name)
        for name in ('host', 'node')
    ):
        return False
    hints = spec.scheduler_hints if 'scheduler_hints' in spec else None
    if not set(hints or ()).isdisjoint(_OF_OTHER_SERVERS):
        return False
    group = spec.instance_group if 'instance_group' in spec else None
    if group is not None and ('hosts' not in group or group.hosts):
        return False
    # Nova keeps to the cell of the server, and Placement does not.
    return not decided.is_move or nova_compat.count_cells() == 1


def _hosts_within(spec: typing.Any) -> set[str] | None:
    """Return the hosts that other request filters leave; None: all.

    What Nova does not know, such as the segments of networks, may be all.
    """
    destination = _destination(spec)
    if destination is None:
        return None
    within: set[str] | None = None
    for aggregates in destination.aggregates or ():
        hosts = nova_compat.hosts_of(set(aggregates.split(',')))
        if hosts is not None:
            within = hosts if within is None else within & hosts
    return within


def _destination(spec: typing.Any) -> typing.Any:
    if 'requested_destination' not in spec:
        return None
    return spec.requested_destination


def _nearest(sites: list[_Site], hosts: float, room: int) -> list[_Site]:
    """Return the first sites that have so many hosts.

    :param room: how many aggregates they may have together
    """
    chosen: list[_Site] = []
    for site in sites:
        room -= len(site.aggregates)
        if hosts <= 0 or room < 0:
            break
        hosts -= site.hosts
        chosen.append(site)
    return chosen


def _aggregates(sites: list[_Site]) -> list[str]:
    return [uuid for site in sites for uuid in site.aggregates]
