# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st

from edge_filters.scheduler import latency_filter
from edge_filters.scheduler import site_filter
from tests.unit.origins import test_request
from tests.unit.scheduler import base

SITES = (
    (
        {
            'edge:site': 'par',
            'edge:rtt:paris': '4',
            'edge:host_rtt:par-2:paris': '30',
        },
        ['par-1', 'par-2'],
    ),
    ({'edge:site': 'lyo', 'edge:rtt:paris': '9'}, ['lyo-1']),
    (
        {'edge:site': 'old', 'edge:rtt:paris': '1 at=2020-01-01T00:00:00Z'},
        ['old-1'],
    ),
    ({'edge:site': 'off', 'edge:rtt:paris': '- loss=100'}, ['off-1']),
    ({'edge:site': 'new', 'edge:rtt:lyon': '1'}, ['new-1']),
    ({'availability_zone': 'az'}, ['zone-1']),
)
HOSTS = (
    'par-1',
    'par-2',
    'lyo-1',
    'old-1',
    'off-1',
    'new-1',
    'zone-1',
    'none-1',
)


class FilterTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.set_sites(*SITES)
        self.latency = latency_filter.EdgeLatencyFilter()
        self.site = site_filter.EdgeSiteFilter()

    def passing(self, tested, spec, hosts=HOSTS):
        states = base.host_states(*hosts)
        return [state.host for state in tested.filter_all(states, spec)]


class LatencyFilterTest(FilterTestCase):
    def test_budget(self):
        """With a budget only what is measured, fresh and near passes."""
        for hints, extra_specs in (
            ({'edge:origin': ['paris'], 'edge:max_rtt_ms': ['10']}, {}),
            ({}, {'edge:origin': 'paris', 'edge:max_rtt_ms': '10'}),
            ({'edge:origin': ['paris']}, {'edge:max_rtt_ms': '10'}),
        ):
            spec = base.request_spec(hints, extra_specs)
            self.assertEqual(
                ['par-1', 'lyo-1'], self.passing(self.latency, spec)
            )

    def test_no_budget(self):
        """Without a budget all pass but the unreachable."""
        spec = base.request_spec({'edge:origin': ['paris']})
        self.assertEqual(
            [host for host in HOSTS if host != 'off-1'],
            self.passing(self.latency, spec),
        )

    def test_nothing_near_enough(self):
        """Where no host passes the log says how far the nearest are."""
        spec = base.request_spec(
            {'edge:origin': ['paris'], 'edge:max_rtt_ms': ['2']}
        )
        self.assertEqual([], self.passing(self.latency, spec))
        self.assertIn(
            f'EdgeLatencyFilter refuses every host for server {base.UUID}: '
            'old is 1 ms from paris',
            self.log.output,
        )
        self.assertIn('par is 4 ms from paris, over 2 ms', self.log.output)
        self.assertEqual(1, self.log.output.count('refuses'))


class SiteFilterTest(FilterTestCase):
    def test_sites(self):
        """A server runs at the sites it asks for, and at none it avoids."""
        for hints, hosts in (
            ({'edge:site': ['par']}, ['par-1', 'par-2']),
            ({'edge:site': ['Par', 'lyo']}, ['par-1', 'par-2', 'lyo-1']),
            (
                {'edge:site': ['par', 'lyo'], 'edge:avoid_site': ['par']},
                ['lyo-1'],
            ),
            ({'edge:site': ['nowhere']}, []),
        ):
            spec = base.request_spec(hints)
            self.assertEqual(hosts, self.passing(self.site, spec))

    def test_avoid(self):
        """Hosts in no site are not at a site to be avoided."""
        spec = base.request_spec(
            {'edge:avoid_site': ['par', 'lyo', 'old', 'off', 'new']}
        )
        self.assertEqual(['zone-1', 'none-1'], self.passing(self.site, spec))


class EveryFilterTest(FilterTestCase):
    def test_says_nothing(self):
        """A server that says nothing about the edge passes everywhere."""
        for spec in (
            base.request_spec(),
            base.request_spec({'group': ['x']}, {'hw:mem_page_size': 'any'}),
        ):
            for tested in (self.latency, self.site):
                states = base.host_states(*HOSTS)
                self.assertIs(states, tested.filter_all(states, spec))

    def test_rebuild(self):
        """A rebuild stays where it is, whatever the hints and figures."""
        spec = base.request_spec(
            {
                '_nova_check_type': ['rebuild'],
                'edge:origin': ['paris'],
                'edge:max_rtt_ms': ['junk'],
                'edge:site': ['lyo'],
            }
        )
        for tested in (self.latency, self.site):
            self.assertEqual(list(HOSTS), self.passing(tested, spec))

    def test_bad_hint(self):
        """With a hint that cannot be read no host passes, and why is said."""
        for hints, message in (
            ({'edge:max_rtt_ms': ['x']}, "hint edge:max_rtt_ms 'x' is not"),
            ({'edge:origin': ['pariss']}, "edge:origin 'pariss' is not known"),
            ({'edge:max_rtt_ms': ['5']}, 'edge:max_rtt_ms needs to know'),
            ({'edge:tear': ['far']}, "hint 'edge:tear' is not known"),
        ):
            for tested in (self.latency, self.site):
                spec = base.request_spec(hints)
                self.assertEqual([], self.passing(tested, spec))
                self.assertIn(message, self.log.output)

    def test_bad_hint_of_a_move(self):
        """A move goes on without the hints that cannot be read, and says so.

        Budgets that can be read still bind.
        """
        spec = base.move_spec(
            {
                'edge:origin': ['paris', 'pariss'],
                'edge:max_rtt_ms': ['10'],
                'edge:site': ['p r'],
            }
        )
        self.assertEqual(['par-1', 'lyo-1'], self.passing(self.latency, spec))
        self.assertEqual(list(HOSTS), self.passing(self.site, spec))
        self.assertEqual(1, self.log.output.count("'pariss' is not known"))
        self.assertEqual(1, self.log.output.count("'p r' is not a name"))

    def test_move_without_origin(self):
        """On a move without a readable origin the budget does not bind."""
        for hints in (
            {'edge:max_rtt_ms': ['1']},
            {'edge:max_rtt_ms': ['1'], 'edge:origin': ['pariss']},
        ):
            spec = base.move_spec(hints)
            self.assertEqual(list(HOSTS), self.passing(self.latency, spec))
        self.assertIn('moves without what it asked for', self.log.output)

    def test_incomplete_spec(self):
        """A spec without hints, flavor or destination raises nothing."""
        for spec in (
            base.objects.RequestSpec(instance_uuid=base.UUID),
            base.objects.RequestSpec(
                instance_uuid=base.UUID,
                scheduler_hints=None,
                requested_destination=None,
                flavor=base.objects.Flavor(),
            ),
        ):
            for tested in (self.latency, self.site):
                self.assertEqual(list(HOSTS), self.passing(tested, spec))

    @hypothesis.given(
        st.dictionaries(
            test_request.NAMES, st.lists(st.text(max_size=9), max_size=2)
        ),
        st.dictionaries(test_request.NAMES, st.text(max_size=9)),
        st.booleans(),
    )
    def test_never_raises(self, hints, extra_specs, is_move):
        """No hint or extra spec that Nova lets through raises."""
        make = base.move_spec if is_move else base.request_spec
        spec = make(hints, extra_specs)
        for tested in (self.latency, self.site):
            self.assertLessEqual(set(self.passing(tested, spec)), set(HOSTS))
