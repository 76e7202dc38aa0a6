# SPDX-License-Identifier: Apache-2.0
"""HOW DOES THE CLOUD COME INTO FILES? The command ``openstack edge export``.

What it writes ``openstack edge import`` reads.
"""

import argparse
import collections.abc
import logging

from osc_lib import exceptions
from osc_lib.command import command

from edge_filters.latency import sample
from edge_filters.origins import map_file
from edge_filters.osc import arguments
from edge_filters.osc import figure_table
from edge_filters.osc import lookup
from edge_filters.osc import map_writer
from edge_filters.osc import matrix
from edge_filters.osc import output
from edge_filters.osc import site_table
from edge_filters.osc import table

LOG = logging.getLogger(__name__)

# What stands for standard output.
_STDOUT = '-'


class Export(command.Command):
    """Export sites and figures into files.

    What cannot be read of the metadata of sites is left out, with a warning.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--sites',
            metavar='<file>',
            help='Write the sites as CSV; "-" is standard output',
        )
        parser.add_argument(
            '--figures',
            metavar='<file>',
            help=(
                'Write the figures as CSV or, into a file that ends with '
                '.json, as a map file with the prefixes of the sites; "-" is '
                'standard output'
            ),
        )
        arguments.add_map_files(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Write the files."""
        sites, figures = parsed_args.sites, parsed_args.figures
        if not (sites or figures):
            raise exceptions.CommandError(
                'There is nothing to write; give --sites or --figures'
            )
        if sites == figures:
            raise exceptions.CommandError(
                'Sites and figures are two tables; give each a file of its own'
            )
        world = lookup.read(self, parsed_args)
        problems = [
            (id, problem)
            for id, its in world.sites.problems.items()
            for problem in its
        ]
        for id, problem in problems[: map_file.MAX_PROBLEMS]:
            self.log.warning('Aggregate %s, %s', id, problem)
        if len(problems) > map_file.MAX_PROBLEMS:
            self.log.warning(
                '%d more problems are in the metadata; see them with: '
                'openstack edge check --all',
                len(problems) - map_file.MAX_PROBLEMS,
            )
        if sites:
            rows = site_rows(world)
            self._write(sites, table.text(site_table.COLUMNS, rows))
        if figures and figures.lower().endswith('.json'):
            self._write(figures, self._maps(figures, world))
        elif figures:
            rows = figure_rows(world)
            self._write(figures, table.text(figure_table.COLUMNS, rows))

    def _write(self, path: str, text: str) -> None:
        if path == _STDOUT:
            self.app.stdout.write(text)
        else:
            output.write(path, text)

    def _maps(self, path: str, world: lookup.World) -> str:
        """Return the figures, and prefixes, as a map file."""
        figures: dict[str, dict[str, sample.Sample]] = {}
        aged = 0
        for row in matrix.rows(world, world.snapshot.sites, 0):
            aged += map_writer.is_aged(row.figure)
            place = map_file.HOST + row.host if row.host else row.site
            its = figures.setdefault(place, {})
            known = its.get(row.origin, row.figure)
            its[row.origin] = sample.worst(row.figure, known)
        others = sum(
            len(record.site_samples) + (record.default is not None)
            for found in _sites(world)
            for _, record in found
        )
        warning = map_writer.left_out(aged, others)
        if warning:
            self.log.warning('%s', warning)
        objects: list[dict[str, object]] = []
        map_writer.put_prefixes(objects, world.prefix_table)
        map_writer.put_figures(objects, figures)
        map_writer.put_projects(objects, world.maps.projects)
        return map_writer.text(path, objects)


def _sites(
    world: lookup.World,
) -> collections.abc.Iterator[lookup.Found]:
    return map(world.site, sorted(world.snapshot.sites))


def site_rows(
    world: lookup.World,
) -> collections.abc.Iterator[dict[str, str]]:
    """Yield the sites as rows."""
    for found in _sites(world):
        for aggregate, record in found:
            yield from site_table.rows(aggregate, record)


def figure_rows(
    world: lookup.World,
) -> collections.abc.Iterator[dict[str, str]]:
    """Yield the figures as rows; those of map files are of no aggregate.

    What nobody could read again is left out, with a warning.
    """
    lost = 0
    for figure, names in _figures(world):
        try:
            yield figure_table.row(figure, **names)
        except ValueError:
            lost += 1
    if lost:
        LOG.warning(
            'Figures left out, as their numbers are too large or too small to '
            'be read again: %d; mend them where they are',
            lost,
        )


def _figures(
    world: lookup.World,
) -> collections.abc.Iterator[tuple[sample.Sample, dict[str, str]]]:
    """Yield the figures, and what they are of, by column."""
    for found in _sites(world):
        for aggregate, record in found:
            names = {'site': record.site, 'aggregate': aggregate.name}
            for origin, figure in record.samples.items():
                yield figure, {'origin': origin, **names}
            for host, by_origin in sorted(record.host_samples.items()):
                for origin, figure in by_origin.items():
                    yield figure, {'origin': origin, 'host': host, **names}
            if record.default is not None:
                yield record.default, {'origin': figure_table.DEFAULT, **names}
            for site, figure in record.site_samples.items():
                yield figure, {'from_site': site, **names}
    for it in matrix.rows(world, sorted(world.snapshot.sites), 0):
        if it.source == matrix.MAP_FILE:
            yield (
                it.figure,
                {'origin': it.origin, 'site': it.site, 'host': it.host},
            )
