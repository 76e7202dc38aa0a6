# SPDX-License-Identifier: Apache-2.0

from edge_filters import ratelimit
from tests.unit import base


class RateLimitTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 0.0
        self.limit = ratelimit.RateLimit(clock=lambda: self.now)

    def test_each_key_once(self):
        """Each key is due at once, and then not for ten minutes."""
        self.assertTrue(self.limit.is_due('a'))
        self.assertTrue(self.limit.is_due('b'))
        self.now = 599.9
        self.assertFalse(self.limit.is_due('a'))
        self.now = 600.0
        self.assertTrue(self.limit.is_due('a'))

    def test_bounded(self):
        """However many keys are made up, memory does not grow for ever."""
        for key in range(20000):
            self.assertTrue(self.limit.is_due(key))
        self.assertLessEqual(len(self.limit._said), 10000)
        # The oldest are forgotten, not all.
        self.assertFalse(self.limit.is_due(10001))
        self.assertTrue(self.limit.is_due(9999))
