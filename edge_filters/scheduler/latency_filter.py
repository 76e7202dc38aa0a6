# SPDX-License-Identifier: Apache-2.0
"""Edge latency filter: refuses hosts beyond the budget of a server.

A server tells where its users are with ``edge:origin`` or ``edge:near``, and
what they tolerate with ``edge:max_rtt_ms``, ``edge:max_jitter_ms`` and
``edge:max_loss_pct``. ``edge:unmeasured`` says what an unknown figure means,
``edge:fallback`` what happens where nothing meets the budget. All are
scheduler hints or, but for ``edge:near``, extra specs of a flavor. Hosts that
cannot be reached from an origin are refused in any case.
"""

from edge_filters import proximity
from edge_filters.scheduler import decision
from edge_filters.scheduler import edge_filter


class EdgeLatencyFilter(edge_filter.EdgeFilter):
    """Pass the hosts that are near enough."""

    def __init__(self) -> None:
        super().__init__()
        # Where EdgeSiteFilter only observes, it passes what it would refuse.
        self._narrows = (
            self.mode == 'observe'
            and 'EdgeSiteFilter'
            in edge_filter.CONF.filter_scheduler.enabled_filters
        )

    def refuse(self, decided: decision.Decision) -> edge_filter.HostStates:
        """Let no host pass; log it unless EdgeSiteFilter does."""
        return [] if self._narrows else super().refuse(decided)

    def decide(
        self, decided: decision.Decision, hosts: edge_filter.HostStates
    ) -> edge_filter.HostStates:
        """Return the hosts that pass, and log the decision."""
        if decided.request.asks_nothing:
            return hosts
        if self._narrows:
            hosts = [
                host_state
                for host_state in hosts
                if decided.judge_site(host_state.host).passes
            ]
        if not hosts:
            return []
        passing = [
            host_state
            for host_state in hosts
            if decided.judge_latency(host_state.host).passes
        ]
        verdicts = [
            it for it in decided.latency_verdicts.values() if it.passes
        ]
        how = 'pass'
        if not passing and decided.falls_back:
            passing = [
                host_state
                for host_state in hosts
                if decided.judge_latency(host_state.host).cost_ms is not None
            ]
            verdicts = list(decided.latency_verdicts.values())
            how = 'are known, and none meets the budget: fallback'
        if not passing:
            self.log_refusal(decided, decided.latency_verdicts)
            return []
        nearest = min(verdicts, key=proximity.distance)
        self.log(
            decided,
            f'{len(passing)} of {len(hosts)} hosts {how}; nearest: '
            f'{nearest.reason}',
        )
        return passing
