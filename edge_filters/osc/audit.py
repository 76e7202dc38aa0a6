# SPDX-License-Identifier: Apache-2.0
"""WHO IS WHERE THEY SHOULD NOT BE? The command ``openstack edge audit``."""

import argparse
import collections.abc
import math
import time
import typing

from osc_lib.command import command

from edge_filters import proximity
from edge_filters.osc import arguments
from edge_filters.osc import caveats
from edge_filters.osc import columns
from edge_filters.osc import finding
from edge_filters.osc import lookup
from edge_filters.osc import outlook
from edge_filters.osc import progress
from edge_filters.osc import room as osc_room
from edge_filters.osc import servers

_COLUMNS = (
    'Server',
    'Name',
    'Project',
    'Host',
    'Finding',
    'RTT ms',
    'Better Site',
    'Better RTT ms',
    'Reason',
)

# What a server has that is not near enough, by how that is known.
_FAILED: dict[proximity.Provenance | None, str] = {
    proximity.Provenance.MEASURED: 'over budget',
    proximity.Provenance.UNREACHABLE: 'unreachable',
}


class Audit(command.Lister):
    """List running servers that are out of their budget, or too far away.

    The exit status is 0 if there is none, and 3 if there is one: cron and
    others can tell. A better site is one with room for the server.
    """

    _status = 0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--nearer-ms',
            metavar='<ms>',
            type=arguments.number,
            default=10.0,
            help='How much nearer another site has to be (default: 10)',
        )
        parser.add_argument(
            '--site',
            metavar='<site>',
            type=arguments.name,
            action='append',
            dest='sites',
            help='Only servers at this site (repeat option for several)',
        )
        lookup.add_options(parser)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run it; return the exit status."""
        return super().run(parsed_args) or self._status

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], collections.abc.Iterable[typing.Any]]:
        """Return the servers that are not where they should be."""
        world = lookup.read(self, parsed_args)
        for name in parsed_args.sites or ():
            world.site(name)
        for caveat in caveats.of(world, parsed_args):
            self.log.warning('%s.', caveat)
        client = lookup.cloud_of(self)
        room = osc_room.Room(client, world.sites.aggregates.values())
        looked = outlook.Outlook(world, time.time(), room)
        rows = []
        running = servers.readable(client.servers(status='ACTIVE'))
        for server in progress.shown(running, 'server'):
            its = world.snapshot.place(server.host).sites
            if parsed_args.sites and not {*its} & {*parsed_args.sites}:
                continue
            row = _audit(world, looked, server, parsed_args.nearer_ms)
            if row is not None:
                rows.append(row)
        self._status = finding.FOUND if rows else 0
        return _COLUMNS, rows


def _audit(
    world: lookup.World,
    looked: outlook.Outlook,
    server: servers.Server,
    nearer_ms: float,
) -> tuple[typing.Any, ...] | None:
    """Return what is to be said of a server; None: nothing."""
    decided = looked.of_server(server)
    request = decided.request
    verdict = decided.judge_latency(world.snapshot.place(server.host))
    better = None
    if request.has_users:
        nearest = looked.best(server, decided).nearest
        better = nearest and _better(verdict, nearest.latency)
    reason = verdict.reason
    if request.problems:
        found = 'unreadable'
        reason = '; '.join(map(str, request.problems))
    elif not verdict.passes:
        found = _FAILED.get(verdict.provenance, 'not measured')
    elif better is not None and _gain_ms(verdict, better) >= nearer_ms:
        found = 'nearer site'
    else:
        return None
    return (
        server.id,
        server.name,
        server.project,
        server.host,
        found,
        columns.Known(verdict.cost_ms),
        columns.Known(better and str(better.place)),
        columns.Known(better and better.cost_ms),
        reason,
    )


def _better(
    verdict: proximity.Verdict, nearest: proximity.Verdict
) -> proximity.Verdict | None:
    """Return the nearest place that will do, if it is better."""
    if nearest.place == verdict.place:
        return None
    is_cure = nearest.passes and not verdict.passes
    is_nearer = proximity.distance(nearest) < proximity.distance(verdict)
    return nearest if is_cure or is_nearer else None


def _gain_ms(verdict: proximity.Verdict, better: proximity.Verdict) -> float:
    """Return how much nearer another place is; unknown is no gain."""
    if verdict.cost_ms is None or better.cost_ms is None:
        return -math.inf
    return verdict.cost_ms - better.cost_ms
