# SPDX-License-Identifier: Apache-2.0

import time

from edge_filters.osc import check_figures
from tests.unit import nova_api
from tests.unit.osc import base


class FiguresTest(base.WorldTestCase):
    def found(self):
        """Return what is wrong with the figures."""
        return list(check_figures.findings(self.world(), time.time(), 2400))

    def assert_found(self, *expected):
        """Check which findings there are, and about what."""
        self.assertEqual(list(expected), [it[:2] for it in self.found()])

    def test_between(self):
        """Two sites are as far from each other either way."""
        for there, back, checks in (
            ('5', None, []),
            ('5', '6.9', []),
            ('5', '7.1', ['site-rtt-asymmetric']),
            ('50', '60', []),
            ('50', '63', ['site-rtt-asymmetric']),
            ('- loss=100 n=20', '- loss=100 n=20', []),
            ('- loss=100 n=20', '5', ['site-rtt-asymmetric']),
        ):
            self.nova.aggregates.clear()
            self.site(edge__site_rtt__lyo=there)
            self.site('lyo', ['lyo-1'])
            if back:
                self.nova.aggregates[2]['metadata']['edge:site_rtt:par'] = back
            found = self.found()
            self.assertEqual(checks, [it.check for it in found], there)
            self.assertEqual(['lyo'] * len(checks), [it[1] for it in found])

    def test_unread(self):
        """A figure to a site that there is not is told."""
        self.site(edge__site_rtt__lyo='5')
        (found,) = self.found()
        self.assertEqual(('site-rtt-unread', 'par'), found[:2])
        self.assertIn('edge:site_rtt:lyo', found.what)

    def test_clock(self):
        """Figures from the future are told, with who has them."""
        self.site(
            edge__rtt__paris=f'4 at={nova_api.ago(-300)} by=icmp',
            edge__rtt__lyon=f'9 at={nova_api.ago(-30)} by=tcp',
        )
        (found,) = self.found()
        self.assertEqual(('clock-ahead', 'par'), found[:2])
        self.assertIn('1 of 2 figures (by icmp) from up to', found.what)

    def test_stale(self):
        """One figure in five may be stale; those that do not age are none."""
        fresh, stale = nova_api.ago(60), nova_api.ago(7260)
        figures = {
            f'edge__rtt__o-{number}': f'4 at={fresh}' for number in range(4)
        }
        by_hand = {f'edge__rtt__h-{number}': '4' for number in range(9)}
        self.site(**by_hand, **figures)
        self.assert_found()
        metadata = self.nova.aggregates[1]['metadata']
        metadata['edge:rtt_default'] = f'90 at={stale}'
        self.assert_found()
        metadata['edge:rtt:o-0'] = f'4 at={stale}'
        (found,) = self.found()
        self.assertEqual(('figures-stale', 'par'), found[:2])
        self.assertIn('2 of 5 that age', found.what)
        self.assertIn('oldest of 2 h', found.what)

    def test_contradictions(self):
        """The aggregates of one site say the same, where they say it."""
        for key, one, other, check in (
            ('edge:tier', 'far', 'FAR', None),
            ('edge:tier', 'far', 'core', 'site-contradicts'),
            ('edge:status', 'draining', None, None),
            ('edge:status', 'draining', 'active', 'site-contradicts'),
            ('edge:latitude', '48.85', '45.76', 'site-contradicts'),
            ('edge:rtt:paris', '4', '5', None),
            ('edge:rtt:paris', '4', '9', 'figures-contradict'),
            ('edge:rtt_default', '>50', '>90', 'figures-contradict'),
            ('edge:host_rtt:par-1:lyon', '4', '9', 'figures-contradict'),
        ):
            self.nova.aggregates.clear()
            self.site()['metadata'][key] = one
            twin = self.site(aggregate='twin')
            if other:
                twin['metadata'][key] = other
            found = self.found()
            self.assertEqual(
                [(check, 'par')] if check else [], [it[:2] for it in found]
            )
            if check:
                self.assertIn(' in par, ', found[0].what)
                self.assertIn(' in twin', found[0].what)
