# SPDX-License-Identifier: Apache-2.0
"""WHAT OF THIS SERVER? Its case, and the places that there are for it."""

import collections.abc
import functools
import json
import typing

from edge_filters import case
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request
from edge_filters.osc import lookup
from edge_filters.osc import ranking
from edge_filters.osc import room as osc_room
from edge_filters.osc import servers

Texts = collections.abc.Mapping[str, typing.Any]


class Best(typing.NamedTuple):
    """Where a server would go best.

    :param names: the places among which other weighers choose, in words;
        empty: none will do
    :param nearest: the nearest of them; None: none will do
    :param obstacle: why none will do, at the place that comes next to it;
        None: there is no place that it may be at
    """

    names: str
    nearest: ranking.Rank | None
    obstacle: ranking.Rank | None


class Outlook:
    """The places that there are for servers, at one moment.

    :param world: what is known of the sites
    :param now: seconds since the epoch
    :param room: the hosts, and where there is room; None: nobody is asked
    """

    def __init__(
        self,
        world: lookup.World,
        now: float,
        room: osc_room.Room | None = None,
    ) -> None:
        self._world = world
        self._rules = case.rules(world.settings)
        self._now = now
        self._room = room
        self._best: dict[typing.Any, Best] = {}

    @functools.cached_property
    def _by_place(self) -> dict[latency_snapshot.Place, list[str]]:
        hosts = set(self._world.snapshot.places)
        if self._room is not None:
            hosts |= self._room.hosts
        return ranking.by_place(self._world.snapshot, hosts)

    def of_boot(
        self, hints: Texts, extra_specs: Texts, project: str | None = None
    ) -> case.Case:
        """Return the case of a server that is not there yet."""
        return case.Case(
            self._world, self._rules, self._now, hints, extra_specs, project
        )

    def of_server(self, server: servers.Server) -> case.Case:
        """Return the case of a server that moves from the host it is on."""
        decided = case.Case(
            self._world,
            self._rules,
            self._now,
            server.hints,
            server.flavor.extra_specs,
            server.project,
            is_move=True,
        )
        if decided.has_use_of_source:
            decided.leave(server.host)
        return decided

    def ranks(
        self,
        decided: case.Case,
        flavor: servers.Flavor | None,
        zone: str | None = None,
        taken: str = '',
    ) -> list[ranking.Rank]:
        """Return the places for a server, in order.

        :param flavor: what there has to be room for; None: room is no matter
        :param zone: the availability zone that it has to be in; None: any
        :param taken: the host where it has room already, as it is there
        """
        room: collections.abc.Set[str] | None = None
        if self._room is not None and flavor is not None:
            room = self._room.of(flavor, zone, taken)
        return ranking.rank(decided, self._by_place, room)

    def best(self, server: servers.Server, decided: case.Case) -> Best:
        """Return where a server would go best.

        Many servers ask for the same: what was found for one is kept.
        """
        key = self._key(server, decided)
        if key not in self._best:
            ranks = self.ranks(decided, server.flavor, server.zone)
            chosen = ranking.choice(ranks, self._world.settings)
            others = sorted(
                (it for it in ranks if it.site.passes),
                key=lambda it: not it.passes,
            )
            self._best[key] = Best(
                spelling.listed([str(it.place) for it in chosen]),
                chosen[0] if chosen else None,
                None if chosen or not others else others[0],
            )
        return self._best[key]

    def _key(
        self, server: servers.Server, decided: case.Case
    ) -> tuple[typing.Any, ...]:
        """Return what is the same for servers that may go to the same places.

        It matters where a server is if that stands in for its users, or if it
        may move within a site that is draining.
        """
        source, closed = decided.source, self._world.snapshot.closed
        if source is not None and decided.request.has_users:
            is_draining = any(
                closed.get(name) is metadata.Status.DRAINING
                for name in source.sites
            )
            source = source if is_draining else None
        texts = [
            {
                name: value
                for name, value in its.items()
                if name.strip().lower().startswith(origins_request.PREFIX)
            }
            for its in (server.hints, server.flavor.extra_specs)
        ]
        return (
            json.dumps(texts, sort_keys=True),
            self._world.projects.get(server.project),
            source,
            server.flavor.query,
            server.zone,
        )
