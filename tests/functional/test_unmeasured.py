# SPDX-License-Identifier: Apache-2.0

from tests.functional import base

PREFIXES = {'edge:prefixes': '192.0.2.0/24, 2001:db8::/32'}
PARIS = {'edge:latitude': '48.85', 'edge:longitude': '2.35'}
LYON = {'edge:latitude': '45.76', 'edge:longitude': '4.84'}


class UnmeasuredTest(base.TestCase):
    """What nobody has measured is estimated, bounded, accepted or refused."""

    def _make_sites(self, **keys):
        self.sites = self.make_sites(**dict.fromkeys(keys))
        for site, metadata in keys.items():
            self.cloud.set_metadata(self.sites[site], metadata)

    def _site_of_boot(self, **hints):
        """The site that a server with these hints is booted at, or ''."""
        _, host = self.boot(
            hints={f'edge:{name}': value for name, value in hints.items()}
        )
        return self.site_of(host)

    def test_near(self):
        """edge:near takes the site nearest by distance."""
        self._make_sites(par=PARIS, lyo=LYON, mrs={})
        for near, site in (('48.8,2.3', 'par'), ('45.7,4.8', 'lyo')):
            self.assertEqual(site, self._site_of_boot(near=near))
        budget = {'near': '45.7,4.8', 'max_rtt_ms': '10'}
        self.assertEqual('', self._site_of_boot(**budget))
        self.assertEqual(
            'lyo', self._site_of_boot(unmeasured='estimate', **budget)
        )

    def test_attached_users(self):
        """edge:prefixes make an origin, edge:site_rtt says how far it is."""
        self._make_sites(par=PREFIXES, lyo={'edge:site_rtt:par': '9'}, mrs={})
        self.assertEqual('par', self._site_of_boot(origin='par'))
        self.assertEqual(
            'lyo', self._site_of_boot(origin='par', avoid_site='par')
        )
        for max_rtt_ms, site in (('14', 'lyo'), ('13', '')):
            self.assertEqual(
                site,
                self._site_of_boot(
                    origin='par',
                    avoid_site='par',
                    max_rtt_ms=max_rtt_ms,
                    unmeasured='estimate',
                ),
            )

    def test_rtt_default(self):
        """edge:rtt_default stands for origins that are not listed."""
        self._make_sites(
            par={'edge:rtt_default': '>100'},
            lyo={'edge:rtt_default': '80'},
            mrs={'edge:rtt:nice': '6'},
        )
        for how, site in (
            ({}, 'mrs'),
            ({'avoid_site': 'mrs'}, 'lyo'),
            ({'avoid_site': 'mrs', 'max_rtt_ms': '90'}, 'lyo'),
            ({'avoid_site': ['mrs', 'lyo'], 'max_rtt_ms': '200'}, ''),
        ):
            self.assertEqual(site, self._site_of_boot(origin='nice', **how))
        for max_rtt_ms, site in (('100', ''), ('101', 'par')):
            self.assertEqual(
                site,
                self._site_of_boot(
                    origin='nice',
                    site='par',
                    unmeasured='accept',
                    max_rtt_ms=max_rtt_ms,
                ),
            )

    def test_unmeasured(self):
        """edge:unmeasured says what an unknown figure means."""
        self._make_sites(par={'edge:rtt:paris': '30'}, lyo={})
        for unmeasured, site in (
            ('reject', ''),
            ('estimate', ''),
            ('accept', 'lyo'),
        ):
            self.assertEqual(
                site,
                self._site_of_boot(
                    origin='paris',
                    site=['par', 'lyo'],
                    max_rtt_ms='20',
                    unmeasured=unmeasured,
                ),
            )
