# SPDX-License-Identifier: Apache-2.0
"""WHICH SITES ARE THERE? The commands ``openstack edge site``."""

import argparse
import collections.abc
import time
import typing

from osc_lib import exceptions
from osc_lib.cli import format_columns
from osc_lib.command import command

from edge_filters import cloud
from edge_filters.latency import metadata
from edge_filters.osc import arguments
from edge_filters.osc import change
from edge_filters.osc import columns
from edge_filters.osc import leaving
from edge_filters.osc import lookup
from edge_filters.osc import matrix
from edge_filters.osc import site_table
from edge_filters.osc import summary


class ListSite(command.Lister):
    """List sites, and what there is room for.

    vCPUs and memory are as the hypervisors count them, whatever allocation
    ratios promise; where hosts are down or disabled, nothing is free.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--tier',
            metavar='<tier>',
            type=arguments.name,
            help='Only sites of this tier',
        )
        parser.add_argument(
            '--status',
            choices=list(metadata.STATUSES),
            help='Only sites of this status',
        )
        parser.add_argument(
            '--long',
            action='store_true',
            help='List aggregates and position too',
        )
        parser.add_argument(
            '--no-capacity',
            action='store_true',
            help='Do not ask for hypervisors; what hosts have stays empty',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], collections.abc.Iterable[typing.Any]]:
        """Return the sites, in the order of their names."""
        world = lookup.read(self, parsed_args)
        self._warn_of_unnamed(world)
        capacity = None if parsed_args.no_capacity else self._capacity()
        now = time.time()
        names: tuple[str, ...] = (
            'Name',
            'Hosts',
            'Tier',
            'Status',
            'Origins',
            'Oldest Sample',
            'vCPUs Used',
            'vCPUs Free',
            'Memory MB Used',
            'Memory MB Free',
        )
        if parsed_args.long:
            names += ('Aggregates', 'Latitude', 'Longitude')
        rows = []
        for name in sorted(world.snapshot.sites):
            found = world.site(name)
            tiers, status = summary.tiers(found), summary.status(found)
            if parsed_args.tier not in (None, *tiers):
                continue
            if parsed_args.status not in (None, status):
                continue
            figures = list(matrix.rows(world, [name], now))
            row: tuple[typing.Any, ...] = (
                name,
                len(summary.hosts(found)),
                columns.Known(', '.join(tiers) or None),
                status,
                len({it.origin for it in figures}),
                columns.Age(summary.oldest_s(figures)),
                *map(columns.Known, summary.used_and_free(found, capacity)),
            )
            if parsed_args.long:
                aggregates = [aggregate.name for aggregate, _ in found]
                row += (
                    format_columns.ListColumn(aggregates),
                    *map(columns.Known, summary.position(found)),
                )
            rows.append(row)
        return names, rows

    def _warn_of_unnamed(self, world: lookup.World) -> None:
        """Warn of what is meant to be a site, and is none."""
        named = {
            id for records in world.snapshot.sites.values() for id in records
        }
        for id, problems in world.sites.problems.items():
            if id not in named:
                for problem in problems:
                    self.log.warning('Aggregate %s, %s', id, problem)

    def _capacity(self) -> dict[str, cloud.Capacity] | None:
        try:
            return lookup.cloud_of(self).capacity()
        except cloud.CloudError as error:
            self.log.warning(
                '%s vCPUs and memory are left empty; --no-capacity does not '
                'ask for them.',
                error,
            )
            return None


class ShowSite(command.ShowOne):
    """Display a site: its hosts, its figures, and what is wrong with it"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        _add_site(parser)
        parser.add_argument(
            '--servers',
            action='store_true',
            help=(
                'Display its servers, and where each of them would go if it '
                'had to leave'
            ),
        )
        lookup.add_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> summary.Shown:
        """Return what is known of it."""
        world = lookup.read(self, parsed_args)
        name = parsed_args.site
        names, values = summary.shown(world, name)
        if not parsed_args.servers:
            return names, values
        found = leaving.leaving(
            lookup.cloud_of(self), world, name, time.time()
        )
        return (*names, 'servers'), (*values, leaving.Column(list(found)))


class CreateSite(command.ShowOne):
    """Create a site, or make an aggregate that is there one"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        _add_site(parser)
        parser.add_argument(
            '--aggregate',
            metavar='<aggregate>',
            help=(
                'Aggregate to make the site (name or ID), that of an '
                'availability zone for instance; else one is created'
            ),
        )
        _add_properties(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> summary.Shown:
        """Return the site as it is then."""
        name = parsed_args.site
        client = lookup.cloud_of(self)
        world = lookup.read(self, parsed_args)
        changes = {metadata.SITE: name, **change.for_all(parsed_args)}
        if parsed_args.prefixes:
            changes[metadata.PREFIXES] = site_table.prefixes_value(
                name, parsed_args.prefixes
            )
        aggregate = change.free_aggregate(world, name, parsed_args.aggregate)
        if aggregate is None:
            aggregate = client.create(name)
        # First, as its status binds whatever host comes.
        aggregate = client.set_metadata(aggregate, changes)
        for host in parsed_args.hosts:
            aggregate = client.add_host(aggregate, host)
        world = lookup.World(cloud.read_sites([aggregate]))
        return summary.shown(world, name)


class SetSite(command.Command):
    """Set what a site is.

    Where several aggregates are the site, tier, status and position are set
    in all of them.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        _add_site(parser)
        _add_properties(parser)
        for option, what in (
            ('--no-host', 'hosts'),
            ('--no-user-prefix', 'prefixes'),
        ):
            parser.add_argument(
                option,
                action='store_true',
                help=(
                    f'Take its {what} away (specify both '
                    f'{option.replace("no-", "")} and {option} to overwrite '
                    'those it has)'
                ),
            )
        parser.add_argument(
            '--no-tier', action='store_true', help='Take its tier away'
        )
        parser.add_argument(
            '--no-position', action='store_true', help='Take its position away'
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Send what changes something."""
        client = lookup.cloud_of(self)
        found = lookup.read(self, parsed_args).site(parsed_args.site)
        changes = change.for_all(parsed_args)
        by_id = change.of_prefixes(found, parsed_args)
        hosts = change.of_hosts(found, parsed_args)
        for aggregate, _ in found:
            now = client.set_metadata(
                aggregate, {**changes, **by_id.get(aggregate.id, {})}
            )
            added, removed = hosts.get(aggregate.id, ((), ()))
            for host in removed:
                now = client.remove_host(now, host)
            for host in added:
                now = client.add_host(now, host)


class DeleteSite(command.Command):
    """Delete site(s).

    An aggregate that is more than the site, as it has another name or other
    metadata, is kept, and only what makes it a site is taken away.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'sites',
            metavar='<site>',
            nargs='+',
            type=arguments.name,
            help='The name(s) of the site(s)',
        )
        parser.add_argument(
            '--keep-aggregate',
            action='store_true',
            help='Keep the aggregates and their hosts, whatever they are',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete what can be, and say what cannot."""
        world = lookup.read(self, parsed_args)
        failed = 0
        for name in dict.fromkeys(parsed_args.sites):
            try:
                for aggregate, _ in world.site(name):
                    self._delete(name, aggregate, parsed_args.keep_aggregate)
            except (cloud.CloudError, exceptions.CommandError) as error:
                failed += 1
                self.log.error('Failed to delete site %s: %s', name, error)
        if failed:
            total = len(set(parsed_args.sites))
            raise exceptions.CommandError(
                f'{failed} of {total} sites failed to delete.'
            )

    def _delete(
        self, name: str, aggregate: cloud.Aggregate, is_kept: bool
    ) -> None:
        client = lookup.cloud_of(self)
        ours = list(filter(change.is_ours, aggregate.metadata))
        is_more = aggregate.name.lower() != name or len(ours) < len(
            aggregate.metadata
        )
        if is_more and not is_kept:
            self.log.warning(
                'Aggregate %s is kept with its hosts, as it is more than the '
                'site %s.',
                aggregate.name,
                name,
            )
        if is_more or is_kept:
            client.set_metadata(aggregate, change.removal(ours))
            return
        for host in aggregate.hosts:
            aggregate = client.remove_host(aggregate, host)
        client.delete(aggregate)


def _add_site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'site',
        metavar='<site>',
        type=arguments.name,
        help='The name of the site',
    )


def _add_properties(parser: argparse.ArgumentParser) -> None:
    """Add what a site may be given."""
    parser.add_argument(
        '--host',
        metavar='<host>',
        action='append',
        default=[],
        dest='hosts',
        help='Host to add to the site (repeat option for several)',
    )
    parser.add_argument(
        '--tier',
        metavar='<tier>',
        type=arguments.name,
        help='What sort of site it is, such as far-edge',
    )
    parser.add_argument(
        '--status',
        choices=list(metadata.STATUSES),
        help='Whether it takes servers',
    )
    parser.add_argument(
        '--latitude',
        metavar='<degrees>',
        type=arguments.latitude,
        help='Where it is, in WGS 84 degrees (with --longitude)',
    )
    parser.add_argument(
        '--longitude',
        metavar='<degrees>',
        type=arguments.longitude,
        help='Where it is, in WGS 84 degrees (with --latitude)',
    )
    parser.add_argument(
        '--user-prefix',
        metavar='<prefix>',
        type=arguments.network,
        action='append',
        default=[],
        dest='prefixes',
        help='Where users attached to it are (repeat option for several)',
    )
