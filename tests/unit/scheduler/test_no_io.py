# SPDX-License-Identifier: Apache-2.0

import sys

from edge_filters.scheduler import latency_filter
from edge_filters.scheduler import latency_weigher
from edge_filters.scheduler import site_filter
from tests.unit.scheduler import test_filters

IO = ('open', 'os.', 'socket.', 'sqlite3.', 'subprocess.')
_events = None


def _record(event, args):
    if _events is not None and event.startswith(IO):
        _events.append((event, args))


# It cannot be taken away again, and records only while it is asked to.
sys.addaudithook(_record)


class NoIoTest(test_filters.FilterTestCase):
    def test_nothing_is_read(self):
        """Filters and weigher open no file, socket or database."""
        global _events
        tested = (
            site_filter.EdgeSiteFilter(),
            latency_filter.EdgeLatencyFilter(),
        )
        weigher = latency_weigher.EdgeLatencyWeigher()
        budget = {**test_filters.PARIS, 'edge:max_rtt_ms': ['10']}
        specs = [
            make(hints)
            for make in (
                test_filters.base.request_spec,
                test_filters.base.move_spec,
            )
            for hints in (
                None,
                budget,
                {'edge:site': ['par'], 'edge:near': ['1,2']},
                *(hints for hints, _ in test_filters.BAD_HINTS),
            )
        ]
        hosts = test_filters.base.host_states(*test_filters.HOSTS)
        weighed = [
            latency_weigher.weights.WeighedHost(host, 0.0) for host in hosts
        ]
        _events = []
        try:
            for spec in specs:
                for one in tested:
                    one.filter_all(hosts, spec)
                weigher.weigh_objects(weighed, spec)
            seen = list(_events)
            open('/dev/null').close()
            self.assertLess(len(seen), len(_events))  # it does record
        finally:
            _events = None
        self.assertEqual([], seen)
