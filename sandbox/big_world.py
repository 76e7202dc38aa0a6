# SPDX-License-Identifier: Apache-2.0
"""WHAT IS IN A BIG WORLD? Sites and origins on a globe, the same each time.

Nothing here knows of edge_filters or of Nova: it says what is true, and how
it is written.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import functools
import heapq
import json
import math
import pathlib
import random

SEED = 20261123

# The RTT of no distance, and of each kilometre, in microseconds.
NEAR_US = 4000
US_PER_KM = 20

# A key that is none of ours; every aggregate has it.
OTHER_KEY = 'ssd'

_EARTH_KM = 6371

# Metadata may be a plain number, or what an agent writes.
PLAIN = 'plain'
AGENT = 'agent'
_AGENT_S = 10 * 3600

_SITES_A_ZONE = 10

_Vector = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """A host aggregate as Nova keeps it."""

    id: int
    hosts: tuple[str, ...]
    metadata: dict[str, str]

    @property
    def name(self) -> str:
        return f'aggregate-{self.id}'

    @property
    def uuid(self) -> str:
        return f'5eed0000-0000-4000-a000-{self.id:012x}'


@dataclasses.dataclass(frozen=True)
class World:
    """How much there is.

    :param sites: how many sites
    :param origins: how many origins
    :param hosts_a_site: how many hosts each site has
    :param listed: how many of the nearest sites list an origin; None: all
    :param has_figures: whether the aggregates have them
    :param aggregates_a_host: in how many aggregates each host is: its site,
        its zone, its class of hardware
    :param keys: how many keys an aggregate has at least
    :param form: how figures are written: ``plain`` or ``agent``
    """

    sites: int
    origins: int
    hosts_a_site: int = 10
    listed: int | None = None
    has_figures: bool = True
    aggregates_a_host: int = 1
    keys: int = 1
    form: str = PLAIN

    @property
    def host_count(self) -> int:
        return self.sites * self.hosts_a_site

    @functools.cached_property
    def _sites(self) -> list[_Vector]:
        return _on_the_globe(random.Random(SEED), self.sites)

    @functools.cached_property
    def _origins(self) -> list[_Vector]:
        return _on_the_globe(random.Random(SEED + 1), self.origins)

    def rtt_us(self, site: int, origin: int) -> int:
        """Return an RTT in microseconds: the distance, by way of detours."""
        here, there = self._sites[site], self._origins[origin]
        cosine = here[0] * there[0] + here[1] * there[1] + here[2] * there[2]
        distance_km = _EARTH_KM * math.acos(max(-1.0, min(1.0, cosine)))
        detour = 1 + (site * 7919 + origin * 104729) % 1000 / 2500
        return NEAR_US + int(distance_km * US_PER_KM * detour)

    def nearest(self, origin: int, count: int) -> list[int]:
        """Return the nearest sites of an origin, the nearest first."""
        return heapq.nsmallest(
            count, range(self.sites), lambda site: self.rtt_us(site, origin)
        )

    @functools.cached_property
    def listed_at(self) -> list[Iterable[int]]:
        """The origins that each site has a figure of."""
        if not self.has_figures:
            return [()] * self.sites
        if self.listed is None:
            return [range(self.origins)] * self.sites
        listed: list[list[int]] = [[] for _ in range(self.sites)]
        for origin in range(self.origins):
            for site in self.nearest(origin, self.listed):
                listed[site].append(origin)
        return listed

    def metadata(self, site: int, later_us: int = 0) -> dict[str, str]:
        """Return what the aggregate of a site says.

        :param later_us: by how much all RTTs have grown since
        """
        metadata = {'edge:site': site_name(site)}
        if self.listed is not None:
            metadata['edge:rtt_default'] = '>100'
        for origin in self.listed_at[site]:
            key = f'edge:rtt:{origin_name(origin)}'
            metadata[key] = self._form(self.rtt_us(site, origin) + later_us)
        return self._padded(metadata)

    def _form(self, rtt_us: int) -> str:
        """Return a figure as it is written in an aggregate."""
        text = f'{rtt_us / 1000}'
        if self.form == PLAIN:
            return text
        at_s = _AGENT_S + rtt_us % 3600
        at = f'{at_s // 3600}:{at_s // 60 % 60:02}:{at_s % 60:02}'
        return (
            f'{text} jitter={rtt_us % 977 / 100} loss={rtt_us % 3} '
            f'n={20 + rtt_us % 7} at=2026-11-23T{at}Z by=icmp'
        )

    def _padded(self, metadata: dict[str, str]) -> dict[str, str]:
        metadata[OTHER_KEY] = 'true'
        for number in range(self.keys - len(metadata)):
            metadata[f'note-{number}'] = f'as agreed, see {number}'
        return metadata

    def hosts(self, site: int) -> tuple[str, ...]:
        return tuple(
            host_name(site, number) for number in range(self.hosts_a_site)
        )

    def all_hosts(self) -> Iterator[str]:
        for site in range(self.sites):
            yield from self.hosts(site)

    def aggregates(self) -> Iterator[Aggregate]:
        """Return the sites' aggregates, then what else the hosts are in."""
        for site in range(self.sites):
            yield Aggregate(site + 1, self.hosts(site), self.metadata(site))
        aggregate_id = self.sites
        for hosts in self._others():
            aggregate_id += 1
            yield Aggregate(aggregate_id, hosts, self._padded({}))

    def _others(self) -> Iterator[tuple[str, ...]]:
        sites = range(self.sites)
        if self.aggregates_a_host > 1:
            for zone in range(0, self.sites, _SITES_A_ZONE):
                yield tuple(
                    host
                    for site in sites[zone : zone + _SITES_A_ZONE]
                    for host in self.hosts(site)
                )
        if self.aggregates_a_host > 2:
            for number in range(self.hosts_a_site):
                yield tuple(host_name(site, number) for site in sites)


def site_name(site: int) -> str:
    return f'site-{site}'


def origin_name(origin: int) -> str:
    return f'origin-{origin}'


def host_name(site: int, number: int) -> str:
    return f'compute-{site}-{number}'


def site_of(host: str) -> int:
    """Return at which site a host is."""
    return int(host.split('-')[1])


def write_map_file(path: pathlib.Path, world: World) -> None:
    """Write all figures as an ALTO cost map."""
    with path.open('w') as file:
        file.write(
            '{"meta": {"cost-type": {"cost-mode": "numerical", '
            '"cost-metric": "delay-rt"}}, "cost-map": {'
        )
        for origin in range(world.origins):
            costs = {
                site_name(site): world.rtt_us(site, origin)
                for site in range(world.sites)
            }
            file.write(', ' * (origin > 0))
            file.write(f'"{origin_name(origin)}": {json.dumps(costs)}')
        file.write('}}\n')


def _on_the_globe(rng: random.Random, count: int) -> list[_Vector]:
    vectors = []
    for _ in range(count):
        height = rng.uniform(-1, 1)
        turn = rng.uniform(0, 2 * math.pi)
        width = math.sqrt(1 - height * height)
        vectors.append(
            (width * math.cos(turn), width * math.sin(turn), height)
        )
    return vectors
