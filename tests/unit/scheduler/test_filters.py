# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st
from nova.scheduler import filters

from edge_filters.scheduler import latency_filter
from edge_filters.scheduler import site_filter
from tests.unit.origins import test_request
from tests.unit.scheduler import base

NOW = 1795428000.0  # 2026-11-23T10:00:00Z
SITES = (
    (
        {
            'edge:site': 'par',
            'edge:rtt:paris': '4',
            'edge:host_rtt:par-2:paris': '30',
            'edge:tier': 'far-edge',
        },
        ['par-1', 'par-2'],
    ),
    (
        {'edge:site': 'lyo', 'edge:rtt:paris': '9 at=2026-11-23T09:59:20Z'},
        ['lyo-1'],
    ),
    (
        {'edge:site': 'old', 'edge:rtt:paris': '1 at=2026-11-23T09:19:59Z'},
        ['old-1'],
    ),
    ({'edge:site': 'off', 'edge:rtt:paris': '- loss=100'}, ['off-1']),
    ({'edge:site': 'new', 'edge:rtt:lyon': '1'}, ['new-1']),
    ({'availability_zone': 'az'}, ['zone-1']),
)
HOSTS = (
    *('par-1', 'par-2', 'lyo-1', 'old-1', 'off-1', 'new-1', 'zone-1'),
    'none-1',
)
PARIS = {'edge:origin': ['paris']}
BAD_HINTS = (
    ({'edge:max_rtt_ms': ['x']}, "hint edge:max_rtt_ms 'x' is not"),
    ({'edge:origin': ['pariss']}, 'edge:origin pariss is not known'),
    ({'edge:max_rtt_ms': ['5']}, 'the budget of the server needs to know'),
    ({'edge:tear': ['far']}, "hint 'edge:tear' is not known"),
)


class FilterTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.patch(base.decision.time, 'time', lambda: NOW)
        self.enable('EdgeSiteFilter', 'EdgeLatencyFilter')
        self.set_sites(*SITES)

    def enable(self, *names):
        self.set_options('filter_scheduler', enabled_filters=list(names))

    def passing_all(self, hints, make=base.request_spec):
        """Names of the hosts that pass the filters, as Nova runs them."""
        classes = {
            'EdgeSiteFilter': site_filter.EdgeSiteFilter,
            'EdgeLatencyFilter': latency_filter.EdgeLatencyFilter,
        }
        names = base.nova.conf.CONF.filter_scheduler.enabled_filters
        passing = filters.HostFilterHandler().get_filtered_objects(
            [classes[name]() for name in names],
            base.host_states(*HOSTS),
            make(hints),
        )
        return [state.host for state in passing]

    def passing(self, filter_class, spec, hosts=HOSTS, **instances):
        """Names of the hosts that pass.

        :param instances: servers on a host, as the host's name without "-"
        """
        states = base.host_states(*hosts)
        for state in states:
            state.instances = instances.get(state.host.replace('-', ''), {})
        tested = filter_class()
        return [state.host for state in tested.filter_all(states, spec)]

    def passing_latency(self, spec, **how):
        return self.passing(latency_filter.EdgeLatencyFilter, spec, **how)

    def passing_site(self, spec, **how):
        return self.passing(site_filter.EdgeSiteFilter, spec, **how)

    def assert_one_line(self, text):
        """The log has this text, in the only line of a decision."""
        self.assertIn(text, self.log.output)
        self.assertEqual(1, self.log.output.count('Edge decision'))


class LatencyFilterTest(FilterTestCase):
    def test_budget(self):
        """With a budget only what is measured, fresh and near passes."""
        for hints, extra_specs in (
            ({**PARIS, 'edge:max_rtt_ms': ['10']}, {}),
            ({}, {'edge:origin': 'paris', 'edge:max_rtt_ms': '10'}),
            (PARIS, {'edge:max_rtt_ms': '10'}),
        ):
            spec = base.request_spec(hints, extra_specs)
            self.assertEqual(['par-1', 'lyo-1'], self.passing_latency(spec))

    def test_no_budget(self):
        """Without a budget all pass but the unreachable."""
        spec = base.request_spec(PARIS)
        self.assertEqual(
            [host for host in HOSTS if host != 'off-1'],
            self.passing_latency(spec),
        )

    def test_max_age(self):
        """max_age decides what is stale."""
        spec = base.request_spec({**PARIS, 'edge:max_rtt_ms': ['5']})
        self.assertEqual(['par-1'], self.passing_latency(spec))
        self.set_options(max_age=2401)
        self.assertEqual(['par-1', 'old-1'], self.passing_latency(spec))

    def test_estimates(self):
        """access_rtt_ms and estimate_ms_per_km make the estimates."""
        self.set_sites(
            (
                {
                    'edge:site': 'par',
                    'edge:latitude': '0',
                    'edge:longitude': '0',
                },
                ['par-1'],
            )
        )
        spec = base.request_spec(
            {
                'edge:near': ['0,10'],  # 1112 km
                'edge:unmeasured': ['estimate'],
                'edge:max_rtt_ms': ['34'],
            }
        )
        self.assertEqual([], self.passing_latency(spec))
        self.set_options(access_rtt_ms=3.0)
        self.assertEqual(['par-1'], self.passing_latency(spec))
        self.set_options(access_rtt_ms=5.0, estimate_ms_per_km=0.02)
        self.assertEqual(['par-1'], self.passing_latency(spec))

    def test_decision(self):
        """A decision has one line: who, whence, how many, how near."""
        spec = base.request_spec({**PARIS, 'edge:max_rtt_ms': ['10']})
        self.passing_latency(spec)
        self.assert_one_line(
            f'Edge decision (enforce) for server {base.UUID}, origin paris '
            '(hint): 2 of 8 hosts pass; nearest: par is 4 ms from paris, '
            'within 10 ms.'
        )

    def test_decision_without_users(self):
        """Where nobody is served no site is the nearest."""
        spec = base.request_spec({'edge:site': ['par', 'lyo']})
        self.passing_latency(spec)
        self.assert_one_line('no origin: 8 of 8 hosts pass.')

    def test_decision_of_a_flavor(self):
        """The line says who told where the users are."""
        spec = base.request_spec({}, {'edge:origin': 'paris,lyon'})
        self.passing_latency(spec)
        self.assert_one_line('origin paris, lyon (flavor): 7 of 8 hosts pass')

    def test_nothing_near_enough(self):
        """Where no host passes the line has the nearest sites, each once."""
        spec = base.request_spec({**PARIS, 'edge:max_rtt_ms': ['2']})
        self.assertEqual([], self.passing_latency(spec))
        self.assert_one_line(
            'origin paris (hint): no host passes: old is 1 ms from paris '
            '(2401 s old), too old for a budget; par is 4 ms from paris, over '
            '2 ms; lyo is 9 ms from paris (40 s old), over 2 ms; and 3 more.'
        )

    def test_nearest_of_one_site(self):
        """Of the hosts of one site the line names the nearest."""
        spec = base.request_spec({**PARIS, 'edge:max_rtt_ms': ['2']})
        self.passing_latency(spec, hosts=('par-2', 'par-1'))
        self.assert_one_line('no host passes: par is 4 ms from paris, over')
        self.passing_latency(spec, hosts=('par-2',))
        self.assertIn('host par-2 of par is 30 ms', self.log.output)


class FallbackTest(FilterTestCase):
    """The nearest that is known, where no candidate meets the budget."""

    HINTS = {**PARIS, 'edge:max_rtt_ms': ['2']}  # noqa: RUF012
    KNOWN = ['par-1', 'par-2', 'lyo-1', 'old-1']  # noqa: RUF012

    def test_by_hint(self):
        """edge:fallback says for what the nearest will do."""
        for fallback, boots, moves in (
            ('none', [], []),
            ('moves', [], self.KNOWN),
            ('nearest', self.KNOWN, self.KNOWN),
        ):
            hints = {**self.HINTS, 'edge:fallback': [fallback]}
            for spec, hosts in (
                (base.request_spec(hints), boots),
                (base.move_spec(hints), moves),
            ):
                self.assertEqual(hosts, self.passing_latency(spec))

    def test_by_option(self):
        """The option fallback holds for servers that do not say."""
        self.set_options(fallback='moves')
        spec = base.move_spec(self.HINTS)
        self.assertEqual(self.KNOWN, self.passing_latency(spec))
        self.assert_one_line(
            '4 of 8 hosts are known, and none meets the budget: fallback; '
            'nearest: old is 1 ms from paris'
        )
        spec = base.move_spec({**self.HINTS, 'edge:fallback': ['none']})
        self.assertEqual([], self.passing_latency(spec))

    def test_only_where_needed(self):
        """Where a host meets the budget nothing falls back."""
        hints = {**PARIS, 'edge:max_rtt_ms': ['5']}
        spec = base.request_spec({**hints, 'edge:fallback': ['nearest']})
        self.assertEqual(['par-1'], self.passing_latency(spec))

    def test_nothing_known(self):
        """What is unknown or unreachable is no way out."""
        spec = base.request_spec({**self.HINTS, 'edge:fallback': ['nearest']})
        hosts = ('off-1', 'new-1', 'none-1')
        self.assertEqual([], self.passing_latency(spec, hosts=hosts))


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
            ({'edge:tier': ['far-edge']}, ['par-1', 'par-2']),
            ({'edge:tier': ['core']}, []),
        ):
            spec = base.request_spec(hints)
            self.assertEqual(hosts, self.passing_site(spec))

    def test_avoid(self):
        """Hosts in no site are not at a site to be avoided."""
        spec = base.request_spec(
            {'edge:avoid_site': ['par', 'lyo', 'old', 'off', 'new']}
        )
        self.assertEqual(['zone-1', 'none-1'], self.passing_site(spec))
        self.assertEqual('', self.log.output)

    def test_no_site_left(self):
        """Where no host passes the line says why."""
        spec = base.request_spec({'edge:site': ['x']})
        self.passing_site(spec, hosts=('par-1', 'none-1'))
        self.assert_one_line(
            'no origin: no host passes: a host without a site is not among '
            'the sites: x; par is not among the sites: x.'
        )


class StatusTest(FilterTestCase):
    def setUp(self):
        super().setUp()
        self.set_sites(
            ({'edge:site': 'on'}, ['on-1']),
            (
                {'edge:site': 'drain', 'edge:status': 'draining'},
                ['drain-1', 'drain-2'],
            ),
            ({'edge:site': 'off', 'edge:status': 'inactive'}, ['off-1']),
        )
        self.hosts = ('on-1', 'drain-1', 'drain-2', 'off-1')

    def _passing(self, spec, **instances):
        return self.passing_site(spec, hosts=self.hosts, **instances)

    def test_boot(self):
        """Sites that are not active take no boots, edge or not."""
        for hints in (None, {}, {'edge:avoid_site': ['x']}):
            spec = base.request_spec(hints)
            self.assertEqual(['on-1'], self._passing(spec))

    def test_move(self):
        """A move within a draining site is allowed, a move in is not."""
        for hints in (None, {'edge:avoid_site': ['x']}):
            for source, hosts in (
                ('on-1', ['on-1']),
                ('drain-1', ['on-1', 'drain-1', 'drain-2']),
                ('off-1', ['on-1']),
                ('elsewhere', ['on-1']),
                (None, ['on-1']),
            ):
                spec = base.move_spec(hints, source=source)
                self.assertEqual(hosts, self._passing(spec))

    def test_resize_on_the_same_host(self):
        """A server that may stay on its host is known by being there."""
        here = {base.UUID: object()}
        self.assertEqual(
            ['on-1', 'drain-1', 'drain-2'],
            self._passing(base.move_spec(), drain2=here),
        )
        self.assertEqual(['on-1'], self._passing(base.move_spec(), off1=here))
        # A boot does not stay anywhere.
        spec = base.request_spec()
        self.assertEqual(['on-1'], self._passing(spec, drain2=here))

    def test_source_that_is_no_candidate(self):
        """Where the source has no room the scheduler's memory has it."""
        self.patch(base.nova_compat, 'host_of', {base.UUID: 'drain-2'}.get)
        self.assertEqual(
            ['on-1', 'drain-1', 'drain-2'], self._passing(base.move_spec())
        )

    def test_several_ignored_hosts(self):
        """The first host that a move ignores is the one it comes from."""
        for ignored, hosts in (
            (['drain-1', 'on-1'], ['on-1', 'drain-1', 'drain-2']),
            (['on-1', 'drain-1'], ['on-1']),
        ):
            spec = base.move_spec()
            spec.ignore_hosts = ignored
            self.assertEqual(hosts, self._passing(spec))

    def test_ignored_hosts_of_a_boot(self):
        """A host that a boot ignores is not where it comes from."""
        spec = base.request_spec(ignore_hosts=['drain-1'])
        self.assertEqual(['on-1'], self._passing(spec))


class MoveTest(FilterTestCase):
    def test_bad_hints(self):
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
        self.assertEqual(['par-1', 'lyo-1'], self.passing_latency(spec))
        self.assertEqual(list(HOSTS), self.passing_site(spec))
        self.assertEqual(1, self.log.output.count('pariss is not known'))
        self.assertEqual(1, self.log.output.count("'p r' is not a name"))

    def test_of_another_server(self):
        """The warnings of one server do not silence those of another."""
        for server in (base.UUID, base.UUID.replace('5', '6')):
            spec = base.move_spec({'edge:origin': ['pariss']})
            spec.instance_uuid = server
            self.passing_latency(spec)
        self.assertEqual(2, self.log.output.count('pariss is not known'))

    def test_across_cells(self):
        """A move to a named host that may leave the cell is a move."""
        spec = base.move_spec({'edge:origin': ['pariss']})
        spec.requested_destination = base.objects.Destination(
            cell=None, host='par-1'
        )
        self.assertEqual(list(HOSTS), self.passing_latency(spec))

    def test_boot_to_a_named_host(self):
        """A boot to a named host is no move."""
        spec = base.request_spec(
            {'edge:origin': ['pariss']},
            requested_destination=base.objects.Destination(host='par-1'),
        )
        self.assertEqual([], self.passing_latency(spec))

    def test_without_origin(self):
        """On a move without a readable origin the budget does not bind."""
        for hints in (
            {'edge:max_rtt_ms': ['1']},
            {'edge:max_rtt_ms': ['1'], 'edge:origin': ['pariss']},
        ):
            spec = base.move_spec(hints)
            self.assertEqual(list(HOSTS), self.passing_latency(spec))
        self.assertIn('moves without what it asked for', self.log.output)

    def test_stand_in(self):
        """Without an origin the line says whose site stands in."""
        spec = base.move_spec({'edge:avoid_site': ['x']}, source='lyo-1')
        self.passing_latency(spec)
        self.assert_one_line(
            'no origin, so near lyo: 8 of 8 hosts pass; nearest: lyo is about '
            '5 ms from lyo.'
        )


class ModeTest(FilterTestCase):
    HINTS = {**PARIS, 'edge:max_rtt_ms': ['2']}  # noqa: RUF012

    def _passing(self, hints):
        spec = base.request_spec(hints)
        return [self.passing_site(spec), self.passing_latency(spec)]

    def test_off(self):
        """off: nothing is decided, and nothing logged."""
        self.set_options(mode='off')
        for hints in (self.HINTS, {'edge:site': ['x']}, BAD_HINTS[0][0]):
            self.assertEqual([list(HOSTS)] * 2, self._passing(hints))
        self.assertEqual('', self.log.output)

    def test_observe(self):
        """observe: all hosts pass; one line says what would have been."""
        self.set_options(mode='observe')
        for hints, outcome in (
            (
                {**PARIS, 'edge:max_rtt_ms': ['10']},
                '2 of 8 hosts pass; nearest: par is 4 ms',
            ),
            (self.HINTS, 'no host passes: old is 1 ms'),
            (
                {**PARIS, 'edge:avoid_site': ['par']},
                '5 of 6 hosts pass; nearest: old is 1 ms',
            ),
            ({'edge:site': ['x']}, 'no host passes: a host without a site is'),
            (BAD_HINTS[0][0], f'refused: {BAD_HINTS[0][1]}'),
        ):
            self.log.reset_output()
            self.assertEqual([list(HOSTS)] * 2, self._passing(hints))
            self.assert_one_line('Edge decision (observe)')
            self.assertIn(outcome, self.log.output)

    def test_observe_without_the_other(self):
        """Each filter says what it would do where the other is not enabled."""
        self.set_options(mode='observe')
        self.enable('EdgeLatencyFilter')
        spec = base.request_spec({**PARIS, 'edge:avoid_site': ['par']})
        self.passing_latency(spec)
        self.assertIn('7 of 8 hosts pass', self.log.output)
        self.passing_latency(base.request_spec(BAD_HINTS[0][0]))
        self.assertIn('refused: ', self.log.output)

    def test_observe_status(self):
        """A site that is not active takes servers where we only observe."""
        self.set_sites(
            ({'edge:site': 'par', 'edge:status': 'inactive'}, HOSTS)
        )
        self.set_options(mode='observe')
        self.assertEqual([list(HOSTS)] * 2, self._passing({}))
        self.assert_one_line('no host passes: par is inactive')


class OrderTest(FilterTestCase):
    """Both filters in either order, or one of them, as Nova runs them."""

    CASES = (
        ({**PARIS, 'edge:max_rtt_ms': ['10']}, ['par-1', 'lyo-1']),
        ({**PARIS, 'edge:max_rtt_ms': ['2']}, []),
        (
            {
                **PARIS,
                'edge:max_rtt_ms': ['5'],
                'edge:avoid_site': ['par'],
                'edge:fallback': ['nearest'],
            },
            ['lyo-1', 'old-1'],
        ),
        ({**PARIS, 'edge:site': ['x']}, []),
        ({'edge:site': ['lyo']}, ['lyo-1']),
        (BAD_HINTS[0][0], []),
    )

    def test_order(self):
        """The order of the two filters changes neither outcome nor log."""
        for hints, hosts in self.CASES:
            for mode in ('enforce', 'observe'):
                self.set_options(mode=mode)
                lines = set()
                for names in (
                    ('EdgeSiteFilter', 'EdgeLatencyFilter'),
                    ('EdgeLatencyFilter', 'EdgeSiteFilter'),
                ):
                    self.enable(*names)
                    self.log.reset_output()
                    expected = hosts if mode == 'enforce' else list(HOSTS)
                    self.assertEqual(expected, self.passing_all(hints))
                    self.assert_one_line('Edge decision')
                    lines.add(self.log.output.strip('\0'))
                self.assertEqual(1, len(lines), lines)

    def test_alone(self):
        """Each filter alone has one line for each decision too."""
        for name in ('EdgeSiteFilter', 'EdgeLatencyFilter'):
            self.enable(name)
            for mode in ('enforce', 'observe'):
                self.set_options(mode=mode)
                for hints, _ in self.CASES:
                    if name == 'EdgeSiteFilter' and hints == self.CASES[0][0]:
                        continue
                    if name == 'EdgeSiteFilter' and hints == self.CASES[1][0]:
                        continue
                    self.log.reset_output()
                    self.passing_all(hints)
                    self.assert_one_line('Edge decision')


class EveryFilterTest(FilterTestCase):
    def _filters(self):
        return (
            latency_filter.EdgeLatencyFilter(),
            site_filter.EdgeSiteFilter(),
        )

    def test_says_nothing(self):
        """A server that says nothing about the edge passes everywhere."""
        for spec in (
            base.request_spec(),
            base.request_spec({'group': ['x']}, {'hw:mem_page_size': 'any'}),
            base.move_spec(source='par-1'),
        ):
            for tested in self._filters():
                states = base.host_states(*HOSTS)
                self.assertEqual(states, tested.filter_all(states, spec))
        self.assertEqual('', self.log.output)

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
        self.assertEqual(list(HOSTS), self.passing_latency(spec))
        self.assertEqual(list(HOSTS), self.passing_site(spec))

    def test_bad_hint(self):
        """With a hint that cannot be read no host passes, and why is said."""
        for hints, message in BAD_HINTS:
            for passing in (self.passing_latency, self.passing_site):
                self.log.reset_output()
                self.assertEqual([], passing(base.request_spec(hints)))
                self.assert_one_line('refused: ')
                self.assertIn(message, self.log.output)

    def test_all_that_is_wrong(self):
        """The line says all that is wrong, up to a length."""
        spec = base.request_spec(
            {f'edge:x{number}': ['y' * 10000] for number in range(1000)}
        )
        self.assertEqual([], self.passing_latency(spec))
        self.assertIn("'edge:x0' is not", self.log.output)
        self.assertIn("'edge:x4' is not", self.log.output)
        self.assertLess(len(self.log.output), 2000)

    def test_incomplete_spec(self):
        """A spec without hints, flavor or destination raises nothing."""
        for spec in (
            base.objects.RequestSpec(),
            base.objects.RequestSpec(
                scheduler_hints=None,
                requested_destination=None,
                flavor=base.objects.Flavor(),
            ),
            base.objects.RequestSpec(
                scheduler_hints={'edge:site': ['x'], 'edge:origin': ['paris']},
                requested_destination=base.objects.Destination(cell=None),
            ),
        ):
            self.assertIn(len(self.passing_latency(spec)), (7, 8))
            self.assertIn(len(self.passing_site(spec)), (0, 8))

    def test_no_tracked_servers(self):
        """Hosts whose servers Nova does not track raise nothing."""
        spec = base.move_spec({'edge:avoid_site': ['x']})
        states = base.host_states(*HOSTS)
        states[0].instances = None
        for tested in self._filters():
            self.assertEqual(states, list(tested.filter_all(states, spec)))

    def test_long_lists(self):
        """The line has a few of the origins in it, and how many more."""
        keys = {f'edge:rtt:o{number}': '1' for number in range(16)}
        self.set_sites(({'edge:site': 'par', **keys}, HOSTS))
        spec = base.request_spec(
            {'edge:origin': [f'o{number}' for number in range(16)]}
        )
        self.passing_latency(spec)
        self.assert_one_line('origin o0, o1, o2, o3, o4, 11 more (hint)')

    def test_no_candidates(self):
        """Without candidates there is nothing to decide or to say."""
        spec = base.request_spec({**PARIS, 'edge:site': ['par']})
        for passing in (self.passing_latency, self.passing_site):
            self.assertEqual([], passing(spec, hosts=()))
        self.assertEqual('', self.log.output)

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
        for tested in self._filters():
            states = base.host_states(*HOSTS)
            self.assertLessEqual(
                set(tested.filter_all(states, spec)), set(states)
            )
