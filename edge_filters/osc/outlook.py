# SPDX-License-Identifier: Apache-2.0
"""WHAT OF THIS SERVER? Its case, and the places that there are for it."""

import collections.abc
import json
import typing

from edge_filters import case
from edge_filters.origins import request as origins_request
from edge_filters.osc import lookup
from edge_filters.osc import ranking
from edge_filters.osc import room as osc_room
from edge_filters.osc import servers

Texts = collections.abc.Mapping[str, typing.Any]


class Outlook:
    """The places that there are for servers, at one moment.

    Many servers ask for the same: what was worked out for one is kept.

    :param world: what is known of the sites
    :param now: seconds since the epoch
    :param room: where there is room; None: nobody knows
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
        self._cases: dict[typing.Any, case.Case] = {}
        self._ranks: dict[typing.Any, list[ranking.Rank]] = {}

    def of_boot(
        self, hints: Texts, extra_specs: Texts, project: str | None = None
    ) -> case.Case:
        """Return the case of a server that is not there yet."""
        return case.Case(
            self._world, self._rules, self._now, hints, extra_specs, project
        )

    def of_server(self, server: servers.Server) -> case.Case:
        """Return the case of a server that moves from the host it is on."""
        place = self._world.snapshot.place(server.host)
        key = _key(server)
        for whole_key in (key, (key, place)):
            if whole_key in self._cases:
                return self._cases[whole_key]
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
            self._cases[key, place] = decided
        else:
            self._cases[key] = decided
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
        :param taken: a host where it has room already, as it is there
        """
        query = flavor.query if flavor is not None else None
        key = (id(decided), query, zone, taken)
        if key not in self._ranks:
            room: collections.abc.Set[str] | None = None
            hosts = set(self._world.snapshot.places)
            if self._room is not None and flavor is not None:
                hosts.update(self._room.hosts.values())
                room = self._room.of(flavor, zone) | {taken.lower()}
            self._ranks[key] = ranking.rank(decided, hosts, room)
        return self._ranks[key]


def _key(server: servers.Server) -> str:
    """Return what is the same for servers that ask for the same."""
    ours = [
        {
            name: value
            for name, value in texts.items()
            if name.startswith(origins_request.PREFIX)
        }
        for texts in (server.hints, server.flavor.extra_specs)
    ]
    return json.dumps([*ours, server.project], sort_keys=True)
