# SPDX-License-Identifier: Apache-2.0

import collections

from sandbox import world as worlds
from tests.unit import base


class WorldTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.world = worlds.load()

    def test_size(self):
        """Enough sites and users, which fill the sites to about 80 %."""
        self.assertGreaterEqual(len(self.world.sites), 12)
        self.assertGreaterEqual(len(self.world.places), 30)
        fill = len(self.world.places) / sum(self.world.room().values())
        self.assertAlmostEqual(0.8, fill, delta=0.05)

    def test_careful_direction(self):
        """Of the two directions of a pair the larger RTT counts."""
        for (one, other), rtt_ms in self.world.rtt_ms.items():
            self.assertEqual(rtt_ms, self.world.rtt_ms[other, one])

    def test_nearest_with_room(self):
        """The judge sends everybody to the nearest site that is not full."""
        here = self.world.places[0]
        boots = []
        for _ in self.world.places:
            # The nearest for a boot does not depend on where it went itself.
            anywhere = self.world.placed(here, self.world.sites[0])
            *_, best = worlds.nearest_with_room(self.world, [*boots, anywhere])
            boots.append(best)
        self.assertEqual(boots, worlds.nearest_with_room(self.world, boots))
        rtts_ms = [boot.rtt_ms for boot in boots]
        self.assertEqual(sorted(rtts_ms), rtts_ms)
        taken = collections.Counter(boot.site for boot in boots)
        self.assertEqual({4}, set(taken.values()))
        self.assertNotIn(worlds.DOWN_SITE, taken)

    def test_percentile(self):
        """The nearest-rank percentile is one of the values."""
        values = [float(number) for number in range(1, 101)]
        self.assertEqual(95, worlds.percentile(values, 95))
        self.assertEqual(3, worlds.percentile([3, 1, 2], 95))
        self.assertEqual(1, worlds.percentile([1], 95))
