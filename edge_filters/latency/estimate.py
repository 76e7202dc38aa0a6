# SPDX-License-Identifier: Apache-2.0
"""HOW FAR MIGHT IT BE? RTTs worked out where nobody has measured."""

import dataclasses
import math
import typing

from edge_filters.latency import sample

# Mean radius of the Earth (IUGG, Moritz 2000, "Geodetic Reference System
# 1980"); a sphere of it errs by at most 0.6 % of a distance.
EARTH_RADIUS_KM = 6371.0088


class Position(typing.NamedTuple):
    """A place on the Earth, in WGS 84 degrees."""

    latitude: float
    longitude: float


@dataclasses.dataclass(frozen=True, slots=True)
class Estimator:
    """Turns what is known of the way into an RTT.

    :param access_rtt_ms: RTT in milliseconds between users and the site they
        are attached to
    :param ms_per_km: RTT in milliseconds that a kilometre of great circle
        costs
    """

    access_rtt_ms: float
    ms_per_km: float

    def attached(self, between: sample.Sample) -> sample.Sample | None:
        """Return the RTT of users attached to one site to another.

        :param between: figure between the two sites
        :returns: None if a bound is all that is known. Where the other site
            is unreachable, so it is for them.
        """
        if between.kind is sample.Kind.BOUND:
            return None
        rtt_ms = between.rtt_ms
        return sample.Sample(
            rtt_ms=None if rtt_ms is None else self.access_rtt_ms + rtt_ms,
            at=between.at,
            kind=sample.Kind.ESTIMATE,
        )

    def across(self, users: Position, site: Position) -> sample.Sample:
        """Return the RTT between users and a site, by their distance."""
        distance_km = great_circle_km(users, site)
        return sample.Sample(
            rtt_ms=self.access_rtt_ms + distance_km * self.ms_per_km,
            kind=sample.Kind.ESTIMATE,
        )


def great_circle_km(one: Position, other: Position) -> float:
    """Return the distance in km along the surface of a spherical Earth.

    The haversine formula: R. W. Sinnott, "Virtues of the Haversine", Sky and
    Telescope 68 (2), 1984. It is exact for small distances too.
    """
    latitude_a = math.radians(one.latitude)
    latitude_b = math.radians(other.latitude)
    longitudes = math.radians(other.longitude - one.longitude)
    haversine = (
        math.sin((latitude_b - latitude_a) / 2) ** 2
        + math.cos(latitude_a)
        * math.cos(latitude_b)
        * math.sin(longitudes / 2) ** 2
    )
    # Rounding takes it beyond 1 at the antipodes.
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(haversine, 1.0)))
