# SPDX-License-Identifier: Apache-2.0

from nova.scheduler import utils

from edge_filters.scheduler import multiplier
from tests.unit.scheduler import base

KEY = 'edge_latency_weight_multiplier'


class MultipliersTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.multipliers = multiplier.Multipliers(1500.0)

    def _set(self, *values):
        """Put a host in aggregates with these values; None: without one."""
        aggregates = {
            number: base.aggregate(
                number, {} if value is None else {KEY: value}, ['H', 'i']
            )
            for number, value in enumerate(values)
        }
        self.watch.update(lambda: aggregates)
        self.multipliers.refresh()
        (state,) = base.host_states('h')
        state.aggregates = list(aggregates.values())
        return state

    def test_means_what_nova_means(self):
        """The smallest value of the aggregates counts, else the option."""
        for values in (
            (),
            (None,),
            ('2',),
            (None, '0'),
            ('3', '2.5'),
            ('1500', '2000'),
        ):
            state = self._set(*values)
            self.assertEqual(
                utils.get_weight_multiplier(state, KEY, 1500.0),
                self.multipliers.of(state.host),
            )
            self.assertEqual(1500, self.multipliers.of('other'))

    def test_not_a_multiplier(self):
        """A value that cannot be is ignored, named once, and costs no other.

        Nova's own function would take NaN, and far before near.
        """
        for value in ('nan', 'inf', '-1', 'x', '', '1e10'):
            self.multipliers = multiplier.Multipliers(1500.0)
            self.log.reset_output()
            for values, expected in (((value,), 1500.0), ((value, '7'), 7.0)):
                self._set(*values)
                self.assertEqual(expected, self.multipliers.of('h'))
            self.assertEqual(1, self.log.output.count('it is ignored'))

    def test_read_once(self):
        """It is read when an aggregate that has one changes, and only then."""
        state = self._set('2', '9', None)
        self.patch(self.multipliers, '_value', lambda aggregate: 1 / 0)
        first, second, _ = state.aggregates
        changed = base.aggregate(2, {'edge:site': 'par'}, ['h'])
        self.watch.update(lambda: dict(enumerate((first, second, changed))))
        self.multipliers.refresh()
        self.assertEqual(2, self.multipliers.of('h'))

    def test_taken_away(self):
        """Where an aggregate loses its value, or goes, the others count."""
        self._set('2', '9')
        self.assertEqual(2, self.multipliers.of('h'))
        self._set(None, '9')
        self.assertEqual(9, self.multipliers.of('h'))
        self._set(None)
        self.assertEqual(1500, self.multipliers.of('h'))
