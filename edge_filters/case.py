# SPDX-License-Identifier: Apache-2.0
"""WHAT OF EVERY PLACE, FOR ONE SERVER? The rules meet what is known.

nova-scheduler decides on a case, and ``openstack edge explain`` explains one.
"""

import collections.abc
import dataclasses
import functools

from edge_filters import conf
from edge_filters import proximity
from edge_filters import spelling
from edge_filters import world
from edge_filters.latency import estimate
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request

Texts = collections.abc.Mapping[str, object]
Verdicts = dict[latency_snapshot.Place, proximity.Verdict]


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


class Case:
    """The verdicts for one server, all from one snapshot.

    :param known: what is known
    :param rules: what the operator sets for all requests
    :param now: seconds since the epoch
    :param hints: its scheduler hints
    :param extra_specs: those of its flavor
    :param project: the ID of its project; None: nobody knows
    :param is_move: whether it is there already, and is moved
    :ivar request: what it asks of its place
    :ivar snapshot: what is known of the sites
    """

    def __init__(
        self,
        known: world.World,
        rules: proximity.Rules,
        now: float,
        hints: Texts | None,
        extra_specs: Texts | None,
        project: str | None = None,
        is_move: bool = False,
    ) -> None:
        self.rules = rules
        self.is_move = is_move
        self.snapshot = snapshot = known.snapshot
        self._source: latency_snapshot.Place | None = None
        self._site_verdicts: Verdicts = {}
        self._latency_verdicts: Verdicts = {}
        request = origins_request.parse(hints, extra_specs)
        project_origins = [
            it
            for it in known.projects.get(project or '', ())
            if snapshot.knows(it)
        ]
        if project_origins or not request.asks_nothing:
            request = proximity.settle(
                request, snapshot, is_move, known.find, project_origins
            )
        self.request = request
        self._judge: collections.abc.Callable[
            [latency_snapshot.Place], proximity.Verdict
        ] = proximity.LatencyJudge(request, snapshot, rules, now).judge

    def leave(self, host: str) -> None:
        """Take note of the host that a server moves from."""
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
    def has_use_of_source(self) -> bool:
        """Whether it matters where a server that moves is.

        It does at sites that are not active, and where its own site has to
        stand in for its users.
        """
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

    @property
    def users(self) -> str:
        """Where its users are, in words, and who says so."""
        request = self.request
        if self.stand_in is not None:
            return f'no origin, so near {spelling.listed(self.stand_in.sites)}'
        if not request.has_users:
            return 'no origin'
        near = (
            f'{latitude:g},{longitude:g}'
            for latitude, longitude in request.near
        )
        users = spelling.listed([*request.origins, *near])
        return f'origin {users} ({request.origin_source})'

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


def _judge_distance(
    source: latency_snapshot.Place,
    snapshot: latency_snapshot.Snapshot,
    rules: proximity.Rules,
    place: latency_snapshot.Place,
) -> proximity.Verdict:
    return proximity.judge_distance(source, place, snapshot, rules)
