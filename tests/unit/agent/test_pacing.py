# SPDX-License-Identifier: Apache-2.0

import math

import hypothesis
from hypothesis import strategies

from edge_filters.agent import pacing
from tests.unit import base


class ScheduleTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 0.0

    def schedule(self, *args):
        return pacing.Schedule(*args, clock=lambda: self.now)

    def test_spread(self):
        """Probes are spread evenly over the seconds that they have."""
        schedule, times = self.schedule(1000, 50.0, 200.0), []
        while len(times) < 1000:
            times += [self.now] * schedule.due(1000)
            self.now += pacing.TICK_S
        for number, at in enumerate(times):
            self.assertLessEqual(abs(number * 0.05 - at), 2 * pacing.TICK_S)

    @hypothesis.settings(max_examples=50)
    @hypothesis.given(
        strategies.floats(0.1, 10000),
        strategies.floats(0, 10),
        strategies.lists(
            strategies.floats(0.001, 0.1) | strategies.floats(0.1, 30),
            min_size=1,
            max_size=100,
        ),
    )
    # Two with 0.6 s in between are in one second.
    @hypothesis.example(1.75, 0.0, [0.0625, 0.0625, 0.5])
    # Late once, and then in time.
    @hypothesis.example(100.0, 0.0, [pacing.TICK_S] + [0.01] * 99)
    def test_limit(self, rate, spread_s, pauses):
        """In no second are more sent than allowed, however late it wakes."""
        self.now = 0.0
        schedule = self.schedule(1000, spread_s, rate)
        times = []
        for pause_s in pauses:
            self.now += pause_s
            times.append((self.now, schedule.due(10**6)))
            self.assertGreaterEqual(schedule.wait_s(), 0)
        for start, _count in times:
            sent = sum(n for at, n in times if start <= at < start + 1)
            self.assertLessEqual(sent, math.ceil(rate))
