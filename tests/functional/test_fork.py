# SPDX-License-Identifier: Apache-2.0

import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import threading
import traceback

import fixtures
from nova import context as nova_context
from nova import objects
from nova import service
from nova import thread_pool_factory
from nova.scheduler import host_manager
from nova.scheduler import rpcapi
from oslotest import base

import edge_filters
from sandbox import config
from sandbox import databases
from sandbox import services
from tests.functional import base as cloud_base
from tests.functional import test_boot

OURS = os.path.dirname(edge_filters.__file__) + os.sep
ONLY_OURS = {
    'filter_scheduler': {
        'enabled_filters': 'EdgeSiteFilter,EdgeLatencyFilter',
    }
}
WORKER_TIMEOUT_S = 20
TIMEOUT_S = 120


def _scheduler(directory):
    """Do what nova-scheduler does until it forks, and return its hosts."""
    files = config.Files(pathlib.Path(directory))
    config.write_nova_conf(files, ONLY_OURS, edge_filters=True)
    services.configure(files.nova_conf)
    databases.fill(files.database, files.cell0_database, config.TRANSPORT_URL)
    server = service.Service.create(
        binary='nova-scheduler', topic=rpcapi.RPC_TOPIC
    )
    thread_pool_factory.reset_all_executors()
    return server.manager


def _in_worker(function):
    """Return what a function returns in a worker, forked as Nova's are."""
    fork = multiprocessing.get_context('fork')
    answers, answer = fork.Pipe(duplex=False)
    worker = fork.Process(target=lambda: answer.send(function()))
    worker.start()
    answer.close()
    try:
        return answers.recv() if answers.poll(WORKER_TIMEOUT_S) else 'stuck'
    finally:
        worker.kill()
        worker.join()


def _hosts_at_lyo(manager):
    """Decide on a server for Lyon."""
    states = [
        host_manager.HostState(name, name, cloud_base.UUID)
        for name in ('par-a', 'lyo-a')
    ]
    asked = test_boot.spec({'edge:site': ['lyo']})
    return [state.host for state in manager.get_filtered_hosts(states, asked)]


def starts_thread(directory):
    """Return the files each thread was started from, until the fork."""
    stacks = []
    start = threading.Thread.start

    def record(thread):
        stacks.append([it.filename for it in traceback.extract_stack()])
        start(thread)

    threading.Thread.start = record
    _scheduler(directory)
    return stacks


def is_told(directory):
    """Return what a worker decides, is told and decides; then its parent."""
    manager = _scheduler(directory).host_manager

    def work():
        before = _hosts_at_lyo(manager)
        manager.update_aggregates(
            objects.Aggregate(
                id=1, metadata={'edge:site': 'lyo'}, hosts=['lyo-a']
            )
        )
        return before, _hosts_at_lyo(manager)

    return _in_worker(work), _hosts_at_lyo(manager)


def catches_up(directory):
    """Return what a worker decides before and after it begins to listen."""
    scheduler = _scheduler(directory)
    aggregate = objects.Aggregate(
        nova_context.get_admin_context(),
        name='lyo',
        metadata={'edge:site': 'lyo'},
    )
    aggregate.create()
    aggregate.add_host('lyo-a')

    def work():
        before = _hosts_at_lyo(scheduler.host_manager)
        scheduler.post_start_hook()
        return before, _hosts_at_lyo(scheduler.host_manager)

    return _in_worker(work)


def polls(directory):
    """Return how many threads poll in the parent, and in two workers."""
    del host_manager.HostManager.delete_aggregate
    manager = _scheduler(directory).host_manager

    def count():
        names = [thread.name for thread in threading.enumerate()]
        return names.count('edge-filters-poll')

    def work():
        counts = [count()]
        for _ in range(2):
            _hosts_at_lyo(manager)
            counts.append(count())
        return counts

    workers = [_in_worker(work) for _ in range(2)]
    return count(), *workers


class ForkTest(base.BaseTestCase):
    """nova-scheduler builds all of ours first, and then forks its workers.

    A thread that was started before is dead in them, and a lock that was held
    is held for ever.
    """

    def _run(self, function):
        """Return what a function returns in a process of its own."""
        directory = self.useFixture(fixtures.TempDir()).path
        finished = subprocess.run(
            [
                *(sys.executable, '-m', 'tests.functional.test_fork'),
                *(function.__name__, directory),
            ],
            capture_output=True,
            check=False,
            text=True,
            timeout=TIMEOUT_S,
        )
        self.assertEqual(0, finished.returncode, finished.stderr[-2000:])
        return json.loads(finished.stdout)

    def test_no_thread(self):
        """Until the fork, no thread is started by filters or weigher."""
        stacks = self._run(starts_thread)
        self.assertNotEqual([], stacks)  # Nova starts one
        for files in stacks:
            self.assertEqual([], [it for it in files if it.startswith(OURS)])

    def test_worker_is_told(self):
        """A worker follows what it is told, and only that worker does."""
        self.assertEqual([[[], ['lyo-a']], []], self._run(is_told))

    def test_worker_catches_up(self):
        """A worker that begins late has what changed before it listened."""
        self.assertEqual([[], ['lyo-a']], self._run(catches_up))

    def test_each_worker_polls(self):
        """Where a Nova has to be polled, each worker does, once it decides.

        Its parent, which decides nothing, does not.
        """
        self.assertEqual([0, [0, 1, 1], [0, 1, 1]], self._run(polls))


if __name__ == '__main__':
    print(json.dumps(globals()[sys.argv[1]](sys.argv[2])))
