# SPDX-License-Identifier: Apache-2.0

import operator
import urllib.parse
import zlib

import hypothesis
from hypothesis import strategies as st
from nova import context
from nova import exception
from nova.scheduler import filters
from nova.scheduler import host_manager
from nova.scheduler import request_filter as nova_request_filter
from nova.scheduler import weights
from nova.scheduler.client import report

from edge_filters.latency import metadata
from edge_filters.scheduler import latency_filter
from edge_filters.scheduler import latency_weigher
from edge_filters.scheduler import request_filter
from edge_filters.scheduler import site_filter
from tests.unit.scheduler import base

NOW = 1795428000.0  # 2026-11-23T10:00:00Z
PARIS = {'edge:origin': ['paris']}
BAD = {'edge:max_rtt_ms': ['x']}
CLASSES = {
    'EdgeSiteFilter': site_filter.EdgeSiteFilter,
    'EdgeLatencyFilter': latency_filter.EdgeLatencyFilter,
}
BOTH = tuple(CLASSES)


def within(rtt_ms, **hints):
    """Hints of a server for paris, with a budget."""
    more = {f'edge:{name}': [value] for name, value in hints.items()}
    return {**PARIS, 'edge:max_rtt_ms': [str(rtt_ms)], **more}


def line(count, hosts=1, **keys):
    """Sites s00, s01, ... that are 1, 2, ... ms from paris."""
    return [
        (
            {
                'edge:site': f's{number:02}',
                'edge:rtt:paris': str(number + 1),
                **{f'edge:{key}': value for key, value in keys.items()},
            },
            [f'h{number:02}-{host}' for host in range(hosts)],
        )
        for number in range(count)
    ]


def names(first, last):
    return [f's{number:02}' for number in range(first, last)]


class Placement:
    """Answers as Placement does: from hosts that are in aggregates.

    :ivar hosts: UUIDs of its aggregates, by host
    :ivar full: hosts that have no room
    :ivar pinned: hosts that have CPUs to pin
    :ivar others: providers that are no hosts: (root, traits) by name
    :ivar queries: what it was asked
    """

    def __init__(self):
        self.hosts = {}
        self.full = set()
        self.pinned = set()
        self.others = {}
        self.queries = []

    def get_allocation_candidates(self, _context, resources):
        self.queries.append(resources.to_querystring())
        return self.answer(urllib.parse.parse_qs(self.queries[-1]))

    def candidates(self, members):
        """Hosts that have room, in an order that knows nothing of latency.

        :param members: terms of which each says in which aggregates it is
        """
        return [
            host
            for host in sorted(
                self.hosts, key=lambda it: zlib.crc32(it[1:].encode())
            )
            if host not in self.full
            and all(self._is_member(host, term) for term in members)
        ]

    def _is_member(self, host, term):
        how, _, uuids = term.partition('in:')
        is_in = not self.hosts[host].isdisjoint(uuids.split(','))
        return not is_in if how else is_in

    def answer(self, query):
        hosts = self.candidates(query.get('member_of', ()))
        if 'PCPU' in query['resources'][0]:
            hosts = [host for host in hosts if host in self.pinned]
        if 'limit' in query:
            hosts = hosts[: int(query['limit'][0])]
        summaries = {host: (host, ()) for host in hosts}
        for name, (root, traits) in self.others.items():
            if hosts and (root in hosts or root == name):
                summaries[name] = (root, traits)
        return (
            [{'allocations': {host: {}}} for host in hosts],
            {
                name: {'root_provider_uuid': root, 'traits': list(traits)}
                for name, (root, traits) in summaries.items()
            },
            '1.36',
        )


class RequestFilterTestCase(base.TestCase):
    """The request filter as Nova runs it; Placement alone is a stand-in.

    :ivar fails: whether something fails that is then logged
    """

    fails = False

    def setUp(self):
        super().setUp()
        self.patch(base.decision.time, 'time', lambda: NOW)
        self.patch(nova_request_filter, 'ALL_REQUEST_FILTERS', [])
        self.enable(*BOTH)
        self.context = context.get_admin_context()
        self.manager = host_manager.HostManager.__new__(
            host_manager.HostManager
        )
        self.manager.enabled_cells = ['cell1']
        self.watch._manager = self.manager
        self.set_world()

    def enable(self, *names):
        self.set_options('filter_scheduler', enabled_filters=list(names))

    def set_world(self, *aggregates, others=()):
        """Make these aggregates the only ones, in Nova and in Placement.

        :param others: hosts that are in no aggregate
        """
        self.set_sites(*aggregates)
        self.placement = Placement()
        self.patch(report, 'report_client_singleton', lambda: self.placement)
        self.placement.hosts = {host: set() for host in others}
        for number, (_, hosts) in enumerate(aggregates):
            for host in hosts:
                self.placement.hosts.setdefault(host, set()).add(
                    base.aggregate_uuid(number)
                )
        self.manager.host_aggregates_map = dict(self.placement.hosts)

    def site_names(self, aggregates):
        """Names of the sites of aggregates in a term of Nova's, in order."""
        names = {
            base.aggregate_uuid(number): name
            for name, records in self.watch.snapshot().sites.items()
            for number in records
        }
        return list(
            dict.fromkeys(names[uuid] for uuid in aggregates.split(','))
        )

    def process(self, spec):
        """Have Nova run its request filters.

        :returns: the sites that are required then; None: any
        """
        for name in base.nova.conf.CONF.filter_scheduler.enabled_filters:
            CLASSES[name]()
        latency_weigher.EdgeLatencyWeigher()
        before = list(self._terms(spec))
        nova_request_filter.process_reqspec(self.context, spec)
        after = self._terms(spec)
        self.assertEqual(self.fails, 'Traceback' in self.log.output)
        self.assertEqual(before, after[: len(before)])
        if len(before) == len(after):
            return None
        (added,) = after[len(before) :]
        return self.site_names(added)

    @staticmethod
    def _terms(spec):
        if 'requested_destination' not in spec:
            return []
        destination = spec.requested_destination
        if destination is None or 'aggregates' not in destination:
            return []
        return destination.aggregates or []

    def boot(self, hints=None, extra_specs=None, **fields):
        """Like process(), for a new server."""
        return self.process(base.request_spec(hints, extra_specs, **fields))

    def refusal(self, hints=None, **fields):
        """What the user of a server that is refused is told."""
        error = self.assertRaises(
            exception.RequestFilterFailed, self.boot, hints, **fields
        )
        told = error.message.removeprefix('Scheduling failed: ')
        self.assertNotEqual(told, error.message)
        return told

    def assert_queries(self, count):
        self.assertEqual(count, len(self.placement.queries))


class LeftAloneTest(RequestFilterTestCase):
    """Requests that Nova asks Placement for as it does without us."""

    def setUp(self):
        super().setUp()
        self.set_world(*line(9))

    def assert_left_alone(self, spec):
        before = spec.obj_to_primitive()
        self.assertIsNone(self.process(spec))
        self.assertEqual(before, spec.obj_to_primitive())
        self.assert_queries(0)

    def test_says_nothing(self):
        """A request that says nothing of the edge is not even looked at."""
        self.set_options('scheduler', max_placement_results=2)
        self.set_world(*line(9), *line(9, status='inactive'))
        for make in (base.request_spec, base.move_spec):
            for hints in (None, {}, {'group': ['x']}):
                self.assert_left_alone(make(hints, {'hw:cpu_policy': 'x'}))
        self.assertEqual('', self.log.output)

    def test_rebuild_and_forced(self):
        """A rebuild stays where it is, a forced server goes where it must."""
        for hints in (within(3), within(0), BAD):
            self.assert_left_alone(
                base.request_spec({**hints, '_nova_check_type': ['rebuild']})
            )
            for forced in ({'force_hosts': ['x']}, {'force_nodes': ['x']}):
                self.assert_left_alone(base.request_spec(hints, **forced))

    def test_mode(self):
        """With observe and off nothing is asked, narrowed or refused."""
        for mode in ('observe', 'off'):
            self.set_options(mode=mode)
            for hints in (within(3), within(0), BAD):
                self.assert_left_alone(base.request_spec(hints))

    def test_option(self):
        """The option request_filter turns all of it off."""
        self.set_options(request_filter=False)
        for hints in (within(3), within(0), BAD):
            self.assert_left_alone(base.request_spec(hints))
        self.assertEqual([], nova_request_filter.ALL_REQUEST_FILTERS)

    def test_any_host_would_do(self):
        """Where few hosts are known, what does not exclude any asks nothing.

        That is so for what only orders sites, or names some to avoid.
        """
        for hints in (
            PARIS,
            {'edge:near': ['1,2']},
            {'edge:avoid_site': ['s00']},
            {'edge:fallback': ['none']},
            within(3, unmeasured='accept'),
        ):
            self.assert_left_alone(base.request_spec(hints))

    def test_other_hosts_would_be_missed(self):
        """What names a host or other servers is not narrowed.

        What cannot be read of it is refused all the same.
        """
        group = base.objects.InstanceGroup(hosts=['h00-0'])
        for hints, fields in (
            ({'same_host': ['x']}, {}),
            ({'different_host': ['x']}, {}),
            ({}, {'instance_group': group}),
            ({}, {'instance_group': base.objects.InstanceGroup()}),
            (
                {},
                {
                    'requested_destination': base.objects.Destination(
                        host='h00-0'
                    )
                },
            ),
            (
                {},
                {
                    'requested_destination': base.objects.Destination(
                        node='h00-0'
                    )
                },
            ),
        ):
            spec = base.request_spec({**hints, **within(3)}, **fields)
            self.assertIsNone(self.process(spec))
            self.assert_queries(0)
            told = self.refusal({**hints, **BAD}, **fields)
            self.assertIn("edge:max_rtt_ms 'x' is not a number", told)

    def test_empty_group(self):
        """A server group that has no server yet excludes no host."""
        group = base.objects.InstanceGroup(hosts=[])
        self.assertEqual(
            names(0, 3), self.boot(within(3), instance_group=group)
        )

    def test_cells(self):
        """Nova keeps moves to a cell; Placement, asked for few, does not."""
        for cells, sites in (
            (['a', 'b'], None),
            ([], None),
            (['a'], names(0, 3)),
        ):
            self.manager.enabled_cells = cells
            spec = base.move_spec(within(3), source='h08-0')
            self.assertEqual(sites, self.process(spec))
            self.assertEqual(names(0, 3), self.boot(within(3)))
        self.watch._manager = None
        self.assertIsNone(self.process(base.move_spec(within(3))))

    def test_unknown_source(self):
        """A move from nobody knows where may be within a draining site."""
        for status, sites in (
            ('active', [*names(0, 2), 'drain']),
            ('inactive', names(0, 2)),
            ('draining', [*names(0, 2), 'drain']),
        ):
            drain = {
                'edge:site': 'drain',
                'edge:rtt:paris': '2.5',
                'edge:status': status,
            }
            self.set_world(*line(9), (drain, ['d1']))
            spec = base.move_spec(within(2.5))
            self.assertEqual(sites, self.process(spec))
            # A boot is within none.
            if status == 'draining':
                sites = names(0, 2)
            self.assertEqual(sites, self.boot(within(2.5)))

    def test_no_site_known(self):
        """Where no site is known nothing is narrowed; bad hints are refused.

        Nobody is known to be near then, so a budget cannot be met.
        """
        self.set_world(others=['h1', 'h2', 'h3'])
        self.set_options('scheduler', max_placement_results=1)
        self.assertIsNone(self.boot({'edge:near': ['1,2']}))
        self.assert_queries(0)
        self.refusal(BAD)
        self.refusal(PARIS)
        self.assertEqual(
            'No edge site among x: there is no such site',
            self.refusal({'edge:site': ['x']}),
        )


class HardTest(RequestFilterTestCase):
    """Requests that hosts in no site may not serve."""

    SITES = (
        (
            {
                'edge:site': 'par',
                'edge:rtt:paris': '4',
                'edge:tier': 'far-edge',
                'edge:latitude': '48.8',
                'edge:longitude': '2.3',
            },
            ['par-1', 'par-2'],
        ),
        ({'edge:site': 'lyo', 'edge:rtt:paris': '9'}, ['lyo-1']),
        ({'edge:site': 'lyo', 'edge:host_rtt:lyo-2:paris': '3'}, ['lyo-2']),
        ({'edge:site': 'new', 'edge:rtt:lyon': '1'}, ['new-1']),
        ({'edge:site': 'off', 'edge:rtt:paris': '- loss=100'}, ['off-1']),
        (
            {
                'edge:site': 'shut',
                'edge:rtt:paris': '2',
                'edge:status': 'inactive',
            },
            ['shut-1'],
        ),
        ({'availability_zone': 'az'}, ['par-1', 'zone-1']),
        ({'edge:site': 'bare', 'edge:rtt:paris': '1'}, []),
    )

    def setUp(self):
        super().setUp()
        self.set_world(*self.SITES, others=['none-1'])

    def test_all_that_can_pass(self):
        """Placement is asked for every site that has a host that can pass."""
        for hints, sites in (
            (within(4), ['lyo', 'par']),
            (within(3), ['lyo']),
            (within(3.5, unmeasured='estimate'), ['lyo']),
            ({'edge:tier': ['far-edge', 'x']}, ['par']),
            ({'edge:site': ['par', 'new', 'shut']}, ['new', 'par']),
            ({**PARIS, 'edge:site': ['new', 'off', 'par']}, ['par', 'new']),
            ({**PARIS, 'edge:unmeasured': ['reject']}, ['lyo', 'par']),
            (within(4, avoid_site='lyo'), ['par']),
            (within(2, fallback='nearest'), ['lyo', 'par']),
            (within(3, fallback='nearest'), ['lyo', 'par']),
            (
                {
                    'edge:near': ['48.85,2.35'],
                    'edge:max_rtt_ms': ['6'],
                    'edge:unmeasured': ['estimate'],
                },
                ['par'],
            ),
        ):
            self.placement.queries.clear()
            asked = self.boot(hints)
            if not {'edge:origin', 'edge:near'} & set(hints):
                asked.sort()  # none is nearer than another
            self.assertEqual(sites, asked, hints)
            self.assert_queries(1)

    def test_by_flavor(self):
        """What a flavor asks for narrows as what a hint does."""
        self.assertEqual(
            ['lyo', 'par'],
            self.boot({}, {'edge:origin': 'paris', 'edge:max_rtt_ms': '4'}),
        )

    def test_asked_as_nova_asks(self):
        """What is asked is what Nova asks for then, but one is enough."""
        spec = base.request_spec(within(4), {'trait:HW_X': 'required'})
        spec.root_required.add('COMPUTE_X')
        self.process(spec)
        resources = request_filter.utils.resources_from_request_spec(
            self.context, spec, None
        )
        (query,) = self.placement.queries
        self.assertEqual(
            resources.to_querystring(),
            query.replace('limit=1&', 'limit=1000&'),
        )
        self.assertIn('required=HW_X', query)

    def test_one_site_filter_of_two(self):
        """What no enabled filter of ours refuses is not left out."""
        for enabled, hints, sites in (
            (['EdgeLatencyFilter'], {'edge:site': ['par']}, None),
            (['EdgeLatencyFilter'], within(2), ['shut']),
            (['EdgeSiteFilter'], within(2), None),
            (['EdgeSiteFilter'], within(2, site='par'), ['par']),
            ([], within(2, site='par'), None),
        ):
            self.enable(*enabled)
            self.assertEqual(sites, self.boot(hints), (enabled, hints))

    def test_move(self):
        """A move is narrowed too, and may stay within a draining site."""
        drain = {
            'edge:site': 'drain',
            'edge:rtt:paris': '3',
            'edge:status': 'draining',
        }
        self.set_world(*self.SITES[:1], (drain, ['d1', 'd2']))
        for source, sites in (
            ('d1', ['drain', 'par']),
            ('par-1', ['par']),
        ):
            spec = base.move_spec(within(4), source=source)
            self.assertEqual(sites, self.process(spec))
        self.manager._instance_info = {'d2': {'instances': {base.UUID: 0}}}
        self.assertEqual(
            ['drain', 'par'], self.process(base.move_spec(within(4)))
        )

    def test_no_candidate(self):
        """Where Placement has no candidate at them, the user is told so."""
        self.placement.full = {'par-1', 'par-2', 'lyo-1', 'lyo-2'}
        self.assertEqual(
            'No host with room for the server, and with all that it requires, '
            'at the 2 edge sites within 4 ms of origin paris: nearest 3 ms',
            self.refusal(within(4)),
        )
        self.assert_queries(1)
        self.assertIn(
            'Placement has no candidate at the 2 sites that may serve it: '
            'host lyo-2 of lyo is 3 ms from paris, within 4 ms; par is 4 ms '
            'from paris, within 4 ms.',
            self.log.output,
        )

    def test_no_candidate_to_fall_back_on(self):
        """Where a server falls back, its budget is not what is wrong."""
        self.placement.full = {'par-1', 'par-2', 'lyo-1', 'lyo-2'}
        self.assertIn(
            'at the 2 edge sites reachable from origin paris: nearest 3 ms',
            self.refusal(within(2, fallback='nearest')),
        )

    def test_no_site(self):
        """Where no site can serve it, the user and the operator are told."""
        for details, told in (
            ('none', ''),
            ('figures', ': nearest 3 ms; one at 2 ms is inactive'),
            ('names', ': nearest lyo 3 ms; shut 2 ms is inactive'),
        ):
            self.set_options(refusal_details=details)
            self.log.reset_output()
            self.assertIn(
                f'No edge site within 2 ms of origin paris{told}',
                self.refusal(within(2)),
            )
            self.assertEqual(1, self.log.output.count('Edge decision'))
            self.assertIn(
                f'server {base.UUID}, origin paris (hint): no host passes: '
                'shut is inactive; host lyo-2 of lyo is 3 ms from paris, over '
                '2 ms; par is 4 ms from paris, over 2 ms; and 2 more.',
                self.log.output,
            )
        self.assert_queries(0)

    def test_no_site_for_one_filter(self):
        """What no enabled filter of ours refuses is not what is wrong."""
        self.enable('EdgeSiteFilter')
        self.assertEqual(
            'No edge site among x: there is no such site',
            self.refusal(within(1, site='x')),
        )
        self.enable('EdgeLatencyFilter')
        self.assertEqual(
            'No edge site within 1 ms of origin paris: nearest 2 ms; 1 not '
            'measured; 1 unreachable',
            self.refusal(within(1, site='lyo')),
        )

    def test_closed_site_for_one_filter(self):
        """A site that is closed is told, however far it is."""
        self.enable('EdgeSiteFilter')
        self.set_world(*line(2, status='draining'))
        self.assertEqual(
            'No edge site among s01: one at 2 ms is draining',
            self.refusal(within(1, site='s01')),
        )

    def test_only_ignored_hosts_left(self):
        """Where the only candidate is ignored, later filters say so."""
        spec = base.request_spec(within(3), ignore_hosts=['lyo-2'])
        self.assertEqual(['lyo'], self.process(spec))

    def test_no_more_than_placement_returns(self):
        """Where Placement returns all that can pass, none is left out."""
        self.set_options(request_filter_min_hosts=1)
        self.set_world(*line(90, 10))
        self.assertEqual(names(0, 90), self.boot(within(90)))
        self.assert_queries(1)

    def test_fallback(self):
        """What meets the budget is asked for before what is only near."""
        self.set_options('scheduler', max_placement_results=20)
        self.set_options(request_filter_min_hosts=1)
        sites = line(40)
        for keys, _ in sites[30:]:
            keys['edge:rtt:paris'] += ' jitter=1'
        self.set_world(*sites)
        asked = self.boot(within(99, max_jitter_ms='2', fallback='nearest'))
        self.assertEqual([*names(30, 40), *names(0, 10)], asked)

    def test_more_than_placement_returns(self):
        """Where more hosts can pass than Placement returns: the nearest."""
        self.set_options('scheduler', max_placement_results=20)
        self.set_options(request_filter_min_hosts=1)
        self.set_world(*line(40))
        asked = self.boot(within(30))
        self.assertEqual(names(0, len(asked)), asked)
        self.assertTrue(10 <= len(asked) < 30, asked)
        self.assert_queries(1)

    def test_too_few_candidates(self):
        """Where few of them have room, all that can pass are asked for."""
        self.set_options('scheduler', max_placement_results=20)
        self.set_options(request_filter_min_hosts=1)
        self.set_world(*line(100))
        for full in (range(89), range(8, 89)):
            self.placement.queries.clear()
            self.placement.full = {f'h{number:02}-0' for number in full}
            self.assertEqual(names(0, 90), self.boot(within(90)))
            self.assert_queries(2)

    def test_long_query(self):
        """The query stays under 8 kB; the nearest sites come first."""
        for hints in (within(300), {'edge:tier': ['edge']}):
            self.set_world(*line(300, tier='edge'))
            asked = self.boot(hints)
            self.assertTrue(150 < len(asked) < 300, len(asked))
            if hints == within(300):
                self.assertEqual(names(0, len(asked)), asked)
            for query in self.placement.queries:
                self.assertTrue(7900 < len(query) <= 8000, len(query))

    def test_sites_of_several_aggregates(self):
        """A site is asked for with all of its aggregates, or not at all."""
        more = [
            (keys, [f'{it}-x' for it in hosts]) for keys, hosts in line(150)
        ]
        self.set_world(*line(150), *more)
        asked = self.boot(within(300))
        self.assertEqual(names(0, len(asked)), asked)
        (query,) = self.placement.queries
        self.assertTrue(7900 < len(query) <= 8000, len(query))
        self.assertEqual(2 * len(asked), query.count(base.UUID[8:]))

    def test_nearest_site_does_not_fit(self):
        """A site that there is no space for is not passed over."""
        near = ({'edge:site': 's00', 'edge:rtt:paris': '1'}, ['x'])
        self.set_world(near, *line(9))
        self.boot(within(3))
        (query,) = self.placement.queries
        # Of its two aggregates there is space for one.
        room = len(query) - 3 * 39 + 3
        self.patch(request_filter, 'MAX_QUERY_CHARS', room)
        self.assertIsNone(self.boot(within(3)))

    def test_no_space_in_the_query(self):
        """A query that is too long without us is not made longer."""
        self.set_world(*line(9))
        extra_specs = {
            f'trait:CUSTOM_{number:030}': 'required' for number in range(220)
        }
        self.assertIsNone(self.boot(within(3), extra_specs))
        self.assert_queries(0)

    def test_too_few_candidates_for_a_long_query(self):
        """Where all cannot be asked for, and the nearest are full: neither."""
        self.set_world(*line(300))
        self.placement.full = {f'h{number:02}-0' for number in range(200)}
        self.assertIsNone(self.boot(within(300)))
        # Ten are enough where there is no room for more.
        self.placement.full = {f'h{number:02}-0' for number in range(150)}
        self.assertIsNotNone(self.boot(within(300)))

    def test_log(self):
        """The log says how it was narrowed, also when all is refused then."""
        spec = base.request_spec(within(4))
        self.process(spec)
        words = (
            'Placement is asked for 2 of 6 sites (the farthest: par is 4 ms '
            'from paris, within 4 ms)'
        )
        self.assertIn(
            f'Edge query for server {base.UUID}, origin paris (hint): '
            f'{words}.',
            self.log.output,
        )
        self.log.reset_output()
        for one in (CLASSES[name]() for name in BOTH):
            one.filter_all(base.host_states('none-1'), spec)
        self.assertIn(
            'no host passes: a host without a site is not measured from '
            f'paris; {words}.',
            self.log.output,
        )


class SoftTest(RequestFilterTestCase):
    """Requests that any host may serve, but the nearest should."""

    def setUp(self):
        super().setUp()
        # 300 hosts, and at least 10 candidates for each server.
        self.set_options(request_filter_min_hosts=1)
        self.set_options('scheduler', max_placement_results=60)
        self.set_world(*line(30, 10))

    def fill(self, count):
        """Let the nearest hosts have no room."""
        self.placement.full = set(sorted(self.placement.hosts)[:count])

    def test_when(self):
        """Only where more hosts are known than Placement returns."""
        for limit, others, is_narrowed in (
            (300, (), False),
            (299, (), True),
            (300, ('x',), True),
        ):
            self.set_options('scheduler', max_placement_results=limit)
            self.set_world(*line(30, 10), others=others)
            self.assertEqual(is_narrowed, self.boot(PARIS) is not None)

    def test_hosts_in_no_aggregate(self):
        """A host that Nova only has servers of is known, too."""
        self.set_options('scheduler', max_placement_results=300)
        self.manager._instance_info = {
            f'h{number}': {} for number in range(301)
        }
        self.assertIsNotNone(self.boot(PARIS))

    def test_no_weigher(self):
        """Where nearness has no weight, the nearest are not asked for."""
        self.set_options(edge_latency_weight_multiplier=0)
        self.assertIsNone(self.boot(PARIS))
        self.assertEqual(names(0, 3), self.boot(within(3)))

    def test_none_is_nearer(self):
        """Where no site is nearer than another, nothing is narrowed."""
        self.assertIsNone(self.boot({'edge:avoid_site': ['s00']}))
        self.assert_queries(0)

    def test_nearest_first(self):
        """As many sites as it takes for enough candidates, nearest first."""
        for full, boots, moves, min_hosts, queries, sites in (
            (0, 1, False, 1, 1, 2),
            (10, 1, False, 1, 1, 2),
            (11, 1, False, 1, 2, 5),
            (290, 1, False, 1, 2, 30),
            (0, 2, False, 1, 1, 4),
            (20, 2, False, 1, 1, 4),
            (21, 2, False, 1, 2, 9),
            (0, 2, True, 1, 1, 2),
            (0, 1, False, 25, 1, 5),
            (30, 1, False, 25, 2, 13),
            (0, 9, False, 200, 1, 6),
        ):
            self.set_options(request_filter_min_hosts=min_hosts)
            self.placement.queries.clear()
            self.fill(full)
            make = base.move_spec if moves else base.request_spec
            spec = make(PARIS, num_instances=boots)
            self.assertEqual(names(0, sites), self.process(spec))
            self.assert_queries(queries)

    def test_ignored_hosts(self):
        """A host that the server may not have is no candidate."""
        for full, count, queries in (
            (10, 0, 1),
            (11, 0, 2),
            (19, 1, 1),
            (20, 1, 2),
            (0, 15, 1),
        ):
            self.placement.queries.clear()
            self.fill(full)
            ignored = sorted(self.placement.hosts)[:count]
            asked = self.boot(PARIS, ignore_hosts=ignored)
            self.assertGreaterEqual(10 * len(asked) - full - count, 10)
            self.assert_queries(queries)

    def test_move_with_few_results(self):
        """Where Placement returns fewer than the least, moves narrow too.

        The host that a move comes from is ignored, and always one less.
        """
        self.set_options(request_filter_min_hosts=200)
        self.assertIsNotNone(self.boot(PARIS))
        spec = base.move_spec(PARIS, source='h29-9')
        self.assertIsNotNone(self.process(spec))

    def test_falls_short(self):
        """Where two queries do not find enough, all hosts are asked for."""
        for full in (range(291), range(5, 200)):
            self.placement.queries.clear()
            hosts = sorted(self.placement.hosts)
            self.placement.full = {hosts[number] for number in full}
            self.assertIsNone(self.boot(PARIS))
            self.assert_queries(2)

    def test_order(self):
        """Stale figures and estimates order, unmeasured sites are last.

        Those that cannot be reached, or are closed, are left out.
        """
        self.set_options('scheduler', max_placement_results=10)
        sites = [
            ({'edge:site': name, **keys}, [f'{name}-{n}' for n in range(2)])
            for name, keys in (
                ('new', {'edge:rtt:lyon': '1'}),
                ('far', {'edge:rtt:paris': '9'}),
                ('shut', {'edge:rtt:paris': '1', 'edge:status': 'inactive'}),
                ('old', {'edge:rtt:paris': '3 at=2020-01-01T00:00:00Z'}),
                ('off', {'edge:rtt:paris': '- loss=100'}),
            )
        ]
        self.set_world(*sites, others=['x', 'y'])
        self.assertEqual(['old', 'far', 'new'], self.boot(PARIS))
        self.enable()
        self.assertEqual(['shut', 'old', 'far'], self.boot(PARIS)[:3])

    def test_fallback(self):
        """Sites over the budget do not keep out hosts that pass."""
        hints = within('0.5', unmeasured='accept', fallback='nearest')
        self.assertIsNone(self.boot(hints))
        self.set_world(*line(30, 10), ({'edge:site': 'new'}, ['n1', 'n2']))
        self.set_options(request_filter_min_hosts=1)
        self.assertIsNone(self.boot(hints))

    def test_nothing_known(self):
        """Where nobody knows how far any site is, none is preferred."""
        hints = {'edge:near': ['1,2']}
        self.assertIsNone(self.boot(hints))
        self.assert_queries(0)

    def test_equally_far(self):
        """Of sites that are equally far each server begins with another."""
        sites = line(30, 10)
        for keys, _ in sites:
            keys['edge:rtt:paris'] = '5'
        self.set_world(*sites)
        asked = set()
        for number in range(9):
            spec = base.request_spec(PARIS)
            spec.instance_uuid = base.aggregate_uuid(number)
            asked.add(tuple(self.process(spec)))
        self.assertGreater(len(asked), 5)

    def test_near_its_source(self):
        """A move without an origin is narrowed to the sites near its own."""
        sites = line(30, 10)
        for number, (keys, _) in enumerate(sites):
            keys['edge:site_rtt:s12'] = str((number - 12) % 30)
        self.set_world(*sites)
        spec = base.move_spec({'edge:avoid_site': ['s13']}, source='h12-0')
        self.assertEqual(['s12', 's14', 's15'], self.process(spec))

    def test_computes_are_counted(self):
        """Parts of a host, and what hosts share, are no hosts."""
        self.fill(11)
        self.placement.others = {
            **{f'{host}-numa': (host, ()) for host in self.placement.hosts},
            **{
                f'nfs-{number}': (
                    f'nfs-{number}',
                    ('MISC_SHARES_VIA_AGGREGATE',),
                )
                for number in range(99)
            },
        }
        self.assertEqual(names(0, 5), self.boot(PARIS))
        self.assert_queries(2)

    def test_pinned_cpus(self):
        """Hosts that do not tell their pinned CPUs yet count as with Nova."""
        extra_specs = {'hw:cpu_policy': 'dedicated'}
        self.assertEqual(names(0, 2), self.boot(PARIS, extra_specs))
        with_pinned, without = self.placement.queries
        self.assertIn('PCPU%3A1', with_pinned)
        self.assertIn('VCPU%3A1', without)
        self.placement.queries.clear()
        self.set_options('workarounds', disable_fallback_pcpu_query=True)
        self.assertIsNone(self.boot(PARIS, extra_specs))
        for query in self.placement.queries:
            self.assertIn('PCPU', query)
        self.placement.pinned = set(self.placement.hosts)
        self.assertEqual(names(0, 2), self.boot(PARIS, extra_specs))

    def test_weigher_alone(self):
        """Without a filter of ours nothing is refused; the nearest win."""
        self.enable()
        asked = self.boot(within(0, site='x'))
        self.assertEqual(names(0, 2), asked)
        self.assertIsNone(self.boot({**PARIS, **BAD}))
        self.assertIsNone(self.boot({'edge:origin': ['pariss']}))


class ComposesTest(RequestFilterTestCase):
    """What is required already goes on to be required."""

    def setUp(self):
        super().setUp()
        zone = {'availability_zone': 'az'}, ['h03-0', 'h07-0', 'zone-1']
        self.set_world(*line(9), zone)
        self.zone = base.aggregate_uuid(9)

    def _boot(self, hints, *required, **fields):
        destination = base.objects.Destination(**fields)
        for aggregates in required:
            destination.require_aggregates(aggregates)
        return self.boot(hints, requested_destination=destination)

    def test_and(self):
        """A host has to be at a site, and wherever else it has to be."""
        spec = base.request_spec(
            within(5),
            requested_destination=base.objects.Destination(
                aggregates=[self.zone], forbidden_aggregates={'f'}
            ),
        )
        self.process(spec)
        destination = spec.requested_destination
        self.assertEqual(
            [self.zone, base.aggregate_uuid(3)], destination.aggregates
        )
        self.assertEqual({'f'}, destination.forbidden_aggregates)
        (query,) = self.placement.queries
        self.assertEqual(
            {
                f'in:{self.zone}',
                f'in:{base.aggregate_uuid(3)}',
                '!in:f',
            },
            set(urllib.parse.parse_qs(query)['member_of']),
        )

    def test_zone(self):
        """Only sites with hosts of the availability zone are asked for."""
        other = base.aggregate_uuid(7)
        for required, sites in (
            ([[self.zone]], ['s03', 's07']),
            ([[self.zone], [other]], ['s07']),
            ([[other], [self.zone]], ['s07']),
            ([[self.zone, base.aggregate_uuid(0)]], ['s00', 's03', 's07']),
        ):
            self.assertEqual(sites, self._boot(within(9), *required))

    def test_case(self):
        """Host names are matched without case."""
        (one, _), (other, _) = line(2)
        zone = {'availability_zone': 'az'}
        self.set_world(
            (one, ['H-1']), (other, ['h-2']), (zone, ['H-1', 'h-2'])
        )
        self.assertEqual(
            ['s00', 's01'], self._boot(within(9), [base.aggregate_uuid(2)])
        )

    def test_zone_without_a_site(self):
        """Where the zone has no host at a site that would do, it is told."""
        error = self.assertRaises(
            exception.RequestFilterFailed,
            self._boot,
            within(3),
            [self.zone],
        )
        self.assertIn('No host with room', error.message)

    def test_few_hosts_in_the_zone(self):
        """What counts against Placement's limit are the hosts of the zone."""
        for limit, queries, sites in ((3, 0, None), (2, 1, ['s03', 's07'])):
            self.set_options('scheduler', max_placement_results=limit)
            self.assertEqual(sites, self._boot(PARIS, [self.zone]))
            self.assert_queries(queries)

    def test_aggregates_of_others(self):
        """Aggregates that Nova does not know limit no site."""
        for aggregates in self.placement.hosts.values():
            aggregates.add('segment')
        for required, sites in (
            ([['segment']], names(0, 4)),
            ([[self.zone, 'segment']], names(0, 4)),
            ([[self.zone], ['segment']], ['s03']),
        ):
            self.assertEqual(sites, self._boot(within(4), *required))


class PlacementFailsTest(RequestFilterTestCase):
    def test_no_answer(self):
        """Where Placement does not answer, nothing is narrowed or refused."""
        self.set_options('scheduler', max_placement_results=2)
        for answer in (None, (None, None, None)):
            for hints in (PARIS, within(3)):
                self.set_world(*line(9))
                self.placement.answer = lambda query, it=answer: it
                self.assertIsNone(self.boot(hints))
                self.assert_queries(1)

    def test_raises(self):
        """Nor where Nova raises; what it raised is logged, and only once."""
        self.set_options('scheduler', max_placement_results=2)
        self.fails = True
        for hints in (PARIS, within(3)):
            self.set_world(*line(9))
            self.placement.answer = lambda query: 1 / 0
            self.assertIsNone(self.boot(hints))
        self.assertEqual(1, self.log.output.count('ZeroDivisionError'))

    def test_second_answer(self):
        """Where it fails later it is as if it had failed at once."""
        self.set_options('scheduler', max_placement_results=40)
        self.set_options(request_filter_min_hosts=1)
        self.set_world(*line(80))
        answers = [([], {}, '1.36'), None]
        self.placement.answer = lambda query: answers.pop(0)
        self.assertIsNone(self.boot(PARIS))
        self.assert_queries(2)

    def test_fallback_of_pinned_cpus(self):
        """Where only the fallback fails, nobody knows what it would find."""
        self.set_world(*line(9))
        answer = self.placement.answer
        self.placement.answer = lambda query: (
            answer(query) if 'PCPU' in query['resources'][0] else None
        )
        pinned = {'hw:cpu_policy': 'dedicated'}
        self.assertIsNone(self.boot(within(3), pinned))
        # One that is found is enough.
        self.placement.pinned = set(self.placement.hosts)
        self.placement.queries.clear()
        self.assertEqual(names(0, 3), self.boot(within(3), pinned))
        self.assert_queries(1)


class BadInputTest(RequestFilterTestCase):
    def setUp(self):
        super().setUp()
        self.set_world(*line(9))

    def test_boots(self):
        """A boot is told which hint cannot be read, and why."""
        for hints, told in (
            (BAD, "hint edge:max_rtt_ms 'x' is not a number of 0 or more"),
            ({'edge:origin': ['pariss']}, 'edge:origin pariss is not known'),
            ({'edge:max_rtt_ms': ['5']}, 'the budget of the server needs to'),
            ({'edge:tear': ['far']}, "hint 'edge:tear' is not known; known"),
            ({'edge:client_ip': ['192.0.2.1']}, '192.0.2.1 belongs to no'),
        ):
            for enabled in (BOTH, BOTH[:1], BOTH[1:]):
                self.enable(*enabled)
                self.assertIn(told, self.refusal(hints))

    def test_log(self):
        """The log has the line that it has where a filter refuses."""
        self.refusal(BAD)
        told = self.log.output
        self.log.reset_output()
        tested = site_filter.EdgeSiteFilter()
        tested.filter_all(base.host_states('x'), base.request_spec(BAD))
        self.assertEqual(told, self.log.output.lstrip('\0'))

    def test_length(self):
        """The reason is short enough for Nova to keep all of it."""
        told = self.refusal({f'edge:x{"y" * 200}': ['z' * 999], **BAD})
        self.assertEqual(211, len(told))
        self.assertTrue(told.startswith("hint 'edge:xyyy"), told)

    def test_moves(self):
        """A move goes on without what cannot be read; the rest binds."""
        spec = base.move_spec({**within(3), 'edge:site': ['p r']})
        self.assertEqual(names(0, 3), self.process(spec))
        self.assertIsNone(self.process(base.move_spec(BAD)))

    def test_move_from_an_unknown_host(self):
        """A move is not refused for what only its own site would allow.

        Where the scheduler does not track servers, only the filters see in
        the candidates that it is within a draining site.
        """
        drain = {'edge:site': 'drain', 'edge:status': 'draining'}
        self.set_world((drain, ['d1', 'd2']))
        hints = {'edge:site': ['drain']}
        states = base.host_states('d1', 'd2')
        states[0].instances = {base.UUID: object()}
        passing = site_filter.EdgeSiteFilter().filter_all(
            states, base.move_spec(hints)
        )
        self.assertEqual(states, passing)
        self.assertEqual(['drain'], self.process(base.move_spec(hints)))


class ListTest(RequestFilterTestCase):
    """The list of request filters that Nova has."""

    def test_once(self):
        """However many classes of ours are loaded, it is there once, last."""
        others = [lambda *args: True, lambda *args: True]
        known = nova_request_filter.ALL_REQUEST_FILTERS
        known += others
        for _ in range(3):
            self.boot()
            (ours,) = known[2:]
            self.assertEqual(others, known[:2])
        self.assertIsInstance(ours, request_filter.EdgeRequestFilter)
        self.assertIs(known, nova_request_filter.ALL_REQUEST_FILTERS)

    def test_by_any_class(self):
        """Each class of ours alone brings it."""
        for make in (*CLASSES.values(), latency_weigher.EdgeLatencyWeigher):
            nova_request_filter.ALL_REQUEST_FILTERS.clear()
            make()
            self.assertEqual(1, len(nova_request_filter.ALL_REQUEST_FILTERS))

    def test_no_list(self):
        """Where Nova has none, it is said once, and all else works."""
        for known in (None, ()):
            self.patch(nova_request_filter, 'ALL_REQUEST_FILTERS', known)
            for make in (
                *CLASSES.values(),
                latency_weigher.EdgeLatencyWeigher,
            ):
                make()
            self.assertEqual(1, self.log.output.count('has no list of req'))
        del nova_request_filter.ALL_REQUEST_FILTERS
        self.set_world(*line(9))
        tested = latency_filter.EdgeLatencyFilter()
        states = base.host_states('h01-0', 'h07-0')
        self.assertEqual(
            states[:1],
            tested.filter_all(states, base.request_spec(within(3))),
        )


HOSTS = tuple(f'h{number:x}' for number in range(14))
SITES = ('s0', 's1', 's2', 's3', 's4')
FIGURES = st.sampled_from(
    (
        *('1', '4', '4.5', '9', '30', '4 jitter=3 loss=0.5 n=900'),
        '9 at=2026-11-23T09:59:20Z',
        '2 at=2026-11-22T10:00:00Z',
        '- loss=100',
    )
)
SETS_OF_HOSTS = st.sets(st.sampled_from(HOSTS), max_size=6)


def some(*values, most=2):
    return st.lists(
        st.sampled_from(values), min_size=1, max_size=most, unique=True
    )


def pick(source, *names):
    return {f'edge:{name}': source[name] for name in names}


def dictionaries(source, wanted):
    """Those that have at least what is wanted."""
    others = [name for name in source if name not in wanted]
    return st.fixed_dictionaries(
        pick(source, *wanted), optional=pick(source, *others)
    )


KEYS = {
    'site': st.sampled_from(SITES),
    'rtt:paris': FIGURES,
    'rtt:lyon': FIGURES,
    'host_rtt:h1:paris': FIGURES,
    'host_rtt:h2:lyon': FIGURES,
    'rtt_default': st.sampled_from(('7', '>5')),
    'site_rtt:s0': st.sampled_from(('1', '8')),
    'tier': st.sampled_from(('far', 'core')),
    'status': st.sampled_from(('active', 'draining', 'inactive')),
    'latitude': st.sampled_from(('48', '43')),
    'longitude': st.just('2'),
}
AGGREGATES = st.builds(
    operator.add,
    st.lists(
        st.tuples(dictionaries(KEYS, ['site', 'rtt:paris']), SETS_OF_HOSTS),
        max_size=4,
    ),
    st.lists(
        st.tuples(dictionaries(KEYS, ['site']), SETS_OF_HOSTS), max_size=3
    ),
)
TERMS = {
    'origin': some('paris', 'paris', 'lyon'),
    'near': st.just(['48.85,2.35']),
    'max_rtt_ms': some('4', '10', most=1),
    'max_jitter_ms': some('2', '3', most=1),
    'max_loss_pct': some('0.5', most=1),
    'site': some(*SITES, 'x', most=5),
    'avoid_site': some(*SITES),
    'tier': some('far', 'core'),
    'unmeasured': some('reject', 'estimate', 'accept', most=1),
    'fallback': some('none', 'moves', 'nearest', most=1),
    'bad': st.just(['x']),
}
HINTS = st.one_of(
    st.just(PARIS),
    st.fixed_dictionaries(
        pick(TERMS, 'origin'), optional=pick(TERMS, 'near', 'avoid_site')
    ),
    st.fixed_dictionaries(
        pick(TERMS, 'origin', 'max_rtt_ms'),
        optional=pick(TERMS, 'unmeasured', 'fallback', 'avoid_site'),
    ),
    st.fixed_dictionaries(
        pick(TERMS, 'site'), optional=pick(TERMS, 'origin', 'tier')
    ),
    dictionaries(TERMS, ()),
)


class AnyWorldTest(RequestFilterTestCase):
    """Random sites and requests, held against the filters and the weigher."""

    def setUp(self):
        super().setUp()
        # So that any difference is one.
        self.set_options(rtt_band_ms=0, request_filter_min_hosts=1)

    def make(self, hints, is_move, source, zone):
        make = base.move_spec if is_move else base.request_spec
        spec = make(hints)
        if is_move and source:
            spec.ignore_hosts = [source]
        if zone is not None:
            if not is_move:
                spec.requested_destination = base.objects.Destination()
            spec.requested_destination.require_aggregates([zone])
        return spec

    def passing(self, hosts, hints, is_move, source, zone):
        """Hosts that the filters let pass, without the request filter.

        Whence a server moves they may see in the candidates.
        """
        sources = [source]
        if is_move and source is None:
            sources += self.draining_hosts()
        enabled = base.nova.conf.CONF.filter_scheduler.enabled_filters
        passing = set()
        for source in sources:
            states = filters.HostFilterHandler().get_filtered_objects(
                [CLASSES[name]() for name in enabled],
                base.host_states(*hosts),
                self.make(hints, is_move, source, zone),
            )
            passing.update(state.host for state in states)
        return passing

    def draining_hosts(self):
        snapshot = self.watch.snapshot()
        return [
            host
            for name, status in snapshot.closed.items()
            if status is metadata.Status.DRAINING
            for record in snapshot.sites[name].values()
            for host in record.hosts
        ]

    def scores(self, hosts, *how):
        """How near the weigher finds hosts; the larger the nearer."""
        weighed = [
            weights.WeighedHost(state, 0) for state in base.host_states(*hosts)
        ]
        weigher = latency_weigher.EdgeLatencyWeigher()
        scores = weigher.weigh_objects(weighed, self.make(*how))
        return dict(zip(hosts, scores or [0] * len(hosts), strict=True))

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(
        AGGREGATES,
        HINTS,
        st.booleans(),
        st.none() | st.sampled_from(HOSTS),
        st.none() | st.none() | SETS_OF_HOSTS,
        SETS_OF_HOSTS,
        st.sampled_from((1, 2, 3, 8, 20)),
        st.sampled_from((8000, 8000, 8000, 250, 200, 150)),
        st.sampled_from((BOTH, BOTH, BOTH, BOTH[:1], BOTH[1:], ())),
    )
    def test_as_the_filters_decide(
        self, sites, hints, is_move, source, zone, full, limit, room, enabled
    ):
        """Nobody is refused who has a host; none nearer is left out."""
        self.log.reset_output()
        self.enable(*enabled)
        self.set_options('scheduler', max_placement_results=limit)
        self.patch(request_filter, 'MAX_QUERY_CHARS', room)
        aggregates = [*sites, ({'availability_zone': 'z'}, zone or ())]
        self.set_world(*aggregates, others=['none-1', *HOSTS])
        self.placement.full = full
        required = None if zone is None else base.aggregate_uuid(len(sites))
        how = (hints, is_move, source, required)
        hosts = list(self.placement.hosts)
        passing = self.passing(hosts, *how)
        spec = self.make(*how)
        terms = [f'in:{it}' for it in self._terms(spec)]
        try:
            asked = self.process(spec)
        except exception.RequestFilterFailed as error:
            self.assertLessEqual(len(error.message), 230)
            able = passing.intersection(self.placement.candidates(terms))
            self.assertEqual(set(), able, error)
            return
        finally:
            self.assertLessEqual(len(self.placement.queries), 2)
            for query in self.placement.queries:
                self.assertLessEqual(len(query), room)
        self.assertTrue(passing, 'it ought to be refused')
        if asked is not None:
            self.check(asked, spec, passing, how)

    def check(self, asked, spec, passing, how):
        """What was narrowed was narrowed well."""
        snapshot = self.watch.snapshot()
        of_sites = {
            name: frozenset().union(*(it.hosts for it in records.values()))
            for name, records in snapshot.sites.items()
        }
        # Only sites that have a host that may pass.
        for name in asked:
            self.assertTrue(self.passing(sorted(of_sites[name]), *how), name)
        # All hosts of them that may pass.
        terms = [f'in:{it}' for it in self._terms(spec)]
        self.placement.full, full = set(), self.placement.full
        left = set(self.placement.candidates(terms))
        before = set(self.placement.candidates(terms[:-1]))
        for name in asked:
            self.assertLessEqual(of_sites[name] & before & passing, left)
        # No site that is left out is nearer than one that is not.
        scores = self.scores(sorted(self.placement.hosts), *how)
        best = {
            name: max((scores[it] for it in hosts & passing), default=-1)
            for name, hosts in of_sites.items()
        }
        others = [
            name
            for name, hosts in of_sites.items()
            if name not in asked and hosts & passing & before
        ]
        for name in others:
            self.assertLessEqual(best[name], min(best[it] for it in asked))
        # There is enough to choose from, or all there is.
        self.placement.full = full
        limit = base.nova.conf.CONF.scheduler.max_placement_results
        if others or 'none-1' in passing:
            able = self.placement.candidates(terms)
            self.assertGreaterEqual(len(able), min(limit // 2 or 1, 10))
