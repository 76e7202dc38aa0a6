# SPDX-License-Identifier: Apache-2.0
"""WHAT IS THERE, AND WHAT IS MEANT? Sites and origins by their names.

A name that is not known is answered with those that are like it, and with the
command that lists them all.
"""

import argparse
import collections.abc
import copy
import dataclasses
import difflib
import functools
import typing

from osc_lib import exceptions
from osc_lib.command import command

from edge_filters import cloud
from edge_filters import conf
from edge_filters import spelling
from edge_filters import world
from edge_filters.latency import metadata
from edge_filters.origins import map_file
from edge_filters.osc import arguments
from edge_filters.osc import files
from edge_filters.osc import nova_conf

# The aggregates of a site, and what each says of it; at least one.
Found = list[tuple[cloud.Aggregate, metadata.SiteRecord]]


class World(world.World):
    """Sites, and the origins that their users are at, at one moment.

    :param sites: the sites, and the aggregates that they are
    :param maps: what the map files say
    :param settings: the options of nova-scheduler; None: their defaults
    """

    def __init__(
        self,
        sites: cloud.Sites,
        maps: map_file.MapFile | None = None,
        settings: conf.Settings | None = None,
    ) -> None:
        super().__init__(sites.snapshot, maps or map_file.MapFile())
        self.sites = sites
        self.settings = settings or nova_conf.read_settings()

    def suppose(
        self, statuses: collections.abc.Mapping[str, metadata.Status]
    ) -> 'World':
        """Return the same with other statuses of some sites, by name."""
        for name in statuses:
            self.site(name)
        closed = {**self.snapshot.closed, **statuses}
        supposed = copy.copy(self)
        supposed.snapshot = dataclasses.replace(
            self.snapshot,
            closed={
                name: status
                for name, status in closed.items()
                if status is not metadata.Status.ACTIVE
            },
        )
        return supposed

    def site(self, name: str) -> Found:
        """Return the aggregates of a site, and what each says of it."""
        records = self.snapshot.sites.get(name)
        if not records:
            raise unknown(
                'site', name, self.snapshot.sites, 'openstack edge site list'
            )
        return [
            (self.sites.aggregates[id], record)
            for id, record in sorted(records.items())
        ]

    def aggregate(self, name_or_id: str) -> cloud.Aggregate:
        """Return an aggregate."""
        by_name = {it.name: it for it in self.sites.aggregates.values()}
        by_id = {str(id): it for id, it in self.sites.aggregates.items()}
        if found := by_name.get(name_or_id, by_id.get(name_or_id)):
            return found
        raise unknown(
            'aggregate', name_or_id, by_name, 'openstack aggregate list'
        )

    @functools.cached_property
    def origins(self) -> frozenset[str]:
        """The names of all origins: measured, mapped, or a site's own."""
        named = set(self.maps.origins)
        for name, records in self.snapshot.sites.items():
            for record in records.values():
                named.update(record.samples, *record.host_samples.values())
                if record.prefixes:
                    named.add(name)
        return frozenset(named)

    def check_origin(self, name: str) -> None:
        """Raise, unless there is an origin of a name."""
        if name not in self.origins:
            raise unknown(
                'origin', name, self.origins, 'openstack edge origin list'
            )


def cloud_of(asked: command.Command) -> cloud.Cloud:
    """Return the cloud that a command is for."""
    manager: typing.Any = asked.app.client_manager
    return typing.cast(cloud.Cloud, manager.edge)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what :func:`read` goes by."""
    nova_conf.add_config_file(parser)
    arguments.add_map_files(parser)


def read(asked: command.Command, given: argparse.Namespace) -> World:
    """Return what there is, for a command and what was given to it."""
    settings = nova_conf.read_settings(getattr(given, 'config_files', ()))
    paths = getattr(given, 'map_files', None) or settings.map_files
    written = {path: files.content(path) for path in paths}
    if offline := getattr(given, 'offline', None):
        found = files.read(offline)
        sites = cloud.read_sites(found.aggregates)
        written.update(found.maps_written)
    else:
        sites = cloud_of(asked).sites()
    return World(sites, files.parse_maps(written.items()), settings)


def unknown(
    what: str,
    name: str,
    names: collections.abc.Iterable[str],
    listed_by: str,
) -> exceptions.CommandError:
    """Return what to say of a name that is not known.

    :param names: those that are
    :param listed_by: the command that lists them
    """
    near = difflib.get_close_matches(name, list(names), n=3)
    hint = f' Is it {" or ".join(near)}?' if near else ''
    return exceptions.CommandError(
        f'There is no {what} {spelling.shown(name)}.{hint} All are listed by: '
        f'{listed_by}'
    )
