# SPDX-License-Identifier: Apache-2.0

import itertools
import json
import random
import re
import threading
from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies as st
from keystoneauth1 import exceptions as ksa_exceptions

from edge_filters import cloud
from edge_filters.agent import draft
from edge_filters.agent import pace
from edge_filters.agent import publisher
from edge_filters.agent import reading
from edge_filters.latency import estimate
from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.latency import sample_format
from sandbox import plain_cloud
from tests.unit import base
from tests.unit import hostile
from tests.unit import nova_api
from tests.unit.agent import settings as agent_settings
from tests.unit.osc import test_hostile

NOW = 1.8e9
INTERVAL_S = 60
KEEP_ALIVE_S = 1000
ESTIMATOR = estimate.Estimator(5.0, 0.01)


def settings(**changes):
    """Return the settings of a central agent, and what is otherwise."""
    central = {'site': '', 'origin': (), 'prometheus_url': 'http://x'}
    return agent_settings.make(**{**central, 'name': 'agent-1', **changes})


def figure(rtt_ms, at, **fields):
    """Return what is measured; None: nothing is answered."""
    if rtt_ms is None:
        fields |= {'loss_pct': 100.0}
    return sample.Sample(rtt_ms, at=at, source='icmp', **fields)


class Clock:
    """A time that passes when it is told to."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class World:
    """Agents, what they measure, and a time that is theirs.

    :ivar rtts_ms: what is measured, by site and target; a target in angle
        brackets is a site
    """

    def __init__(self, its_cloud, rtts_ms=()):
        self.clock = Clock()
        self.cloud = its_cloud
        self.rtts_ms = dict(rtts_ms)
        self.agents = []

    def agent(self, its_cloud=None, **changes):
        agent = publisher.Publisher(
            its_cloud or self.cloud,
            settings(**changes),
            self.clock,
            self.clock,
        )
        self.agents.append(agent)
        return agent

    def figures(self):
        return {
            reading.Path(
                site, target.strip('<>'), target.startswith('<')
            ): figure(rtt_ms, self.clock.now)
            for (site, target), rtt_ms in self.rtts_ms.items()
        }

    def measure(self, *agents):
        for agent in agents or self.agents:
            agent.measured(self.figures())

    def steps(self, *agents, most=50):
        """Let agents do all that is due; return how many calls they made."""
        agents = agents or self.agents
        before = sum(it.api_calls for it in agents)
        for agent in agents:
            for _ in range(most):
                calls = agent.api_calls
                wait_s = agent.step()
                assert agent.api_calls <= calls + 1
                if agent.api_calls == calls and wait_s >= 1:
                    break
                self.clock.now += max(wait_s, 0.001)
            else:
                raise AssertionError('It has always something to do')
        return sum(it.api_calls for it in agents) - before

    def settle(self, *agents):
        """Measure once, and let agents do all that is due."""
        self.measure(*agents)
        return self.steps(*agents)

    def run(self, seconds, change=lambda: None):
        """Let time pass, with a measurement each interval."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            change()
            self.measure()
            until = self.clock.now + INTERVAL_S
            while self.clock.now < until:
                self.clock.now += max(
                    0.001, min(it.step() for it in self.agents)
                )


class PublisherTestCase(base.TestCase):
    """An agent beside a Nova of two sites, reached through openstacksdk."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.seen = 0
        self.nova = self.useFixture(nova_api.NovaApi())
        self.par = self.nova.aggregate('par', ['par-1'], edge__site='par')
        self.lyo = self.nova.aggregate('lyo', ['lyo-1'], edge__site='lyo')
        self.world = World(
            cloud.Cloud(self.nova.connect()),
            {
                ('par', 'paris'): 2.0,
                ('par', 'lyon'): 8.0,
                ('lyo', 'paris'): 8.0,
                ('lyo', 'lyon'): 2.0,
            },
        )

    def written(self, aggregate, key):
        """Return a figure that an aggregate has."""
        text = aggregate['metadata'][key]
        return sample_format.parse_sample(text, may_be_bound=True)

    def rtt_ms(self, aggregate, key):
        return self.written(aggregate, key).rtt_ms

    def writes(self):
        """Return what was written since this was last asked, by call."""
        every = self.nova.changes()
        seen, self.seen = self.seen, len(every)
        return [
            (int(path.split('/')[2]), body['set_metadata']['metadata'])
            for path, body in every[seen:]
        ]


class CentralTest(PublisherTestCase):
    """One agent writes what is measured at all sites."""

    def setUp(self):
        super().setUp()
        self.agent = self.world.agent()

    def test_first(self):
        """Each site has its figures after one call, and no key is added else.

        Reading is one call for all of them.
        """
        self.assertEqual(3, self.world.settle())
        self.assertEqual(
            {
                'edge:site': 'par',
                'edge:rtt:paris': '2 at=2027-01-15T08:00:00Z by=icmp '
                'agent=agent-1',
                'edge:rtt:lyon': '8 at=2027-01-15T08:00:00Z by=icmp '
                'agent=agent-1',
            },
            self.par['metadata'],
        )
        self.assertEqual(2.0, self.rtt_ms(self.lyo, 'edge:rtt:lyon'))

    def test_nothing_twice(self):
        """What was published just now is not published again."""
        self.world.settle()
        self.assertEqual(0, self.world.steps())
        self.assertEqual([], self.agent.plan())
        self.world.clock.now += INTERVAL_S
        self.assertEqual(0, self.world.settle())

    def test_change(self):
        """A site where something changed is written, with all that is new."""
        self.world.settle()
        self.writes()
        self.world.rtts_ms['par', 'paris'] = 12.0
        self.world.clock.now += INTERVAL_S
        self.world.settle()
        ((id, changes),) = self.writes()
        self.assertEqual(1, id)
        self.assertEqual({'edge:rtt:paris', 'edge:rtt:lyon'}, changes.keys())

    def test_keep_alive(self):
        """What does not change is written once in a keep-alive."""
        self.world.settle()
        self.writes()
        self.world.run(3 * KEEP_ALIVE_S + 2 * INTERVAL_S)
        self.assertEqual([1, 2] * 3, [id for id, _ in self.writes()])

    def test_no_measurement(self):
        """Without a new measurement nothing becomes fresh."""
        self.world.settle()
        self.writes()
        self.world.clock.now += 1.5 * KEEP_ALIVE_S
        self.world.steps()
        self.assertEqual([], self.writes())
        stale = NOW + self.agent._settings.max_age_s + 1
        self.assertEqual(0, self.agent.stale_sites(stale - 2))
        self.assertEqual(2, self.agent.stale_sites(stale))

    def test_older(self):
        """What is older than what is published is not written over it."""
        path = reading.Path('par', 'paris')
        self.world.settle()
        self.agent.measured({path: figure(50.0, NOW - 10)})
        self.agent.measured({path: figure(60.0, NOW + 0.4)})
        self.assertEqual(0, self.world.steps())
        # Nor is it remembered where something newer was measured.
        self.agent.measured({path: figure(2.1, NOW + 20)})
        self.agent.measured({path: figure(70.0, NOW + 10)})
        self.assertEqual(0, self.world.steps())

    def test_by_hand(self):
        """A figure by hand is overwritten where it is chosen, else kept."""
        self.par['metadata']['edge:rtt:paris'] = '99'
        self.lyo['metadata']['edge:rtt:paris'] = '77 by=me'
        self.world.agents.clear()
        self.world.agent(nearest_sites=1)
        self.world.settle()
        self.assertEqual(2.0, self.rtt_ms(self.par, 'edge:rtt:paris'))
        self.assertEqual('77 by=me', self.lyo['metadata']['edge:rtt:paris'])

    def test_dated_ahead(self):
        """A figure from the future is no figure: it is overwritten."""
        self.par['metadata']['edge:rtt:paris'] = (
            '99 at=2099-01-01T00:00:00Z by=icmp agent=agent-2'
        )
        self.world.settle()
        self.assertEqual(2.0, self.rtt_ms(self.par, 'edge:rtt:paris'))

    def test_removed_with_others(self):
        """A key that is no longer worth one goes with the next write.

        Then it is among the rest, of which the default speaks.
        """
        self.world.agents.clear()
        self.world.agent(nearest_sites=1)
        for origin, rtt_ms in (('paris', 8), ('lyon', 2)):
            self.lyo['metadata'][f'edge:rtt:{origin}'] = (
                f'{rtt_ms} at=2027-01-15T07:59:00Z by=icmp agent=agent-1'
            )
        self.world.settle()
        self.assertIn('edge:rtt:paris', self.lyo['metadata'])
        self.writes()
        self.world.run(KEEP_ALIVE_S)
        self.assertNotIn('edge:rtt:paris', self.lyo['metadata'])
        ((_, changes),) = [it for it in self.writes() if it[0] == 2]
        self.assertTrue(changes['edge:rtt_default'].startswith('>6 at='))

    def test_removed_alone(self):
        """It never goes alone, as where the default depends on it.

        While par publishes its RTT to mrs, that of the users at mrs is
        estimated, and a bound need not be true of them.
        """
        self.nova.aggregate('mrs', edge__site='mrs', edge__prefixes='::/64')
        key = 'edge:site_rtt:mrs'
        there = '30 at=2027-01-15T07:59:00Z by=icmp agent=agent-1'
        self.par['metadata'][key] = there
        self.world.rtts_ms = {
            ('par', '<mrs>'): 30.0,
            ('par', 'lyon'): 8.0,
            ('lyo', '<mrs>'): 2.0,
            ('lyo', 'lyon'): 2.0,
        }
        self.world.agents.clear()
        agent = self.world.agent(nearest_sites=1)
        self.world.settle()
        self.assertEqual(there, self.par['metadata'][key])
        self.assertEqual(0, agent.pending())
        self.world.rtts_ms['par', 'paris'] = 2.0
        self.world.settle()
        self.assertNotIn(key, self.par['metadata'])

    def test_removed_whoever_wrote(self):
        """So does one that does not say by what it was measured."""
        self.world.agents.clear()
        self.world.agent(nearest_sites=1)
        self.lyo['metadata']['edge:rtt:paris'] = '20 at=2027-01-15T06:00:00Z'
        self.lyo['metadata']['edge:rtt:lyon'] = '99'
        self.world.settle()
        self.assertNotIn('edge:rtt:paris', self.lyo['metadata'])

    def test_unreachable(self):
        """What is lost is published as lost, and back again."""
        self.world.settle()
        for rtt_ms in (None, 2.0):
            self.world.rtts_ms['par', 'paris'] = rtt_ms
            self.world.clock.now += INTERVAL_S
            self.world.settle()
            self.assertEqual(rtt_ms, self.rtt_ms(self.par, 'edge:rtt:paris'))

    def test_sites(self):
        """Figures between sites are published as those of origins are."""
        self.world.rtts_ms['par', '<lyo>'] = 7.5
        self.world.settle()
        self.assertEqual(7.5, self.rtt_ms(self.par, 'edge:site_rtt:lyo'))
        published = self.agent.published()
        self.assertEqual(
            7.5, published[reading.Path('par', 'lyo', True)].rtt_ms
        )
        self.assertEqual(2.0, published[reading.Path('par', 'paris')].rtt_ms)

    def test_other_case(self):
        """A key in another case, or with spaces, is the same key."""
        self.par['metadata']['Edge:Rtt: PARIS'] = '99'
        theirs = '9 at=2027-01-15T08:00:00Z by=icmp agent=agent-2'
        self.par['metadata']['edge:rtt: lyon'] = theirs
        self.world.measure()
        ((was, key),) = [
            (it.before, it.key) for it in self.agent.plan() if it.site == 'par'
        ]
        self.assertEqual(('99', 'edge:rtt:paris'), (was, key))
        self.world.settle()
        keys = [it for it in self.par['metadata'] if it.lower().endswith('is')]
        self.assertEqual(['edge:rtt:paris'], keys)
        self.assertEqual(theirs, self.par['metadata']['edge:rtt: lyon'])

    def test_missing_site(self):
        """A site without an aggregate is told once; the others go on."""
        self.world.rtts_ms['mrs', 'paris'] = 12.0
        self.world.settle()
        self.world.clock.now += INTERVAL_S
        self.world.settle()
        told = self.log.output.count('openstack edge site create mrs')
        self.assertEqual(1, told)
        self.assertEqual(2.0, self.rtt_ms(self.par, 'edge:rtt:paris'))

    def test_missing_site_takes_no_place(self):
        """A site without an aggregate is not among the nearest."""
        self.world.rtts_ms['mrs', 'paris'] = 1.0
        self.world.agents.clear()
        agent = self.world.agent(nearest_sites=1)
        self.world.measure()
        plan = {(it.site, it.key) for it in agent.plan()}
        self.assertIn(('par', 'edge:rtt:paris'), plan)

    def test_new_site(self):
        """A site that is made later is found."""
        self.world.rtts_ms['mrs', 'paris'] = 12.0
        self.world.settle()
        mrs = self.nova.aggregate('mrs', edge__site='mrs')
        self.world.run(KEEP_ALIVE_S)
        self.assertEqual(12.0, self.rtt_ms(mrs, 'edge:rtt:paris'))

    def test_several_aggregates(self):
        """Of several aggregates of a site those that have it are written."""
        more = self.nova.aggregate('par-2', edge__site='par')
        more['metadata']['edge:rtt:lyon'] = '1'
        self.world.settle()
        self.assertIn('edge:rtt:paris', self.par['metadata'])
        self.assertNotIn('edge:rtt:lyon', self.par['metadata'])
        self.assertNotIn('edge:rtt:paris', more['metadata'])
        self.assertEqual(8.0, self.rtt_ms(more, 'edge:rtt:lyon'))

    def test_nonsense_measured(self):
        """What cannot have been measured is told once, and left out."""
        figures = self.world.figures()
        bad = {
            reading.Path('par', 'paris'): figure(0.0, NOW),
            reading.Path('lyo', 'lyon'): figure(5.0, NOW + 3600),
        }
        self.agent.measured({**figures, **bad})
        self.agent.measured(bad)
        self.world.steps()
        self.assertNotIn('edge:rtt:paris', self.par['metadata'])
        self.assertNotIn('edge:rtt:lyon', self.lyo['metadata'])
        self.assertIn('edge:rtt:lyon', self.par['metadata'])
        self.assertEqual(1, self.log.output.count('2 figures are left out'))

    def test_forgotten(self):
        """What was measured long ago is neither known nor kept."""
        self.world.measure()
        self.world.clock.now += self.agent._settings.max_age_s + 1
        self.world.rtts_ms = {('lyo', 'lyon'): 2.0}
        self.world.settle()
        self.assertEqual({'edge:site': 'par'}, self.par['metadata'])

    def test_clock_set_back(self):
        """After a clock ran ahead, what is measured since counts."""
        self.world.clock.now += 7200
        self.world.settle()
        # Time that nobody sets goes on.
        with mock.patch.object(self.agent, '_clock', lambda: self.now):
            self.now = NOW
            self.agent.measured(
                {
                    path: it._replace(at=NOW)
                    for path, it in self.world.figures().items()
                }
            )
            for _ in range(20):
                self.world.clock.now += max(self.agent.step(), 30)
        for it in (self.par, self.lyo):
            self.assertEqual(NOW, self.written(it, 'edge:rtt:paris').at)

    def test_measured_long_ago(self):
        """What is told too late is not kept."""
        figures = self.world.figures()
        self.world.clock.now += self.agent._settings.max_age_s + 1
        self.agent.measured(figures)
        self.world.steps()
        self.assertEqual([], self.writes())
        self.assertEqual([], self.agent.missing())

    def test_measured_figures(self):
        """What is measured is known by its path, until it is too old."""
        self.world.rtts_ms['par', '<lyo>'] = 7.5
        self.world.measure()
        figures = self.world.figures()
        self.assertEqual(figures, self.agent.measured_figures())
        self.world.clock.now += self.agent._settings.max_age_s + 1
        self.agent.measured({})
        self.assertEqual({}, self.agent.measured_figures())

    def test_never_read(self):
        """How many sites there are is not known until it was seen."""
        mine = self.world.agent(site='par', aggregate=1)
        for agent in (self.agent, mine):
            self.assertIsNone(agent.sites())
            self.assertIsNone(agent.stale_sites(NOW))
        self.world.settle()
        self.assertEqual(2, self.agent.sites())
        self.assertEqual(1, mine.sites())
        self.assertEqual(0, mine.stale_sites(NOW))

    def test_stale(self):
        """A site is stale by what was measured here, or by all it has.

        Not by an origin that was taken out of the configuration, which an
        agent before this one measured.
        """
        old = '9 at=2027-01-15T06:00:00Z by=icmp agent=agent-1'
        self.par['metadata']['edge:rtt:gone'] = old
        self.world.settle()
        gone = reading.Path('par', 'gone')
        self.agent.measured({gone: figure(9.0, NOW - 60)})
        self.assertEqual(0, self.agent.stale_sites(NOW))
        its = self.nova.aggregate('mrs', edge__site='mrs')
        its['metadata']['edge:rtt:gone'] = old
        self.nova.aggregate('empty', edge__site='empty')
        self.nova.aggregate('hand', edge__site='hand', edge__rtt__paris='9')
        self.world.run(KEEP_ALIVE_S)
        now = self.world.clock.now
        self.assertEqual(1, self.agent.stale_sites(now))
        # It goes on to measure one of two.
        self.world.agents.clear()
        del (
            self.world.rtts_ms['par', 'lyon'],
            self.world.rtts_ms['lyo', 'lyon'],
        )
        self.world.agents.append(self.agent)
        self.world.run(self.agent._settings.max_age_s + INTERVAL_S)
        now = self.world.clock.now
        self.assertEqual(3, self.agent.stale_sites(now))

    def test_host_of_no_site(self):
        """A host that no aggregate has is told once, with what to do."""
        told = "for host 'par-9' alone"
        for changes in ({'host': 'par-1'}, {'host': ''}):
            self.world.settle(self.world.agent(**changes))
        self.assertNotIn('for host', self.log.output)
        its = {'site': 'par', 'aggregate': 1}
        for number, changes in enumerate(({}, its), 1):
            agent = self.world.agent(host='par-9', **changes)
            for _ in range(3):
                self.world.clock.now += INTERVAL_S
                self.world.settle(agent)
            self.assertEqual(number, self.log.output.count(told))
        self.assertIn('openstack aggregate add host', self.log.output)

    def test_pending(self):
        """It counts what waits for a call, and is 0 when all is published."""
        self.assertEqual(1, self.agent.pending())
        self.world.measure()
        self.assertEqual(1, self.agent.pending())
        waiting = []
        for _ in range(4):
            self.world.clock.now += self.agent.step()
            waiting.append(self.agent.pending())
        # After what was written all of them are judged once more.
        self.assertEqual([2, 2, 1, 0], waiting)
        self.assertEqual([], self.agent.plan())
        self.world.rtts_ms['par', 'paris'] = 12.0
        self.world.clock.now += INTERVAL_S
        self.world.measure()
        self.assertEqual(1, self.agent.pending())

    def test_missing(self):
        """A site without an aggregate is named, once that was seen."""
        self.world.rtts_ms['mrs', 'paris'] = 12.0
        mine = self.world.agent(site='par', aggregate=1)
        self.world.measure()
        self.assertEqual([], self.agent.missing() + mine.missing())
        self.world.settle()
        self.assertEqual(['mrs'], self.agent.missing())
        self.assertEqual(['lyo', 'mrs'], mine.missing())
        self.assertEqual(0, self.agent.pending() + mine.pending())

    def test_plan(self):
        """A plan says what would be written, and why, and writes nothing."""
        self.par['metadata']['edge:rtt:paris'] = '99'
        self.world.measure()
        plan = {(it.site, it.key): it for it in self.agent.plan()}
        self.assertEqual([], self.writes())
        change = plan['par', 'edge:rtt:paris']
        self.assertEqual('99', change.before)
        self.assertTrue(change.after.startswith('2 at='))
        self.assertEqual('was written by hand', change.why)
        self.assertIsNone(plan['lyo', 'edge:rtt:lyon'].before)
        self.assertEqual(4, len(plan))

    def test_many_keys(self):
        """More than fits into one call is several, of one step each."""
        for number in range(250):
            self.world.rtts_ms['par', f'o{number}'] = 20.0
        self.world.settle()
        par = [len(it) for id, it in self.writes() if id == 1]
        self.assertEqual(253, sum(par))
        self.assertLessEqual(max(par), draft.MAX_KEYS)

    def test_longest_values(self):
        """As many keys as are written at once are one call at any length."""
        changes = {
            f'edge:host_rtt:{number:0241}': f'12.5 by={"x" * 247}'
            for number in range(draft.MAX_KEYS)
        }
        sent = json.dumps({'set_metadata': {'metadata': changes}})
        self.assertLess(len(sent), cloud.MAX_BODY)


class BoundTest(PublisherTestCase):
    """What is said of the origins that a site does not list."""

    def setUp(self):
        super().setUp()
        for site, rtt_ms in (('par', 90.0), ('lyo', 100.0)):
            self.world.rtts_ms[site, 'far'] = rtt_ms
        self.agent = self.world.agent(nearest_sites=1)

    def default(self, aggregate):
        return aggregate['metadata'].get('edge:rtt_default')

    def test_bound(self):
        """It is below the nearest of those that are measured and not listed.

        It goes with what is written anyway.
        """
        self.world.settle()
        # 8 ms to lyon, and 100 ms to far.
        self.assertTrue(self.default(self.par).startswith('>6 at='))
        self.assertTrue(self.default(self.lyo).startswith('>6 at='))
        self.assertIn('agent=agent-1', self.default(self.par))
        self.assertEqual([1, 2], [id for id, _ in self.writes()])

    def test_not_measured(self):
        """Where a known origin is not measured, nothing is said."""
        del self.world.rtts_ms['lyo', 'paris']
        self.world.settle()
        self.assertIsNone(self.default(self.lyo))
        self.assertIsNotNone(self.default(self.par))

    def test_named_elsewhere(self):
        """An origin that only another site lists is a known one."""
        self.par['metadata']['edge:rtt:unmeasured'] = '5'
        self.world.settle()
        self.assertIsNone(self.default(self.lyo))
        self.assertIsNotNone(self.default(self.par))

    def test_users(self):
        """Users attached to a site are an origin, unless it is estimated."""
        self.par['metadata']['edge:prefixes'] = '192.0.2.0/24'
        self.world.settle()
        self.assertIsNotNone(self.default(self.par))
        self.assertIsNone(self.default(self.lyo))
        self.world.rtts_ms['par', '<lyo>'] = 7.0
        self.world.run(2 * KEEP_ALIVE_S)
        self.assertTrue(self.default(self.lyo).startswith('>6 at='))

    def test_no_longer(self):
        """What can no longer be said says nothing, with the next write."""
        self.world.settle()
        self.writes()
        self.par['metadata']['edge:rtt:unmeasured'] = '5'
        self.world.run(2 * KEEP_ALIVE_S)
        self.assertTrue(self.default(self.lyo).startswith('>0 at='))
        self.assertTrue(self.default(self.par).startswith('>6 at='))
        self.assertEqual({1, 2}, {id for id, _ in self.writes()})

    def test_false(self):
        """Where something comes nearer than it says, it is put right."""
        self.world.settle()
        self.writes()
        self.world.rtts_ms['lyo', 'paris'] = 5.0
        self.world.clock.now += INTERVAL_S
        self.world.settle()
        ((id, changes),) = self.writes()
        self.assertEqual(2, id)
        self.assertTrue(changes['edge:rtt_default'].startswith('>3 at='))

    def test_several_aggregates(self):
        """Where another aggregate of the site loses a key, it is put right."""
        self.world.rtts_ms['lyo', 'far'] = 30.0
        more = self.nova.aggregate('par-2', edge__site='par')
        for origin in ('paris', 'lyon'):
            more['metadata'][f'edge:rtt:{origin}'] = (
                '8 at=2027-01-15T07:59:00Z by=icmp agent=agent-1'
            )
        self.par['metadata']['edge:rtt_default'] = (
            '>50 at=2027-01-15T07:59:00Z by=icmp agent=agent-1'
        )
        self.world.settle()
        self.assertNotIn('edge:rtt:lyon', more['metadata'])
        self.assertTrue(self.default(self.par).startswith('>6 at='))

    def test_by_hand(self):
        """One by hand is never overwritten, though it may be wrong."""
        for value in ('>50', '70'):
            self.par['metadata']['edge:rtt_default'] = value
            self.world.settle()
            self.assertEqual(value, self.default(self.par))

    def test_far(self):
        """A site that is among the nearest of no target has one, kept alive.

        Nothing else is ever written there.
        """
        mrs = self.nova.aggregate('mrs', edge__site='mrs')
        for target in ('paris', 'lyon', 'far'):
            self.world.rtts_ms['mrs', target] = 200.0
        self.world.settle()
        self.assertEqual(
            {'edge:site', 'edge:rtt_default'}, set(mrs['metadata'])
        )
        self.assertTrue(self.default(mrs).startswith('>160 at='))
        self.assertEqual([], self.agent.plan())
        self.writes()
        self.world.run(3 * KEEP_ALIVE_S + 2 * INTERVAL_S)
        self.assertEqual(3, [id for id, _ in self.writes()].count(3))
        self.assertGreater(
            self.written(mrs, 'edge:rtt_default').at,
            NOW + 3 * (KEEP_ALIVE_S - INTERVAL_S),
        )

    def test_far_of_another(self):
        """What another says of a far site is taken over where abandoned."""
        mrs = self.nova.aggregate('mrs', edge__site='mrs')
        mrs['metadata']['edge:rtt_default'] = (
            '>5 at=2027-01-15T08:00:00Z by=icmp agent=agent-3'
        )
        for target in ('paris', 'lyon', 'far'):
            self.world.rtts_ms['mrs', target] = 200.0
        self.world.clock.now += 300
        self.world.run(1.4 * KEEP_ALIVE_S - 300)
        self.assertTrue(self.default(mrs).startswith('>5 at='))
        self.world.run(0.23 * KEEP_ALIVE_S)
        self.assertTrue(self.default(mrs).startswith('>160 at='))

    def test_dated_ahead(self):
        """One from the future is none: it is put right."""
        self.world.settle()
        self.par['metadata']['edge:rtt_default'] = (
            '>6 at=2099-01-01T00:00:00Z by=icmp agent=agent-1'
        )
        self.world.run(0.7 * KEEP_ALIVE_S)
        self.assertIn('at=2027', self.default(self.par))

    def test_oldest(self):
        """It is as old as the oldest of what it is made of."""
        self.world.measure()
        del self.world.rtts_ms['par', 'lyon']
        self.world.clock.now += INTERVAL_S
        self.world.settle()
        bound = self.written(self.par, 'edge:rtt_default')
        self.assertEqual(NOW, bound.at)
        paris = self.written(self.par, 'edge:rtt:paris')
        self.assertEqual(NOW + INTERVAL_S, paris.at)


class SeveralAgentsTest(PublisherTestCase):
    """Two agents for one site do not fight."""

    def setUp(self):
        super().setUp()
        self.one = self.world.agent()
        self.other = self.world.agent(name='agent-2', host='par-1')
        self.world.settle(self.one)
        self.world.steps(self.other)
        self.writes()

    def measure_apart(self):
        """Let one measure what the other does not."""
        self.world.measure(self.one)
        rtts_ms, self.world.rtts_ms = (
            self.world.rtts_ms,
            dict(self.world.rtts_ms),
        )
        self.world.rtts_ms['par', 'paris'] = 5.0
        self.world.measure(self.other)
        self.world.rtts_ms = rtts_ms

    def test_fresh(self):
        """What another keeps fresh is left alone."""
        self.world.run(3 * KEEP_ALIVE_S)
        writes = self.writes()
        self.assertTrue(writes)
        for _, changes in writes:
            for value in changes.values():
                self.assertIn('agent=agent-1', value)

    def test_own_host(self):
        """What is otherwise at its own host, an agent writes for that."""
        self.world.clock.now += INTERVAL_S
        self.measure_apart()
        self.world.steps()
        ((id, changes),) = self.writes()
        self.assertEqual(1, id)
        self.assertEqual(['edge:host_rtt:par-1:paris'], list(changes))
        self.assertTrue(changes['edge:host_rtt:par-1:paris'].startswith('5 '))
        # Once there it stays, and is kept current.
        self.world.clock.now += INTERVAL_S
        self.world.settle()
        ((_, changes),) = self.writes()
        self.assertEqual(['edge:host_rtt:par-1:paris'], list(changes))
        self.assertTrue(changes['edge:host_rtt:par-1:paris'].startswith('2 '))

    def test_own_host_stale(self):
        """A figure of its own host makes a site stale for an agent there."""
        self.par['metadata']['edge:host_rtt:par-1:paris'] = (
            '5 at=2027-01-15T06:00:00Z by=icmp agent=agent-2'
        )
        for host, stale in (('par-1', 1), ('', 0)):
            agent = self.world.agent(name='agent-2', host=host)
            self.world.measure(agent)
            agent.step()
            self.assertEqual(stale, agent.stale_sites(NOW))

    def test_no_host_of_it(self):
        """A host that is not in the aggregate has no figures there."""
        self.par['hosts'].clear()
        self.world.run(KEEP_ALIVE_S)
        self.writes()
        self.measure_apart()
        self.world.steps()
        self.assertEqual([], self.writes())

    def test_abandoned(self):
        """What another no longer keeps fresh is taken over in time."""
        self.world.agents.clear()
        self.world.clock.now += 300
        self.world.agent(name='agent-2')
        self.world.run(1.63 * KEEP_ALIVE_S - 300)
        for aggregate in (self.par, self.lyo):
            for key in ('edge:rtt:paris', 'edge:rtt:lyon'):
                self.assertIn('agent=agent-2', aggregate['metadata'][key])
                self.assertGreater(
                    self.written(aggregate, key).at, NOW + KEEP_ALIVE_S
                )
        self.assertEqual(2, len(self.writes()))

    def test_places(self):
        """What others publish takes a place among the nearest, if fresh."""
        self.world.agents.clear()
        self.world.rtts_ms = {('lyo', 'nice'): 7.0}
        for age_s, is_nearest in ((60, True), (3600, False)):
            its = figure(3.0, NOW - age_s)
            value = sample_format.format_sample(its, 'agent-1')
            self.par['metadata']['edge:rtt:nice'] = value
            self.world.settle(
                self.world.agent(name='agent-2', nearest_sites=1)
            )
            is_there = 'edge:rtt:nice' in self.lyo['metadata']
            self.assertNotEqual(is_nearest, is_there)

    def test_own_site(self):
        """Who speaks for the site has nothing to say for its host."""
        self.world.agents.clear()
        agent = self.world.agent(host='par-1')
        self.world.rtts_ms['par', 'paris'] = 30.0
        self.world.clock.now += INTERVAL_S
        self.world.settle(agent)
        self.assertEqual(3, len(self.par['metadata']))

    def test_restarted(self):
        """After a restart an agent knows its own figures by its name."""
        self.world.agents.clear()
        agent = self.world.agent()
        self.world.clock.now += INTERVAL_S
        self.world.rtts_ms['par', 'paris'] = 12.0
        self.world.settle(agent)
        self.assertEqual(12.0, self.rtt_ms(self.par, 'edge:rtt:paris'))

    def test_default(self):
        """What another says of the rest is left alone, unless it is wrong."""
        value = '>50 at=2027-01-15T08:00:00Z agent=agent-3'
        for it in (self.par, self.lyo):
            it['metadata'] = {'edge:site': it['name']}
        self.par['metadata']['edge:rtt_default'] = value
        for site, rtt_ms in (('par', 90.0), ('lyo', 30.0)):
            self.world.rtts_ms[site, 'far'] = rtt_ms
        self.world.agents.clear()
        self.world.agent(nearest_sites=1)
        self.world.rtts_ms['par', 'lyon'] = 80.0
        self.world.settle()
        self.assertEqual(value, self.par['metadata']['edge:rtt_default'])
        self.world.rtts_ms['par', 'lyon'] = 40.0
        self.world.clock.now += INTERVAL_S
        self.world.settle()
        self.assertEqual(32.0, self.rtt_ms(self.par, 'edge:rtt_default'))

    def test_default_abandoned(self):
        """What another said of the rest long ago is taken over."""
        value = '>5 at=2027-01-15T07:30:00Z agent=agent-3'
        self.par['metadata']['edge:rtt_default'] = value
        self.world.agents.clear()
        self.world.rtts_ms['par', 'paris'] = 30.0
        self.world.clock.now += INTERVAL_S
        self.world.agent()
        self.world.settle()
        self.assertEqual(0.0, self.rtt_ms(self.par, 'edge:rtt_default'))


class SiteTest(PublisherTestCase):
    """An agent at a site, which may see its own aggregate alone."""

    def setUp(self):
        super().setUp()
        self.world.rtts_ms = {
            ('par', 'paris'): 2.0,
            ('par', 'lyon'): 8.0,
        }
        self.agent = self.world.agent(site='par', aggregate=1)

    def test_reads_before_it_writes(self):
        """It reads its aggregate before each write, and no other at all."""
        self.world.run(2.5 * KEEP_ALIVE_S)
        calls = [path for path, _ in self.nova.calls('GET', 'POST')]
        self.assertEqual(
            ['/os-aggregates/1', '/os-aggregates/1/action'] * 3, calls
        )
        self.assertEqual({'edge:site': 'lyo'}, self.lyo['metadata'])

    def test_another_meanwhile(self):
        """What another wrote since it last looked is left alone."""
        self.world.settle()
        self.writes()
        self.world.clock.now += INTERVAL_S
        theirs = sample_format.format_sample(
            figure(4.0, self.world.clock.now), 'agent-2'
        )
        for key in ('edge:rtt:paris', 'edge:rtt:lyon'):
            self.par['metadata'][key] = theirs
        self.world.clock.now += INTERVAL_S
        self.world.rtts_ms['par', 'paris'] = 30.0
        self.world.settle()
        self.assertEqual([], self.writes())

    def test_abandoned(self):
        """It takes over what another has abandoned, after a look."""
        for key in ('edge:rtt:paris', 'edge:rtt:lyon'):
            self.par['metadata'][key] = (
                '4 at=2027-01-15T08:00:00Z agent=agent-2'
            )
        self.world.run(1.4 * KEEP_ALIVE_S)
        self.assertEqual([], self.writes())
        self.world.run(0.2 * KEEP_ALIVE_S)
        ((_, changes),) = self.writes()
        self.assertEqual(2, len(changes))

    def test_other_site(self):
        """An aggregate that is another site, or none, is not written."""
        for name in ('lyo', None):
            self.par['metadata'] = {'edge:site': name} if name else {}
            self.world.clock.now += 2 * KEEP_ALIVE_S
            self.world.settle()
            self.assertEqual([], self.writes())
            self.assertEqual(0, self.agent.sites())
            if name:
                told = 'is not site par, but lyo; set [edge_latency_agent] agg'
                self.assertIn(told, self.log.output)
        self.par['metadata'] = {'edge:site': 'par'}
        self.world.run(KEEP_ALIVE_S)
        self.assertEqual(2.0, self.rtt_ms(self.par, 'edge:rtt:paris'))

    def test_others_of_it(self):
        """What it measures of other sites is not published, and it is said."""
        self.world.rtts_ms['lyo', 'lyon'] = 1.0
        self.world.settle()
        self.assertIn('of lyo are not published', self.log.output)
        self.assertEqual({'edge:site': 'lyo'}, self.lyo['metadata'])

    def test_room(self):
        """The nearest origins have keys, as many as Nova bears in all."""
        self.par['metadata']['edge:tier'] = 'core'
        self.par['metadata']['note'] = 'not ours'
        for number in range(100):
            self.world.rtts_ms['par', f'o{number:02}'] = 10.0 + 3 * number
        self.world.settle()
        keys = [it for it in self.par['metadata'] if it.startswith('edge:')]
        self.assertEqual(metadata.KEYS_PER_SITE, len(keys))
        self.assertIn('edge:rtt:o59', keys)
        # Of all origins that others may know nothing can be said.
        self.assertNotIn('edge:rtt_default', keys)
        # One that comes nearer by far takes the place of the farthest.
        self.world.rtts_ms['par', 'o99'] = 1.0
        self.world.clock.now += INTERVAL_S
        self.world.settle()
        keys = [it for it in self.par['metadata'] if it.startswith('edge:')]
        self.assertEqual(metadata.KEYS_PER_SITE, len(keys))
        self.assertIn('edge:rtt:o99', keys)
        self.assertNotIn('edge:rtt:o59', keys)

    def test_gone(self):
        """Where its aggregate is gone, it says so, and looks again."""
        aggregate = self.nova.aggregates.pop(1)
        self.world.settle()
        self.assertIn('Aggregate 1 could not be found', self.log.output)
        self.nova.aggregates[1] = aggregate
        self.world.run(KEEP_ALIVE_S)
        self.assertEqual(2.0, self.rtt_ms(self.par, 'edge:rtt:paris'))


class TroubleTest(PublisherTestCase):
    """Nova may be away, refuse, or answer anything."""

    def setUp(self):
        super().setUp()
        self.agent = self.world.agent()

    def break_(self, path, **answer):
        """Let Nova answer otherwise; return what puts it right."""
        its = re.compile(f'{nova_api.URL}/os-aggregates{path}$')
        added = [
            self.nova.mock.register_uri(method, its, **answer)
            for method in ('GET', 'POST')
        ]
        adapter = self.nova.mock._adapter

        def mend():
            for it in added:
                adapter._matchers.remove(it)

        return mend

    def check_resumed(self):
        """Check that all that was measured meanwhile is there."""
        self.world.run(1000)
        for aggregate, paris_ms, lyon_ms in (
            (self.par, 3.5, 9.5),
            (self.lyo, 9.5, 3.5),
        ):
            its = aggregate['metadata']
            self.assertEqual(
                (paris_ms, lyon_ms),
                tuple(
                    sample_format.parse_sample(its[f'edge:rtt:{it}']).rtt_ms
                    for it in ('paris', 'lyon')
                ),
            )

    def test_away(self):
        """Where Nova is away it is asked seldom, and nothing is lost."""
        for path in ('', '/[0-9]+/action'):
            for answer in (
                {'exc': ksa_exceptions.ConnectTimeout},
                {'status_code': 401},
                {'status_code': 429},
                {'status_code': 500},
                {'status_code': 503, 'text': 'no server'},
                {'text': '<html>'},
                {'json': {'aggregate': [], 'aggregates': {}}},
                {'json': None},
            ):
                with self.subTest(path=path, **answer):
                    self.world.agents.clear()
                    self.world.agent()
                    for it in (self.par, self.lyo):
                        it['metadata'] = {'edge:site': it['name']}
                    self.check_away(path, answer)

    def check_away(self, path, answer):
        (agent,) = self.world.agents
        mend = self.break_(path, **answer)
        self.world.run(1800)
        self.assertGreater(agent.errors, 5)
        self.assertLess(agent.errors, 60)
        self.assertEqual({'edge:site': 'par'}, self.par['metadata'])
        mend()
        before, self.world.rtts_ms = (
            self.world.rtts_ms,
            {path: it + 1.5 for path, it in self.world.rtts_ms.items()},
        )
        self.check_resumed()
        self.world.rtts_ms = before
        self.assertEqual(0, agent._pace.failures)
        self.assertGreater(agent.last_success, self.world.clock.now - 1000)

    def test_what_was_measured_meanwhile(self):
        """What was measured while Nova was away keeps its time."""
        mend = self.break_('.*', exc=ksa_exceptions.ConnectTimeout)
        self.world.settle()
        self.world.clock.now += 400
        mend()
        self.world.steps()
        self.assertEqual(NOW, self.written(self.par, 'edge:rtt:paris').at)

    def test_one_refused(self):
        """Where one aggregate is refused the others go on."""
        for status in (400, 403, 404, 409):
            with self.subTest(status):
                self.world.agents.clear()
                agent = self.world.agent()
                for it in (self.par, self.lyo):
                    it['metadata'] = {'edge:site': it['name']}
                mend = self.break_(
                    '/1(/action)?',
                    status_code=status,
                    json={'fault': {'message': 'No.'}},
                    headers={'content-type': 'application/json'},
                )
                self.world.run(900)
                self.assertEqual(2.0, self.rtt_ms(self.lyo, 'edge:rtt:lyon'))
                self.assertLess(agent.errors, 12)
                self.assertGreater(agent.errors, 1)
                mend()
                self.world.run(700)
                self.assertEqual(2.0, self.rtt_ms(self.par, 'edge:rtt:paris'))
        self.assertIn('os-aggregates:set_metadata does not', self.log.output)

    def test_all_refused(self):
        """Where all is refused Nova is asked less and less, with one word."""
        self.nova.forbidden = {'os-aggregates:set_metadata'}
        for number in range(20):
            name = f's{number}'
            self.nova.aggregate(name, edge__site=name)
            self.world.rtts_ms[name, 'paris'] = 20.0
        self.world.run(500)
        self.assertLess(self.agent.api_calls, 60)
        told = self.log.output.count('os-aggregates:set_metadata does not')
        self.assertEqual(1, told)

    def test_away_for_all(self):
        """What refuses one call would refuse others: it slows all of them."""
        for number in range(20):
            name = f's{number}'
            self.nova.aggregate(name, edge__site=name)
            self.world.rtts_ms[name, 'paris'] = 20.0
        for status in (401, 429, 500):
            with self.subTest(status):
                agent = self.world.agent()
                self.world.measure(agent)
                mend = self.break_('/[0-9]+/action', status_code=status)
                end = self.world.clock.now + 5
                while self.world.clock.now < end:
                    self.world.clock.now += max(agent.step(), 0.1)
                self.assertLess(agent.errors, 5)
                mend()

    def test_pending(self):
        """What failed waits still, though it is left alone for a while."""
        mend = self.break_('', status_code=500)
        self.world.measure()
        self.agent.step()
        self.assertEqual(1, self.agent.pending())
        mend()
        self.world.run(INTERVAL_S)
        self.assertEqual(0, self.agent.pending())
        mend = self.break_('/1/action', status_code=400)
        for path in self.world.rtts_ms:
            self.world.rtts_ms[path] += 30
        self.world.clock.now += INTERVAL_S
        self.world.settle()
        self.assertEqual(1, self.agent.pending())
        mend()
        self.world.run(INTERVAL_S)
        self.assertEqual(0, self.agent.pending())
        mend = self.break_('', status_code=500)
        self.world.run(0.6 * KEEP_ALIVE_S)
        self.assertEqual(1, self.agent.pending())
        # An agent at a site: what it has not seen waits.
        mine = self.world.agent(site='par', aggregate=2)
        self.assertEqual(1, mine.pending())
        self.world.settle(mine)
        self.assertEqual(1, mine.pending())

    def test_removed(self):
        """An aggregate that is removed is forgotten, and made again found."""
        self.world.settle()
        del self.nova.aggregates[1]
        self.world.run(KEEP_ALIVE_S + 200)
        self.assertEqual(1, self.agent.sites())
        again = self.nova.aggregate('par', edge__site='par')
        self.world.run(KEEP_ALIVE_S)
        self.assertEqual(2.0, self.rtt_ms(again, 'edge:rtt:paris'))

    def test_made_again(self):
        """One that is refused as it is gone is looked for soon."""
        self.world.settle()
        del self.nova.aggregates[1]
        self.world.rtts_ms['par', 'paris'] = 30.0
        again = self.nova.aggregate('par', edge__site='par')
        again['metadata']['edge:rtt:lyon'] = '5'
        self.world.run(200)
        self.assertEqual(30.0, self.rtt_ms(again, 'edge:rtt:paris'))

    def test_renamed(self):
        """An aggregate that becomes another site is not written as before."""
        self.world.settle()
        self.world.rtts_ms['mrs', 'paris'] = 12.0
        self.par['metadata'] = {'edge:site': 'mrs'}
        self.world.rtts_ms['par', 'paris'] = 30.0
        self.world.run(KEEP_ALIVE_S + 200)
        self.assertEqual(12.0, self.rtt_ms(self.par, 'edge:rtt:paris'))

    def test_not_kept(self):
        """What Nova says it has written and has not is not sent forever."""
        self.world.measure()
        self.break_('/1/action', json={'aggregate': self.par})
        self.world.run(600)
        self.assertLess(self.agent.api_calls, 40)
        self.assertIn('Nova did not keep edge:rtt:', self.log.output)
        self.assertEqual(2.0, self.rtt_ms(self.lyo, 'edge:rtt:lyon'))

    def test_other_answered(self):
        """An answer about another aggregate is none."""
        self.world.measure()
        mend = self.break_('/1/action', json={'aggregate': self.lyo})
        self.world.run(300)
        self.assertIn('does not speak as Nova does', self.log.output)
        mend()
        self.world.run(900)
        self.assertEqual(2.0, self.rtt_ms(self.par, 'edge:rtt:paris'))

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(st.data())
    def test_nonsense(self, data):
        """Whatever is answered to any call, it goes on."""
        test = PublisherTestCase('setUp')
        test.setUp()
        self.addCleanup(test.doCleanups)
        path, answers = data.draw(
            st.sampled_from(
                (
                    ('', test.nova._index),
                    ('/[0-9]+', test.nova._show),
                    ('/[0-9]+/action', test.nova._act),
                )
            )
        )
        value = data.draw(
            test_hostile.NONSENSE | st.just(test_hostile.LEAVE_OUT)
        )
        share = data.draw(st.floats(0, 1, exclude_max=True))
        changes = data.draw(st.sampled_from(({}, {'aggregate': 1})))
        agent = test.world.agent(site='par', **changes)

        def answer(request, context):
            whole = answers(request, context)
            ways = list(test_hostile.paths(whole))
            way = ways[int(share * len(ways))]
            return test_hostile.changed(whole, way, value)

        its = re.compile(f'{nova_api.URL}/os-aggregates{path}$')
        method = 'POST' if path.endswith('action') else 'GET'
        bad = test.nova.mock.register_uri(method, its, json=answer)
        test.world.run(300)
        test.nova.mock._adapter._matchers.remove(bad)
        test.world.run(1500)
        self.assertEqual(2.0, test.rtt_ms(test.par, 'edge:rtt:paris'))
        self.assertIsNotNone(agent.last_success)
        for line in test.log.output.splitlines():
            self.assertTrue(line.isprintable(), line)
        test.doCleanups()


class OrderTest(base.TestCase):
    """Few calls a second go to those who need them most."""

    def setUp(self):
        super().setUp()
        self.cloud = plain_cloud.PlainCloud()
        self.world = World(self.cloud)
        for number in range(40):
            site = f's{number:02}'
            self.cloud.add(edge__site=site)
            self.world.rtts_ms[site, 'paris'] = 20.0 + number
        self.agent = self.world.agent()

    def test_rate(self):
        """Never are there more calls a second than are allowed."""
        self.world.measure()
        times = []
        while len(times) < 30:
            calls, now = self.agent.api_calls, self.world.clock.now
            self.agent.step()
            times += [now] * (self.agent.api_calls - calls)
            self.world.clock.now += 0.07
        for one, next_one in itertools.pairwise(times):
            self.assertGreaterEqual(next_one - one, 0.5 - 1e-6)

    def test_order(self):
        """First what is nearly stale, then what changed, then the rest.

        Of what changed the longest ago is first, and so of the rest.
        """
        for id, age_s in ((1, 1100), (2, 1200), (3, 1600), (4, 9), (5, 9)):
            its = figure(20.0, NOW - age_s)
            value = sample_format.format_sample(its, 'agent-1')
            self.cloud.by_id[id].metadata['edge:rtt:paris'] = value
        self.agent.step()
        self.world.rtts_ms = {('s04', 'paris'): 90.0}
        self.world.measure()
        self.world.clock.now += 1
        for site in ('s00', 's01', 's02'):
            self.world.rtts_ms[site, 'paris'] = 20.0
        self.world.rtts_ms['s03', 'paris'] = 90.0
        self.world.settle()
        self.assertEqual([3, 5, 4, 2, 1], [id for id, _ in self.cloud.written])

    def test_latest(self):
        """What waits is written as it is by then."""
        self.world.measure()
        for _ in range(3):
            self.world.clock.now += self.agent.step()
        for path in self.world.rtts_ms:
            self.world.rtts_ms[path] += 100
        self.world.measure()
        self.world.steps()
        texts = [
            it.metadata['edge:rtt:paris'] for it in self.cloud.by_id.values()
        ]
        self.assertGreater(
            min(float(it.split()[0]) for it in texts), 100, texts
        )

    def test_threads(self):
        """It may be told what is measured, and read, while it publishes."""
        errors = []

        def tell():
            try:
                for _ in range(30):
                    self.world.measure()
                    self.agent.published()
                    self.agent.stale_sites(NOW)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=tell) for _ in range(3)]
        for thread in threads:
            thread.start()
        while any(it.is_alive() for it in threads):
            self.world.clock.now += max(0.01, self.agent.step())
        self.assertEqual([], errors)
        self.world.steps()
        self.assertEqual(40, len(self.agent.published()))


class PaceTest(base.TestCase):
    def test_pause(self):
        """A pause doubles from a second to five minutes, and is not even."""
        with mock.patch.object(
            pace._RANDOM, 'uniform', lambda low, high: high
        ):
            pauses_s = [pace.pause_s(it) for it in (1, 2, 8, 9, 10000)]
        self.assertEqual([2, 4, 256, 300, 300], pauses_s)
        self.assertGreater(len({pace.pause_s(3) for _ in range(9)}), 1)
        self.assertGreaterEqual(min(pace.pause_s(1) for _ in range(99)), 1)


SITES = [f's{number}' for number in range(3)]
ORIGINS = [f'o{number}' for number in range(2)]
RTT_MS = st.sampled_from((None, 0.4, 10.0, 11.0, 60.0, 61.0)) | st.floats(
    1, 200
)


@st.composite
def worlds(draw):
    """A world of sites, of which some have users and figures by hand."""
    its = plain_cloud.PlainCloud()
    targets = ORIGINS + [f'<{site}>' for site in SITES]
    paths = [(site, target) for site in SITES for target in targets]
    rtts_ms = dict(
        zip(
            paths,
            draw(st.lists(RTT_MS, min_size=len(paths), max_size=len(paths))),
            strict=True,
        )
    )
    # Most is measured, so that there is something to say of the rest.
    for path in draw(st.sets(st.sampled_from(paths), max_size=6)):
        del rtts_ms[path]
    for site in SITES:
        for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
            its.add((f'{site}-1',), edge__site=site)
    values = st.sampled_from(
        (
            '12',
            '30 at=2027-01-15T07:59:00Z by=icmp agent=agent-1',
            '30 at=2027-01-15T07:59:00Z by=icmp agent=agent-9',
            '30 at=2027-01-15T07:00:00Z by=icmp agent=agent-9',
            '- loss=100 at=2027-01-15T07:59:00Z by=icmp',
        )
    )
    keys = st.sampled_from(
        [
            *map(metadata.rtt_key, ORIGINS),
            *(metadata.SITE_RTT + site for site in SITES),
        ]
    )
    for aggregate in its.by_id.values():
        if draw(st.integers(0, 9)) == 0:
            aggregate.metadata[metadata.PREFIXES] = '192.0.2.0/24'
        there = draw(st.dictionaries(keys, values, max_size=2))
        aggregate.metadata.update(there)
        if draw(st.integers(0, 9)) == 0:
            default = '>1 at=2027-01-15T07:59:00Z agent=agent-1'
            aggregate.metadata[metadata.RTT_DEFAULT] = default
    return World(its, rtts_ms)


class AnyWorldTest(base.TestCase):
    """What holds in whatever world."""

    def check_bounds(self, world):
        """Check that a bound that agents wrote is true of all that is known.

        As schedulers read it.
        """
        sites = cloud.read_sites(world.cloud.by_id.values())
        snapshot = sites.snapshot
        known = {it for it in ORIGINS + SITES if snapshot.knows(it)}
        for host, place in snapshot.places.items():
            (site,) = place.sites
            for origin in known:
                for its in snapshot.figures(place, origin, ESTIMATOR):
                    if its is None or its.kind is not sample.Kind.BOUND:
                        continue
                    if its.rtt_ms == 0:
                        continue
                    path = (site, origin)
                    self.assertIn(path, world.rtts_ms, (host, its))
                    truth_ms = world.rtts_ms[path]
                    if truth_ms is not None:
                        self.assertGreater(truth_ms, its.rtt_ms)

    @hypothesis.settings(max_examples=150)
    @hypothesis.given(worlds(), st.integers(1, 2))
    def test_once(self, world, nearest_sites):
        """All that is due is done once, and bounds are true."""
        agent = world.agent(nearest_sites=nearest_sites)
        # What was there before may be wrong; what is written is not.
        world.measure()
        world.steps(most=200)
        self.assertEqual([], agent.plan())
        self.assertEqual(0, world.settle())
        world.clock.now += INTERVAL_S
        self.assertEqual(0, world.settle())
        for aggregate in world.cloud.by_id.values():
            default = aggregate.metadata.get(metadata.RTT_DEFAULT, '')
            if default.startswith('>1 '):
                return
        self.check_bounds(world)

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(
        st.dictionaries(hostile.KEYS, hostile.TEXTS),
        st.just('evil') | hostile.TEXTS,
    )
    def test_hostile_site(self, written, site):
        """Whatever a site has written, the others have their figures."""
        # What comes of the name of another is in the documentation.
        hypothesis.assume(site.strip().lower() != 'par')
        lines = self.useFixture(hostile.Lines())
        world = World(plain_cloud.PlainCloud(), {('par', 'paris'): 2.0})
        par = world.cloud.add(('par-1',), edge__site='par')
        world.cloud.add(('h0',), **{**written, 'edge:site': site})
        world.agent()
        world.run(2 * KEEP_ALIVE_S)
        text = world.cloud.by_id[par.id].metadata['edge:rtt:paris']
        figure = sample_format.parse_sample(text)
        self.assertEqual(2.0, figure.rtt_ms)
        self.assertGreater(figure.at, NOW + KEEP_ALIVE_S - INTERVAL_S)
        lines.check(self)

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(worlds(), st.integers(1, 2), st.integers())
    def test_noise(self, world, nearest_sites, seed):
        """Noise within the hysteresis causes keep-alives alone."""
        world.agent(nearest_sites=nearest_sites)
        truth = dict(world.rtts_ms)
        noise = random.Random(seed)
        hysteresis = draft.hysteresis_of(world.agents[0]._settings)

        written = {}
        for _ in range(4):
            for path, rtt_ms in truth.items():
                if rtt_ms is not None and rtt_ms > 0.5:
                    margin_ms = hysteresis.margin_ms(0.9 * rtt_ms)
                    some = noise.choice((-0.45, 0, 0.45))
                    world.rtts_ms[path] = rtt_ms + some * margin_ms
            world.clock.now += INTERVAL_S
            start = len(world.cloud.written)
            world.settle()
            for id, changes in world.cloud.written[start:]:
                # A call is for what was never written, each once.
                there = written.setdefault(id, set())
                new = {key for key, it in changes.items() if it} - there
                self.assertTrue(new, changes)
                there |= new
                if None in changes.values():
                    # The other aggregate of the site may say otherwise then.
                    for other in written.keys() - {id}:
                        written[other].discard(metadata.RTT_DEFAULT)

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(worlds(), st.integers(1, 2), st.data())
    def test_two(self, world, nearest_sites, data):
        """Two who take turns come to rest, whatever each of them measures."""
        for name, host in (('agent-1', 's0-1'), ('agent-2', 's1-1')):
            world.agent(name=name, host=host, nearest_sites=nearest_sites)
        truth = dict(world.rtts_ms)
        other = {
            path: data.draw(RTT_MS)
            for path in truth
            if data.draw(st.booleans())
        }
        for turn in range(4):
            written = len(world.cloud.written)
            for agent, its in zip(world.agents, (truth, other), strict=True):
                world.rtts_ms = its
                # Each sees what the other has done.
                agent._list_due = 0
                world.clock.now += 1
                world.settle(agent)
            if turn > 1:
                self.assertEqual([], world.cloud.written[written:], turn)
