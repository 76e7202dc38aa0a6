# SPDX-License-Identifier: Apache-2.0

import sys
import threading

import fixtures
from nova.scheduler import host_manager

from edge_filters.latency import metadata
from edge_filters.scheduler import nova_compat
from tests.unit import base as unit_base
from tests.unit.scheduler import base


class Service:
    """What a process of nova-scheduler is, as far as it is followed."""

    def __init__(self, manager):
        self.host_manager = manager

    def post_start_hook(self):
        return 'started'


PAR = {'edge:site': 'par', 'edge:rtt:paris': '4'}
LYO = {'edge:site': 'lyo', 'edge:rtt:paris': '9'}


class FollowTest(base.TestCase):
    """Follows Nova's own HostManager, whose database alone is left out."""

    def setUp(self):
        super().setUp()
        self.in_database = [base.aggregate(1, PAR, ['par-1'])]
        for name in nova_compat._METHODS:
            method = getattr(host_manager.HostManager, name)
            self.patch(host_manager.HostManager, name, method)
        self.read = lambda: self.in_database
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.objects.AggregateList.get_all',
                classmethod(lambda cls, context: self.read()),
            )
        )
        self.patch(Service, 'post_start_hook', Service.post_start_hook)
        self.watch.follow(host_manager.HostManager, Service)
        self.manager = host_manager.HostManager.__new__(
            host_manager.HostManager
        )
        self.manager.aggs_by_id = {}
        self.manager.host_aggregates_map = (
            host_manager.collections.defaultdict(set)
        )
        self.manager._init_aggregates()

    def _sites(self):
        return {
            name: sorted(
                host for record in records.values() for host in record.hosts
            )
            for name, records in self.watch.snapshot().sites.items()
        }

    def test_at_the_start(self):
        """The sites are those of all aggregates the scheduler reads."""
        self.assertEqual({'par': ['par-1']}, self._sites())

    def test_changes(self):
        """An aggregate that is added, changed or deleted is followed."""
        lyo = base.aggregate(2, LYO, ['lyo-1'])
        self.manager.update_aggregates([lyo])
        self.assertEqual({'par': ['par-1'], 'lyo': ['lyo-1']}, self._sites())
        self.manager.update_aggregates(base.aggregate(1, PAR, ['par-2']))
        self.assertEqual({'par': ['par-2'], 'lyo': ['lyo-1']}, self._sites())
        self.manager.delete_aggregate(lyo)
        self.assertEqual({'par': ['par-2']}, self._sites())
        self.manager.update_aggregates(base.aggregate(1, {}, ['par-2']))
        self.assertEqual({}, self._sites())

    def test_parsed_once(self):
        """An aggregate is parsed when it changes, and only then."""
        parsed = []

        def parse_site(keys, hosts):
            parsed.append(keys['edge:site'])
            return original(keys, hosts)

        original = metadata.parse_site
        self.patch(metadata, 'parse_site', parse_site)
        self.manager.update_aggregates(base.aggregate(2, LYO, []))
        self.manager.update_aggregates(base.aggregate(2, dict(LYO), []))
        self.assertEqual(['lyo'], parsed)

    def test_followed_once(self):
        """Filters and weigher ask for the same; it is done once."""
        followed = host_manager.HostManager.update_aggregates
        self.watch.follow(host_manager.HostManager, Service)
        self.assertIs(followed, host_manager.HostManager.update_aggregates)

    def _start(self):
        return Service(self.manager).post_start_hook()

    def test_catches_up(self):
        """A worker that begins learns what it could not hear."""
        mrs = base.aggregate(3, {'edge:site': 'mrs'}, ['mrs-1'])
        self.manager.update_aggregates([mrs])
        self.in_database = [
            base.aggregate(1, PAR, ['par-2']),
            base.aggregate(2, LYO, ['lyo-1']),
        ]
        self.assertEqual('started', self._start())
        self.assertEqual({'par': ['par-2'], 'lyo': ['lyo-1']}, self._sites())
        self.assertEqual({1, 2}, set(self.manager.aggs_by_id))
        self.assertEqual(set(), self.manager.host_aggregates_map['par-1'])

    def test_heard_meanwhile(self):
        """What a worker hears while it reads is newer than what it reads."""
        lyo = base.aggregate(2, LYO, ['lyo-1'])

        def read():
            self.manager.update_aggregates(base.aggregate(1, PAR, ['new']))
            self.manager.delete_aggregate(lyo)
            return [base.aggregate(1, PAR, ['old']), lyo]

        self.read = read
        self._start()
        self.assertEqual({'par': ['new']}, self._sites())
        self.read = lambda: []
        self._start()
        self.assertEqual({}, self._sites())

    def test_nothing_missed(self):
        """An aggregate that is as it was stays the object that it is."""
        known = self.manager.aggs_by_id[1]
        self.in_database = [base.aggregate(1, PAR, ['par-1'])]
        self._start()
        self.assertIs(known, self.manager.aggs_by_id[1])

    def _fail_then_go_on(self):
        """Start while something fails; wait until it was tried again."""
        slept = []
        self.useFixture(
            fixtures.MonkeyPatch(
                'edge_filters.scheduler.nova_compat.time.sleep',
                lambda seconds: slept.append(seconds),
            )
        )
        self.assertEqual('started', self._start())
        for thread in threading.enumerate():
            if thread.name == 'edge-filters-catch-up':
                thread.join()
        self.assertEqual({60}, set(slept))
        self.assertIn('it tries again in 60 seconds', self.log.output)

    def test_database_away_at_the_start(self):
        """A worker begins though the database is away, and tries again."""
        lyo = base.aggregate(2, LYO, ['lyo-1'])
        answers = [lambda: 1 / 0, lambda: 1 / 0, lambda: [lyo]]
        self.read = lambda: answers.pop(0)()
        self._fail_then_go_on()
        self.assertEqual({'lyo': ['lyo-1']}, self._sites())

    def test_nova_fails_while_it_is_told(self):
        """What Nova could not take in it is told again."""
        self.in_database = [base.aggregate(1, PAR, ['par-2'])]
        self.patch(
            host_manager.HostManager,
            '_update_aggregate',
            self._once(host_manager.HostManager._update_aggregate),
        )
        self._fail_then_go_on()
        self.assertEqual({'par': ['par-2']}, self._sites())

    @staticmethod
    def _once(method):
        """Fail as a dict that changes while it is iterated does, once."""
        failures = [RuntimeError('dictionary changed size')]

        def fail_once(manager, aggregate):
            if failures:
                raise failures.pop()
            method(manager, aggregate)

        return fail_once

    def test_told_in_another_way(self):
        """What a later Nova may pass does not keep it from its aggregates."""
        self.read = lambda: (
            self.manager.update_aggregates(
                aggregates=[base.aggregate(2, LYO, ['lyo-1'])]
            )
            or [base.aggregate(1, PAR, ['par-1'])]
        )
        self._start()
        self.assertIn('lyo', self._sites())

    def test_one_warning(self):
        """A bad figure is named once, not at every change of its site."""
        for number in range(3):
            self.manager.update_aggregates(
                base.aggregate(
                    2, {**LYO, 'edge:rtt:nice': f'{number},5'}, ['lyo-1']
                )
            )
        self.assertEqual(1, self.log.output.count('edge:rtt:nice'))
        self.assertIn(
            "Aggregate 2, site lyo: edge:rtt:nice='0,5' is skipped",
            self.log.output,
        )

    def test_a_bad_value_of_each_aggregate(self):
        """Two aggregates with the same fault are both named."""
        for number in (3, 4):
            self.manager.update_aggregates(
                base.aggregate(number, {'edge:site': 'b d'}, [])
            )
        for number in (3, 4):
            self.assertIn(f'Aggregate {number}, site', self.log.output)

    def test_many_bad_values(self):
        """However many keys are bad, the log is not flooded."""
        keys = {f'edge:rtt:{number}': 'x' for number in range(1000)}
        self.manager.update_aggregates(
            base.aggregate(2, {**LYO, **keys}, ['lyo-1'])
        )
        self.assertEqual(11, self.log.output.count('Aggregate 2'))
        self.assertIn('has 991 more keys that are skipped', self.log.output)

    def test_always_other_bad_values(self):
        """That there are more is said once, whichever keys they are."""
        for start in range(0, 1000, 100):
            keys = {f'edge:rtt:{start + it}': 'x' for it in range(100)}
            self.manager.update_aggregates(
                base.aggregate(2, {**LYO, **keys}, ['lyo-1'])
            )
        self.assertEqual(1, self.log.output.count('more keys'))

    def test_host_of_a_server(self):
        """Where a server is is known where the scheduler tracks servers."""
        self.assertIsNone(self.watch.host_of(base.UUID))
        self.manager._instance_info = {
            'par-1': {'instances': {}, 'updated': True},
            'par-2': {'instances': {base.UUID: object()}, 'updated': True},
        }
        self.assertEqual('par-2', self.watch.host_of(base.UUID))
        self.assertIsNone(self.watch.host_of('another'))
        self.assertIsNone(nova_compat.Watch().host_of(base.UUID))

    def test_nova_fails_later(self):
        """An aggregate that Nova has is ours, even if Nova's method fails."""
        lyo = base.aggregate(2, LYO, ['lyo-1'])
        del self.manager.host_aggregates_map
        self.assertRaises(AttributeError, self.manager.update_aggregates, lyo)
        self.assertIs(lyo, self.manager.aggs_by_id[2])
        self.assertIn('lyo', self._sites())

    def test_result_of_nova(self):
        """What Nova's method returns is returned."""

        class HostManager:
            aggs_by_id = {}  # noqa: RUF012

            def _init_aggregates(self):
                return 'result'

            update_aggregates = delete_aggregate = _init_aggregates

        self.watch.follow(HostManager, Service)
        self.assertEqual('result', HostManager().update_aggregates())

    def test_one_bad_aggregate(self):
        """An aggregate that we stumble over costs no other."""
        self.manager.aggs_by_id[7] = base.objects.Aggregate(id=7)
        self.manager.update_aggregates(base.aggregate(2, LYO, ['lyo-1']))
        self.assertIn('Aggregate 7 stays as it was', self.log.output)
        self.assertEqual({'par': ['par-1'], 'lyo': ['lyo-1']}, self._sites())

    def test_nova_is_not_hurt(self):
        """What goes wrong here is logged, and does not reach Nova."""
        self.patch(self.watch, 'update', lambda read: 1 / 0)
        self.manager.update_aggregates(base.aggregate(2, LYO, ['lyo-1']))
        self.assertIn(2, self.manager.aggs_by_id)
        self.assertEqual({'par': ['par-1']}, self._sites())
        self.assertIn('ZeroDivisionError', self.log.output)

    def test_last_to_finish_has_read_last(self):
        """A change that is slow to be read does not undo a later one."""
        is_reading, may_go_on = threading.Event(), threading.Event()
        self.addCleanup(may_go_on.set)

        def read_slowly():
            is_reading.set()
            may_go_on.wait()
            return {2: base.aggregate(2, LYO, ['lyo-1'])}

        def read():
            return {2: base.aggregate(2, LYO, ['lyo-2'])}

        slow = threading.Thread(target=self.watch.update, args=(read_slowly,))
        slow.start()
        is_reading.wait()
        quick = threading.Thread(target=self.watch.update, args=(read,))
        quick.start()
        quick.join(0.05)
        self.assertTrue(quick.is_alive())  # it waits for the slow one
        may_go_on.set()
        slow.join()
        quick.join()
        self.assertEqual({'lyo': ['lyo-2']}, self._sites())

    def test_readers_do_not_wait(self):
        """While aggregates change, requests read the old snapshot."""
        is_reading, may_go_on = threading.Event(), threading.Event()
        self.addCleanup(may_go_on.set)

        def read_slowly():
            is_reading.set()
            may_go_on.wait()
            return {}

        slow = threading.Thread(target=self.watch.update, args=(read_slowly,))
        slow.start()
        is_reading.wait()
        self.assertEqual({'par': ['par-1']}, self._sites())
        may_go_on.set()
        slow.join()
        self.assertEqual({}, self._sites())


class PollTest(base.TestCase):
    """A Nova without one of the methods: the database is polled instead."""

    class HostManager:
        def _init_aggregates(self):
            pass

    def setUp(self):
        super().setUp()
        self.in_database = [base.aggregate(1, PAR, ['par-1'])]
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.objects.AggregateList.get_all',
                classmethod(lambda cls, context: list(self.in_database)),
            )
        )
        self.ticks = threading.Semaphore(0)
        self.slept = threading.Semaphore(0)
        self.is_over = False
        self.useFixture(
            fixtures.MonkeyPatch(
                'edge_filters.scheduler.nova_compat.time.sleep', self._sleep
            )
        )
        self.addCleanup(self._end_pollers)
        self.watch.follow(self.HostManager, Service)

    def _sleep(self, seconds):
        self.assertEqual(60, seconds)
        self.slept.release()
        self.ticks.acquire()
        if self.is_over:
            sys.exit()

    def _end_pollers(self):
        self.is_over = True
        self.ticks.release(9)
        for thread in threading.enumerate():
            if thread.name == 'edge-filters-poll':
                thread.join()

    def test_read_at_once(self):
        """The sites are there from the start, and what is missing is said."""
        self.assertEqual(('par',), self.watch.snapshot().place('par-1').sites)
        self.assertIn(
            'no update_aggregates, delete_aggregate', self.log.output
        )

    def test_no_thread_before_the_fork(self):
        """The thread starts with the first request, in each process."""
        names = [thread.name for thread in threading.enumerate()]
        self.assertNotIn('edge-filters-poll', names)

    def test_asked_once(self):
        """Filters and weigher ask for the same; it is said once."""
        self.watch.follow(self.HostManager, Service)
        self.assertEqual(1, self.log.output.count('This Nova has no'))

    def test_one_thread_each_process(self):
        """However many requests, a process polls once; so does its child."""
        for pid in (1, 1, 2, 2):
            with fixtures.MonkeyPatch('os.getpid', lambda pid=pid: pid):
                self.watch.snapshot()
        self.assertEqual(
            2,
            [thread.name for thread in threading.enumerate()].count(
                'edge-filters-poll'
            ),
        )

    def test_no_thread_can_start(self):
        """A request goes on without a thread, and that is said once."""

        def fail(thread):
            raise RuntimeError("can't start new thread")

        log = self.useFixture(unit_base.oslo_log())
        with fixtures.MonkeyPatch('threading.Thread.start', fail):
            for _ in range(2):
                self.assertEqual({'par'}, set(self.watch.snapshot().sites))
        self.assertEqual(1, log.output.count("can't start new thread"))

    def test_database_away(self):
        """A database that is away leaves the sites as they were."""
        self.watch.snapshot()
        self.slept.acquire()
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.objects.AggregateList.get_all',
                classmethod(lambda cls, context: 1 / 0),
            )
        )
        self.ticks.release()
        self.slept.acquire()
        self.assertEqual({'par'}, set(self.watch.snapshot().sites))
        self.assertIn('The sites stay as they were', self.log.output)

    def test_attribute_renamed(self):
        """Where the attribute alone is gone the database is polled too."""

        class HostManager:
            def _init_aggregates(self):
                pass

            update_aggregates = delete_aggregate = _init_aggregates

        watch = nova_compat.Watch()
        watch.follow(HostManager, Service)
        HostManager()._init_aggregates()
        HostManager()._init_aggregates()
        self.assertIn('par', watch.snapshot().sites)
        self.assertEqual(1, self.log.output.count('This Nova has no aggs_by'))

    def test_no_start_hook(self):
        """Nor without the one in which a worker begins to listen."""

        class Nova:
            _init_aggregates = update_aggregates = delete_aggregate = None

        watch = nova_compat.Watch()
        watch.follow(Nova, Nova)
        self.assertIn('This Nova has no post_start_hook', self.log.output)

    def test_worker_reads_at_once(self):
        """A worker does not begin with what its parent read."""
        self.in_database[:] = [base.aggregate(2, LYO, ['lyo-1'])]
        self.watch.snapshot()
        self.slept.acquire()
        self.assertEqual({'lyo'}, set(self.watch.snapshot().sites))

    def test_read_again(self):
        """A change in the database is seen after the interval."""
        self.watch.snapshot()
        self.slept.acquire()
        self.in_database[:] = [base.aggregate(2, LYO, ['lyo-1'])]
        self.ticks.release()
        self.slept.acquire()
        self.assertEqual({'lyo'}, set(self.watch.snapshot().sites))
