# SPDX-License-Identifier: Apache-2.0

import re

from edge_filters.latency import metadata
from smallcloud import layout
from smallcloud import network
from smallcloud import populate
from tests.unit import base


class PopulateTest(base.TestCase):
    def test_sites(self):
        """Each site is written without a mistake, and nearest to its city."""
        for sites in (1, 3, 100):
            for number, site in enumerate(layout.site_names(sites)):
                keys = populate._metadata(number, site, sites)
                self.assertLessEqual(len(keys), metadata.KEYS_PER_SITE)
                record, problems = metadata.parse_site(keys, ['compute-1-1'])
                self.assertEqual([], problems)
                self.assertEqual(site, record.site)
                rtts_ms = {
                    city: figure.rtt_ms
                    for city, figure in record.samples.items()
                }
                self.assertEqual(
                    f'city-{number + 1}', min(rtts_ms, key=rtts_ms.get)
                )

    def test_readme(self):
        """What README.rst goes on to use is there: host, flavor, image."""
        readme = (layout.CHECKOUT / 'README.rst').read_text()
        self.assertIn(f' add host par-01 {layout.SPARE_HOST}\n', readme)
        flavor, image, name = re.search(
            r'--flavor (\S+) --image (\S+) --network (\S+)', readme
        ).groups()
        self.assertIn(flavor, populate._FLAVORS)
        self.assertEqual(populate._IMAGE, image)
        networks = network._resources['networks'].values()
        self.assertEqual([name], [each['name'] for each in networks])
