# SPDX-License-Identifier: Apache-2.0

from tests.functional import base
from tests.functional import test_boot


class ModeTest(base.TestCase):
    """Switched on without fear: what is decided is seen before it binds."""

    REQUESTS = (
        {'edge:origin': ['paris']},
        {'edge:origin': ['paris'], 'edge:max_rtt_ms': ['2']},
        {'edge:site': ['mrs'], 'edge:tier': ['core']},
        {'edge:max_rtt_ms': ['near']},
        {'edge:bogus': ['x']},
        {},
    )

    def setUp(self):
        super().setUp()
        sites = self.make_sites(par=4, lyo=9, mrs=None)
        self.cloud.set_metadata(sites['lyo'], {'edge:status': 'inactive'})
        # Hosts that differ for the weighers of Nova.
        for host in ('par-a', 'mrs-b', 'mrs-b'):
            self.boot(availability_zone=f'nova:{host}')

    def _rankings(self, manager):
        return [
            test_boot.ranking(manager, self.states, test_boot.spec(hints))
            for hints in self.REQUESTS
        ]

    def _restart(self, **edge_filters):
        self.addCleanup(self.cloud.restart_scheduler, edge_filters=True)
        self.cloud.restart_scheduler(base.OPTIONS | edge_filters)
        return self.cloud.scheduler.host_manager

    def test_outcome(self):
        """In modes off and observe every request ends as without us.

        The same hosts in the same order with the same weights.
        """
        self.states = test_boot.host_states(self.cloud)
        self.cloud.restart_scheduler(base.OPTIONS, edge_filters=False)
        self.addCleanup(self.cloud.restart_scheduler, edge_filters=True)
        stock = self._rankings(self.cloud.scheduler.host_manager)
        self.cloud.restart_scheduler(edge_filters=True)
        for mode in ('off', 'observe'):
            manager = self._restart(edge_filters={'mode': mode})
            self.assertIn('EdgeLatencyFilter', manager.filter_cls_map)
            self.assertEqual(stock, self._rankings(manager), mode)
        manager = self._restart(edge_filters={'mode': 'enforce'})
        self.assertNotEqual(stock, self._rankings(manager))

    def test_observe(self):
        """A boot that would be refused is not; the log says it would be."""
        self._restart(edge_filters={'mode': 'observe'})
        for hints, message in (
            (
                {'edge:origin': 'paris', 'edge:max_rtt_ms': '2'},
                'no host passes: par is 4 ms from paris, over 2 ms',
            ),
            (
                {'edge:origin': 'paris', 'edge:max_rtt_ms': '10'},
                'origin paris (hint): 2 of 5 hosts pass; nearest: par is 4 ms '
                'from paris, within 10 ms',
            ),
            ({'edge:bogus': 'x'}, "refused: hint 'edge:bogus' is not known"),
        ):
            server, _ = self.boot(hints=hints)
            self.assertEqual('ACTIVE', server.status)
            self.assertIn('Edge decision (observe)', self.log.output)
            self.assertEqual(1, self.log.output.count(message))

    def test_enforce(self):
        """A decision has one line.

        For several servers of one request Nova sorts the hosts once for each,
        and once more for their alternates.
        """
        for count, lines in ((1, 1), (2, 3), (3, 4)):
            self.log.reset_output()
            self.cloud.boot(hints={'edge:origin': 'paris'}, count=count)
            self.assertEqual(lines, self.log.output.count('Edge decision'))
        self.assertIn(
            'origin paris (hint): 5 of 5 hosts pass; nearest: par is 4 ms '
            'from paris.',
            self.log.output,
        )
