# SPDX-License-Identifier: Apache-2.0
"""WHAT IS WRONG, AND HOW IS IT MENDED? All checks of a deployment."""

import argparse
import collections.abc
import time
import typing

from osc_lib import exceptions
from osc_lib.command import command
from oslo_config import cfg

from edge_filters import cloud
from edge_filters import conf
from edge_filters import spelling
from edge_filters.origins import map_file
from edge_filters.osc import arguments
from edge_filters.osc import check_config
from edge_filters.osc import check_figures
from edge_filters.osc import check_maps
from edge_filters.osc import check_options
from edge_filters.osc import check_placement
from edge_filters.osc import check_sites
from edge_filters.osc import files
from edge_filters.osc import finding
from edge_filters.osc import lookup
from edge_filters.osc import nova_conf
from edge_filters.osc import placement
from edge_filters.osc import progress

# How much of a text a row has: names and values are anybody's.
_MAX_CHARS = 1000

_Findings = collections.abc.Iterator[finding.Finding]


class Facts(typing.NamedTuple):
    """What is checked.

    :param world: the sites
    :param options: what nova.conf says, all of which can be read; else the
        defaults
    :param is_configured: whether there is a nova.conf
    :param nodes: the names of the nodes of each host, by its name in lower
        case; None: nobody knows
    :param mirror: what Placement knows of the sites; None: nobody knows
    """

    world: lookup.World
    options: cfg.ConfigOpts
    is_configured: bool = False
    nodes: collections.abc.Mapping[str, frozenset[str]] | None = None
    mirror: placement.Mirror | None = None


def findings(facts: Facts, now: float) -> _Findings:
    """Yield all that is wrong.

    :param now: the time, in seconds since the epoch
    """
    world, nodes = facts.world, facts.nodes
    if facts.is_configured:
        hosts = {
            host.lower()
            for aggregate in world.sites.aggregates.values()
            for host in aggregate.hosts
        }
        yield from check_config.findings(
            facts.options, max(len(nodes or ()), len(hosts))
        )
    yield from check_sites.findings(world, nodes)
    max_age_s = world.settings.max_age_s
    yield from check_figures.findings(world, now, max_age_s)
    if nodes is not None and facts.mirror is not None:
        yield from check_placement.findings(world, nodes, facts.mirror)


class Check(command.Lister):
    """Check nova.conf, sites, figures, and what Placement knows of them.

    The exit status is 3 where there is an error or a warning, and 0 where
    there are none.
    """

    # Not with --file.
    auth_required = False

    _status = 0

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        nova_conf.add_config_file(parser, 'it is not checked')
        arguments.add_map_files(parser)
        arguments.add_files(parser)
        parser.add_argument(
            '--no-placement',
            action='store_true',
            help='Do not ask Placement, which takes a call for each site',
        )
        parser.add_argument(
            '--all',
            action='store_true',
            help='List each finding, however many are alike',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run it; return the exit status."""
        return super().run(parsed_args) or self._status

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], collections.abc.Iterable[typing.Any]]:
        """Return what is wrong, the worst first."""
        options, missed = _options(parsed_args)
        found = files.read(parsed_args.offline)
        maps, wrong = _maps(parsed_args, options, found.maps_written)
        if parsed_args.offline:
            sites = cloud.read_sites(found.aggregates)
        else:
            sites = lookup.cloud_of(self).sites()
        world = lookup.World(sites, maps, conf.read(options))
        facts = Facts(world, options, bool(parsed_args.config_files))
        facts, unasked = self._ask(facts, parsed_args)
        missed += wrong + unasked
        wrong = finding.in_order([*missed, *findings(facts, time.time())])
        if any(it.severity < finding.Severity.NOTE for it in wrong):
            self._status = finding.FOUND
        names = ('Severity', 'Check', 'Subject', 'Finding', 'Remedy')
        return names, [
            (it.severity.name.lower(), *map(_printable, it))
            for it in (wrong if parsed_args.all else finding.folded(wrong))
        ]

    def _ask(
        self, facts: Facts, given: argparse.Namespace
    ) -> tuple[Facts, list[finding.Finding]]:
        """Return the facts with what Nova and Placement add, and what not."""
        if given.offline:
            missed = finding.Finding(
                'not-asked',
                'the cloud',
                'is not asked about its hosts, nor what Placement knows',
                'leave out --file',
            )
            return facts, [missed]
        try:
            facts = facts._replace(nodes=lookup.cloud_of(self).nodes())
        except cloud.CloudError as error:
            missed = finding.Finding(
                'hosts-not-checked',
                'hypervisors',
                f'are not known: {error.why}. Hosts that Nova does not have, '
                'and Placement, are not checked',
                error.next_step,
            )
            return facts, [missed]
        if given.no_placement:
            missed = finding.Finding(
                'not-asked',
                'Placement',
                'is not asked what it knows of the sites',
                'leave out --no-placement',
            )
            return facts, [missed]
        try:
            facts = facts._replace(mirror=self._mirror(facts.world))
        except cloud.CloudError as error:
            missed = finding.Finding(
                'placement-not-checked',
                'Placement',
                f'does not tell what it knows of the sites: {error.why}',
                error.next_step,
            )
            return facts, [missed]
        return facts, []

    def _mirror(self, world: lookup.World) -> placement.Mirror:
        aggregates = [
            aggregate.uuid
            for name in world.snapshot.sites
            for aggregate, record in world.site(name)
            if aggregate.uuid and record.hosts
        ]
        return placement.read(
            lookup.cloud_of(self), progress.shown(aggregates)
        )


def _options(
    given: argparse.Namespace,
) -> tuple[cfg.ConfigOpts, list[finding.Finding]]:
    """Return the options, all of which can be read, and what is wrong."""
    options = nova_conf.read(given.config_files)
    found = check_config.mended(options)
    found += check_options.findings(given.config_files)
    if not given.config_files:
        found.append(
            finding.Finding(
                'config-not-checked',
                'nova.conf',
                'is not checked, and figures may be as old as the default of '
                'max_age',
                'give a copy of that of nova-scheduler as --config-file',
            )
        )
    return options, found


def _maps(
    given: argparse.Namespace,
    options: cfg.ConfigOpts,
    more: collections.abc.Iterable[str],
) -> tuple[map_file.MapFile, list[finding.Finding]]:
    """Return what the map files say, and what is wrong with them.

    :param more: map files beside those that are options
    """
    paths = given.map_files or conf.read(options).map_files
    maps, found = check_maps.read([*paths, *more])
    for it in found:
        if given.map_files and it.check == 'map-file-not-checked':
            raise exceptions.CommandError(
                f'Map file {it.subject} {it.what}; give --map-file a file of '
                'this machine'
            )
    return maps, found


def _printable(text: str) -> str:
    """Return a text as a row may show it."""
    return spelling.printable(text[:_MAX_CHARS])
