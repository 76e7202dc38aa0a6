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

    def refuse(self, decided: decision.Decision) -> edge_filter.HostStates:
        """Let no host pass; log it unless the other filter does."""
        if self._both_run and decision.SITE_FILTER in self.enabled:
            return []
        return super().refuse(decided)

    def decide(
        self, decided: decision.Decision, hosts: edge_filter.HostStates
    ) -> edge_filter.HostStates:
        """Return the hosts that pass, and log the decision."""
        if decided.request.asks_nothing or not hosts:
            return hosts
        if self._narrows and decided.concerns_sites:
            judged = decided.judge(hosts, decided.judge_site)
            hosts = judged.select(hosts)
            if not hosts:
                if not self._both_run:
                    self.log_refusal(decided, judged.verdicts)
                return []
        judged = decided.judge(hosts, decided.judge_latency)
        passing = judged.select(hosts)
        verdicts = [it for it in judged.verdicts.values() if it.passes]
        how = 'pass'
        if not passing and decided.falls_back:
            passing = judged.select(hosts, lambda it: it.cost_ms is not None)
            verdicts = list(judged.verdicts.values())
            how = 'are known, and none meets the budget: fallback'
        if not passing:
            self.log_refusal(decided, judged.verdicts)
            return []
        outcome = f'{len(passing)} of {len(hosts)} hosts {how}'
        nearest = min(verdicts, key=proximity.distance)
        if nearest.provenance is not None:
            outcome += f'; nearest: {nearest.reason}'
        self.log(decided, outcome)
        return passing

    @property
    def _both_run(self) -> bool:
        """Whether the other filter runs even if this lets nothing pass."""
        return self.mode == 'observe'

    @property
    def _narrows(self) -> bool:
        """Whether hosts may be here that the other filter will refuse."""
        order = [
            name
            for name in self.enabled
            if name in (decision.SITE_FILTER, decision.LATENCY_FILTER)
        ]
        return decision.SITE_FILTER in order and (
            self._both_run or order[-1] == decision.SITE_FILTER
        )
