# SPDX-License-Identifier: Apache-2.0
"""WHOSE NETWORK IS IT? Network namespaces, and what is done inside them.

The name of a namespace says which process it belongs to: the process ID, and
when that process began, as a number may come back as somebody else's. So what
a run left behind that was killed is known for what it is, and removed.
"""

from concurrent import futures
import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

from tests.network import needs

DEVICE = 'tun0'

_PREFIX = 'edge-lab.'
_FOLDER = pathlib.Path('/run/netns')
# How long what was killed has to be gone.
_GRACE_S = 5
_NETWORK = 0x40000000  # CLONE_NEWNET

_libc = ctypes.CDLL(None, use_errno=True)


def name_of(lab, place):
    """Return the name of the namespace of a place.

    :param lab: number of the lab in this process
    """
    pid = os.getpid()
    return f'{_PREFIX}{pid}.{_began(pid)}.{lab}.{place}'


def ip(*arguments, text=''):
    """Run ``ip``; return what it printed.

    :param text: its input
    :raises LabError: it failed
    """
    done = subprocess.run(
        ['ip', *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise needs.refused(
            f'"ip {" ".join(arguments)}"', ' '.join(done.stderr.split())
        )
    return done.stdout


def remove(name):
    """Remove a namespace, and end what still runs inside."""
    deadline_s = time.monotonic() + _GRACE_S
    # A process may begin another before it ends.
    while pids := ip('netns', 'pids', name).split():
        if time.monotonic() > deadline_s:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.005)
    ip('netns', 'delete', name)


def remove_stale():
    """Remove the namespaces of processes that are no more."""
    for path in _FOLDER.glob(f'{_PREFIX}*'):
        _, pid, began, _ = path.name.split('.', 3)
        if _began(pid) != began:
            # Another run may be just as fast.
            with contextlib.suppress(needs.LabError):
                remove(path.name)


def _began(pid):
    """Return when a process began, in clock ticks; None if it is no more."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name of the program comes before, and may have anything in it.
    return stat.rpartition(')')[2].split()[19]


@contextlib.contextmanager
def inside(name):
    """Have this thread in the network of a namespace for a while.

    A socket or a TUN device stays in the network it was made in.
    """
    with (
        open('/proc/thread-self/ns/net', 'rb') as before,
        open(_FOLDER / name, 'rb') as there,
    ):
        _enter(there)
        try:
            yield
        finally:
            _enter(before)


def made_inside(name, make):
    """Return what a function returns in the network of a namespace.

    It is called in a thread of its own, so that no other thread ever sees
    another network than its own.
    """

    def call():
        with inside(name):
            return make()

    with futures.ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(call).result()


def _enter(namespace):
    if _libc.setns(namespace.fileno(), _NETWORK):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
