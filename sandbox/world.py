# SPDX-License-Identifier: Apache-2.0
"""WHAT IS THE DEMO'S WORLD? Sites, users, and what would be right there.

Twelve Azure regions are edge sites of two small hosts, every other region is
a user place that wants one server. The round-trip times between them are
measured ones (see ``data/azure/README.md``). Nothing here knows of
edge_filters: :func:`nearest_with_room` is what its work is judged by.
"""

from collections import abc
import csv
import dataclasses
import datetime
import math
import pathlib
import random

AZURE = pathlib.Path(__file__).parent / 'data' / 'azure'

SITES = (
    'australia-east',
    'central-us',
    'east-us',
    'france-central',
    'germany-west-central',
    'japan-east',
    'south-africa-north',
    'southeast-asia',
    'sweden-central',
    'uae-north',
    'uk-south',
    'west-us-2',
)
# The site whose hosts are down: the one nearest to Britain and Ireland.
DOWN_SITE = 'uk-south'
# The site whose figures nobody has refreshed for OLD_AGE. It is far from the
# others, so a scheduler that dropped its figures would be seen to.
OLD_SITE = 'southeast-asia'
OLD_AGE = datetime.timedelta(days=30)

# 36 servers of one vCPU in (12 - 1) * 2 * 2 = 44 vCPUs: 82 % full.
HOSTS_PER_SITE = 2
VCPUS_PER_HOST = 2

# Shuffles the user places, so that who comes first is not the alphabet's.
BOOT_ORDER_SEED = 7


@dataclasses.dataclass(frozen=True)
class Region:
    """Where a site or a user place is, in WGS 84 degrees."""

    name: str
    latitude: float
    longitude: float


@dataclasses.dataclass(frozen=True)
class Placed:
    """The site that serves a user place, and how far it is."""

    place: str
    site: str
    rtt_ms: float


@dataclasses.dataclass(frozen=True)
class World:
    """Sites, user places in boot order, and the RTTs between them."""

    regions: abc.Mapping[str, Region]
    rtt_ms: abc.Mapping[tuple[str, str], float]
    sites: tuple[str, ...]
    places: tuple[str, ...]

    def placed(self, place: str, site: str) -> Placed:
        return Placed(place, site, self.rtt_ms[place, site])

    def hosts(self, site: str) -> list[str]:
        return [f'{site}-{n + 1}' for n in range(HOSTS_PER_SITE)]

    def room(self) -> dict[str, int]:
        """How many servers each site takes, before the first boot."""
        return {
            site: 0 if site == DOWN_SITE else HOSTS_PER_SITE * VCPUS_PER_HOST
            for site in self.sites
        }

    def metadata(self, site: str, now: datetime.datetime) -> dict[str, str]:
        """What the site's host aggregate says of it.

        :param now: aware time at which fresh figures count as measured.
        """
        measured = now - OLD_AGE if site == OLD_SITE else now
        at = measured.astimezone(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')
        figures = {
            f'edge:rtt:{place}': (
                f'{self.rtt_ms[place, site]:g} at={at} by=azure'
            )
            for place in self.places
        }
        return {'edge:site': site, **figures}


def load() -> World:
    """The demo's world, the same every time."""
    regions = _regions()
    places = [name for name in regions if name not in SITES]
    random.Random(BOOT_ORDER_SEED).shuffle(places)
    return World(regions, _rtt_ms(), SITES, tuple(places))


def _regions() -> dict[str, Region]:
    with open(AZURE / 'regions.csv', newline='') as lines:
        return {
            row['region']: Region(
                row['region'],
                float(row['latitude']),
                float(row['longitude']),
            )
            for row in csv.DictReader(lines)
        }


def _rtt_ms() -> dict[tuple[str, str], float]:
    """RTT of every pair, the larger of its two directions."""
    with open(AZURE / 'rtt_ms.csv', newline='') as lines:
        measured = {
            (row['from'], to): float(figure)
            for row in csv.DictReader(lines)
            for to, figure in row.items()
            if to != 'from'
        }
    return {
        (one, other): max(figure, measured[other, one])
        for (one, other), figure in measured.items()
    }


def nearest_with_room(
    world: World, boots: abc.Iterable[Placed]
) -> list[Placed]:
    """Replay the boots: the nearest site that still had room, for each.

    A site that is down has no room. What a server takes is taken where it
    really went, so every boot is judged by what was free at that moment.
    """
    room = world.room()
    nearest = []
    for boot in boots:
        free = [site for site, servers in room.items() if servers > 0]
        nearest.append(
            min(
                (world.placed(boot.place, site) for site in free),
                key=lambda candidate: candidate.rtt_ms,
            )
        )
        room[boot.site] -= 1
    return nearest


@dataclasses.dataclass(frozen=True)
class Summary:
    """What users get out of a cloud's placements."""

    mean_ms: float
    p95_ms: float
    within_20_ms: float
    within_50_ms: float


def summary(boots: abc.Sequence[Placed]) -> Summary:
    rtts_ms = [boot.rtt_ms for boot in boots]
    return Summary(
        mean_ms=sum(rtts_ms) / len(rtts_ms),
        p95_ms=percentile(rtts_ms, 95),
        within_20_ms=_share_within(rtts_ms, 20),
        within_50_ms=_share_within(rtts_ms, 50),
    )


def percentile(values: abc.Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: value number ceil(percent/100 * n)."""
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


def _share_within(rtts_ms: abc.Sequence[float], limit_ms: float) -> float:
    return sum(rtt_ms <= limit_ms for rtt_ms in rtts_ms) / len(rtts_ms)
