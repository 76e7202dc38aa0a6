# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import signal
import subprocess

import fixtures

from smallcloud import errors
from smallcloud import processes
from tests.unit.smallcloud import base

# timeout makes a process group of its own: four processes in two groups.
WITH_WORKERS = ('sh', '-c', 'timeout 60 sleep 60 & sleep 60 & wait')


class StopTest(base.TestCase):
    """Stopping ends all that we started, and nothing else."""

    def test_workers(self):
        """A service is gone with its workers, in whatever process group."""
        pids = [self.start(name, *WITH_WORKERS) for name in ('api', 'compute')]
        for pid in pids:
            self.eventually(lambda pid=pid: len(base.session(pid)) == 4)
        self.cloud.stop_all()
        self.assertEqual([set(), set()], [base.session(pid) for pid in pids])
        self.assertEqual([], self.cloud.names())

    def test_leader_died(self):
        """Workers whose service was killed are found by their session."""
        for is_zombie in (True, False):
            pid = self.start('api', *WITH_WORKERS)
            self.eventually(lambda pid=pid: len(base.session(pid)) == 4)
            os.kill(pid, signal.SIGKILL)
            if not is_zombie:
                os.waitpid(pid, 0)
            self.eventually(lambda pid=pid: len(base.session(pid)) == 3)
            self.cloud.stop_all()
            self.assertEqual(set(), base.session(pid))

    def test_same_number(self):
        """Who merely got the number of a service is left alone."""
        for changes in ({'started': 1}, {'boot': 'the last but one'}):
            pid = self.start('api')
            self.change_record('api', **changes)
            self.assertIsNone(self.cloud.pid('api'))
            self.assertNotEqual(pid, self.restart('api'))
            self.assertTrue(base.is_running(pid))
            self.change_record('api', pid=pid, **changes)
            self.cloud.stop_all()
            self.assertTrue(base.is_running(pid))
            self.assertEqual([], self.cloud.names())

    def test_other_session(self):
        """Who is in a session that we did not make is left alone."""
        for own_session in (True, False):
            stranger = subprocess.Popen(
                ['sleep', '60'], start_new_session=own_session
            )
            self.addCleanup(stranger.wait)
            self.addCleanup(stranger.kill)
            self.start('api')
            self.cloud.stop_all()
            self.assertIsNone(stranger.poll())
        # Not even if it is on record, by number and beginning.
        stat = pathlib.Path(f'/proc/{stranger.pid}/stat').read_text().split()
        for stop in (lambda: self.restart('api'), self.cloud.stop_all):
            self.start('api')
            self.change_record('api', pid=stranger.pid, started=int(stat[21]))
            self.assertEqual(stranger.pid, self.cloud.pid('api'))
            stop()
            self.assertIsNone(stranger.poll())

    def test_stranger_without_a_leader(self):
        """Nor the child of a daemon whose session got the number of ours."""
        daemon = subprocess.Popen(
            ['sh', '-c', 'sleep 60 >&- 2>&- & echo $!'],
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
        child = int(daemon.communicate()[0])
        self.addCleanup(os.kill, child, signal.SIGKILL)
        self.start('api')
        self.change_record('api', pid=daemon.pid)
        self.assertFalse(self.cloud.is_left('api'))
        self.cloud.stop_all()
        self.assertTrue(base.is_running(child))

    def test_nothing_comes_after(self):
        """Once all is stopped, what goes on in a thread starts no more."""
        cloud = self.cloud
        self.start('api')
        cloud.stop_all()
        service = processes.Service('late', ('sleep', '60'))
        self.assertRaises(errors.CloudError, cloud.start, service)
        self.assertRaises(errors.CloudError, cloud.wait, 'api', lambda: False)
        self.assertEqual([], cloud.names())

    def test_interrupted(self):
        """What is interrupted before it is on record does not run either."""
        pids = []

        def interrupted(pid):
            pids.append(pid)
            raise KeyboardInterrupt

        self.patch(processes, '_read', interrupted)
        self.assertRaises(KeyboardInterrupt, self.start, 'api')
        self.assertEqual([False], [base.is_running(pid) for pid in pids])
        self.assertEqual([], self.cloud.names())

    def test_zombie(self):
        """A process that has ended does not run, waited for or not."""
        pid = self.start('api')
        os.kill(pid, signal.SIGKILL)
        self.eventually(lambda: not base.is_running(pid))
        # Nobody has waited for it.
        self.assertTrue(pathlib.Path(f'/proc/{pid}').exists())
        self.assertIsNone(self.cloud.pid('api'))
        self.cloud.stop_all()
        self.assertEqual([], self.cloud.names())


class KillTest(base.TestCase):
    """What crashes on purpose can be brought back."""

    def test_service(self):
        """A service is gone with its workers, and comes back as it was."""
        stranger = self.start('compute')
        pid = self.start('api', *WITH_WORKERS)
        self.eventually(lambda: len(base.session(pid)) == 4)
        self.cloud.kill('api')
        self.assertEqual(set(), base.session(pid))
        self.assertIsNone(self.cloud.pid('api'))
        self.assertTrue(base.is_running(stranger))
        again = self.restart('api')
        self.assertEqual(again, self.cloud.pid('api'))
        self.eventually(lambda: len(base.session(again)) == 4)

    def test_worker(self):
        """Of a service one worker goes, and never the service itself."""
        pid = self.start('api', 'sh', '-c', 'sleep 60 & sleep 60 & wait')
        self.eventually(lambda: len(base.session(pid)) == 3)
        for left in (2, 1):
            self.cloud.kill_worker('api')
            self.eventually(
                lambda left=left: len(base.session(pid) - {pid}) == left - 1
            )
            if left == 2:
                self.assertEqual(pid, self.cloud.pid('api'))

    def test_nothing_to_kill(self):
        """Who has no worker, or is not there, is told so."""
        self.start('api')
        for kill, name, text in (
            (self.cloud.kill_worker, 'api', 'api has no worker.'),
            (self.cloud.kill, 'x', 'There is no service x.'),
            (self.cloud.kill_worker, 'x', 'There is no service x.'),
        ):
            error = self.assertRaises(errors.CloudError, kill, name)
            self.assertTrue(str(error).startswith(text))


class StartTest(base.TestCase):
    def test_output(self):
        """All that a service says is in a log of its name, run after run."""
        for _ in range(2):
            pid = self.start('api', 'sh', '-c', 'echo said; echo shouted >&2')
            self.eventually(lambda pid=pid: not base.is_running(pid))
        self.assertEqual(
            'said\nshouted\n' * 2, (self.place.logs / 'api.log').read_text()
        )

    def test_environment(self):
        """Nothing of the cloud or environment one has entered leaks in."""
        for name in ('OS_CLOUD', 'OS_AUTH_URL', 'VIRTUAL_ENV', 'PYTHONPATH'):
            self.useFixture(fixtures.EnvironmentVariable(name, 'mine'))
        self.useFixture(fixtures.EnvironmentVariable('PIP_INDEX_URL', 'kept'))
        pid = self.start('api', 'env', OS_NOVA_CONFIG_FILES='given')
        self.eventually(lambda: not base.is_running(pid))
        self.cloud.run('command', ['env'], env={'OS_BOOTSTRAP': 'given'})
        for name in ('api', 'command'):
            lines = self.cloud.log(name).read_text().splitlines()
            self.assertIn('PIP_INDEX_URL=kept', lines)
            self.assertIn(f'PATH={os.environ["PATH"]}', lines)
            self.assertEqual([], [line for line in lines if 'mine' in line])
            self.assertEqual(
                1, len([line for line in lines if line.startswith('OS_')])
            )

    def test_restart(self):
        """A service comes back as it was started, with a new number."""
        script = (
            'trap "echo bye; exit" TERM; echo $GREETING, $0; '
            'while :; do sleep 0.01; done'
        )
        log = self.cloud.log('api')
        before = self.start('api', 'sh', '-c', script, 'you', GREETING='hello')
        self.eventually(lambda: log.read_text() == 'hello, you\n')
        after = self.restart('api')
        self.eventually(
            lambda: log.read_text() == 'hello, you\nbye\nhello, you\n'
        )
        self.assertNotEqual(before, after)
        self.assertEqual(set(), base.session(before))
        self.assertEqual(after, self.cloud.pid('api'))

    def test_replace(self):
        """A service is replaced by another, and that one by it again."""
        log = self.cloud.log('api')
        before = self.start('api', 'sh', '-c', 'echo one; sleep 60')
        one = self.cloud.service('api')
        self.eventually(lambda: log.read_text() == 'one\n')
        self.replace(
            processes.Service('api', ('sh', '-c', 'echo other; sleep 60'))
        )
        self.assertEqual(set(), base.session(before))
        self.eventually(lambda: log.read_text() == 'one\nother\n')
        self.replace(one)
        self.eventually(lambda: log.read_text() == 'one\nother\none\n')
        self.assertEqual(one, self.cloud.service('api'))

    def test_restart_without_leader(self):
        """Workers whose service was killed are asked to end, too."""
        script = (
            '(trap "echo bye; exit" TERM; echo hello; '
            'while :; do sleep 0.01; done) & wait'
        )
        log = self.cloud.log('api')
        pid = self.start('api', 'sh', '-c', script)
        self.eventually(lambda: log.read_text() == 'hello\n')
        os.kill(pid, signal.SIGKILL)
        self.eventually(lambda: self.cloud.pid('api') is None)
        self.patch(processes, '_GRACE_S', 1)
        self.restart('api')
        self.assertIn('bye\n', log.read_text())

    def test_restart_of_unknown(self):
        """Who misspells a service is told which there are, if any."""
        error = self.assertRaises(errors.CloudError, self.cloud.restart, 'x')
        self.assertEqual('No cloud is up.', str(error))
        for name in ('glance', 'keystone'):
            self.start(name)
        error = self.assertRaises(
            errors.CloudError, self.cloud.restart, 'keystoen'
        )
        self.assertEqual(
            'There is no service keystoen. There are: glance, keystone.',
            str(error),
        )


class WaitTest(base.TestCase):
    def test_it_answers(self):
        """One waits until a service answers, and no longer."""
        self.start('api')
        answers = iter([False, True])
        self.cloud.wait('api', lambda: next(answers))
        self.assertIsNone(next(answers, None))

    def test_it_ends(self):
        """A service that ends instead is named, with the end of its log."""
        script = 'seq 1 40; echo no such table; read line'
        pid = self.start('api', 'sh', '-c', f'{script}; sleep 60')
        log = self.cloud.log('api')
        self.eventually(lambda: 'no such table' in log.read_text())

        def ends():
            os.kill(pid, signal.SIGKILL)
            self.eventually(lambda: not base.is_running(pid))

        error = self.assertRaises(
            errors.CloudError, self.cloud.wait, 'api', ends, 1
        )
        self.assertEqual(
            [
                f'api ended while it started. The end of {log}:',
                *map(str, range(27, 41)),
                'no such table',
            ],
            str(error).splitlines(),
        )

    def test_it_takes_too_long(self):
        """A service that takes too long is named, with the end of its log."""
        self.start('api', 'sh', '-c', 'echo one moment; exec sleep 60')
        log = self.cloud.log('api')
        self.eventually(log.read_text)
        error = self.assertRaises(
            errors.CloudError, self.cloud.wait, 'api', lambda: False, 0
        )
        self.assertEqual(
            f'api did not answer within 0 s. The end of {log}:\none moment',
            str(error),
        )

    def test_command_fails(self):
        """A command that fails is named, with the end of its log."""
        self.cloud.run('nova-manage', ['sh', '-c', 'cat'], text='done\n')
        error = self.assertRaises(
            errors.CloudError,
            self.cloud.run,
            'nova-manage',
            ['/bin/sh', '-c', 'echo access denied >&2; exit 3'],
        )
        self.assertEqual(
            'nova-manage: sh failed with 3. The end of '
            f'{self.cloud.log("nova-manage")}:\ndone\naccess denied',
            str(error),
        )
