# SPDX-License-Identifier: Apache-2.0
"""WHO IS WHERE THEY SHOULD NOT BE? The command ``openstack edge audit``."""

import argparse
import collections.abc
import math
import time
import typing

from osc_lib.command import command

from edge_filters import case
from edge_filters import cloud
from edge_filters import proximity
from edge_filters.osc import arguments
from edge_filters.osc import columns
from edge_filters.osc import finding
from edge_filters.osc import lookup
from edge_filters.osc import nova_conf
from edge_filters.osc import outlook
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


class Audit(command.Lister):
    """List running servers that are out of their budget, or too far away.

    The exit status is 0 if there is none, and 3 if there is one: cron and
    others can tell. A better site is one with room for the server.
    """

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
        nova_conf.add_config_file(parser)
        arguments.add_map_files(parser)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Return the exit status."""
        self._has_found = self._is_warned = False
        return int(super().run(parsed_args) or finding.FOUND * self._has_found)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], collections.abc.Iterable[typing.Any]]:
        """Return the servers that are not where they should be."""
        world = lookup.read(self, parsed_args)
        for name in parsed_args.sites or ():
            world.site(name)
        client = lookup.cloud_of(self)
        room = osc_room.Room(client, world.sites.aggregates.values())
        looked = outlook.Outlook(world, time.time(), room)
        rows = []
        for answer in client.servers(status='ACTIVE'):
            server = servers.read(answer)
            its = world.snapshot.place(server.host).sites
            if parsed_args.sites and not {*its} & {*parsed_args.sites}:
                continue
            row = self._audit(world, looked, server, parsed_args.nearer_ms)
            if row is not None:
                rows.append(row)
        self._has_found = bool(rows)
        return _COLUMNS, rows

    def _audit(
        self,
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
            better = self._better(looked, decided, server, verdict)
        reason = verdict.reason
        if request.problems:
            found = 'unreadable'
            reason = '; '.join(map(str, request.problems))
        elif not verdict.passes:
            found = 'over budget' if request.has_budget else 'unreachable'
        elif better is not None and _gain_ms(verdict, better) >= nearer_ms:
            found = 'nearer site'
        else:
            return None
        where = '' if better is None else ', '.join(better.place.sites)
        return (
            server.id,
            server.name,
            server.project,
            server.host,
            found,
            columns.Known(verdict.cost_ms),
            columns.Known(where or None),
            columns.Known(better and better.cost_ms),
            reason,
        )

    def _better(
        self,
        looked: outlook.Outlook,
        decided: case.Case,
        server: servers.Server,
        verdict: proximity.Verdict,
    ) -> proximity.Verdict | None:
        """Return the nearest place that will do, if it is better."""
        try:
            ranks = looked.ranks(decided, server.flavor, server.zone)
        except cloud.CloudError as error:
            if not self._is_warned:
                self.log.warning('%s Better sites may have no room.', error)
            self._is_warned = True
            ranks = looked.ranks(decided, None)
        nearest = next((it.latency for it in ranks if it.will_do), None)
        if nearest is None or nearest.place == verdict.place:
            return None
        is_cure = nearest.passes and not verdict.passes
        is_nearer = proximity.distance(nearest) < proximity.distance(verdict)
        return nearest if is_cure or is_nearer else None


def _gain_ms(verdict: proximity.Verdict, better: proximity.Verdict) -> float:
    """Return how much nearer another place is; unknown is no gain."""
    if verdict.cost_ms is None or better.cost_ms is None:
        return -math.inf
    return verdict.cost_ms - better.cost_ms
