# SPDX-License-Identifier: Apache-2.0

import threading

import fixtures
from nova.scheduler import host_manager

from edge_filters.latency import metadata
from edge_filters.scheduler import nova_compat
from tests.unit.scheduler import base

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
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.objects.AggregateList.get_all',
                classmethod(lambda cls, context: self.in_database),
            )
        )
        self.watch.follow(host_manager.HostManager)
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
        self.watch.follow(host_manager.HostManager)
        self.assertIs(followed, host_manager.HostManager.update_aggregates)

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

    def test_nova_is_not_hurt(self):
        """What goes wrong here is logged, and does not reach Nova."""
        self.patch(metadata, 'parse_site', lambda keys, hosts: 1 / 0)
        self.manager.update_aggregates(base.aggregate(2, LYO, ['lyo-1']))
        self.assertIn(2, self.manager.aggs_by_id)
        self.assertEqual({'par': ['par-1']}, self._sites())
        self.assertIn('ZeroDivisionError', self.log.output)

    def test_concurrent_changes(self):
        """After concurrent changes the sites are those Nova ended with."""

        def change(start):
            for number in range(start, start + 50):
                keys = {**LYO, 'edge:rtt:paris': str(number)}
                self.manager.update_aggregates(
                    base.aggregate(2, keys, ['lyo-1'])
                )

        threads = [
            threading.Thread(target=change, args=(start,))
            for start in range(0, 400, 50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        held = self.manager.aggs_by_id[2].metadata['edge:rtt:paris']
        sites = self.watch.snapshot()
        figure = sites.figure(sites.place('lyo-1'), 'paris')
        self.assertEqual(float(held), figure.rtt_ms)


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
        self.useFixture(
            fixtures.MonkeyPatch(
                'edge_filters.scheduler.nova_compat.time.sleep', self._sleep
            )
        )
        self.watch.follow(self.HostManager)

    def _sleep(self, seconds):
        self.slept.release()
        self.ticks.acquire()

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

    def test_read_again(self):
        """A change in the database is seen after the interval."""
        self.watch.snapshot()
        self.slept.acquire()
        self.in_database[:] = [base.aggregate(2, LYO, ['lyo-1'])]
        self.ticks.release()
        self.slept.acquire()
        self.assertEqual({'lyo'}, set(self.watch.snapshot().sites))
