# SPDX-License-Identifier: Apache-2.0

from nova.scheduler import utils

from edge_filters.scheduler import multiplier
from tests.unit.scheduler import base

KEY = 'edge_latency_weight_multiplier'


class MultipliersTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.multipliers = multiplier.Multipliers(KEY, 1500.0)

    def _host(self, *values):
        (state,) = base.host_states('h')
        state.aggregates = [
            base.aggregate(number, {} if value is None else {KEY: value}, [])
            for number, value in enumerate(values)
        ]
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
            state = self._host(*values)
            self.assertEqual(
                utils.get_weight_multiplier(state, KEY, 1500.0),
                self.multipliers.of(state),
            )

    def test_not_a_multiplier(self):
        """A value that cannot be is ignored, named once, and costs no other.

        Nova's own function would take NaN, and far before near.
        """
        for value in ('nan', 'inf', '-1', 'x', '', '1e10'):
            self.multipliers = multiplier.Multipliers(KEY, 1500.0)
            self.log.reset_output()
            for values, expected in (((value,), 1500.0), ((value, '7'), 7.0)):
                state = self._host(*values)
                self.assertEqual(expected, self.multipliers.of(state))
            self.assertEqual(1, self.log.output.count('it is ignored'))

    def test_read_once(self):
        """An aggregate is read once, and anew when Nova replaces it."""
        state = self._host('2')
        self.multipliers.of(state)
        state.aggregates[0].metadata[KEY] = '3'
        self.assertEqual(2, self.multipliers.of(state))
        state.aggregates = [base.aggregate(0, {KEY: '3'}, [])]
        self.assertEqual(3, self.multipliers.of(state))
