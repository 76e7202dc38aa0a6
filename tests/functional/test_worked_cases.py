# SPDX-License-Identifier: Apache-2.0

from tests.functional import test_moves


class AugmentedRealityTest(test_moves.MoveTestCase):
    """An AR service within 20 ms of phones in three cities."""

    def test_story(self):
        """It runs where the farthest of the three cities is nearest."""
        sites = self.make_sites(par=None, lyo=None, mrs=None)
        for site, figures in (
            ('par', {'paris': '4', 'lyon': '9', 'nice': '24'}),
            ('lyo', {'paris': '9', 'lyon': '3', 'nice': '14'}),
            ('mrs', {'paris': '18', 'lyon': '8', 'nice': '6'}),
        ):
            self.cloud.set_metadata(
                sites[site],
                {f'edge:rtt:{city}': rtt for city, rtt in figures.items()},
            )
        hints = {
            'edge:origin': ['paris', 'lyon', 'nice'],
            'edge:max_rtt_ms': '20',
        }
        servers = self.cloud.boot(hints=hints, count=8)
        self.assertEqual({'lyo'}, {self.site(server) for server in servers})
        # lyo is full: mrs is the next, and par is too far for Nice.
        _, host = self.boot(hints=hints)
        self.assertEqual('mrs', self.site_of(host))
        hints['edge:avoid_site'] = ['lyo', 'mrs']
        server, _ = self.boot(hints=hints)
        self.assertEqual('ERROR', server.status)
        self.assertIn('par is 24 ms from nice, over 20 ms', self.log.output)


class RemoteSurgeryTest(test_moves.MoveTestCase):
    """10 ms RTT, 1 ms jitter, 0.1 % loss; refused rather than guessed at."""

    GOOD = 'jitter=0.4 loss=0.02 n=10000'
    FLAVOR = {  # noqa: RUF012
        'edge:max_rtt_ms': '10',
        'edge:max_jitter_ms': '1',
        'edge:max_loss_pct': '0.1',
        'edge:unmeasured': 'reject',
        'edge:fallback': 'none',
    }

    def _boot(self):
        """A server of the flavor; its hints may not loosen what that says."""
        self.surgeries += 1
        return self.boot(
            flavor=self.cloud.flavor(
                f'surgery {self.surgeries}', extra_specs=self.FLAVOR
            ),
            hints={
                'edge:origin': 'clinic',
                'edge:max_rtt_ms': '1000',
                'edge:unmeasured': 'accept',
                'edge:fallback': 'nearest',
            },
        )

    def setUp(self):
        super().setUp()
        self.surgeries = 0

    def _make_sites(self, **figures):
        sites = self.make_sites(**dict.fromkeys(figures))
        for site, figure in figures.items():
            self.cloud.set_metadata(sites[site], {'edge:rtt:clinic': figure})
        return sites

    def test_refused(self):
        """A site that is too far, or not known well enough, is refused."""
        for figure, reason in (
            (f'10.1 {self.GOOD}', 'over 10 ms'),
            ('8 jitter=1.1 loss=0 n=10000', 'its jitter of 1.1 ms over 1 ms'),
            ('8 jitter=0.4 loss=0.2 n=10000', 'its loss of 0.2 % over 0.1 %'),
            ('8 jitter=0.4 loss=0 n=100', 'too few probes for 0.1 %'),
            ('8', 'its jitter not measured'),
            (f'8 {self.GOOD} at=2026-01-01T00:00:00Z', 'too old for a budget'),
            ('- loss=100 n=20', 'unreachable from clinic'),
        ):
            self._make_sites(par=figure)
            server, _ = self._boot()
            self.assertEqual('ERROR', server.status)
            self.assertIn(reason, self.log.output)
            self.cloud.reset()

    def test_death_of_the_host(self):
        """It goes to another host of a site that meets its budget.

        Where there is none the evacuation is refused, and the log says where
        it was looked for. Nova alone knows that what is there is down.
        """
        self._make_sites(
            par=f'4 {self.GOOD}', lyo=f'9 {self.GOOD}', mrs=f'11 {self.GOOD}'
        )
        server, host = self._boot()
        self.assertEqual('par', self.site_of(host))
        for site in ('par', 'lyo', 'lyo'):
            server = self.evacuate(server)
            self.assertEqual(site, self.site(server))
        last = self.cloud.host_of(server)
        server = self.evacuate(server)
        self.assertEqual(last, self.cloud.host_of(server))
        self.assertIn(
            'origin clinic (hint): Placement is asked for 2 of 3 sites (the '
            'farthest: lyo is 9 ms from clinic, within 10 ms)',
            self.log.output,
        )
        self.assertIn("'ComputeFilter: (start: 3, end: 0)'", self.log.output)
