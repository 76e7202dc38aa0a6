# SPDX-License-Identifier: Apache-2.0
"""Edge site filter: keeps a server at the sites that it asks for.

A server names the sites it may run at with ``edge:site`` and those it may not
run at with ``edge:avoid_site``, as scheduler hints or as extra specs of its
flavor.
"""

from edge_filters import proximity
from edge_filters.scheduler import decision
from edge_filters.scheduler import edge_filter


class EdgeSiteFilter(edge_filter.EdgeFilter):
    """Pass the hosts of the sites that a server may run at."""

    def judge(
        self, decided: decision.Decision, host: str
    ) -> proximity.Verdict:
        """Return whether a server may run at the site of a host."""
        return decided.judge_site(host)
