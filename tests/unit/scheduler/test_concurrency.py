# SPDX-License-Identifier: Apache-2.0

import gc
import sys
import threading
import time
import tracemalloc

from edge_filters import proximity
from edge_filters.latency import metadata
from edge_filters.scheduler import known
from edge_filters.scheduler import latency_filter
from edge_filters.scheduler import site_filter
from tests.unit.scheduler import base

THREADS = 16
SITES = 12
HOSTS = tuple(f'h{number}' for number in range(SITES))
HINTS = {'edge:origin': ['paris'], 'edge:max_rtt_ms': ['10']}
# Nothing here takes a second, unless it waits for what it should not.
PATIENCE_S = 5


def world(*keys):
    """Aggregates by ID: the sites in turn have these keys."""
    return {
        number: base.aggregate(
            number,
            {'edge:site': f's{number}', **keys[number % len(keys)]},
            [HOSTS[number]],
        )
        for number in range(SITES)
    }


NEAR = {'edge:rtt:paris': '4'}
FAR = {'edge:rtt:paris': '40'}
# In the one all hosts pass. In the other none does, for two reasons: who saw
# some of the one and some of the other would let some pass.
ALL_PASS = world(NEAR)
NONE_PASSES = world(FAR, {**NEAR, 'edge:status': 'draining'})


class ConcurrencyTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.filters = (
            site_filter.EdgeSiteFilter(),
            latency_filter.EdgeLatencyFilter(),
        )
        self.watch.update(lambda: ALL_PASS)

    def passing(self):
        """Names of the hosts that pass for a new request."""
        spec = base.request_spec(HINTS)
        states = base.host_states(*HOSTS)
        for one in self.filters:
            states = one.filter_all(states, spec)
        return tuple(state.host for state in states)

    def run_in_thread(self, work):
        """What work returns, which has to be soon."""
        returned = []
        thread = threading.Thread(
            target=lambda: returned.append(work()), daemon=True
        )
        thread.start()
        thread.join(PATIENCE_S)
        self.assertFalse(thread.is_alive(), 'it waits for something')
        return returned[0]


class OneMomentTest(ConcurrencyTestCase):
    """Requests are decided while aggregates change."""

    def setUp(self):
        super().setUp()
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        # Threads take turns often, so that what can go wrong does.
        sys.setswitchinterval(1e-5)

    def test_no_two_snapshots(self):
        """A decision is on the sites of one moment, however they change."""
        seen, is_over = set(), threading.Event()

        def decide():
            while not is_over.is_set():
                seen.add(self.passing())

        threads = [
            threading.Thread(target=decide, daemon=True)
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        ends = time.monotonic() + 0.3
        while time.monotonic() < ends:
            for aggregates in (NONE_PASSES, ALL_PASS):
                self.watch.update(lambda it=aggregates: it)
        is_over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            self.assertFalse(thread.is_alive())
        self.assertEqual({HOSTS, ()}, seen)
        self.assertNotIn('Traceback', self.log.output)

    def test_changed_between_the_filters(self):
        """Both filters decide on the same sites, though they change between.

        So do those who ask later in the same request.
        """
        spec = base.request_spec(HINTS)
        states = base.host_states(*HOSTS)
        for one in self.filters:
            self.assertEqual(states, one.filter_all(states, spec))
            self.watch.update(lambda: NONE_PASSES)
        self.assertEqual((), self.passing())


class NoLockTest(ConcurrencyTestCase):
    """Requests do not wait: not for a change, and not for one another."""

    def test_while_aggregates_change(self):
        """A change that takes long holds up no request."""
        for lock in (self.watch._changing, self.watch._telling):
            with lock:
                self.assertEqual(HOSTS, self.run_in_thread(self.passing))

    def test_while_another_decides(self):
        """A request that takes long holds up no other, and no change."""
        is_inside, may_go_on = threading.Event(), threading.Event()
        self.addCleanup(may_go_on.set)
        first = []
        judge = proximity.LatencyJudge.judge

        def judge_slowly(judging, place):
            if threading.current_thread() in first:
                is_inside.set()
                may_go_on.wait(PATIENCE_S)
            return judge(judging, place)

        self.patch(proximity.LatencyJudge, 'judge', judge_slowly)
        passed = []
        first.append(
            threading.Thread(
                target=lambda: passed.append(self.passing()), daemon=True
            )
        )
        first[0].start()
        self.assertTrue(is_inside.wait(PATIENCE_S))
        self.assertEqual(HOSTS, self.run_in_thread(self.passing))
        self.run_in_thread(lambda: self.watch.update(lambda: NONE_PASSES))
        self.assertEqual((), self.run_in_thread(self.passing))
        self.assertEqual([], passed)
        may_go_on.set()
        first[0].join(PATIENCE_S)
        # It has decided on the sites as they were when it began.
        self.assertEqual([HOSTS], passed)


class ManyChangesTest(ConcurrencyTestCase):
    def setUp(self):
        super().setUp()
        # One site with other figures each time.
        self.changes = [
            {
                **ALL_PASS,
                0: base.aggregate(
                    0,
                    {
                        'edge:site': 's0',
                        **{f'edge:rtt:{it}': it for it in rtts},
                    },
                    [HOSTS[0]],
                ),
            }
            for rtts in ('12', '34', '56')
        ]

    def _change(self, times):
        for number in range(times):
            self.watch.update(lambda it=self.changes[number % 3]: it)
            known.now()

    def test_memory(self):
        """However often a site changes, it takes the memory of one site."""
        # All that is there before need not be looked at again.
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        self._change(50)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        self._change(2000)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        # Had all records been kept, it would be two megabytes.
        self.assertLess(after - before, 100_000)

    def test_parsed_alone(self):
        """Of many sites only the one that has changed is read again."""
        parsed = []
        parse_site = metadata.parse_site

        def count(keys, hosts):
            parsed.append(keys['edge:site'])
            return parse_site(keys, hosts)

        self.patch(metadata, 'parse_site', count)
        before = self.watch.snapshot().sites
        self._change(3)
        self.assertEqual(['s0'] * 3, parsed)
        after = self.watch.snapshot().sites
        for name in before.keys() - {'s0'}:
            self.assertIs(before[name], after[name])
