# SPDX-License-Identifier: Apache-2.0
"""WHAT IS SAID OF A SITE? All that its aggregates say, in few words."""

import collections.abc
import time
import typing

from osc_lib.cli import format_columns

from edge_filters import cloud
from edge_filters import proximity
from edge_filters.latency import sample_format
from edge_filters.osc import columns
from edge_filters.osc import lookup
from edge_filters.osc import matrix

# How many problems are shown.
_MAX_PROBLEMS = 20

# Names and values, as ShowOne takes them.
Shown = tuple[tuple[str, ...], tuple[typing.Any, ...]]


def hosts(found: lookup.Found) -> list[str]:
    """Return the names of hosts, each once, as Nova has them."""
    return sorted({host for it, _ in found for host in it.hosts})


def tiers(found: lookup.Found) -> list[str]:
    """Return the tiers; most often there is one."""
    return sorted({record.tier for _, record in found if record.tier})


def status(found: lookup.Found) -> str:
    """Return the strictest status, which is the one that counts."""
    return max(record.status for _, record in found).name.lower()


def position(found: lookup.Found) -> tuple[float | None, float | None]:
    """Return latitude and longitude, of the first aggregate that has them."""
    positions = [it.position for _, it in found if it.position]
    return positions[0] if positions else (None, None)


def oldest_s(figures: collections.abc.Iterable[matrix.Row]) -> int | None:
    """Return the age of the oldest figure; None: none ages."""
    return max(
        (it.age_s for it in figures if it.age_s is not None), default=None
    )


def used_and_free(
    found: lookup.Found,
    capacity: collections.abc.Mapping[str, cloud.Capacity] | None,
) -> collections.abc.Sequence[int | None]:
    """Return what the hosts of a site have; None: not known of all."""
    its = {host for _, record in found for host in record.hosts}
    if capacity is None or not its <= capacity.keys():
        return [None] * len(cloud.Capacity())
    total = cloud.Capacity()
    for host in its:
        total = total.plus(capacity[host])
    return total


def shown(world: lookup.World, name: str) -> Shown:
    """Return what is known of a site."""
    found = world.site(name)
    figures = list(matrix.rows(world, [name], time.time()))
    states = [it.state for it in figures]
    latitude, longitude = position(found)
    values: dict[str, typing.Any] = {
        'name': name,
        'aggregates': format_columns.ListColumn(
            [aggregate.name for aggregate, _ in found]
        ),
        'hosts': format_columns.ListColumn(hosts(found)),
        'tier': columns.Known(', '.join(tiers(found)) or None),
        'status': status(found),
        'latitude': columns.Known(latitude),
        'longitude': columns.Known(longitude),
        'prefixes': format_columns.ListColumn(
            [str(it) for _, record in found for it in record.prefixes]
        ),
        'origins': len({it.origin for it in figures}),
        'figures': len(figures),
        'stale': states.count(proximity.Provenance.STALE),
        'unreachable': states.count(proximity.Provenance.UNREACHABLE),
        'oldest_sample': columns.Age(oldest_s(figures)),
        'rtt_default': columns.Known(
            ', '.join(
                sample_format.format_sample(it.default)
                for _, it in found
                if it.default
            )
            or None
        ),
        'site_rtt_ms': format_columns.DictColumn(
            {
                other: figure.rtt_ms
                for _, record in found
                for other, figure in record.site_samples.items()
            }
        ),
        'problems': columns.Lines(_problems(world, found)),
    }
    return tuple(values), tuple(values.values())


def _problems(world: lookup.World, found: lookup.Found) -> list[str]:
    """Return what is wrong with the metadata: the first, and how many more."""
    problems = [
        f'{aggregate.name}, {problem}'
        for aggregate, _ in found
        for problem in world.sites.problems.get(aggregate.id, ())
    ]
    more = len(problems) - _MAX_PROBLEMS
    if more > 0:
        return [*problems[:_MAX_PROBLEMS], f'{more} more']
    return problems
