# SPDX-License-Identifier: Apache-2.0

import datetime
import pathlib

import fixtures

from tests.cloud import base as cloud_base
from tests.trials import scheduler_logs
from tests.unit import base

SERVER = '62ca9feb-b7cb-4990-bf2a-bd892c3338c9'
REQUEST = '[None req-eb6b49e3 99ed 44ba - - default default]'
DECISION = (
    '2026-11-23 19:57:18.580 10670 INFO edge_filters.scheduler.decision '
    f'{REQUEST} Edge decision (enforce) for server {SERVER}, origin paris '
    '(hint): '
)


class LogsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        logs = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.patch(cloud_base, 'LOGS', logs)
        self.log = logs / 'nova-scheduler-1.log'
        self.log.write_text(DECISION + 'before the trial.\n')
        (logs / 'nova-conductor.log').write_text(DECISION + 'not it.\n')
        self.since = scheduler_logs.ends()

    def read(self, *lines):
        with self.log.open('a') as log:
            log.write(''.join(f'{line}\n' for line in lines))
        return scheduler_logs.read(self.since)

    def test_decisions(self):
        """Of each decision it is known when it was, and how far."""
        said = self.read(
            DECISION + 'Placement is asked for 1 of 3 sites (the farthest: '
            'site-1 is 2 ms from paris, within 10 ms).',
            DECISION + '4 of 4 hosts pass; nearest: site-1 is 2.5 ms from '
            'paris, within 10 ms.',
            DECISION + '2 of 2 hosts pass; nearest: site-1 is 0.013 ms from '
            'paris (578 s old), within 50 ms.',
        )
        when = datetime.datetime(2026, 11, 23, 19, 57, 18, 580000).timestamp()
        self.assertEqual(
            {
                SERVER: [
                    scheduler_logs.Decision(when, rtt_ms, site)
                    for rtt_ms, site in (
                        (None, None),
                        (2.5, 'site-1'),
                        (0.013, 'site-1'),
                    )
                ]
            },
            said.decisions,
        )
        self.assertEqual([], said.complaints + said.failures)

    def test_complaints(self):
        """Ours are found among those of others."""
        begin = '2026-11-23 19:57:18.580 10670'
        ours = f'{begin} WARNING edge_filters.origins.map_files [-] Map file'
        said = self.read(
            ours,
            f'{begin} ERROR oslo.messaging._drivers.impl_rabbit [-] edge',
            f'{begin} INFO edge_filters.scheduler.known [-] The map files',
        )
        self.assertEqual([ours], said.complaints)

    def test_failures(self):
        """A traceback that leads through edge_filters is found, no other."""
        frame = 'File "/opt/edge_filters/scheduler/known.py", line 3, in now'
        said = self.read(
            f'2026-11-23 19:57:18.580 10670 ERROR oslo_messaging   {frame}',
            '  File "/opt/nova/scheduler/manager.py", line 3, in now',
        )
        self.assertEqual(1, len(said.failures))
        self.assertIn(frame, said.failures[0])

    def test_no_text(self):
        """What a killed process left half written is no obstacle."""
        with self.log.open('ab') as log:
            log.write(b'2026-11-23 19:5\xff\xfe\n')
        said = self.read('not a line of a log', '')
        self.assertEqual(0, len(said.decisions))

    def test_new_log(self):
        """A log that was not there when it began is read from the start."""
        (self.log.parent / 'nova-scheduler-2.log').write_text(
            DECISION + 'no host passes: none.\n'
        )
        self.assertEqual([SERVER], list(self.read().decisions))
