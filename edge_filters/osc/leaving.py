# SPDX-License-Identifier: Apache-2.0
"""WHERE WOULD THE SERVERS OF A SITE GO? Each by itself, if it had to leave."""

import collections.abc
import typing

from cliff import columns

from edge_filters import cloud
from edge_filters.latency import metadata
from edge_filters.osc import lookup
from edge_filters.osc import outlook
from edge_filters.osc import progress
from edge_filters.osc import room as osc_room
from edge_filters.osc import servers
from edge_filters.osc import summary


class Leaving(typing.NamedTuple):
    """A server, and where it would go.

    :param server: the server
    :param to: the nearest places that would do; None: there is none
    :param rtt_ms: how far the nearest is from its users; None: nobody knows
    :param reason: why there, or why nowhere, in words
    """

    server: servers.Server
    to: str | None
    rtt_ms: float | None
    reason: str


def leaving(
    client: cloud.Cloud,
    world: lookup.World,
    site: str,
    now: float,
) -> collections.abc.Iterator[Leaving]:
    """Yield the servers of a site, by host and name.

    Methods of the cloud may raise CloudError.

    :param now: seconds since the epoch
    """
    without = world.suppose({site: metadata.Status.INACTIVE})
    room = osc_room.Room(client, world.sites.aggregates.values())
    looked = outlook.Outlook(without, now, room)
    for host in summary.hosts(world.site(site)):
        there = [
            it
            for it in servers.readable(client.servers(host=host))
            # Who may not filter by host is told of all servers.
            if it.host.lower() == host.lower()
        ]
        there.sort(key=lambda it: (it.name, it.id))
        for server in progress.shown(there, 'server'):
            best = looked.best(server, looked.of_server(server))
            yield _leaving(server, best)


def _leaving(server: servers.Server, best: outlook.Best) -> Leaving:
    if best.nearest is not None:
        rtt_ms = best.nearest.latency.cost_ms
        return Leaving(server, best.names, rtt_ms, best.nearest.reason)
    why = 'no other site may take it'
    if best.obstacle is not None:
        why = best.obstacle.reason
        if best.obstacle.passes:
            why = f'no room where it may run; {why}'
    return Leaving(server, None, None, why)


class Column(columns.FormattableColumn):  # type: ignore[type-arg]
    """Servers, and where they would go: one a line for people."""

    def human_readable(self) -> str:
        """Return one a line."""
        return '\n'.join(
            f'{it.server.name} ({it.server.id}) to {it.to or "nowhere"}: '
            f'{it.reason}'
            for it in self._value
        )

    def machine_readable(self) -> list[dict[str, typing.Any]]:
        """Return what is told of each."""
        return [
            {
                'id': it.server.id,
                'name': it.server.name,
                'status': it.server.status,
                'to': it.to,
                'rtt_ms': it.rtt_ms,
                'reason': it.reason,
            }
            for it in self._value
        ]
