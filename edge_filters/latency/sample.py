# SPDX-License-Identifier: Apache-2.0
"""WHAT IS KNOWN? One figure between an origin and a site or host."""

import enum
import typing

# How far ahead of ours the clock of whoever measured may be, in seconds.
CLOCK_TOLERANCE_S = 60.0


class Kind(enum.Enum):
    """What the RTT of a figure is."""

    # Measured, or written by an operator.
    FIGURE = 'figure'
    # The true one is larger; how much nobody knows.
    BOUND = 'bound'
    # Worked out from something else, such as a distance.
    ESTIMATE = 'estimate'


class Sample(typing.NamedTuple):
    """One figure between an origin and a site or host.

    :param rtt_ms: round-trip time in milliseconds; None: unreachable, as no
        probe was answered
    :param jitter_ms: variation of the RTT in milliseconds; None: not measured
    :param loss_pct: share of probes lost, 0 to 100; None: not measured
    :param probes: how many were sent; None: not told
    :param at: when, in seconds since the epoch; None: does not age
    :param source: by what it was measured, in a word
    :param kind: what the RTT is
    """

    rtt_ms: float | None
    jitter_ms: float | None = None
    loss_pct: float | None = None
    probes: int | None = None
    at: float | None = None
    source: str | None = None
    kind: Kind = Kind.FIGURE

    @property
    def is_unreachable(self) -> bool:
        """Whether no probe was answered."""
        return self.rtt_ms is None

    def is_stale(self, now: float, max_age_s: float) -> bool:
        """Return whether the figure is too old to be relied on."""
        return self.at is not None and is_stale(now - self.at, max_age_s)


def is_stale(age_s: float, max_age_s: float) -> bool:
    """Return whether a figure of an age in seconds is too old.

    A figure from the future is stale: nobody can tell how old it is.
    """
    return not -CLOCK_TOLERANCE_S <= age_s <= max_age_s


def worst(*figures: Sample) -> Sample:
    """Return the figure a careful operator counts on.

    The larger RTT counts, and unreachable is worse than any RTT.
    """
    return max(
        figures,
        key=lambda figure: (figure.is_unreachable, figure.rtt_ms or 0.0),
    )
