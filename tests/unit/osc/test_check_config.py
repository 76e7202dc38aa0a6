# SPDX-License-Identifier: Apache-2.0

import pathlib
import re
import tempfile

from edge_filters.osc import check_config
from edge_filters.osc import finding
from edge_filters.osc import nova_conf
from tests.unit import base
from tests.unit.osc import base as osc_base

NOVA = 'nova.scheduler.weights.all_weighers'
EDGE = 'edge_filters.all_weighers'


def readme():
    """Return the lines that the README has operators add to nova.conf."""
    text = (osc_base.ROOT / 'README.rst').read_text()
    (block,) = re.findall(
        r'code-block:: ini\n\n((?:    .*\n|\n)+?)(?=\S)', text
    )
    return re.sub(r'(?m)^    ', '', block)


class ConfigTestCase(base.TestCase):
    """What README.rst says, with more or other lines."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name, 'nova.conf')

    def found(self, text, hosts=3):
        """Return what is wrong with a nova.conf."""
        self.path.write_text(text)
        options = nova_conf.read([str(self.path)])
        return finding.in_order(
            [
                *check_config.mended(options),
                *check_config.findings(options, hosts),
            ]
        )

    def enforced(self, *changes, more=''):
        """Return the lines of the README, enforced and changed."""
        text = readme().replace('mode = observe', more)
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        return text


class ConfigTest(ConfigTestCase):
    def test_readme(self):
        """Of what the README says nothing is wrong."""
        self.assertEqual([], self.found(self.enforced()))

    def test_observe(self):
        """An operator who only observes is reminded of it."""
        (found,) = self.found(readme())
        self.assertEqual(
            ('mode-not-enforce', '[edge_filters] mode'), found[:2]
        )
        self.assertIn('observe', found.what)

    def test_lines(self):
        """Each line that is wrong has its finding, and no other has."""
        available = 'available_filters = edge_filters.all_filters\n'
        ours = 'EdgeSiteFilter,EdgeLatencyFilter'
        for changes, more, checks in (
            # Every server would be refused.
            ([(available, '')], '', ['filter-not-available'] * 2),
            (
                [('available_filters = nova.scheduler.filters.', '# ')],
                '',
                ['filter-not-available'] * 5,
            ),
            (
                [('EdgeSiteFilter', 'EdgeSitesFilter')],
                '',
                ['filter-not-available', 'filter-not-enabled'],
            ),
            (
                [
                    (
                        available,
                        'available_filters = '
                        'edge_filters.scheduler.site_filter.EdgeSiteFilter\n',
                    )
                ],
                '',
                ['filter-not-available'],
            ),
            # What another function gives nobody knows.
            (
                [
                    (available, available + 'available_filters = my.all\n'),
                    ('ComputeFilter', 'EdgeSitesFilter'),
                ],
                '',
                [],
            ),
            ([(',' + ours, '')], '', ['filter-not-enabled'] * 2),
            ([(',EdgeSiteFilter', '')], '', ['filter-not-enabled']),
            ([(ours, ours + ',NUMATopologyFilter')], '', ['filter-not-last']),
            (
                [(ours, f'AggregateImagePropertiesIsolation,{ours}')],
                '',
                ['image-properties-isolation'],
            ),
            ([(',' + EDGE, '')], '', ['weigher-missing']),
            ([(EDGE, f'{EDGE},{EDGE}')], '', ['weigher-twice']),
            (
                [
                    (
                        EDGE,
                        f'{EDGE},edge_filters.scheduler.latency_weigher.'
                        'EdgeLatencyWeigher',
                    )
                ],
                '',
                ['weigher-twice'],
            ),
            ([(f'{NOVA},', '')], '', ['nova-weighers-missing']),
            ([(NOVA, 'nova.scheduler.weights.ram.RAMWeigher')], '', []),
            # On two lines the second replaces the first.
            (
                [(f'{NOVA},{EDGE}', f'{NOVA}\nweight_classes = {EDGE}')],
                '',
                ['nova-weighers-missing'],
            ),
            ([], 'edge_latency_weight_multiplier = 0', ['weigher-off']),
            (
                [(',' + EDGE, '')],
                'edge_latency_weight_multiplier = 0',
                ['weigher-missing'],
            ),
            ([(EDGE, f'{EDGE}\nhost_subset_size = 5')], '', ['subset']),
            ([(EDGE, f'{EDGE}\nhost_subset_size = 1')], '', []),
            (
                [(EDGE, f'{EDGE}\nshuffle_best_same_weighed_hosts = true')],
                '',
                ['shuffle'],
            ),
            ([], 'mode = off', ['mode-not-enforce']),
        ):
            found = self.found(self.enforced(*changes, more=more))
            self.assertEqual(checks, [it.check for it in found], changes)

    def test_remedy(self):
        """What has to be added is named, and what is misspelt is spelt."""
        for changes, words in (
            (
                [('available_filters = edge_filters.all_filters\n', '')],
                'available_filters = edge_filters.all_filters',
            ),
            ([('EdgeSiteFilter', 'EdgeSitesFilter')], 'EdgeSiteFilter'),
        ):
            self.assertIn(words, self.found(self.enforced(*changes))[0].remedy)

    def test_truncation(self):
        """Hosts that Placement leaves out are told of before they are."""
        for more, hosts, checks in (
            ('request_filter = false', 800, []),
            ('request_filter = false', 801, ['truncation']),
            ('mode = observe', 801, ['truncation', 'mode-not-enforce']),
            ('', 5000, []),
            ('[scheduler]\nmax_placement_results = 9999', 5000, []),
        ):
            found = self.found(self.enforced(more=more), hosts)
            self.assertEqual(checks, [it.check for it in found], more)
        limit = '[scheduler]\nmax_placement_results = 100'
        found = self.found(limit, 100)
        self.assertIn('truncation', [it.check for it in found])

    def test_invalid(self):
        """What the scheduler does not start with is told, all of it."""
        for more, subject, words in (
            ('mode = on', '[edge_filters] mode', 'off, observe, enforce'),
            ('max_age = soon', '[edge_filters] max_age', "'soon'"),
            ('mode = $mode', '[edge_filters] mode', 'it refers to itself'),
            (
                '[filter_scheduler]\nhost_subset_size =',
                '[filter_scheduler] host_subset_size',
                'it is empty',
            ),
            ('rtt_band_ms = 400', '[edge_filters] rtt_band_ms', '300'),
            (
                '[scheduler]\nmax_placement_results = 0',
                '[scheduler] max_placement_results',
                '1',
            ),
        ):
            (found,) = self.found(self.enforced(more=more))
            self.assertEqual(('option-invalid', subject), found[:2])
            self.assertIn(words, found.what)
            self.assertNotIn('LocationInfo', found.what)
        found = self.found('[edge_filters]\nmode = on\nmax_age = 0\n')
        self.assertEqual(2, [it.check for it in found].count('option-invalid'))

    def test_substitution(self):
        """What refers to Nova's other options is not known, nor wrong."""
        more = 'map_files = $state_path/maps.json'
        (found,) = self.found(self.enforced(more=more))
        self.assertEqual(
            ('option-not-checked', '[edge_filters] map_files'), found[:2]
        )
