# SPDX-License-Identifier: Apache-2.0
"""HOW DO FILES COME INTO THE CLOUD? The command ``openstack edge import``."""

import argparse
import collections.abc
import typing

from osc_lib import exceptions
from osc_lib.command import command

from edge_filters import cloud
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.origins import map_file
from edge_filters.origins import prefixes
from edge_filters.osc import figure_table
from edge_filters.osc import files
from edge_filters.osc import lookup
from edge_filters.osc import map_writer
from edge_filters.osc import output
from edge_filters.osc import plan
from edge_filters.osc import progress

_COLUMNS = ('Aggregate', 'Site', 'Change', 'Result')

_DONE = 'done'
_WOULD_BE = 'would be done'
_NOT_DONE = 'not done'
_ADD_HOST = 'add host '

# Name of the aggregate, name of the site or origin, what, and what came of it.
_Row = tuple[str, str, str, str]

# A change in words, and how it is made.
_Step = tuple[
    str,
    collections.abc.Callable[[cloud.Cloud, cloud.Aggregate], cloud.Aggregate],
]


class Import(command.Lister):
    """Import sites, figures and maps from files.

    A key that the files have a value for gets that value, and hosts that they
    name are added; nothing is deleted. What is there already is not sent, so
    that a command that failed half way can be given again.
    """

    # Not with --to.
    auth_required = False

    _failure = ''

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return what may be given."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'files',
            metavar='<file>',
            nargs='+',
            help='Sites or figures as CSV, or a map file',
        )
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='List what would be changed, and change nothing',
        )
        parser.add_argument(
            '--to',
            metavar='<map file>',
            help=(
                'Put figures and prefixes into this map file instead of '
                'aggregates'
            ),
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], collections.abc.Iterable[_Row]]:
        """Return the changes, in the order in which they are made."""
        given = files.read(parsed_args.files)
        if parsed_args.to is not None:
            rows = self._to_map_file(given, parsed_args)
        else:
            rows = self._to_cloud(given, parsed_args.dry_run)
        return _COLUMNS, rows

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: collections.abc.Sequence[str],
        data: collections.abc.Iterable[collections.abc.Sequence[typing.Any]],
    ) -> int:
        """Write the table, and say then what failed."""
        status = super().produce_output(parsed_args, column_names, data)
        if self._failure:
            raise exceptions.CommandError(self._failure)
        return status

    def _to_cloud(self, given: files.Files, is_dry: bool) -> list[_Row]:
        client = lookup.cloud_of(self)
        wanted = plan.make(
            client.aggregates(), given.sites, given.figures, given.maps
        )
        for warning in wanted.warnings:
            self.log.warning('%s', warning)
        rows: list[_Row] = []
        failed = done = 0
        stopped: cloud.CloudError | None = None
        for target in progress.shown(wanted.targets):
            names = (target.name, target.site)
            if target.problem:
                rows.append((*names, 'none', target.problem))
                failed += 1
                continue
            steps = _steps(target)
            results = [_WOULD_BE if is_dry else _NOT_DONE] * len(steps)
            if not (is_dry or stopped):
                stopped = _apply(client, target.now, steps, results)
                is_done = results == [_DONE] * len(steps)
                done += is_done
                failed += not is_done
            for (words, _), result in zip(steps, results, strict=True):
                rows.append((*names, words, result))
        total = len(wanted.targets)
        if stopped is not None:
            self._failure = (
                f'{stopped} {done} of {total} aggregates are done; give the '
                'command again to go on with the rest.'
            )
        elif failed:
            self._failure = (
                f'{failed} of {total} aggregates failed; mend what the table '
                'says of them, and give the command again.'
            )
        return rows

    def _to_map_file(
        self, given: files.Files, parsed_args: argparse.Namespace
    ) -> list[_Row]:
        path = parsed_args.to
        objects = []
        read = output.state(path)
        if read:
            objects = map_writer.objects_of(path, files.content(path))
        warning = map_writer.left_out(
            sum(map_writer.is_aged(it.figure) for it in given.figures),
            sum(not _is_mapped(it) for it in given.figures),
            any(
                it.host or it.values.keys() - {metadata.PREFIXES}
                for it in given.sites
            ),
        )
        if warning:
            self.log.warning('%s', warning)
        figures = map_writer.put_figures(objects, _figures(given))
        networks = map_writer.put_prefixes(objects, _prefixes(given))
        projects = map_writer.put_projects(objects, given.maps.projects)
        rows = [
            *(
                ('', it, f'set {_counted(figures[it], "figure")}')
                for it in figures
            ),
            *(('', it, f'set prefixes: {networks[it]}') for it in networks),
            *(('', it, 'set the origins of the project') for it in projects),
        ]
        if rows:
            text = map_writer.text(path, objects)
            if not parsed_args.dry_run:
                output.write(path, text, read)
        result = _WOULD_BE if parsed_args.dry_run else _DONE
        return [(*row, result) for row in rows]


def _steps(target: plan.Target) -> list[_Step]:
    """Return the changes of an aggregate.

    Metadata first, as the status of a site binds whatever host comes.
    """
    steps: list[_Step] = []
    if target.aggregate is None:
        steps.append(('create', lambda client, it: client.create(it.name)))
    changes = target.changes
    if changes:
        count = len({key.lower() for key in changes})
        words = f'set {_counted(count, "key")}'
        steps.append(
            (words, lambda client, it: client.set_metadata(it, changes))
        )
    for host in target.new_hosts:
        steps.append((_ADD_HOST + host, _adding(host)))
    return steps


def _counted(count: int, what: str) -> str:
    return f'{count} {what}{"s" if count > 1 else ""}'


def _adding(
    host: str,
) -> collections.abc.Callable[[cloud.Cloud, cloud.Aggregate], cloud.Aggregate]:
    return lambda client, aggregate: client.add_host(aggregate, host)


def _apply(
    client: cloud.Cloud,
    aggregate: cloud.Aggregate,
    steps: list[_Step],
    results: list[str],
) -> cloud.CloudError | None:
    """Change an aggregate, and note what came of each change.

    :returns: the error that any other aggregate would meet too
    """
    for index, (words, act) in enumerate(steps):
        try:
            aggregate = act(client, aggregate)
            results[index] = _DONE
        except cloud.CloudError as error:
            results[index] = str(error)
            if error.status in (None, 401, 403) or error.status >= 500:
                return error
            # One host more or less is no reason to leave the others out.
            if not words.startswith(_ADD_HOST):
                break
    return None


def _is_mapped(entry: figure_table.Entry) -> bool:
    """Return whether a map file may have a figure."""
    return entry.origin not in ('', figure_table.DEFAULT)


def _figures(given: files.Files) -> map_writer.Figures:
    """Return the figures of files; those of tables go before those of maps."""
    tables: dict[tuple[str, str], sample.Sample] = {}
    for it in filter(_is_mapped, given.figures):
        place = map_file.HOST + it.host if it.host else it.site
        pair = (place, it.origin)
        tables[pair] = sample.worst(it.figure, tables.get(pair, it.figure))
    merged: dict[str, dict[str, sample.Sample]] = {}
    for site, by_origin in given.maps.samples.items():
        merged[site] = dict(by_origin)
    for host, by_origin in given.maps.host_samples.items():
        merged[map_file.HOST + host] = dict(by_origin)
    for (place, origin), figure in tables.items():
        merged.setdefault(place, {})[origin] = figure
    return merged


def _prefixes(given: files.Files) -> prefixes.PrefixTable:
    """Return the prefixes of files; those of tables come first."""
    return prefixes.PrefixTable(
        (
            prefixes.Entry(spelling.parse_network(text), it.site, it.where)
            for it in given.sites
            if metadata.PREFIXES in it.values
            for text in it.values[metadata.PREFIXES].split(',')
        ),
        given.maps.prefix_table,
    )
