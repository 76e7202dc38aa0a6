# SPDX-License-Identifier: Apache-2.0
"""MAY IT CALL NOW? So many calls a second, and fewer while none succeeds."""

import collections.abc
import random

# A pause after the first failure, and after very many, in seconds.
_LEAST_S = 1.0
_MOST_S = 300.0

# How many calls in a row may be refused, each for a reason of its own, before
# the reason seems to be a common one.
_REFUSALS = 5

# More doublings of a second than that are for nobody.
_MAX_DOUBLINGS = 30

_RANDOM = random.SystemRandom()


def pause_s(
    failures: int, least_s: float = _LEAST_S, most_s: float = _MOST_S
) -> float:
    """Return how long to wait after failures in a row, in seconds.

    Each doubles it, and it is shorter by chance, up to a half: those who
    failed together do not come back together.
    """
    doubled_s = least_s * 2.0 ** min(failures, _MAX_DOUBLINGS)
    return min(doubled_s, most_s) * _RANDOM.uniform(0.5, 1)


class Pace:
    """Says when the next call may be made.

    :param calls_per_second: how many at most
    :param monotonic: the time in seconds
    """

    def __init__(
        self,
        calls_per_second: float,
        monotonic: collections.abc.Callable[[], float],
    ) -> None:
        self._spacing_s = 1 / calls_per_second
        self._monotonic = monotonic
        self._next = monotonic()
        self.failures = 0

    def wait_s(self) -> float:
        """Return in how many seconds a call may be made; 0: now."""
        return max(self._next - self._monotonic(), 0.0)

    def called(self) -> None:
        """Note that a call is being made."""
        self._next = self._monotonic() + self._spacing_s

    def succeeded(self) -> None:
        """Note that a call has succeeded."""
        self.failures = 0

    def failed(self, is_away: bool) -> None:
        """Note that a call has failed.

        :param is_away: whether any other would have failed too
        """
        self.failures += 1
        failures = self.failures - (0 if is_away else _REFUSALS)
        if failures > 0:
            self._next = max(self._next, self._monotonic() + pause_s(failures))
