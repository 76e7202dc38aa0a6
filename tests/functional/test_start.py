# SPDX-License-Identifier: Apache-2.0

from nova import exception

from edge_filters.scheduler import latency_filter
from tests.functional import base


class StartTest(base.TestCase):
    """A scheduler that cannot do what it is asked does not start."""

    def _assert_no_start(self, error_class, name, options):
        self.addCleanup(self.cloud.restart_scheduler)
        error = self.assertRaises(
            error_class, self.cloud.restart_scheduler, options
        )
        self.assertIn(name, str(error))

    def test_impossible_option(self):
        """An option that cannot be keeps it from starting, and is named."""
        for name, value in (
            ('rtt_band_ms', '300'),
            ('rtt_horizon_ms', '-1'),
            ('edge_latency_weight_multiplier', 'nan'),
        ):
            self._assert_no_start(
                ValueError, name, {'edge_filters': {name: value}}
            )

    def test_filter_that_is_not_there(self):
        """A filter enabled by a name that was not loaded is Nova's error."""
        self._assert_no_start(
            exception.SchedulerHostFilterNotFound,
            'EdgeBrokenFilter',
            {'filter_scheduler': {'enabled_filters': 'EdgeBrokenFilter'}},
        )

    def test_weigher_alone(self):
        """The weigher works without the filters."""
        self.cloud.restart_scheduler(
            base.OPTIONS
            | {'filter_scheduler': {'enabled_filters': 'ComputeFilter'}}
        )
        self.addCleanup(self.cloud.restart_scheduler)
        self.make_sites(par=30, lyo=4)
        _, host = self.boot(hints={'edge:origin': 'paris'})
        self.assertEqual('lyo', self.site_of(host))
        for enabled in self.cloud.scheduler.host_manager.enabled_filters:
            self.assertNotIsInstance(enabled, latency_filter.EdgeLatencyFilter)
