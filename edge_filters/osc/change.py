# SPDX-License-Identifier: Apache-2.0
"""WHAT HAS TO CHANGE? The aggregates of a site, as a command wants them."""

import argparse
import collections.abc

from osc_lib import exceptions

from edge_filters import cloud
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.osc import lookup
from edge_filters.osc import site_table

# Values of metadata by key; None: the key is removed.
Changes = dict[str, str | None]


def for_all(given: argparse.Namespace) -> Changes:
    """Return what all aggregates of a site are to have."""
    if (given.latitude is None) != (given.longitude is None):
        raise exceptions.CommandError(
            'A position is --latitude and --longitude; give both'
        )
    changes: Changes = {}
    if given.status is not None:
        changes[metadata.STATUS] = given.status
    for key, value, is_removed in (
        (metadata.TIER, given.tier, 'no_tier'),
        (metadata.LATITUDE, given.latitude, 'no_position'),
        (metadata.LONGITUDE, given.longitude, 'no_position'),
    ):
        if value is not None:
            changes[key] = str(value)
        elif getattr(given, is_removed, False):
            changes[key] = None
    return changes


def of_prefixes(
    found: lookup.Found, given: argparse.Namespace
) -> dict[int, Changes]:
    """Return what aggregates are to have as prefixes, by ID.

    New ones go to the first.
    """
    first, record = found[0]
    there = {it for _, record in found for it in record.prefixes}
    new = [it for it in dict.fromkeys(given.prefixes) if it not in there]
    if given.no_user_prefix:
        by_id: dict[int, Changes] = {
            aggregate.id: {metadata.PREFIXES: None} for aggregate, _ in found
        }
        if given.prefixes:
            value = site_table.prefixes_value(given.site, given.prefixes)
            by_id[first.id] = {metadata.PREFIXES: value}
        return by_id
    if not new:
        return {}
    value = site_table.prefixes_value(given.site, [*record.prefixes, *new])
    return {first.id: {metadata.PREFIXES: value}}


def of_hosts(
    found: lookup.Found, given: argparse.Namespace
) -> dict[int, tuple[list[str], list[str]]]:
    """Return the hosts to add to aggregates and to remove, by ID."""
    wanted = {host.lower() for host in given.hosts}
    there = {host for _, record in found for host in record.hosts}
    added = [it for it in given.hosts if it.lower() not in there]
    if added and len(found) > 1:
        names = spelling.listed([aggregate.name for aggregate, _ in found])
        raise exceptions.CommandError(
            f'Site {given.site} is several aggregates ({names}); add '
            f'{spelling.listed(added)} to one of them with: openstack '
            'aggregate add host'
        )
    return {
        aggregate.id: (
            added,
            [
                host
                for host in aggregate.hosts
                if given.no_host and host.lower() not in wanted
            ],
        )
        for aggregate, _ in found
    }


def free_aggregate(
    world: lookup.World, name: str, adopted: str | None
) -> cloud.Aggregate | None:
    """Return the aggregate that is to become a site; None: there is none.

    :param adopted: its name or ID, if it has to be there
    """
    if name in world.snapshot.sites:
        raise exceptions.CommandError(
            f'There is a site {name} already; change it with: openstack edge '
            f'site set {name}'
        )
    if adopted is None:
        by_name = {it.name: it for it in world.sites.aggregates.values()}
        there = by_name.get(name)
        # One that has nothing is what a creation that was cut short leaves.
        if there and (there.hosts or there.metadata):
            raise exceptions.CommandError(
                f'There is an aggregate {name} already; make it the site with '
                f'--aggregate {name}'
            )
        return there
    aggregate = world.aggregate(adopted)
    for site, records in world.snapshot.sites.items():
        if aggregate.id in records:
            raise exceptions.CommandError(
                f'Aggregate {aggregate.name} is the site {site} already; '
                f'delete that first with: openstack edge site delete {site} '
                '--keep-aggregate'
            )
    return aggregate


def is_ours(key: str) -> bool:
    """Return whether a key of an aggregate makes it a site, or is about it."""
    folded = key.strip().lower()
    return folded.startswith(metadata.PREFIX) or folded == metadata.MULTIPLIER


def removal(keys: collections.abc.Iterable[str]) -> Changes:
    """Return the changes that take keys of a site away, in their order.

    They may need several calls, of which a later one may fail: as long as an
    aggregate is a site it keeps its status.
    """
    last = (metadata.SITE, metadata.STATUS)
    places = {key: place for place, key in enumerate(last, 1)}
    return dict.fromkeys(
        sorted(keys, key=lambda it: places.get(it.strip().lower(), 0))
    )
