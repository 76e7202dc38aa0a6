# SPDX-License-Identifier: Apache-2.0

from edge_filters.latency import sample
from tests.unit import base


class StaleTest(base.TestCase):
    def test_by_age(self):
        """A figure is stale once it is older than the limit."""
        figure = sample.Sample(1.0, at=1000.0)
        self.assertFalse(figure.is_stale(1600.0, 600))
        self.assertTrue(figure.is_stale(1600.1, 600))

    def test_ageless(self):
        """A figure without a time never grows stale."""
        self.assertFalse(sample.Sample(1.0).is_stale(1e12, 1))

    def test_from_the_future(self):
        """A clock may be ahead a minute; beyond, the age is not known."""
        figure = sample.Sample(1.0, at=1060.0)
        self.assertFalse(figure.is_stale(1000.0, 600))
        self.assertTrue(figure.is_stale(999.9, 600))


class WorstTest(base.TestCase):
    def test_larger_rtt(self):
        """Of two figures the larger RTT counts, whatever their age."""
        near = sample.Sample(5.0)
        far = sample.Sample(50.0, at=0.0)
        self.assertIs(far, sample.worst(near, far))
        self.assertIs(far, sample.worst(far, near))

    def test_unreachable(self):
        """Unreachable is worse than any RTT."""
        lost = sample.Sample(None, loss_pct=100.0)
        self.assertIs(lost, sample.worst(sample.Sample(1e9), lost))
