# SPDX-License-Identifier: Apache-2.0
"""Edge latency filter: refuses hosts beyond the budget of a server.

A server tells where its users are with ``edge:origin`` and how far they may
be with ``edge:max_rtt_ms``, as scheduler hints or as extra specs of its
flavor. Hosts that are not measured, or whose figure is stale, are refused
where there is a budget. Hosts that cannot be reached from an origin are
refused in any case.
"""

from edge_filters import proximity
from edge_filters.scheduler import decision
from edge_filters.scheduler import edge_filter


class EdgeLatencyFilter(edge_filter.EdgeFilter):
    """Pass the hosts that are near enough."""

    def judge(
        self, decided: decision.Decision, host: str
    ) -> proximity.Verdict:
        """Return whether a host is near enough."""
        return decided.judge_latency(host)
