# SPDX-License-Identifier: Apache-2.0
"""WHY DID IT GO THERE, AND WHY NOT? The command ``openstack edge explain``."""

import argparse
import collections.abc
import time
import typing

from osc_lib import exceptions
from osc_lib.command import command

from edge_filters import case
from edge_filters.latency import metadata
from edge_filters.origins import request as origins_request
from edge_filters.osc import arguments
from edge_filters.osc import budget
from edge_filters.osc import caveats
from edge_filters.osc import columns
from edge_filters.osc import lookup
from edge_filters.osc import matrix
from edge_filters.osc import outlook
from edge_filters.osc import ranking
from edge_filters.osc import room as osc_room
from edge_filters.osc import servers
from edge_filters.osc import story

_COLUMNS = (
    'Site',
    'Host',
    'RTT ms',
    'Age',
    'Source',
    'State',
    'Verdict',
    'Cost ms',
    'Hosts',
    'With Room',
    'Needs',
    'Reason',
)


class Explain(command.Lister):
    """Explain where a server would go, and why.

    Every site has a row, those first where nova-scheduler prefers the server,
    by its own verdicts; a host with figures of its own has one too. The
    sentences are on standard error.
    """

    # Not with --file.
    auth_required = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        for term in origins_request.VOCABULARY.values():
            name = term.name.removeprefix(origins_request.PREFIX)
            also = ' Repeat option for several.' if term.repeats else ''
            parser.add_argument(
                '--' + name.replace('_', '-'),
                metavar=f'<{name.replace("_", "-")}>',
                action='append',
                dest=term.name,
                help=f'Scheduler hint {term.name}. {term.meaning}{also}',
            )
        parser.add_argument(
            '--flavor',
            metavar='<flavor>',
            help=(
                'Flavor (name or ID): its extra specs count, and where there '
                'is room for it'
            ),
        )
        parser.add_argument(
            '--availability-zone',
            metavar='<zone>',
            help='Availability zone that it has to be in',
        )
        parser.add_argument(
            '--project',
            metavar='<project-id>',
            help='Its project, whose origins the map files may have',
        )
        parser.add_argument(
            '--server',
            metavar='<server>',
            help=(
                'Server that is there (name or ID): whether it is within its '
                'budget, and where it would go now. Options given beside it '
                'take the place of what it has'
            ),
        )
        parser.add_argument(
            '--what-if',
            metavar='<site>:<status>',
            type=_what_if,
            action='append',
            default=[],
            help=(
                'Take a site for active, draining or inactive (repeat option '
                'for several sites)'
            ),
        )
        lookup.add_options(parser)
        arguments.add_files(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], collections.abc.Iterable[typing.Any]]:
        """Return every place, in order; say where the server would go."""
        if parsed_args.offline and (parsed_args.server or parsed_args.flavor):
            raise exceptions.CommandError(
                'A server or a flavor is in no file; leave out --file, or '
                'give what they ask as options'
            )
        world = lookup.read(self, parsed_args)
        world = world.suppose(dict(parsed_args.what_if))
        for caveat in caveats.of(world, parsed_args):
            self.log.warning('%s.', caveat)
        now = time.time()
        hints = _hints(parsed_args)
        _check_sites(world, hints)
        flavor, room = None, None
        if not parsed_args.offline:
            client = lookup.cloud_of(self)
            room = osc_room.Room(client, world.sites.aggregates.values())
        if parsed_args.flavor is not None:
            flavor = servers.find_flavor(client, parsed_args.flavor)
        looked = outlook.Outlook(world, now, room)
        here = None
        if parsed_args.server is None:
            specs = {} if flavor is None else flavor.extra_specs
            decided = looked.of_boot(hints, specs, parsed_args.project)
            if decided.refusal:
                raise exceptions.CommandError(
                    f'Nova would refuse it: {decided.refusal}. What may be '
                    'asked is listed by: openstack help edge explain; origins '
                    'by: openstack edge origin list'
                )
            ranks = looked.ranks(
                decided, flavor, parsed_args.availability_zone
            )
        else:
            server = servers.find(client, parsed_args.server)
            server = _with(server, hints, flavor, parsed_args)
            decided = looked.of_server(server)
            for problem in decided.request.problems:
                self.log.warning('It moves without what it asks: %s', problem)
            if server.host:
                here = world.snapshot.place(server.host)
            self._say(story.where(server, decided, world.snapshot))
            ranks = looked.ranks(
                decided, server.flavor, server.zone, server.host
            )
        needs = [_needs(decided, it, now) for it in ranks]
        self._say(story.destination(decided, ranks, world.settings, here))
        self._say(story.obstacle(ranks, needs))
        return _COLUMNS, [
            _row(world, *both) for both in zip(ranks, needs, strict=True)
        ]

    def _say(self, sentence: str) -> None:
        """Write a sentence beside the table."""
        if sentence:
            print(sentence, file=self.app.stderr)


def _what_if(text: str) -> tuple[str, metadata.Status]:
    site, _, status = text.rpartition(':')
    if status not in metadata.STATUSES:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not SITE:STATUS, with a status of '
            f'{", ".join(metadata.STATUSES)}'
        )
    return arguments.name(site), metadata.STATUSES[status]


def _hints(given: argparse.Namespace) -> dict[str, list[str]]:
    """Return what is given as if it were scheduler hints."""
    values = {
        name: getattr(given, name) for name in origins_request.VOCABULARY
    }
    return {name: value for name, value in values.items() if value is not None}


def _check_sites(
    world: lookup.World, hints: collections.abc.Mapping[str, typing.Any]
) -> None:
    """Raise if a site that is asked for is not there."""
    asked = origins_request.parse(hints, None)
    for name in sorted((asked.sites or frozenset()) | asked.avoid_sites):
        world.site(name)


def _with(
    server: servers.Server,
    hints: collections.abc.Mapping[str, typing.Any],
    flavor: servers.Flavor | None,
    given: argparse.Namespace,
) -> servers.Server:
    """Return a server that asks for what is given in place of its own."""
    users = {term.name for term in origins_request.USERS}
    replaced = users if users & hints.keys() else set()
    kept = {
        name: value
        for name, value in server.hints.items()
        if name not in replaced
    }
    return server._replace(
        hints={**kept, **hints},
        flavor=flavor or server.flavor,
        project=given.project or server.project,
        zone=given.availability_zone or server.zone,
    )


def _needs(decided: case.Case, it: ranking.Rank, now: float) -> dict[str, str]:
    """Return what it would take for a place to be near enough."""
    if it.latency.passes or not it.site.passes:
        return {}
    return budget.needed(decided, it.place, now)


def _row(
    world: lookup.World, it: ranking.Rank, needs: dict[str, str]
) -> tuple[typing.Any, ...]:
    latency = it.latency
    figure = latency.figure
    state = latency.provenance
    verdict = 'passes' if it.passes else 'fails'
    return (
        ', '.join(it.place.sites),
        it.place.host,
        columns.Known(figure and figure.rtt_ms),
        columns.Age(latency.age_s and round(latency.age_s)),
        columns.Known(matrix.source(world, latency)),
        columns.Known(state and state.value),
        'fallback' if it.is_fallback else verdict,
        columns.Known(latency.cost_ms),
        it.hosts,
        columns.Known(it.room),
        columns.Terms(needs),
        it.reason,
    )
