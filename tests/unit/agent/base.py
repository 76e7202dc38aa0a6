# SPDX-License-Identifier: Apache-2.0
"""What the tests of the agent share."""

import threading
import time
import typing

from edge_filters.agent import probe
from edge_filters.agent import reading


class Driver(probe.Probe):
    """A driver that sees what it is told to see, by beacon."""

    seen: typing.ClassVar = {}

    def measure(self, spread_s, stop):
        for beacon in self.beacons:
            seen = self.seen[beacon.host]
            if isinstance(seen, Exception):
                raise seen
            rtts_ms = tuple(it for it in seen if it is not None)
            yield (
                beacon.path,
                reading.Echoes(rtts_ms, len(seen), time.time(), beacon.host),
            )


def never():
    """Return an event that nobody sets."""
    return threading.Event()
