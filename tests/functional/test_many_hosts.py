# SPDX-License-Identifier: Apache-2.0

import itertools
import urllib.parse

from keystoneauth1 import exceptions as ks_exceptions
from nova import objects
from nova.scheduler.client import report
import requests
from testtools import matchers

from edge_filters.scheduler import request_filter
from tests.functional import base
from tests.functional import test_request_filter

PARIS = test_request_filter.PARIS
BUDGET = test_request_filter.BUDGET
ALL = ['lyo,mrs,par']


class NearestTest(test_request_filter.QueryTestCase):
    """Placement returns fewer hosts than there are; the nearest is found."""

    def setUp(self):
        super().setUp()
        # An origin for each order that the sites can have.
        self.orders = list(itertools.permutations(base.SITE_HOSTS))
        sites = self.make_sites(par=4, lyo=9, mrs=30)
        for name, aggregate in sites.items():
            figures = {
                f'edge:rtt:o{number}': ('4', '9', '30')[order.index(name)]
                for number, order in enumerate(self.orders)
            }
            self.cloud.set_metadata(aggregate, figures)

    def _nearest_found(self):
        """Of how many origins the nearest site is found."""
        return sum(
            [order[0]] == self.schedule({'edge:origin': f'o{number}'})
            for number, order in enumerate(self.orders)
        )

    def test_nearest(self):
        """Beyond the limit the nearest site is found; the option off, not."""
        for limit in (4, 3, 2):
            self.set_options('scheduler', max_placement_results=limit)
            self.assertEqual(len(self.orders), self._nearest_found(), limit)
        self.restart(request_filter=False)
        # Two hosts are of two sites, at most.
        self.assertEqual([], test_request_filter.ours())
        self.assertLess(self._nearest_found(), len(self.orders))
        self.log.reset_output()
        refused = self.refusal({**PARIS, 'edge:max_rtt_ms': '1'})
        self.assertIn('There are not enough hosts available', refused)
        self.assertEqual([[]], self.queries())


class LimitTestCase(test_request_filter.QueryTestCase):
    """Placement returns fewer hosts than there are."""

    def setUp(self):
        super().setUp()
        self.set_options('scheduler', max_placement_results=5)
        self.make_sites(par=4, lyo=9, mrs=30)
        self.log.reset_output()

    def assert_asked(self, site, terms, *args, **kwargs):
        """The scheduler takes this site, and asks Placement for these."""
        self.assertEqual({site}, set(self.schedule(*args, **kwargs)))
        self.assertEqual(terms, self.queries())


class EnoughTest(LimitTestCase):
    """As many sites are asked for as have enough hosts, the nearest first."""

    def setUp(self):
        super().setUp()
        # A server takes ten hosts, and there are seven.
        self.patch(request_filter, '_HOSTS_A_SERVER', 1)
        self.restart(request_filter_min_hosts=2)
        self.log.reset_output()

    def test_as_many_as_needed(self):
        """There are at least request_filter_min_hosts, or as many for each
        server as ever, but no more than half of the limit; where no more are
        known than the limit, it is all.
        """
        self.assert_asked('par', [['lyo,par']] * 2, PARIS)
        self.assert_asked('par', [['lyo,par']] * 2, PARIS, num_instances=2)
        self.assert_asked('par', [['lyo,par']] * 2, PARIS, num_instances=3)
        # So it is for a budget that more hosts meet than that.
        hints = {**PARIS, 'edge:max_rtt_ms': '99'}
        self.assert_asked('par', [['lyo,par']] * 2, hints)
        self.set_options('scheduler', max_placement_results=len(base.HOSTS))
        self.assert_asked('par', [[]], PARIS)
        self.assert_asked('par', [ALL] * 2, hints)
        self.set_options('scheduler', max_placement_results=5)
        self.restart(request_filter_min_hosts=1)
        self.log.reset_output()
        self.assert_asked('par', [['par']] * 2, PARIS)
        self.assert_asked('par', [['lyo,par']] * 2, PARIS, num_instances=2)

    def test_again(self):
        """Where too few have room, more are asked for, once.

        The host that a server is evacuated from is none. Where these are too
        few as well, the query is not narrowed.
        """
        server, _ = self.boot(hints=PARIS, availability_zone='nova:par-a')
        self.fill('par-b', 'lyo-b')
        self.log.reset_output()
        self.assert_asked('par', [['lyo,par']] * 2, PARIS)
        self.evacuate(server)
        self.assertEqual('lyo-a', self.cloud.host_of(server))
        self.assertEqual(ALL, self.queries()[-1])
        self.nova.delete_server(server)
        self.nova.wait_for_delete(server, interval=0.1)
        self.fill('lyo-a')
        self.log.reset_output()
        # Of par-a Placement does not know that it is down.
        self.assert_asked('mrs', [['lyo,par'], ALL, ALL], PARIS)
        self.fill('mrs-a', 'mrs-b')
        self.log.reset_output()
        self.assert_asked('', [['lyo,par'], ALL, []], PARIS)


class AnswerTest(LimitTestCase):
    """What Placement answers, and whether it does."""

    def test_pinned(self):
        """Hosts that only Nova's fallback finds count, as for Nova itself."""
        self.assertEqual(
            ['par'], self.schedule(PARIS, test_request_filter.PINNED)
        )
        queries = self.raw_queries()
        self.assertEqual(4, len(queries))
        for query, resource in zip(queries, 'PVPV', strict=True):
            self.assertIn(f'{resource}CPU%3A1', query)
            self.assertIn('member_of', query)
        self.set_options('workarounds', disable_fallback_pcpu_query=True)
        refused = self.refusal(BUDGET, test_request_filter.PINNED)
        self.assertIn('No host with room', refused)
        self.assertEqual(1, len(self.queries()))

    def _fail_once(self, failure):
        """Placement, asked for candidates, fails the first time."""
        failures = [failure]
        get = report.SchedulerReportClient.get

        def flaky_get(client, url, **kwargs):
            if not url.startswith('/allocation_candidates') or not failures:
                return get(client, url, **kwargs)
            answer = failures.pop()
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.patch(report.SchedulerReportClient, 'get', flaky_get)

    def test_placement_fails(self):
        """On an error of Placement nothing is narrowed, and the boot works."""
        response = requests.Response()
        response.status_code = 500
        for failure in (
            response,
            # That Nova's client lets pass, and that it does not.
            ks_exceptions.SSLError(),
            ks_exceptions.ConnectFailure(),
        ):
            for hints in (PARIS, BUDGET):
                self._fail_once(failure)
                self.assert_asked('par', [[]], hints)
        self._fail_once(failure)
        _, host = self.boot(hints=BUDGET)
        self.assertEqual('par', self.site_of(host))
        self.assertEqual([[]], self.queries())


class SitesTest(test_request_filter.QueryTestCase):
    def test_none(self):
        """Where no site is known nothing is narrowed.

        Bad hints are refused all the same.
        """
        self.set_options('scheduler', max_placement_results=2)
        self.schedule({'edge:near': '48.85,2.35'})
        self.assertEqual([[]], self.queries())
        self.assertIn('paris is not known', self.refusal(PARIS))
        self.assertEqual([], self.queries())

    def _add_sites(self, count):
        """The scheduler hears of so many sites more, a host each."""
        self.cloud.scheduler.host_manager.update_aggregates(
            [
                objects.Aggregate(
                    id=1000 + number,
                    uuid=f'{number:08}{base.UUID[8:]}',
                    name=f's{number}',
                    hosts=[f's{number}'],
                    metadata={
                        'edge:site': f's{number}',
                        'edge:tier': 'core',
                        'edge:rtt:paris': '5',
                    },
                )
                for number in range(count)
            ]
        )

    def _count_asked(self, hints):
        """How many aggregates each of the queries has, none being too long."""
        self.log.reset_output()
        self.schedule(hints)
        queries = self.raw_queries()
        for query in queries:
            # Of the first line of a request Apache reads 8,190 bytes.
            line = f'GET /allocation_candidates?{query} HTTP/1.1\r\n'
            self.assertLess(len(line), 8190)
        return [
            sum(
                len(term.split(','))
                for term in urllib.parse.parse_qs(query).get('member_of', ())
            )
            for query in queries
        ]

    def test_many(self):
        """The query is short enough, whatever the number of sites.

        Those that do not fit are left out. As none of these has a host, there
        are too few in the end.
        """
        # So that reset() finds no aggregate that is not in the database.
        self.addCleanup(self.cloud.restart_scheduler)
        for site in self.make_sites(par=4, lyo=9, mrs=30).values():
            self.cloud.set_metadata(site, {'edge:tier': 'core'})
        tier = {'edge:tier': 'core'}
        self._add_sites(150)
        self.assertEqual([152, 152], self._count_asked(BUDGET))
        self.assertEqual([153, 153], self._count_asked(tier))
        self._add_sites(1500)
        for hints in (BUDGET, tier):
            first, last = self._count_asked(hints)
            self.assertThat(first, matchers.GreaterThan(190))
            self.assertEqual(0, last)
