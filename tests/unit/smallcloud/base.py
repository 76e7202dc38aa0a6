# SPDX-License-Identifier: Apache-2.0
"""A cloud in a temporary folder, whose services are real processes."""

import contextlib
from importlib import metadata
import io
import json
import os
import pathlib
import signal
import time

import fixtures

from smallcloud import layout
from smallcloud import processes
from tests.unit import base


def is_running(pid):
    try:
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return 'State:\tZ' not in status


def session(leader):
    """Return the processes of a session that run."""
    found = set()
    for entry in pathlib.Path('/proc').iterdir():
        if entry.name.isdecimal():
            pid = int(entry.name)
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) == leader and is_running(pid):
                    found.add(pid)
    return found


def make_environment(folder):
    """Write what of an environment is read: Nova's own api-paste.ini."""
    (stock,) = (
        file.locate()
        for file in metadata.files('nova')
        if file.name == 'api-paste.ini'
    )
    (folder / 'etc' / 'nova').mkdir(parents=True)
    (folder / 'etc' / 'nova' / 'api-paste.ini').write_text(stock.read_text())
    return folder


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.place = layout.Layout(self.folder / '.cloud')
        self.output = io.StringIO()
        for stream in ('sys.stdout', 'sys.stderr'):
            self.useFixture(fixtures.MonkeyPatch(stream, self.output))

    @property
    def cloud(self):
        """As the next command finds it: nothing is known but by record."""
        return processes.Processes(self.place)

    def start(self, name, *argv, **env):
        """Start a service, by default one that just runs; return its pid."""
        argv = argv or ('sleep', '60')
        self.cloud.start(processes.Service(name, argv, env))
        return self._clean_up_after(name)

    def restart(self, name):
        self.cloud.restart(name)
        return self._clean_up_after(name)

    def replace(self, service):
        self.cloud.replace(service)
        return self._clean_up_after(service.name)

    def change_record(self, name, **changes):
        path = self.place.records / f'{name}.json'
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def _clean_up_after(self, name):
        record = (self.place.records / f'{name}.json').read_text()
        pid = json.loads(record)['pid']
        self.addCleanup(self._leave_nothing, pid)
        return pid

    def _leave_nothing(self, leader):
        for pid in session(leader):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(leader, 0)

    def eventually(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), deadline, 'it never came')
            time.sleep(0.001)
