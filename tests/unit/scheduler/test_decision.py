# SPDX-License-Identifier: Apache-2.0

import gc
import weakref

from nova import context
from nova.scheduler import request_filter as nova_request_filter
from nova.scheduler import weights
from nova.scheduler.client import report

from edge_filters import case
from edge_filters import conf
from edge_filters.scheduler import decision
from edge_filters.scheduler import latency_filter
from edge_filters.scheduler import latency_weigher
from edge_filters.scheduler import site_filter
from tests.unit.scheduler import base
from tests.unit.scheduler import test_request_filter

PAR = {'edge:site': 'par', 'edge:rtt:paris': '4'}
LYO = {'edge:site': 'lyo', 'edge:rtt:paris': '9'}
DRAIN = {'edge:site': 'drain', 'edge:status': 'draining'}
HINTS = {'edge:origin': ['paris'], 'edge:max_rtt_ms': ['5']}
OTHER = base.aggregate_uuid(7)


class DecisionTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.patch(nova_request_filter, 'ALL_REQUEST_FILTERS', [])
        placement = test_request_filter.Placement()
        placement.hosts = {'par-1': {base.aggregate_uuid(0)}}
        self.patch(report, 'report_client_singleton', lambda: placement)
        self.set_options(
            'filter_scheduler',
            enabled_filters=['EdgeSiteFilter', 'EdgeLatencyFilter'],
        )
        self.filters = (
            site_filter.EdgeSiteFilter(),
            latency_filter.EdgeLatencyFilter(),
        )
        self.weigher = latency_weigher.EdgeLatencyWeigher()
        self.rules = case.rules(conf.read(base.nova.conf.CONF))
        self.states = base.host_states('par-1', 'lyo-1')
        self.set_sites((PAR, ['par-1']), (LYO, ['lyo-1']))

    def of(self, spec, *host_states, **rules):
        return decision.of(spec, rules.get('rules', self.rules), host_states)

    def narrow(self, spec):
        nova_request_filter.process_reqspec(context.get_admin_context(), spec)

    def passing(self, spec):
        states = self.states
        for one in self.filters:
            states = one.filter_all(states, spec)
        return [state.host for state in states]

    def scores(self, spec):
        weighed = [weights.WeighedHost(state, 0) for state in self.states]
        return self.weigher.weigh_objects(weighed, spec)


class OneDecisionTest(DecisionTestCase):
    def test_one_for_each_request(self):
        """A request has one decision, whoever asks; another has its own."""
        one, other = base.request_spec(HINTS), base.request_spec(HINTS)
        decided = self.of(one)
        self.passing(one)
        self.scores(one)
        self.narrow(one)
        self.assertIs(decided, self.of(one))
        self.assertIsNot(decided, self.of(other))
        self.assertIsNot(decided, self.of(one.obj_clone()))

    def test_other_rules(self):
        """Other options make it another decision."""
        spec = base.request_spec(HINTS)
        decided = self.of(spec)
        self.set_options(max_age=7)
        rules = case.rules(conf.read(base.nova.conf.CONF))
        self.assertIsNot(decided, self.of(spec, rules=rules))

    def test_sites_change_meanwhile(self):
        """What changes during a request counts from the next request on."""
        spec = base.request_spec(HINTS)
        # The request filter knows the sites as they are now.
        self.narrow(spec)
        self.set_sites(
            (PAR | {'edge:status': 'inactive'}, ['lyo-1']),
            (LYO | {'edge:rtt:paris': '2'}, ['par-1']),
        )
        self.assertEqual(['par-1'], self.passing(spec))
        par, lyo = self.scores(spec)
        self.assertGreater(par, lyo)
        late = base.request_spec(HINTS)
        self.assertEqual(['par-1'], self.passing(late))
        self.set_sites((LYO, ['par-1']), (PAR, ['lyo-1']))
        self.assertEqual(['par-1'], self.passing(late))
        self.assertEqual(['lyo-1'], self.passing(base.request_spec(HINTS)))

    def test_kept_no_longer_than_the_request(self):
        """A decision is gone when Nova lets go of its request."""
        self._collect_no_more_than_needed()
        for make, hints in (
            (base.request_spec, HINTS),
            (base.move_spec, HINTS),
            (self._move, {'edge:avoid_site': ['x']}),
        ):
            spec = make(hints)
            self.narrow(spec)
            self.passing(spec)
            decided = weakref.ref(self.of(spec))
            self.assertIsNotNone(decided())
            del spec
            gc.collect()
            self.assertIsNone(decided(), hints)

    def _collect_no_more_than_needed(self):
        """All that is there before need not be looked at again."""
        gc.freeze()
        self.addCleanup(gc.unfreeze)

    @staticmethod
    def _move(hints):
        return base.move_spec(hints, source='par-1')

    def test_request_is_not_kept(self):
        """A decision keeps no request alive."""
        self._collect_no_more_than_needed()
        spec = base.request_spec(HINTS)
        decided = self.of(spec)
        kept = weakref.ref(spec)
        del spec
        gc.collect()
        self.assertIsNone(kept())
        self.assertTrue(decided.request.has_budget)


class SourceTest(DecisionTestCase):
    """Where a server that moves is, which Nova may tell late."""

    def setUp(self):
        super().setUp()
        self.set_sites((PAR, ['par-1']), (DRAIN, ['d1', 'd2']))
        self.here, self.there = base.host_states('d1', 'par-1')
        self.here.instances = {base.UUID: object()}

    def test_found_late(self):
        """Once it is known whence a server moves, all is judged anew."""
        spec = base.move_spec(HINTS)
        decided = self.of(spec)
        place = decided.snapshot.place('d2')
        self.assertIsNone(decided.source)
        self.assertFalse(decided.judge_site(place).passes)
        self.of(spec, self.there)
        self.assertFalse(decided.judge_site(place).passes)
        self.of(spec, self.there, self.here)
        self.assertEqual(('drain',), decided.source.sites)
        self.assertTrue(decided.judge_site(place).passes)

    def test_stand_in_found_late(self):
        """Where its site stands in for its users, nearness is judged anew."""
        spec = base.move_spec({'edge:avoid_site': ['x']})
        decided = self.of(spec)
        place = decided.snapshot.place('d2')
        self.assertFalse(decided.has_order)
        self.assertIsNone(decided.judge_latency(place).cost_ms)
        self.of(spec, self.here)
        self.assertTrue(decided.has_order)
        self.assertEqual(5, decided.judge_latency(place).cost_ms)

    def test_found_once(self):
        """Whence it moves does not change when it is found elsewhere."""
        spec = base.move_spec(HINTS, source='d1')
        decided = self.of(spec)
        spec.ignore_hosts = ['par-1']
        self.of(spec)
        self.assertEqual(('drain',), decided.source.sites)

    def test_boot(self):
        """A boot comes from nowhere."""
        spec = base.request_spec(HINTS, ignore_hosts=['d1'])
        self.assertIsNone(self.of(spec, self.here).source)


class ServerTest(DecisionTestCase):
    def test_several_servers(self):
        """Of servers booted together the log names the one of the moment."""
        spec = base.request_spec(HINTS, num_instances=2)
        self.narrow(spec)
        for server in (base.UUID, OTHER):
            self.log.reset_output()
            # So does Nova, in one request.
            spec.instance_uuid = server
            self.assertEqual(['par-1'], self.passing(spec))
            self.assertIn(
                f'Edge decision (enforce) for server {server}, origin paris',
                self.log.output,
            )
            self.assertEqual(1, self.log.output.count('Edge decision'))

    def test_no_server(self):
        """A request without a server's UUID raises nothing."""
        spec = base.objects.RequestSpec(scheduler_hints=HINTS)
        self.assertIsNone(self.of(spec, *self.states).server)
