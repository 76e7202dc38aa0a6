# SPDX-License-Identifier: Apache-2.0
"""HOW FAR IS EVERY SITE? The commands ``openstack edge latency``."""

import argparse
import collections.abc
import time
import typing

from osc_lib import exceptions
from osc_lib.command import command

from edge_filters import proximity
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.latency import sample_format
from edge_filters.osc import arguments
from edge_filters.osc import columns
from edge_filters.osc import lookup
from edge_filters.osc import matrix

_COLUMNS = (
    'Origin',
    'Site',
    'Host',
    'RTT ms',
    'Jitter ms',
    'Loss %',
    'Probes',
    'Age',
    'Source',
    'State',
)


class ListLatency(command.Lister):
    """List the figures between origins and sites.

    A host has a row of its own where it has figures of its own. Several rows
    of one origin and site come from several aggregates; the worse counts.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--origin',
            metavar='<origin>',
            type=arguments.name,
            action='append',
            dest='origins',
            help='Only figures of this origin (repeat option for several)',
        )
        parser.add_argument(
            '--site',
            metavar='<site>',
            type=arguments.name,
            action='append',
            dest='sites',
            help='Only figures of this site (repeat option for several)',
        )
        parser.add_argument(
            '--stale', action='store_true', help='Only figures that are stale'
        )
        lookup.add_options(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], collections.abc.Iterable[typing.Any]]:
        """Return the matrix, in the order of origins."""
        world = lookup.read(self, parsed_args)
        for name in parsed_args.sites or ():
            world.site(name)
        for name in parsed_args.origins or ():
            world.check_origin(name)
        rows = matrix.rows(
            world,
            sorted(set(parsed_args.sites or world.snapshot.sites)),
            time.time(),
        )
        origins = parsed_args.origins
        # One after the other: so many cells at once would keep the garbage
        # collector busy.
        return _COLUMNS, (
            (
                row.origin,
                row.site,
                columns.Known(row.host or None),
                columns.Known(row.figure.rtt_ms),
                columns.Known(row.figure.jitter_ms),
                columns.Known(row.figure.loss_pct),
                columns.Known(row.figure.probes),
                columns.Age(row.age_s),
                columns.Known(row.source),
                row.state.value,
            )
            for row in sorted(rows, key=lambda row: row[:3])
            if (origins is None or row.origin in origins)
            and (
                not parsed_args.stale
                or row.state is proximity.Provenance.STALE
            )
        )


class SetLatency(command.Command):
    """Set the figure between an origin and a site.

    It takes the place of the one that is there. Without --at it does not age.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'rtt_ms',
            metavar='<rtt-ms>',
            help='Round-trip time in milliseconds; "-" with --loss 100',
        )
        parser.add_argument(
            '--origin',
            metavar='<origin>',
            type=arguments.name,
            required=True,
            help='Where the users are; a name that is new makes an origin',
        )
        parser.add_argument(
            '--site',
            metavar='<site>',
            type=arguments.name,
            required=True,
            help='The site',
        )
        parser.add_argument(
            '--host',
            metavar='<host>',
            help='The host of the site that it is of, if not of all',
        )
        for option, name, metavar, meaning in (
            ('--jitter', 'jitter', '<ms>', 'Variation of the RTT'),
            ('--loss', 'loss', '<percent>', 'Share of probes lost'),
            ('--probes', 'n', '<number>', 'How many probes were sent'),
            ('--at', 'at', '<time>', 'When: 2026-11-23T10:00:00Z'),
            ('--source', 'by', '<word>', 'By what it was measured'),
        ):
            parser.add_argument(
                option, metavar=metavar, dest=f'field_{name}', help=meaning
            )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Write the figure where the site has it, else where it may be."""
        value = _written(parsed_args)
        world = lookup.read(self, parsed_args)
        found = world.site(parsed_args.site)
        key = metadata.rtt_key(parsed_args.origin)
        if parsed_args.host is not None:
            host = parsed_args.host.lower()
            hosts = {it for _, record in found for it in record.hosts}
            if host not in hosts:
                raise lookup.unknown(
                    f'host at {parsed_args.site} of the name',
                    parsed_args.host,
                    hosts,
                    f'openstack edge site show {parsed_args.site}',
                )
            found = [it for it in found if host in it[1].hosts]
            key = metadata.rtt_key(parsed_args.origin, host)
        aggregates = [aggregate for aggregate, _ in found]
        # Where it is in several, the worst would count.
        there = [it for it in aggregates if key in map(str.lower, it.metadata)]
        for aggregate in there or aggregates[:1]:
            lookup.cloud_of(self).set_metadata(aggregate, {key: value})


def _written(given: argparse.Namespace) -> str:
    """Return a figure as metadata has it."""
    words = [given.rtt_ms.strip()]
    for name in ('jitter', 'loss', 'n', 'at', 'by'):
        value = getattr(given, f'field_{name}')
        if value is not None:
            words.append(f'{name}={value.strip()}')
    text = ' '.join(words)
    try:
        return sample_format.format_sample(sample_format.parse_sample(text))
    except ValueError as error:
        why = str(error).removeprefix('is skipped: ')
        raise exceptions.CommandError(
            f'{spelling.shown(text)} is no figure: {why}'
        ) from None
