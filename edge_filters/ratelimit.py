# SPDX-License-Identifier: Apache-2.0
"""HAS IT BEEN SAID? Keeps a warning from being repeated all the time."""

import collections
import collections.abc
import threading
import time

INTERVAL_S = 600.0

# A bound on memory: an edge site could make up new keys all the time.
_MAX_KEYS = 10000


class RateLimit:
    """Says of each key at most once an interval that it is due."""

    def __init__(
        self, clock: collections.abc.Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._said: collections.OrderedDict[
            collections.abc.Hashable, float
        ] = collections.OrderedDict()
        self._lock = threading.Lock()

    def is_due(self, key: collections.abc.Hashable) -> bool:
        """Return whether the key was not due within the interval."""
        now = self._clock()
        with self._lock:
            if now - self._said.get(key, -INTERVAL_S) < INTERVAL_S:
                return False
            self._said[key] = now
            self._said.move_to_end(key)
            if len(self._said) > _MAX_KEYS:
                self._said.popitem(last=False)
            return True
