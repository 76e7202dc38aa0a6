# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import re
import signal
import threading
import time
from unittest import mock

import fixtures

from edge_filters import cloud
from edge_filters.agent import measurement
from edge_filters.agent import reading
from edge_filters.agent import service
from edge_filters.cmd import agent as command
from edge_filters.latency import sample
from tests.unit import base
from tests.unit import nova_api

# Nothing answers there: it is the port that nobody may have.
NOWHERE = 'http://127.0.0.1:0'


class ServiceTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        # It would take the place of the one above.
        self.useFixture(fixtures.MockPatchObject(service.logging, 'setup'))
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).join('agent.conf')
        )
        self.write()

    def write(self, nova='auth_type = none\nendpoint = http://x', **options):
        options = {
            'prometheus_url': NOWHERE,
            'metrics_port': 0,
            **options,
        }
        log_file = options.pop('log_file', '')
        lines = [f'{name} = {value}\n' for name, value in options.items()]
        self.path.write_text(
            f'[DEFAULT]\nlog_file = {log_file}\n[edge_latency_agent]\n'
            + ''.join(lines)
            + f'[nova]\n{nova}\n'
        )

    def main(self, *arguments):
        return service.main(['--config-file', str(self.path), *arguments])

    def error(self, *arguments):
        """Run it; return what it says on the standard error."""
        stderr = self.useFixture(fixtures.StringStream('stderr')).stream
        with fixtures.MonkeyPatch('sys.stderr', stderr):
            status = self.main(*arguments)
        stderr.seek(0)
        return status, stderr.read()

    def test_bad_configuration(self):
        """What cannot be used is told in a line, with status 2."""
        for options, expected in (
            ({'interval': 'often'}, 'interval'),
            ({'site': '?', 'origin': 'paris 192.0.2.1'}, "site = '?'"),
            ({'nova': ''}, 'auth_type'),
            ({'nova': 'auth_type = bottle-post'}, 'bottle-post'),
            ({'nova': 'auth_type = password'}, 'auth_url'),
        ):
            with self.subTest(options=options):
                self.write(**options)
                status, text = self.error()
                self.assertEqual(2, status)
                self.assertRegex(
                    text, rf'\Aedge-latency-agent: .*{re.escape(expected)}'
                )
                self.assertEqual(1, text.count('\n'), text)

    def test_no_file(self):
        """A configuration that is not there is told in a line."""
        self.path.unlink()
        status, text = self.error()
        self.assertEqual(2, status)
        self.assertIn(str(self.path), text)

    def test_preview(self):
        """What would be written is a table; Nova is only read."""
        nova = self.useFixture(nova_api.NovaApi())
        nova.aggregate('par', ['par-1'], edge__site='par')
        figure = sample.Sample(4.0, at=time.time(), source='icmp')
        measured = mock.Mock()
        measured.measure.return_value = {reading.Path('par', 'paris'): figure}
        self.useFixture(
            fixtures.MockPatchObject(
                measurement, 'plan', lambda *args: [measured]
            )
        )
        self.useFixture(
            fixtures.MockPatchObject(
                service, '_connect', lambda _: cloud.Cloud(nova.connect())
            )
        )
        stdout = self.useFixture(fixtures.StringStream('stdout')).stream
        with fixtures.MonkeyPatch('sys.stdout', stdout):
            self.assertEqual(0, self.main('--dry-run'))
        stdout.seek(0)
        self.assertRegex(stdout.read(), r'par +\| edge:rtt:paris +\| .* 4 ')
        self.assertEqual([], nova.changes())

    def test_preview_without_nova(self):
        """Where Nova cannot be asked that is said, with status 1."""
        self.write('auth_type = none\nendpoint = http://127.0.0.1:0')
        status, text = self.error('--dry-run')
        self.assertEqual(1, status)
        self.assertIn('Could not list the host aggregates', text)

    def test_signals(self):
        """SIGHUP reads the configuration again, SIGTERM ends it.

        A configuration that cannot be used, in any way, is left unused.
        """
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        agents = []
        make = service.agent.Agent

        def made(*args):
            agents.append(make(*args))
            return agents[-1]

        self.useFixture(fixtures.MockPatchObject(service.agent, 'Agent', made))
        expose = self.useFixture(
            fixtures.MockPatchObject(service.exposition, 'start')
        ).mock
        problems = []

        def operate():
            try:
                self._until('has started')
                for options, expected in (
                    ({'interval': 'often'}, 'often'),
                    ({'log_file': '/nowhere/log'}, '/nowhere'),
                ):
                    self.write(**options)
                    os.kill(os.getpid(), signal.SIGHUP)
                    self._until(f'configuration is not used.*{expected}')
                self.write(interval='120')
                os.kill(os.getpid(), signal.SIGHUP)
                self._until('configuration was read again')
            except Exception as error:
                problems.append(error)
            # A reload and the end, close together.
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)

        service.logging.setup.side_effect = lambda config, _: (
            open(config.log_file) if config.log_file else None
        )
        operator = threading.Thread(target=operate)
        operator.start()
        self.assertEqual(0, self.main())
        operator.join()
        self.assertEqual([], problems)
        self.assertIn('has stopped', self.log.output)
        # The one that was replaced, and the one that took its place.
        first, second = agents[:2]
        self.assertEqual(120, second.settings.interval_s)
        self.assertIs(first.counts, second.counts)
        for it in agents:
            self.assertEqual([], [t for t in it._threads if t.is_alive()])
        self.assertEqual(
            len(agents), expose.return_value.call_count, 'metrics of old ones'
        )

    def _until(self, pattern):
        deadline = time.monotonic() + 10
        while not re.search(pattern, self.log.output):
            self.assertLess(time.monotonic(), deadline, pattern)
            time.sleep(0.01)

    def test_no_utf8(self):
        """A file that is no text is told as such."""
        self.path.write_bytes(b'[edge_latency_agent]\nsite = \xff\n')
        status, text = self.error()
        self.assertEqual(2, status)
        self.assertIn('UTF-8', text)

    def test_interrupted(self):
        """Who interrupts it sees no traceback."""
        self.useFixture(
            fixtures.MockPatchObject(
                service.agent.Agent, 'once', side_effect=KeyboardInterrupt
            )
        )
        self.assertEqual(130, self.main('--once'))

    def test_once(self):
        """The exit status of --once says whether all was published."""
        for result, status in ((True, 0), (False, 1)):
            with fixtures.MockPatchObject(
                service.agent.Agent, 'once', return_value=result
            ):
                self.assertEqual(status, self.main('--once'))

    def test_nothing_installed(self):
        """What has to be installed is named."""
        with mock.patch.dict('sys.modules', {'edge_filters.agent': None}):
            stderr = self.useFixture(fixtures.StringStream('stderr')).stream
            with fixtures.MonkeyPatch('sys.stderr', stderr):
                self.assertEqual(2, command.main())
        stderr.seek(0)
        self.assertIn('pip install edge-filters[agent]', stderr.read())
