# SPDX-License-Identifier: Apache-2.0
"""WHO DOES IT MEANWHILE? A thread of each process, once it is needed."""

import collections.abc
import os
import threading


class Background:
    """Runs a function in a thread, once in each process.

    Threads do not survive the fork of a worker, and a lock that was held at
    that moment is never released there; so it is without one.

    :param name: name of the thread
    :param run: what it runs
    """

    def __init__(
        self, name: str, run: collections.abc.Callable[[], None]
    ) -> None:
        self._name = name
        self._run = run
        self._starters: dict[int, object] = {}

    def start(self) -> None:
        """Start the thread, unless this process has done so.

        :raises RuntimeError: if there are too many threads just now; the next
            call tries again
        """
        process, starter = os.getpid(), object()
        if process in self._starters:
            return
        if self._starters.setdefault(process, starter) is starter:
            try:
                threading.Thread(
                    target=self._run, name=self._name, daemon=True
                ).start()
            except RuntimeError:
                del self._starters[process]
                raise
