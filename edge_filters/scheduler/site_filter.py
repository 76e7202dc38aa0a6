# SPDX-License-Identifier: Apache-2.0
"""Edge site filter: keeps a server at the sites that it may run at.

A server names the sites it may run at with ``edge:site``, those it may not
run at with ``edge:avoid_site``, and the tiers of sites it may run at with
``edge:tier``, as scheduler hints or as extra specs of its flavor. The
``edge:status`` of a site binds every server, whatever it says.
"""

from edge_filters.scheduler import decision
from edge_filters.scheduler import edge_filter


class EdgeSiteFilter(edge_filter.EdgeFilter):
    """Pass the hosts of the sites that a server may run at."""

    def decide(
        self, decided: decision.Decision, hosts: edge_filter.HostStates
    ) -> edge_filter.HostStates:
        """Return the hosts that pass; the other filter logs if some do."""
        if not decided.concerns_sites:
            return hosts
        judged = decided.judge(hosts, decided.judge_site)
        passing = judged.select(hosts)
        if hosts and not passing:
            self.log_refusal(decided, judged.verdicts)
        elif decision.LATENCY_FILTER not in self.enabled:
            if not decided.request.asks_nothing:
                outcome = f'{len(passing)} of {len(hosts)} hosts pass'
                self.log(decided, outcome)
        return passing
