# SPDX-License-Identifier: Apache-2.0

import itertools
import re
import urllib.parse

from nova import context as nova_context
from nova import objects
import nova.conf
from nova.scheduler import manager as scheduler_manager
from nova.scheduler import request_filter as nova_request_filter
from oslo_messaging import rpc

import edge_filters
from edge_filters.scheduler import request_filter
from sandbox import standins
from tests.functional import base
from tests.functional import test_boot
from tests.functional import test_moves

PARIS = {'edge:origin': 'paris'}
BUDGET = {**PARIS, 'edge:max_rtt_ms': '10'}
BAD = {'edge:max_rtt_ms': 'near'}
BAD_SAYS = "hint edge:max_rtt_ms 'near' is not a number"
PINNED = {'hw:cpu_policy': 'dedicated'}


def ours():
    """The request filters of ours that Nova calls."""
    return [
        it
        for it in nova_request_filter.ALL_REQUEST_FILTERS
        if isinstance(it, request_filter.EdgeRequestFilter)
    ]


class QueryTestCase(test_moves.MoveTestCase):
    """A test that sees what Placement is asked for."""

    def set_options(self, group, **options):
        """Set options that Nova reads at every request."""
        for name, value in options.items():
            nova.conf.CONF.set_override(name, value, group)
            self.addCleanup(nova.conf.CONF.clear_override, name, group)

    def restart(self, **edge_filters):
        """Start the scheduler with other options of ours."""
        self.addCleanup(self.cloud.restart_scheduler)
        self.cloud.restart_scheduler(
            base.OPTIONS | {'edge_filters': edge_filters}
        )

    def raw_queries(self):
        """The queries for candidates since the last time this was asked."""
        queries = re.findall(
            r'"GET /allocation_candidates\?(\S+)"', self.log.output
        )
        self.log.reset_output()
        return queries

    def queries(self):
        """The same, as what a host has to be in: a term for each, sorted.

        ['!kept', 'lyo,par'] is a host of lyo or of par, and none of kept.
        """
        aggregates = self.cloud.scheduler.host_manager.aggs_by_id.values()
        names = {
            it.uuid: it.metadata.get('edge:site', it.name) for it in aggregates
        }
        queries = []
        for query in self.raw_queries():
            terms = []
            for term in urllib.parse.parse_qs(query).get('member_of', ()):
                is_not, _, uuids = term.partition('in:')
                its_names = sorted(names[uuid] for uuid in uuids.split(','))
                terms.append(is_not + ','.join(its_names))
            queries.append(sorted(terms))
        return queries

    def schedule(self, hints, extra_specs=None, **fields):
        """The sites that the scheduler takes for a request, one a server.

        It does all that it does for a boot, but claims nothing.
        """
        # As nova-api keeps them.
        lists = {
            name: value if isinstance(value, list) else [value]
            for name, value in hints.items()
        }
        asked = test_boot.spec(lists, extra_specs, **fields)
        selections = self.cloud.scheduler.select_destinations(
            nova_context.get_admin_context(),
            spec_obj=asked,
            return_objects=True,
        )
        return [self.site_of(hosts[0].service_host) for hosts in selections]

    def refusal(self, *args, **kwargs):
        """Why the scheduler refuses a request."""
        error = self.assertRaises(
            rpc.ExpectedException, self.schedule, *args, **kwargs
        )
        return str(error.exc_info[1])

    def fill(self, *hosts):
        """Leave no room on these hosts."""
        if not hasattr(self, 'filling'):
            self.filling = self.cloud.flavor('filling', vcpus=base.VCPUS)
        for host in hosts:
            self.boot(availability_zone=f'nova:{host}', flavor=self.filling)


class ListTest(QueryTestCase):
    """The list of request filters that Nova calls."""

    def test_once(self):
        """However often our classes are loaded, it is there once, last."""
        nova_own = nova_request_filter.ALL_REQUEST_FILTERS[:-1]
        for load in edge_filters.all_filters() + edge_filters.all_weighers():
            load()
            self.assertEqual(
                [*nova_own, *ours()], nova_request_filter.ALL_REQUEST_FILTERS
            )
            self.assertEqual(1, len(ours()))

    def test_none(self):
        """Where Nova has no such list, it is said once, and all else works."""
        self.make_sites(par=30, lyo=9)
        self.patch(
            nova_request_filter,
            'ALL_REQUEST_FILTERS',
            tuple(nova_request_filter.ALL_REQUEST_FILTERS[:-1]),
        )
        # What nova-scheduler begins with.
        scheduler_manager.SchedulerManager()
        self.assertEqual(1, self.log.output.count('no list of request filte'))
        self.log.reset_output()
        _, host = self.boot(hints=BUDGET)
        self.assertEqual('lyo', self.site_of(host))
        self.assertEqual([[]], self.queries())
        self.assertIn(
            'There are not enough hosts available',
            self.refusal({**PARIS, 'edge:max_rtt_ms': '5'}),
        )


class LeftAloneTest(QueryTestCase):
    """Placement is asked as without us, where less might be too little."""

    def setUp(self):
        super().setUp()
        self.make_sites(par=4, lyo=9, mrs=30)
        self.log.reset_output()

    def _assert_refused(self, **how):
        server, _ = self.boot(**how)
        self.assertEqual('ERROR', server.status)
        self.assertIn(BAD_SAYS, server.fault['message'])

    def test_rebuild_and_forced(self):
        """With a forced host, and on rebuild, it does nothing at all."""
        server, host = self.boot(
            hints={**BUDGET, **BAD}, availability_zone='nova:mrs-a'
        )
        self.assertEqual('mrs-a', host)
        self.assertEqual([[]], self.queries())
        # Another image, so that Nova asks the scheduler.
        self.nova.rebuild_server(server, image=standins.OTHER_IMAGE_ID)
        server = self.cloud.wait_for(server, 'ACTIVE', 'ERROR')
        self.assertEqual('ACTIVE', server.status)
        self.assertEqual([], self.queries())

    def test_named_host(self):
        """Where an administrator names the host, nothing is narrowed.

        Bad hints are refused all the same.
        """
        server, host = self.boot(hints=BUDGET, host='lyo-a')
        self.assertEqual('lyo-a', host)
        self.nova.migrate_server(server, host='par-a')
        moved = self.cloud.wait_for(server, 'VERIFY_RESIZE')
        self.assertEqual('par-a', self.cloud.host_of(moved))
        # Not because it was tried in vain.
        self.assertNotIn('Traceback', self.log.output)
        self.assertEqual([[], []], self.queries())
        self._assert_refused(hints={**PARIS, **BAD}, host='lyo-a')

    def test_other_servers(self):
        """Beside other servers, or away from them, nothing is narrowed.

        Bad hints are refused all the same.
        """
        group = self.nova.create_server_group(
            name='group', policy='anti-affinity'
        )
        servers = []
        for hints, terms in (
            # It has no member yet.
            ({'group': group.id}, [['lyo,par']] * 2),
            ({'group': group.id}, [[]]),
            ({'different_host': '{server}'}, [[]]),
            ({'same_host': '{server}'}, [[]]),
        ):
            hints = {
                name: value.format(server=servers and servers[0].id)
                for name, value in hints.items()
            }
            server, host = self.boot(hints={**BUDGET, **hints})
            self.assertIn(self.site_of(host), ('par', 'lyo'))
            self.assertEqual(terms, self.queries())
            servers.append(server)
            if terms == [[]]:
                self._assert_refused(hints={**PARIS, **BAD, **hints})
                self.assertEqual([], self.queries())

    def test_several_cells(self):
        """With more than one cell enabled a move is not narrowed.

        Nova keeps a server to its cell, and Placement knows no cells.
        """
        server, _ = self.boot(hints=BUDGET)
        self.live_migrate(server)
        self.assertEqual([['lyo,par']] * 4, self.queries())
        context = nova_context.get_admin_context()
        manager = self.cloud.scheduler.host_manager
        (cell0, _) = objects.CellMappingList.get_all(context)
        another = objects.CellMapping(
            context,
            uuid=base.UUID,
            name='cell2',
            transport_url='none:///',
            database_connection=cell0.database_connection,
        )
        another.create()
        self.addCleanup(manager.refresh_cells_caches)
        self.addCleanup(another.destroy)
        manager.refresh_cells_caches()
        self.assertEqual(2, len(manager.enabled_cells))
        self.live_migrate(server)
        self.assertEqual('par', self.site(server))
        self.assertEqual([[]], self.queries())
        # A boot may go to any.
        self.assertEqual(['par'], self.schedule(BUDGET))
        self.assertEqual([['lyo,par']] * 2, self.queries())
        another.disabled = True
        another.save()
        manager.refresh_cells_caches()
        self.live_migrate(server)
        self.assertEqual([['lyo,par']] * 2, self.queries())


class NarrowedTest(QueryTestCase):
    """Placement is asked for the sites that can pass, and for no others."""

    def setUp(self):
        super().setUp()
        sites = self.make_sites(par=3, lyo=9, mrs=None)
        self.cloud.set_metadata(sites['par'], {'edge:tier': 'core'})
        # What makes mrs two places: one of its hosts is measured.
        self.cloud.set_metadata(
            sites['mrs'], {'edge:host_rtt:mrs-b:paris': '6'}
        )
        self.cloud.create_site('bare', (), {'edge:rtt:paris': '1'})
        self.sites = sites
        self.log.reset_output()

    def _assert_asked(self, site, sites, hints, **how):
        """The scheduler takes a site, and asks for these."""
        self.assertEqual([site], self.schedule(hints, **how), hints)
        self.assertEqual([sites] * (2 if sites else 1), self.queries(), hints)

    def test_hard(self):
        """With a budget that hosts without a figure do not meet, or a site
        or a tier, all sites are asked for that have a host that can pass.
        """
        for site, sites, hints in (
            ('par', ['lyo,mrs,par'], BUDGET),
            ('par', ['par'], {**PARIS, 'edge:max_rtt_ms': '4'}),
            ('mrs', ['lyo,mrs'], {**BUDGET, 'edge:avoid_site': 'par'}),
            ('lyo', ['lyo'], {'edge:site': 'lyo'}),
            ('mrs', ['lyo,mrs'], {**PARIS, 'edge:site': ['mrs', 'lyo']}),
            ('par', ['par'], {'edge:tier': 'core'}),
            (
                'par',
                ['lyo,mrs,par'],
                {
                    **PARIS,
                    'edge:max_rtt_ms': '1',
                    'edge:fallback': 'nearest',
                },
            ),
        ):
            self._assert_asked(site, sites, hints)
        self.cloud.set_metadata(self.sites['par'], {'edge:status': 'draining'})
        self._assert_asked('mrs', ['lyo,mrs'], BUDGET)

    def test_not_hard(self):
        """Where hosts without a figure may pass, all are asked for."""
        for site, hints in (
            ('par', PARIS),
            ('par', {**BUDGET, 'edge:unmeasured': 'accept'}),
            ('mrs', {**PARIS, 'edge:avoid_site': ['par', 'lyo']}),
        ):
            self._assert_asked(site, [], hints)

    def test_boot(self):
        """So it is for a server that is booted, and the log says it."""
        server, host = self.boot(hints={**PARIS, 'edge:max_rtt_ms': '5'})
        self.assertEqual('par', self.site_of(host))
        self.assertIn(
            f'Edge query for server {server.id}, origin paris (hint): '
            'Placement is asked for 1 of 4 sites (the farthest: par is 3 ms '
            'from paris, within 5 ms).',
            self.log.output,
        )
        self.assertEqual([['par']] * 2, self.queries())

    def test_nothing_else(self):
        """Nova goes on with the request as it was, but for the sites."""
        self.cloud.create_aggregate(
            'zone', ['par-a', 'lyo-a'], {'availability_zone': 'zone'}
        )
        requests = [
            test_boot.spec(
                {name: [value] for name, value in BUDGET.items()},
                {'trait:HW_CPU_X86_AVX': 'forbidden', **PINNED},
                availability_zone='zone',
                ignore_hosts=['mrs-a'],
            )
            for _ in range(2)
        ]
        *of_nova, our = nova_request_filter.ALL_REQUEST_FILTERS
        context = nova_context.get_admin_context()
        narrowed, other = requests
        for asked, each in itertools.product(requests, of_nova):
            each(context, asked)
        self.assertTrue(our(context, narrowed))
        added = narrowed.requested_destination.aggregates.pop()
        self.assertEqual(2, len(added.split(',')))
        self.assertEqual({'COMPUTE_STATUS_DISABLED'}, narrowed.root_forbidden)
        self.assertEqual(other.obj_to_primitive(), narrowed.obj_to_primitive())

    def test_refused_later(self):
        """Where later filters refuse all that is left, the log says that the
        query was narrowed, and how.
        """
        self.fill('mrs-b')
        server, _ = self.boot(hints={**BUDGET, 'edge:site': 'mrs'})
        self.assertEqual('ERROR', server.status)
        self.assertIn(
            'no host passes: mrs is not measured from paris; Placement is '
            'asked for 1 of 4 sites (the farthest: host mrs-b of mrs is 6 ms '
            'from paris, within 10 ms).',
            self.log.output,
        )
