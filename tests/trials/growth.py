# SPDX-License-Identifier: Apache-2.0
"""IS IT GROWING? The memory of services, as the kernel has it.

What counts is what a process has for itself alone: workers share with the
process that forked them what neither has written to since.
"""

import dataclasses
import json
import pathlib
import statistics
import threading
import time

INTERVAL_S = 10
MINUTE_S = 60
# How long it has to be looked at once it has settled.
LEAST_MINUTES = 3
_OWN = ('Private_Clean', 'Private_Dirty', 'Private_Hugetlb')


@dataclasses.dataclass(frozen=True)
class Growth:
    """What became of the memory of one process.

    :ivar first_mb: the mean of the minute after it had settled
    :ivar last_mb: the mean of the last minute
    :ivar pct: how much more the last is, in percent
    :ivar slope_kb: of the line that fits best since it had settled, a minute
    """

    first_mb: float
    last_mb: float
    pct: float
    slope_kb: float


def growth(points, settled_s):
    """Return how much memory grew once it had settled; None: nobody knows.

    :param points: seconds and kB, in order
    :param settled_s: when it had
    """
    later = [it for it in points if it[0] >= settled_s]
    if not later or later[-1][0] - settled_s < 2 * MINUTE_S:
        return None
    end_s = later[-1][0]
    # There may be hardly one point a minute.
    start_s = later[0][0]
    first = statistics.fmean(
        kb for at_s, kb in later if at_s < start_s + MINUTE_S
    )
    last = statistics.fmean(
        kb for at_s, kb in later if at_s > end_s - MINUTE_S
    )
    slope, _ = statistics.linear_regression(*zip(*later, strict=True))
    return Growth(
        first / 1024,
        last / 1024,
        100 * (last / first - 1) if first else 0.0,
        slope * MINUTE_S,
    )


def own_kb(pid):
    """Return what a process has for itself alone; None: it is gone."""
    try:
        text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    amounts = dict(
        line.split(':', 1) for line in text.splitlines() if ' kB' in line
    )
    return sum(int(amounts[it].split()[0]) for it in _OWN if it in amounts)


def workers(leader):
    """Return the process IDs of a service's workers, the first one first.

    :param leader: the process ID of the service
    """
    # Each thread has those that it has forked.
    children = pathlib.Path(f'/proc/{leader}/task').glob('*/children')
    return sorted(
        int(pid) for it in children for pid in it.read_text().split()
    )


def traced(folder, pid, began_s):
    """Return what a worker wrote down of what is ours, as points are.

    :param folder: where it did; see tracing/sitecustomize.py
    :param began_s: what the seconds count from
    """
    path = folder / f'{pid}.json'
    lines = path.read_text().splitlines() if path.exists() else []
    return [(it['at_s'] - began_s, it['kb']) for it in map(json.loads, lines)]


class Meter(threading.Thread):
    """Reads every few seconds how much memory processes have.

    :param processes: process IDs by what they are called
    :ivar points: seconds and kB of each, in order
    :ivar began_s: what the seconds count from, by ``time.monotonic()``
    """

    def __init__(self, processes):
        super().__init__(name='meter', daemon=True)
        self._processes = processes
        self._ended = threading.Event()
        self.began_s = time.monotonic()
        self.points = {name: [] for name in processes}

    def run(self):
        due = self.began_s
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            for name, pid in self._processes.items():
                kb = own_kb(pid)
                if kb is not None:
                    at_s = time.monotonic() - self.began_s
                    self.points[name].append((at_s, kb))
            due += INTERVAL_S

    @property
    def gone(self):
        """Those of the processes that have ended."""
        return [
            name for name, pid in self._processes.items() if not own_kb(pid)
        ]

    def stop(self):
        self._ended.set()
        self.join()
