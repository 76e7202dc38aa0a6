# SPDX-License-Identifier: Apache-2.0
"""WHAT HAPPENS WHEN? Progress for the person, and work done side by side."""

import collections.abc
import concurrent.futures
import time

_STARTED = time.monotonic()


def say(what: str) -> None:
    print(f'[{time.monotonic() - _STARTED:4.0f} s] {what}', flush=True)


def at_once(*tasks: collections.abc.Callable[[], object]) -> None:
    """Do several things side by side; raise what the first of them raised."""
    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()
