# SPDX-License-Identifier: Apache-2.0
"""WHAT RUNS? Processes, each with those that it starts, and their end."""

import contextlib
import os
import signal
import subprocess
import time

from testtools import content
from testtools import content_type

# How long a process has to end by itself once it is told to.
_GRACE_S = 5


def start(command, log, **how):
    """Start a command as the leader of a process group of its own.

    :param log: file for what it prints, unless ``how`` says otherwise
    :param how: more, for ``subprocess.Popen``
    """
    with log.open('wb') as output:
        return subprocess.Popen(
            command,
            process_group=0,
            **{
                'stdin': subprocess.DEVNULL,
                'stdout': output,
                'stderr': output,
                **how,
            },
        )


def stop(process):
    """End a process and its group, unless somebody has waited for it.

    Its number is its own until then.
    """
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM)
    deadline_s = time.monotonic() + _GRACE_S
    while not _has_ended(process) and time.monotonic() < deadline_s:
        time.sleep(0.005)
    _signal(process, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def detail(log):
    """Return what a log says, as a detail of a test."""

    def read():
        # Where a fixture does not start, it is gone before anybody reads it.
        return [log.read_bytes()] if log.exists() else []

    return content.Content(content_type.UTF8_TEXT, read)


def last_line(log):
    """Return the last thing that a log says."""
    lines = log.read_text(errors='replace').split('\n')
    return next((line for line in reversed(lines) if line.strip()), '')


def _signal(process, number):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _has_ended(process):
    """Whether a process has ended; it stays there to be waited for."""
    return os.waitid(
        os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
    )
