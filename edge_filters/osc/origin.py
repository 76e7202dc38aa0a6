# SPDX-License-Identifier: Apache-2.0
"""WHERE ARE THE USERS? The commands ``openstack edge origin``."""

import argparse
import collections
import collections.abc
import time
import typing

from osc_lib import exceptions
from osc_lib.cli import format_columns
from osc_lib.command import command

from edge_filters import spelling
from edge_filters.origins import prefixes
from edge_filters.osc import arguments
from edge_filters.osc import columns
from edge_filters.osc import lookup
from edge_filters.osc import matrix

# How many sites are named as the nearest ones.
_NEAREST = 5


class ListOrigin(command.Lister):
    """List origins: where users are, and how many sites are measured"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        lookup.add_options(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], collections.abc.Iterable[typing.Any]]:
        """Return the origins, in the order of their names."""
        world = lookup.read(self, parsed_args)
        counts = collections.Counter(it.origin for it in world.prefix_table)
        rtts_ms = _rtts_ms(world)
        names = ('Name', 'Prefixes', 'Sites', 'Nearest Site', 'RTT ms')
        rows = []
        for name in sorted(world.origins):
            nearest = _nearest(rtts_ms[name])
            site, rtt_ms = nearest[0] if nearest else (None, None)
            rows.append(
                (
                    name,
                    counts[name],
                    len(rtts_ms[name]),
                    columns.Known(site),
                    columns.Known(rtt_ms),
                )
            )
        return names, rows


class ShowOrigin(command.ShowOne):
    """Display an origin"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'origin',
            metavar='<origin>',
            type=arguments.name,
            help='The name of the origin',
        )
        lookup.add_options(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[typing.Any, ...]]:
        """Return what is known of it."""
        name = parsed_args.origin
        world = lookup.read(self, parsed_args)
        world.check_origin(name)
        rtts_ms = _rtts_ms(world)[name]
        return _columns(
            name=name,
            prefixes=columns.Lines(
                [
                    f'{it.prefix} ({it.source})'
                    for it in world.prefix_table
                    if it.origin == name
                ]
            ),
            projects=columns.Lines(
                sorted(
                    project
                    for project, origins in world.maps.projects.items()
                    if name in origins
                )
            ),
            sites=len(rtts_ms),
            nearest_sites=format_columns.DictColumn(
                dict(_nearest(rtts_ms)[:_NEAREST])
            ),
        )


class LocateOrigin(command.ShowOne):
    """Display which origin an address belongs to, and by which prefix.

    The longest prefix wins. Of equal ones that of an aggregate wins over that
    of a map file, and that of an earlier file over that of a later one.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'address',
            metavar='<address>',
            type=arguments.network,
            help='An address, or a prefix that lies within one origin',
        )
        lookup.add_options(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[typing.Any, ...]]:
        """Return the origin, and who says so."""
        address = spelling.shown_network(parsed_args.address)
        world = lookup.read(self, parsed_args)
        try:
            entry = world.prefix_table.find(parsed_args.address)
        except prefixes.Ambiguous as error:
            raise exceptions.CommandError(f'{address} {error}') from None
        if entry is None:
            hint = '' if parsed_args.map_files else ', or give --map-file'
            raise exceptions.CommandError(
                f'{address} belongs to no origin; give a site its prefix with '
                f'openstack edge site set --user-prefix{hint}'
            )
        return _columns(
            address=address,
            origin=entry.origin,
            prefix=str(entry.prefix),
            source=entry.source,
        )


def _columns(
    **values: typing.Any,
) -> tuple[tuple[str, ...], tuple[typing.Any, ...]]:
    return tuple(values), tuple(values.values())


def _rtts_ms(
    world: lookup.World,
) -> collections.abc.Mapping[str, dict[str, float | None]]:
    """Return, by origin, the RTT to each site that is measured.

    The worst of a site counts; None: it is unreachable.
    """
    by_origin: dict[str, dict[str, float | None]] = collections.defaultdict(
        dict
    )
    for row in matrix.rows(world, world.snapshot.sites, time.time()):
        rtts_ms = by_origin[row.origin]
        rtt_ms = rtts_ms.get(row.site, 0.0)
        if rtt_ms is not None and row.figure.rtt_ms is not None:
            rtts_ms[row.site] = max(rtt_ms, row.figure.rtt_ms)
        else:
            rtts_ms[row.site] = None
    return by_origin


def _nearest(
    rtts_ms: collections.abc.Mapping[str, float | None],
) -> list[tuple[str, float]]:
    """Return the sites that can be reached, the nearest first."""
    reached = [(site, it) for site, it in rtts_ms.items() if it is not None]
    return sorted(reached, key=lambda it: (it[1], it[0]))
