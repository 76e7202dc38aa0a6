# SPDX-License-Identifier: Apache-2.0
"""WHAT WAS SEEN, AND BETWEEN WHOM? What probes give to the agent."""

import typing

from edge_filters.latency import metadata


class Path(typing.NamedTuple):
    """From a site to those that it serves, or to another site.

    :param site: name of the site that is measured from
    :param target: name of the origin, or of the other site
    :param is_to_site: whether the target is a site
    """

    site: str
    target: str
    is_to_site: bool = False

    @property
    def key(self) -> str:
        """The key of its figure in the metadata of the site."""
        if self.is_to_site:
            return metadata.SITE_RTT + self.target
        return metadata.rtt_key(self.target)


class Echoes(typing.NamedTuple):
    """What came back of the probes that were sent along a path.

    :param rtts_ms: round-trip times in milliseconds, in the order in which
        the probes were sent, of those that were answered
    :param sent: how many were sent; those that were not answered are lost
    :param at: when the last was sent, in seconds since the epoch
    :param beacon: who was asked, as it was written
    """

    rtts_ms: tuple[float, ...]
    sent: int
    at: float
    beacon: str = ''
