# SPDX-License-Identifier: Apache-2.0

import time

import fixtures

from edge_filters import cloud
from edge_filters.agent import agent
from edge_filters.agent import measurement
from edge_filters.agent import pace
from edge_filters.agent import reading
from edge_filters.latency import sample
from tests.unit import base as unit_base
from tests.unit import nova_api
from tests.unit.agent import settings

PARIS = reading.Path('par', 'paris')
KEY = 'edge:rtt:paris'


class Seen:
    """A measurement that gives what it is told to."""

    def __init__(self):
        self.rtt_ms = 4.0

    def measure(self, spread_s, stop):
        figure = sample.Sample(self.rtt_ms, at=time.time(), source='icmp')
        return {PARIS: figure}


class AgentTest(unit_base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.seen = Seen()
        self.useFixture(
            fixtures.MockPatchObject(
                measurement, 'plan', lambda *args: [self.seen]
            )
        )
        for name in ('_HASTE_S', '_PATIENCE_S'):
            self.useFixture(fixtures.MockPatchObject(agent, name, 0.01))
        self.nova = self.useFixture(nova_api.NovaApi())
        self.nova.aggregate('par', ['par-1'], edge__site='par')

    def _agent(self, before=None, **options):
        options = {'max_api_calls_per_second': 100, **options}
        return agent.Agent(
            settings.make(site='par', name='here', **options),
            cloud.Cloud(self.nova.connect()),
            before,
        )

    def _published(self):
        return self.nova.aggregates[1]['metadata'].get(KEY, '')

    def test_once(self):
        """Once means: measured, and all of it published."""
        self.assertTrue(self._agent().once())
        self.assertEqual('4', self._published().split()[0])
        self.assertIn('agent=here', self._published())

    def test_once_refused(self):
        """What cannot be published is not said to be."""
        self._fast()
        self.nova.forbidden.add('set_metadata')
        self.assertFalse(self._agent().once())
        self.assertEqual('', self._published())

    def test_once_after_a_failure(self):
        """One failure is not the end of it."""
        self._fast()
        url = nova_api.URL + '/os-aggregates/1/action'
        self.nova.mock.post(
            url, [{'status_code': 503}, {'json': self.nova._act}]
        )
        self.assertTrue(self._agent().once())
        self.assertEqual('4', self._published().split()[0])

    def test_once_without_figures(self):
        """Nothing measured, or nowhere to put it, is not all published."""
        self.nova.aggregates[1]['metadata'].clear()
        self.assertFalse(self._agent().once())
        self.nova.aggregates[1]['metadata']['edge:site'] = 'par'
        self.seen.measure = lambda spread_s, stop: {}
        self.assertFalse(self._agent().once())

    def _fast(self):
        """Do not wait between one try and the next."""
        self.useFixture(
            fixtures.MockPatchObject(pace, 'pause_s', lambda *args: 0.01)
        )

    def test_preview(self):
        """To see what would be written writes nothing."""
        (change,) = self._agent().preview()
        self.assertEqual(('par', KEY), (change.site, change.key))
        self.assertEqual('4', change.after.split()[0])
        self.assertEqual([], self.nova.changes())

    def test_all_day(self):
        """What changes is published, until the agent is stopped."""
        it = self._agent(interval_s=0.1, probe_timeout_s=0.05)
        it.start()
        self.addCleanup(it.stop)
        self._until(lambda: self._published().startswith('4 '))
        self.seen.rtt_ms = 40.0
        self._until(lambda: self._published().startswith('40 '))
        it.stop(5)
        self.assertEqual([], [t for t in it._threads if t.is_alive()])

    def _until(self, is_so):
        deadline = time.monotonic() + 10
        while not is_so():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_failure(self):
        """What should not happen is told, and is not the end of measuring."""
        self.useFixture(fixtures.MockPatchObject(agent, '_PAUSE_S', 0.01))
        measure, failures = self.seen.measure, [RuntimeError('no threads')]

        def fail_once(*args):
            if failures:
                raise failures.pop()
            return measure(*args)

        self.seen.measure = fail_once
        it = self._agent(interval_s=0.1, probe_timeout_s=0.05)
        it.start()
        self.addCleanup(it.stop)
        self._until(lambda: self._published().startswith('4 '))
        self.assertIn('no threads', self.log.output)

    def test_in_place_of_another(self):
        """What was measured before is published by who takes its place."""
        self._fast()
        before = self._agent()
        self.nova.forbidden.add('set_metadata')
        before.once()
        self.nova.forbidden.clear()
        after = self._agent(before)
        after._measurements = []
        self.assertTrue(after.once())
        self.assertEqual('4', self._published().split()[0])
