# SPDX-License-Identifier: Apache-2.0

from edge_filters.latency import estimate
from edge_filters.latency import sample
from tests.unit import base

PARIS = estimate.Position(48.85, 2.35)
LONDON = estimate.Position(51.51, -0.13)
ESTIMATOR = estimate.Estimator(access_rtt_ms=5, ms_per_km=0.02)


class DistanceTest(base.TestCase):
    def test_known_distances(self):
        """Distances are those of a map."""
        for one, other, distance_km in (
            (PARIS, PARIS, 0),
            (PARIS, LONDON, 344),
            (estimate.Position(0, 179.5), estimate.Position(0, -179.5), 111),
            (estimate.Position(90, 0), estimate.Position(-90, 77), 20015),
            (estimate.Position(45, 0), estimate.Position(-45, 180), 20015),
            # Rounding makes a little more than the whole of it.
            (
                estimate.Position(-81.3, 125.9),
                estimate.Position(81.3, -54.1),
                20015,
            ),
        ):
            for a, b in ((one, other), (other, one)):
                self.assertAlmostEqual(
                    distance_km, estimate.great_circle_km(a, b), delta=1
                )


class EstimatorTest(base.TestCase):
    def test_across(self):
        """An estimate is never zero: users are not inside the site."""
        figure = ESTIMATOR.across(PARIS, PARIS)
        self.assertEqual(5, figure.rtt_ms)
        self.assertIs(sample.Kind.ESTIMATE, figure.kind)
        figure = ESTIMATOR.across(PARIS, LONDON)
        self.assertAlmostEqual(5 + 344 * 0.02, figure.rtt_ms, delta=0.1)

    def test_attached(self):
        """Users of one site have its access and the way between the sites."""
        figure = ESTIMATOR.attached(sample.Sample(7.0, jitter_ms=1, at=3.0))
        self.assertEqual(
            sample.Sample(12.0, at=3.0, kind=sample.Kind.ESTIMATE), figure
        )

    def test_unreachable(self):
        """Where the other site is unreachable, so it is for its users."""
        figure = ESTIMATOR.attached(sample.Sample(None, loss_pct=100, at=3.0))
        self.assertEqual(
            sample.Sample(None, at=3.0, kind=sample.Kind.ESTIMATE), figure
        )

    def test_bound(self):
        """A bound makes no estimate."""
        between = sample.Sample(7.0, kind=sample.Kind.BOUND)
        self.assertIsNone(ESTIMATOR.attached(between))
