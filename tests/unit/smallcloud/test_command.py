# SPDX-License-Identifier: Apache-2.0

import errno
import os
import signal

from smallcloud import backing
from smallcloud import command
from smallcloud import errors
from smallcloud import layout
from smallcloud import services
from smallcloud import software
from tests.unit.smallcloud import base


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        # Two checkouts may each have a cloud, and these tests one more.
        for name in ('README.rst', 'doc'):
            (self.folder / name).symlink_to(layout.CHECKOUT / name)
        (self.folder / 'tools').mkdir()
        self.patch(layout, 'CHECKOUT', self.folder)
        self.patch(layout, 'Layout', lambda: self.place)
        self.patch(layout, 'check_ports_are_free', lambda: None)
        self.patch(software, 'install_packages', lambda run: None)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def ask(self, *arguments):
        """Return the exit status, and what was printed."""
        self.output.seek(0)
        self.output.truncate()
        try:
            status = command.main(arguments)
        except SystemExit as end:
            status = end.code
        return status, self.output.getvalue()


class UpTest(TestCase):
    def setUp(self):
        super().setUp()
        environment = base.make_environment(self.folder / 'environment')
        self.patch(
            software, 'install_environment', lambda run, release: environment
        )
        self.patch(services, 'fill_databases', lambda plan: None)
        self.patch(backing, 'dump', lambda place, path: None)
        self.patch(backing, 'start_database', self._start_database)
        self.patch(backing, 'start_broker', lambda run, place, password: None)
        self.pids = []

    def _start_database(self, run, place, password):
        self.pids.append(self.start('database'))

    def assertNothingButLogs(self):
        (pid,) = self.pids
        self.assertFalse(base.is_running(pid))
        self.assertEqual([self.place.logs], [*self.place.folder.iterdir()])
        self.assertTrue(self.cloud.log('database').exists())
        self.pids.clear()

    def test_failure(self):
        """What failed is said; what was started ends; only logs are left."""

        def fail(run, place, password):
            self.eventually(lambda: self.pids)
            self.assertTrue((place.etc / 'nova.conf').exists())
            raise errors.CloudError('broker ended while it started.')

        self.patch(backing, 'start_broker', fail)
        status, output = self.ask('up')
        self.assertEqual(1, status)
        self.assertTrue(
            output.endswith('\ntools/cloud: broker ended while it started.\n'),
            output,
        )
        self.assertNothingButLogs()

    def test_interrupted(self):
        """Ctrl-C and kill end what was started as a failure does."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            self.patch(
                backing,
                'wait_for_broker',
                lambda run, number=number: signal.raise_signal(number),
            )
            status, output = self.ask('up')
            self.assertEqual(expected, status)
            self.assertNotIn('the cloud is up', output)
            self.assertNothingButLogs()

    def test_up_already(self):
        """A cloud that is up is not started over; one is told what to do."""
        pid = self.start('database')
        status, output = self.ask('up')
        self.assertEqual(1, status)
        self.assertIn('tools/cloud: A cloud is up already. ', output)
        self.assertIn('"tools/cloud down"', output)
        self.assertTrue(base.is_running(pid))
        self.assertEqual(pid, self.cloud.pid('database'))
        self.assertEqual([], self.pids)

    def test_workers_left(self):
        """A cloud of which no more than a worker is left is up as well."""
        pid = self.start('api', 'sh', '-c', 'sleep 60 & wait')
        self.eventually(lambda: len(base.session(pid)) == 2)
        os.kill(pid, signal.SIGKILL)
        self.eventually(lambda: len(base.session(pid)) == 1)
        status, output = self.ask('up')
        self.assertEqual(1, status)
        self.assertIn('A cloud is up already. ', output)
        self.assertEqual(0, self.ask('down')[0])
        self.assertEqual(set(), base.session(pid))

    def test_empty_site(self):
        """Sites that no host would be left for are refused."""
        status, output = self.ask('up', '--sites=4', '--computes=3')
        self.assertEqual(1, status)
        self.assertIn('3 hosts leave some of 4 sites empty', output)
        self.assertFalse(self.place.folder.exists())

    def test_port_in_use(self):
        """Where a port is in use, nothing is touched, not even old logs."""
        self.place.logs.mkdir(parents=True)
        self.cloud.log('nova-api').write_text('why it ended')

        def in_use():
            raise errors.CloudError('In use on 127.0.0.1')

        self.patch(layout, 'check_ports_are_free', in_use)
        self.assertEqual(
            (1, 'tools/cloud: In use on 127.0.0.1\n'), self.ask('up')
        )
        self.assertTrue(self.cloud.log('nova-api').exists())

    def test_bad_numbers(self):
        """A number that cannot be is refused with the name of its option."""
        for option in ('--sites', '--computes', '--nova'):
            for value in ('0', '-3', 'x', '', '1.5'):
                status, output = self.ask('up', f'{option}={value}')
                self.assertEqual(2, status)
                self.assertNotIn('_positive', output)
                self.assertIn(
                    f'tools/cloud up: error: argument {option}: ', output
                )
        self.assertFalse(self.place.folder.exists())


class OtherCommandsTest(TestCase):
    def test_down(self):
        """down ends all and deletes all; where nothing is up that is fine."""
        pid = self.start('database')
        (self.place.etc).mkdir()
        for _ in range(2):
            status, output = self.ask('down')
            self.assertEqual(0, status)
            self.assertIn('nothing runs and nothing is left', output)
            self.assertFalse(base.is_running(pid))
            self.assertFalse(self.place.folder.exists())

    def test_status(self):
        """status says of each service whether it runs."""
        self.assertEqual((0, 'No cloud is up.\n'), self.ask('status'))
        pid = self.start('nova-api')
        os.kill(self.start('glance'), signal.SIGKILL)
        self.eventually(lambda: self.cloud.pid('glance') is None)
        status, output = self.ask('status')
        self.assertEqual(0, status)
        self.assertEqual(
            [
                ['nova-api', 'runs', 'as', str(pid)],
                ['glance', 'has', 'ended'],
            ],
            [line.split() for line in output.splitlines()],
        )

    def test_two_at_once(self):
        """A second command is told of the first, and does nothing."""
        pid = self.start('database')
        with command._alone():
            for name in ('up', 'down', 'status'):
                status, output = self.ask(name)
                self.assertEqual(1, status)
                self.assertIn('Another tools/cloud is at work', output)
        self.assertTrue(base.is_running(pid))
        self.assertEqual(0, self.ask('down')[0])

    def test_other_errors(self):
        """A machine without resources is not mistaken for a second command."""

        def fork(run):
            raise BlockingIOError(errno.EAGAIN, 'Try again')

        self.patch(command.processes.Processes, 'stop_all', fork)
        self.assertEqual(
            (1, 'tools/cloud: [Errno 11] Try again\n'), self.ask('down')
        )
