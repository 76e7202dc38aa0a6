# SPDX-License-Identifier: Apache-2.0
"""WHAT HAPPENS WHEN? Progress for the person, and work done side by side."""

import collections.abc
import concurrent.futures
import time

_STARTED = time.monotonic()


def say(what: str) -> None:
    print(f'[{time.monotonic() - _STARTED:4.0f} s] {what}', flush=True)


def at_once(
    give_up: collections.abc.Callable[[], None],
    *tasks: collections.abc.Callable[[], object],
) -> None:
    """Do several things side by side; raise what the first of them raised.

    :param give_up: makes those that are still at work end soon.
    """
    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
        try:
            for future in concurrent.futures.as_completed(
                [pool.submit(task) for task in tasks]
            ):
                future.result()
        except BaseException:
            give_up()
            raise
