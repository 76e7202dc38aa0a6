# SPDX-License-Identifier: Apache-2.0
"""WHAT WOULD BE MEASURED? A big world with noise, and steps now and then.

The same each time. Of all pairs of a site and an origin there is a figure in
every round, as Prometheus would have them.
"""

from collections.abc import Mapping
import random

from edge_filters.agent import reading
from edge_filters.latency import sample
from sandbox import big_world

# By how much the paths of a site are longer while it goes another way.
STEP_MS = 40.0

_NOISE = 4096
_PROBES = 20


class Measurements:
    """What is measured in one round after another.

    :param sites: how many sites
    :param origins: how many origins
    :param noise_pct: standard deviation of an RTT, in percent of it
    :param prefix: of the names of the sites
    """

    def __init__(
        self, sites: int, origins: int, noise_pct: float, prefix: str = 'site'
    ) -> None:
        self._rng = random.Random(big_world.SEED + 7)
        world = big_world.World(sites, origins)
        self.sites = [f'{prefix}-{site:04}' for site in range(sites)]
        # Of sites that have stepped, how much longer their paths are.
        self.stepped: dict[str, float] = {}
        self._rtts_ms = [
            (
                reading.Path(name, big_world.origin_name(origin)),
                world.rtt_us(site, origin) / 1000,
            )
            for site, name in enumerate(self.sites)
            for origin in range(origins)
        ]
        self._noise = [
            max(0.5, self._rng.gauss(1, noise_pct / 100))
            for _ in range(_NOISE)
        ]

    def step(self) -> str:
        """Let the paths of one site become longer, or short again."""
        site = self._rng.choice(self.sites)
        if self.stepped.pop(site, None) is None:
            self.stepped[site] = STEP_MS
        return site

    def measure(self, at: float) -> Mapping[reading.Path, sample.Sample]:
        """Return what is measured in a round that ends at a time."""
        noise, stepped = self._noise, self.stepped
        place = self._rng.randrange(_NOISE)
        figures = {}
        for path, rtt_ms in self._rtts_ms:
            # An odd stride goes through all of the noise.
            place = (place + 1237) % _NOISE
            rtt_ms = rtt_ms * noise[place] + stepped.get(path.site, 0.0)
            figures[path] = sample.Sample(
                rtt_ms, rtt_ms / 50, 0.0, _PROBES, at, 'prometheus'
            )
        return figures
