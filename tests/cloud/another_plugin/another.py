# SPDX-License-Identifier: Apache-2.0
"""WHAT ELSE IS IN nova.conf? A filter and a weigher of somebody else."""

from nova.scheduler import filters
from nova.scheduler import weights

CLOSED_HOST = 'compute-2-1'
HINT = 'another'


class AnotherFilter(filters.BaseHostFilter):
    """Leaves one host out, whatever is asked for."""

    RUN_ON_REBUILD = False

    def host_passes(self, host_state, spec_obj):
        return host_state.host != CLOSED_HOST


class AnotherWeigher(weights.BaseHostWeigher):
    """Prefers the host that a hint names to all others."""

    def weight_multiplier(self, host_state):
        return 1000.0

    def _weigh_object(self, host_state, spec_obj):
        return float(host_state.host == spec_obj.get_scheduler_hint(HINT))
