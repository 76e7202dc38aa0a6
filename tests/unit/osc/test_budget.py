# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st

from edge_filters import case
from edge_filters import proximity
from edge_filters import world
from edge_filters.latency import snapshot
from edge_filters.origins import map_file
from edge_filters.osc import budget
from tests.unit import base
from tests.unit import test_proximity
from tests.unit.latency import test_snapshot

NOW, FRESH, OLD = test_proximity.NOW, test_proximity.FRESH, test_proximity.OLD
PLACE = snapshot.Place(('par',), '')

FIGURES = st.sampled_from(
    (
        None,
        '12.4',
        '12.3456 jitter=3 loss=1 n=900',
        f'9 jitter=0.5 loss=0 n=20 {FRESH}',
        f'9 loss=0 n=2 {FRESH}',
        f'30 jitter=2 {OLD}',
        f'- loss=100 n=20 {FRESH}',
        f'- loss=100 n=20 {OLD}',
    )
)
ASKED = st.fixed_dictionaries(
    {'edge:origin': st.sampled_from((['paris'], ['paris', 'lyon'], ['nice']))},
    optional={
        'edge:max_rtt_ms': st.sampled_from(('5', '10', '20')),
        'edge:max_jitter_ms': st.sampled_from(('0', '1', '9')),
        'edge:max_loss_pct': st.sampled_from(('0', '0.1', '2')),
        'edge:unmeasured': st.sampled_from(('reject', 'estimate', 'accept')),
    },
)


def decide(asked, **figures):
    """Make the case of a boot, with one site and a neighbour of it."""
    sites = test_snapshot.world(
        test_snapshot.record(
            'par', ['p'], **{k: v for k, v in figures.items() if v}
        ),
        test_snapshot.record(
            'nice',
            ['n'],
            edge__prefixes='192.0.2.0/24',
            edge__site_rtt__par='7.7',
            paris='1',
            lyon='1',
        ),
    )
    known = world.World(sites, map_file.MapFile())
    return case.Case(known, test_proximity.RULES, NOW, asked, None)


class NeededTest(base.TestCase):
    def assert_needs(self, expected, asked, **figures):
        decided = decide(
            {'edge:origin': ['paris']}
            | {f'edge:{name}': value for name, value in asked.items()},
            **figures,
        )
        self.assertEqual('', decided.refusal)
        self.assertEqual(
            {f'edge:{name}': value for name, value in expected.items()},
            budget.needed(decided, PLACE, NOW),
        )

    def test_limits(self):
        """What has to give way is the limits that are too narrow, alone."""
        asked = {'max_rtt_ms': '5', 'max_jitter_ms': '4', 'max_loss_pct': '1'}
        figure = f'12.3456 jitter=3 loss=2 n=900 {FRESH}'
        self.assert_needs(
            {'max_rtt_ms': '12.346', 'max_loss_pct': '2'}, asked, paris=figure
        )
        self.assert_needs(
            {'max_loss_pct': '15'},
            {'max_loss_pct': '1'},
            paris=f'9 loss=0 n=20 {FRESH}',
        )

    def test_unmeasured(self):
        """What nobody has measured needs another meaning, the strictest."""
        self.assert_needs({'unmeasured': 'accept'}, {'max_rtt_ms': '5'})
        self.assert_needs(
            {'unmeasured': 'estimate', 'max_rtt_ms': '12.7'},
            {'max_rtt_ms': '5', 'origin': ['nice']},
        )
        self.assert_needs(
            {'unmeasured': 'accept'},
            {'max_jitter_ms': '5'},
            paris='4',
        )

    def test_nothing_will_do(self):
        """Where nobody can be reached, or who knows how far, nothing will."""
        self.assert_needs({}, {'max_rtt_ms': '5'}, paris='- loss=100')
        self.assert_needs({}, {'max_rtt_ms': '5'}, edge__rtt_default='>50')

    @hypothesis.given(ASKED, FIGURES, FIGURES)
    def test_enough_and_no_more(self, asked, paris, lyon):
        """With what is needed a place passes; with less it does not."""
        figures = {'paris': paris, 'lyon': lyon}
        decided = decide(asked, **figures)
        hypothesis.assume(not decided.refusal)
        if decided.judge_latency(PLACE).passes:
            return
        needs = budget.needed(decided, PLACE, NOW)

        def passes(terms):
            again = decide(asked | terms, **figures)
            self.assertEqual('', again.refusal)
            return again.judge_latency(PLACE).passes

        if needs:
            self.assertTrue(passes(needs), needs)
            for name in needs:
                rest = {it: value for it, value in needs.items() if it != name}
                self.assertFalse(passes(rest), name)
        else:
            widest = {'edge:unmeasured': 'accept'}
            for term in ('max_rtt_ms', 'max_jitter_ms', 'max_loss_pct'):
                if f'edge:{term}' in asked:
                    widest[f'edge:{term}'] = '100'
            self.assertFalse(passes(widest))
            self.assertIs(
                proximity.Provenance.UNREACHABLE,
                decided.judge_latency(PLACE).provenance,
            )
