# SPDX-License-Identifier: Apache-2.0
"""WHAT RUNS? Starting processes, and stopping those that we started.

Each service is the leader of a session of its own, so that its workers can be
found by the kernel's own book-keeping. What was started is on record: process
ID, and when that process began, as a number may come back as somebody else's.
"""

import collections.abc
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

from smallcloud import errors
from smallcloud import layout

_TAIL_LINES = 15
# Databases and brokers write down what they hold.
_GRACE_S = 20


@dataclasses.dataclass(frozen=True)
class Service:
    """A process to be started, and how to tell that it answers."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    # What it works in; sockets with short names are made there.
    folder: str = '/'


@dataclasses.dataclass(frozen=True)
class _Process:
    """A line of /proc/PID/stat, as far as we need it."""

    pid: int
    session: int
    state: str
    # In clock ticks since the machine started.
    started: int


class Processes:
    """The processes of one cloud."""

    def __init__(self, place: layout.Layout) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._given_up = False

    def start(self, service: Service) -> None:
        """Start a service; its output goes to its own log."""
        self._place.logs.mkdir(parents=True, exist_ok=True)
        self._place.records.mkdir(parents=True, exist_ok=True)
        # Whoever stops all waits until what is being started is on record.
        with self._lock, self.log(service.name).open('ab') as log:
            self._check_not_given_up()
            process = subprocess.Popen(  # noqa: S603
                service.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment() | service.env,
                cwd=service.folder,
                start_new_session=True,
            )
            try:
                self._write_record(service, process.pid)
            except BaseException:
                # What is not on record, nobody could stop.
                process.kill()
                process.wait()
                raise

    def _write_record(self, service: Service, pid: int) -> None:
        # Ours until somebody waits for it, so this cannot be another one.
        process = _read(pid)
        # Whole or not at all.
        new = self._record(service.name).with_suffix('.new')
        new.write_text(
            json.dumps(
                {
                    'boot': _boot_id(),
                    'pid': pid,
                    'started': process.started if process else 0,
                    'service': dataclasses.asdict(service),
                },
                indent=1,
            )
        )
        new.rename(self._record(service.name))

    def log(self, name: str) -> pathlib.Path:
        return self._place.logs / f'{name}.log'

    def names(self) -> list[str]:
        """Return the services on record, the last started last."""
        return [
            path.stem
            for path in sorted(
                self._place.records.glob('*.json'),
                key=lambda path: path.stat().st_mtime_ns,
            )
        ]

    def pid(self, name: str) -> int | None:
        """Return the process ID of a service that runs."""
        record = json.loads(self._record(name).read_text())
        process = _read(record['pid'])
        if (
            process is None
            or process.state == 'Z'
            or record['boot'] != _boot_id()
            or record['started'] != process.started
        ):
            return None
        return process.pid

    def is_left(self, name: str) -> bool:
        """Whether a service runs, or a worker that it left behind."""
        return bool(self._members(name))

    def wait(
        self,
        name: str,
        ready: collections.abc.Callable[[], bool],
        timeout_s: float = 120,
    ) -> None:
        """Wait until a service answers.

        :raises CloudError: it has ended, or took too long; with the end of
            its log.
        """
        deadline = time.monotonic() + timeout_s
        while not (ready() and self.pid(name) is not None):
            self._check_not_given_up()
            if self.pid(name) is None:
                raise errors.CloudError(
                    f'{name} ended while it started. {self._tail(name)}'
                )
            if time.monotonic() > deadline:
                raise errors.CloudError(
                    f'{name} did not answer within {timeout_s:.0f} s. '
                    f'{self._tail(name)}'
                )
            time.sleep(0.1)

    def run(
        self,
        name: str,
        argv: collections.abc.Sequence[str | os.PathLike[str]],
        env: dict[str, str] | None = None,
        text: str = '',
    ) -> None:
        """Run a command to its end; its output goes to a log.

        :raises CloudError: it failed; with the end of the log.
        """
        self._place.logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open('ab') as log:
            done = subprocess.run(  # noqa: S603
                argv,
                input=text.encode(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment() | (env or {}),
                check=False,
            )
        if done.returncode:
            raise errors.CloudError(
                f'{name}: {pathlib.Path(argv[0]).name} failed with '
                f'{done.returncode}. {self._tail(name)}'
            )

    def restart(self, name: str) -> None:
        """Stop a service and start it again as it was, killed or not."""
        self._check_is_known(name)
        self.replace(self.service(name))

    def service(self, name: str) -> Service:
        """Return a service on record as it was started."""
        record = json.loads(self._record(name).read_text())['service']
        return Service(
            name, tuple(record['argv']), record['env'], record['folder']
        )

    def replace(self, service: Service) -> None:
        """Stop a service and start another in its place."""
        self._stop(service.name)
        self.start(service)

    def kill(self, name: str) -> None:
        """End a service and its workers at once, as a crash does.

        It stays on record: :meth:`restart` brings it back.
        """
        self._check_is_known(name)
        self._kill_members([name])

    def kill_worker(self, name: str) -> None:
        """End one worker of a service at once, and not the service itself.

        :raises CloudError: it has none
        """
        self._check_is_known(name)
        leader = self.pid(name)
        workers = [pid for pid in self._members(name) if pid != leader]
        if not workers:
            raise errors.CloudError(
                f'{name} has no worker. Start it, or kill the service itself.'
            )
        self._send(name, workers[0], signal.SIGKILL)

    def _check_is_known(self, name: str) -> None:
        names = self.names()
        if not names:
            raise errors.CloudError('No cloud is up.')
        if name not in names:
            raise errors.CloudError(
                f'There is no service {name}. There are: {", ".join(names)}.'
            )

    def stop_all(self) -> None:
        """Stop what is on record and what that has started, and nothing else.

        At once: what they have written is about to be deleted.
        """
        self.give_up()
        with self._lock:
            self._kill(self.names())

    def give_up(self) -> None:
        """Start nothing more and wait for nothing, in whatever thread."""
        self._given_up = True

    def _check_not_given_up(self) -> None:
        if self._given_up:
            raise errors.CloudError('The cloud is being stopped.')

    def _stop(self, name: str) -> None:
        """Stop a service as an operator would."""
        leader = self.pid(name)
        for pid in self._members(name) if leader is None else [leader]:
            self._send(name, pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while self._members(name) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._kill([name])

    def _kill(self, names: collections.abc.Sequence[str]) -> None:
        self._kill_members(names)
        for name in names:
            self._record(name).unlink()

    def _kill_members(self, names: collections.abc.Sequence[str]) -> None:
        deadline = time.monotonic() + _GRACE_S
        while left := [
            (name, pid) for name in names for pid in self._members(name)
        ]:
            if time.monotonic() > deadline:
                raise errors.CloudError(f'These cannot be killed: {left}.')
            for name, pid in left:
                self._send(name, pid, signal.SIGKILL)
            time.sleep(0.02)

    def _send(self, name: str, pid: int, signal_number: int) -> None:
        """Signal a process if it is, at that very moment, of a service."""
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                process = _read(pid)
                if process is not None and self._owns(name, process):
                    signal.pidfd_send_signal(handle, signal_number)
            finally:
                os.close(handle)

    def _members(self, name: str) -> list[int]:
        """Return the processes of a service: itself and its workers."""
        return [
            process.pid
            for entry in pathlib.Path('/proc').iterdir()
            if entry.name.isdecimal()
            and (process := _read(int(entry.name)))
            and process.state not in 'ZX'
            and self._owns(name, process)
        ]

    def _owns(self, name: str, process: _Process) -> bool:
        """Whether a process is of a service, and not somebody else's.

        The kernel gives no number to a new process while a session has it.
        When all of a session has ended it may come back, as the session of a
        stranger. Where our leader has gone, a worker is known by the log that
        it inherited.
        """
        record = json.loads(self._record(name).read_text())
        if process.session != record['pid'] or record['boot'] != _boot_id():
            return False
        leader = _read(record['pid'])
        if leader is not None:
            return bool(leader.started == record['started'])
        return any(
            os.path.realpath(f'/proc/{process.pid}/fd/{number}')
            == str(self.log(name).resolve())
            for number in (1, 2)
        )

    def _environment(self) -> dict[str, str]:
        """What a process sees of ours: no virtual environment, no OS_*."""
        temporary = self._place.state / 'tmp'
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            name: value
            for name, value in os.environ.items()
            if name in ('HOME', 'LANG', 'PATH')
            or name.startswith(('PIP_', 'SSL_'))
        } | {'LC_ALL': 'C.UTF-8', 'TMPDIR': str(temporary)}

    def _record(self, name: str) -> pathlib.Path:
        return self._place.records / f'{name}.json'

    def _tail(self, name: str) -> str:
        log = self.log(name)
        if not log.exists():
            return ''
        lines = log.read_text(errors='replace').splitlines()[-_TAIL_LINES:]
        return '\n'.join([f'The end of {log}:', *lines])


def _read(pid: int) -> _Process | None:
    try:
        # The name, in brackets, may itself have brackets and spaces.
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(')')[2].split()
    return _Process(pid, int(fields[3]), fields[0], int(fields[19]))


def _boot_id() -> str:
    """Return what changes whenever process IDs begin anew."""
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    return f'{boot} {os.stat("/proc/self/ns/pid").st_ino}'
