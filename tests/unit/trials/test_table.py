# SPDX-License-Identifier: Apache-2.0

import docutils.core

from tests.trials import table
from tests.unit import base


def results(*trials, edge_filters=True):
    counts = dict.fromkeys((*table.COLUMNS, 'mute_unplaced'), 0)
    counts |= {'active': 33, 'per_minute': 500}
    return {
        'boots': 40,
        'edge_filters': edge_filters,
        'trials': [counts | {'run': 0, 'fault': 'none'} | it for it in trials],
    }


class MedianTest(base.TestCase):
    def test_median(self):
        """The one in the middle counts, and none is the largest of all."""
        for values, expected in (
            ([3, 1, 2], 2),
            ([1, 2], 1.5),
            ([1, None, 2], 2),
            ([None, 1, None], None),
            ([], None),
        ):
            self.assertEqual(expected, table.median(values))

    def test_failed_trial(self):
        """A trial that could not be finished does not count."""
        runs = results(
            {'active': 30},
            {'active': 0, 'failed': 'OSError: Placement'},
            {'active': 40},
        )
        self.assertEqual(35, table.medians(runs, 'none')['active'])


class TableTest(base.TestCase):
    def test_is_rst(self):
        """It may be put into a page as it is."""
        runs = results({'active': 31, 'recovery_s': None}, {'fault': 'broker'})
        for text in (table.of_runs(runs), table.compared(runs, runs)):
            page = docutils.core.publish_string(
                text, settings_overrides={'halt_level': 2}
            )
            self.assertIn(b'broker', page)
        self.assertIn('31 / 31', text)
        self.assertIn('- / -', text)


class RulesTest(base.TestCase):
    def test_kept(self):
        """Servers that stay in BUILD break no rule."""
        runs = results({'stuck': 2, 'error': 9, 'leaked': 3})
        self.assertEqual([], table.broken_rules(runs))

    def test_interrupted(self):
        """A mute one on its way breaks none where nova-compute was killed."""
        for fault, expected in (('scheduler', 1), ('computes', 0)):
            runs = results({'fault': fault, 'mute': 1})
            self.assertEqual(expected, len(table.broken_rules(runs)))

    def test_too_little(self):
        """A trial that tried little, or never recovered, shows nothing."""
        for few in ({'active': 19}, {'per_minute': 449}):
            (sentence,) = table.broken_rules(results(few))
            self.assertIn('too few', sentence)
            few = few | {'fault': 'broker'}
            self.assertEqual([], table.broken_rules(results(few)))
        (sentence,) = table.broken_rules(results({'recovery_s': None}))
        self.assertIn('did not recover', sentence)

    def test_lost_message(self):
        """A stale one does, unless what tells of changes was lost."""
        for fault, expected in (('scheduler', 1), ('broker', 0)):
            runs = results({'fault': fault, 'stale': 1})
            self.assertEqual(expected, len(table.broken_rules(runs)))

    def test_broken(self):
        """Each rule that is broken is named, with where it was."""
        for name in ('outside', 'mute', 'failures', 'unmapped'):
            (sentence,) = table.broken_rules(results({'run': 2, name: 4}))
            self.assertTrue(sentence.startswith('Run 3, none: 4 '), sentence)
        (sentence,) = table.broken_rules(results({'failed': 'OSError: no'}))
        self.assertIn('OSError: no', sentence)

    def test_more(self):
        """The medians, and no single run, are held against stock Nova's."""
        stock = results({'stuck': 3}, {'stuck': 4}, {'stuck': 4})
        ours = results({'stuck': 9}, {'stuck': 4}, {'stuck': 2})
        self.assertEqual([], table.more(ours, stock))
        (sentence,) = table.more(results({'leaked': 1}), stock)
        self.assertEqual('none: 1 leaked, of stock Nova 0.', sentence)

    def test_not_in_stock(self):
        """What stock Nova was not asked is not known to be no more."""
        stock = results({'fault': 'broker'})
        self.assertNotEqual([], table.more(results({}), stock))

    def test_failed(self):
        """What nobody knows, because the trials failed, is no less."""
        ours = results({'failed': 'OSError'})
        self.assertNotEqual([], table.more(ours, results({})))

    def test_unlike(self):
        """Only as many trials of the same, ours and stock, are compared."""
        ours, stock = results({}), results({}, edge_filters=False)
        self.assertEqual([], table.unlike(ours, stock))
        for one, other in (
            (stock, ours),
            (ours, ours),
            (results({}, {}), stock),
            (ours, stock | {'boots': 20}),
            (ours, results({}, {'fault': 'agent'}, edge_filters=False)),
            (ours, results({'failed': 'OSError'}, edge_filters=False)),
        ):
            self.assertEqual(1, len(table.unlike(one, other)))

    def test_stock(self):
        """Stock Nova is compared with; it has none of these to keep."""
        runs = results({'mute_unplaced': 4}, edge_filters=False)
        self.assertEqual([], table.broken_rules(runs))
