# SPDX-License-Identifier: Apache-2.0
"""WHERE WOULD THE SERVERS OF A SITE GO? Each by itself, if it had to leave."""

import collections.abc
import typing

from cliff import columns

from edge_filters import cloud
from edge_filters.latency import metadata
from edge_filters.osc import lookup
from edge_filters.osc import outlook
from edge_filters.osc import ranking
from edge_filters.osc import room as osc_room
from edge_filters.osc import servers


class Leaving(typing.NamedTuple):
    """A server, and where it would go.

    :param server: the server
    :param to: the nearest place that would do; None: there is none
    :param rtt_ms: how far that is from its users; None: nobody knows
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
    hosts = {host for _, record in world.site(site) for host in record.hosts}
    without = world.suppose({site: metadata.Status.INACTIVE})
    room = osc_room.Room(client, world.sites.aggregates.values())
    looked = outlook.Outlook(without, now, room)
    for host in sorted(hosts):
        there = map(servers.read, client.servers(host=host))
        for server in sorted(there, key=lambda it: it.name):
            decided = looked.of_server(server)
            ranks = looked.ranks(decided, server.flavor, server.zone)
            yield _leaving(server, ranks)


def _leaving(
    server: servers.Server, ranks: collections.abc.Sequence[ranking.Rank]
) -> Leaving:
    nearest = next((it for it in ranks if it.will_do), None)
    if nearest is not None:
        return Leaving(
            server, str(nearest.place), nearest.latency.cost_ms, nearest.reason
        )
    if full := [it for it in ranks if it.passes]:
        why = f'no room where it may run; {full[0].reason}'
    else:
        allowed = [it for it in ranks if it.site.passes]
        why = allowed[0].reason if allowed else 'no other site may take it'
    return Leaving(server, None, None, why)


class Column(columns.FormattableColumn[typing.Any]):
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
