# SPDX-License-Identifier: Apache-2.0
"""WHAT DO THE FILES SAY? Sites, figures and maps, instead of a cloud.

What a file is its content tells: JSON is a map file, CSV with the column
``rtt_ms`` is figures, and other CSV with the column ``site`` is sites.
"""

import collections.abc
import dataclasses
import functools
import logging
import os
import stat

from osc_lib import exceptions

from edge_filters import cloud
from edge_filters.origins import map_file
from edge_filters.osc import figure_table
from edge_filters.osc import plan
from edge_filters.osc import site_table
from edge_filters.osc import table

LOG = logging.getLogger(__name__)

# How many bytes of a file are read: much more than a million figures take.
MAX_BYTES = 256 * 1024 * 1024


class NeverReadError(OSError):
    """A file that is not read on any machine."""


@dataclasses.dataclass(frozen=True)
class Files:
    """What files say.

    :param sites: what rows say of sites
    :param figures: what rows say of figures
    :param maps_written: the map files, by name
    """

    sites: tuple[site_table.Entry, ...]
    figures: tuple[figure_table.Entry, ...]
    maps_written: collections.abc.Mapping[str, bytes]

    @functools.cached_property
    def maps(self) -> map_file.MapFile:
        """What the map files say; it warns of what they say in vain."""
        return parse_maps(self.maps_written.items())

    @functools.cached_property
    def aggregates(self) -> list[cloud.Aggregate]:
        """What the tables would make of a cloud without aggregates."""
        made = plan.make([], self.sites, self.figures, map_file.MapFile())
        for warning in made.warnings:
            LOG.warning('%s', warning)
        for target in made.targets:
            if target.problem:
                raise exceptions.CommandError(target.problem)
        return [
            dataclasses.replace(target.then, id=number)
            for number, target in enumerate(made.targets, 1)
        ]


def read(paths: collections.abc.Iterable[str]) -> Files:
    """Read files.

    :raises osc_lib.exceptions.CommandError: if one cannot be read
    """
    tables: dict[str, list[table.Table]] = {'site': [], figure_table.RTT: []}
    maps = {}
    for path in dict.fromkeys(paths):
        written = content(path)
        if written.removeprefix(b'\xef\xbb\xbf').lstrip()[:1] in (b'{', b'['):
            maps[path] = written
            continue
        found = table.parse(path, written)
        for column in (figure_table.RTT, 'site'):
            if column in found.columns:
                tables[column].append(found)
                break
        else:
            raise table.wrong(
                path,
                'it is no map file, which begins with { or [, and no CSV with '
                'the column site (sites) or rtt_ms (figures); give a file '
                'that openstack edge export writes',
            )
    return Files(
        tuple(site_table.read(tables['site'])),
        tuple(figure_table.read(tables[figure_table.RTT])),
        maps,
    )


def content(path: str) -> bytes:
    """Return the content of a file.

    :raises osc_lib.exceptions.CommandError: if it cannot be read
    """
    try:
        check(path)
        with open(path, 'rb') as file:
            return file.read()
    except (OSError, ValueError) as error:
        why = getattr(error, 'strerror', None) or error
        raise exceptions.CommandError(
            f'{path or "(no name)"} cannot be read: {why}; give a file of '
            'this machine'
        ) from None


def check(path: str) -> None:
    """Raise, unless a file can be read to its end.

    :raises NeverReadError: if it may never end, or is too large
    :raises OSError: if it is not there
    """
    there = os.stat(path)
    if not stat.S_ISREG(there.st_mode):
        raise NeverReadError('it is no regular file')
    if there.st_size > MAX_BYTES:
        raise NeverReadError(f'it has more than {MAX_BYTES // 1024**2} MiB')


def parse_maps(
    contents: collections.abc.Iterable[tuple[str, bytes]],
) -> map_file.MapFile:
    """Return what map files say; warn of what they say in vain.

    :param contents: names and contents
    :raises osc_lib.exceptions.CommandError: if one is no map file
    """
    try:
        maps = map_file.parse(contents)
    except map_file.Broken as error:
        raise exceptions.CommandError(f'Map file {error}') from None
    for problem in maps.problems:
        LOG.warning('%s', problem)
    if maps.more_problems:
        LOG.warning('%d more problems are in the files', maps.more_problems)
    return maps
