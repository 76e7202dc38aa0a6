# SPDX-License-Identifier: Apache-2.0
"""Edge latency weigher: prefers hosts near the users of a server.

A host scores 1 at an RTT of 0 ms and 0 at ``rtt_horizon_ms``, whatever the
other candidates are, so that a millisecond is worth the same in every
request. Hosts within ``rtt_band_ms`` of the nearest tie with it, hosts that
are not measured score 0. A server that does not tell where its users are gets
0 everywhere. Set ``edge_latency_weight_multiplier`` to 0 to switch it off.
"""

import collections.abc
import typing

import nova.conf
from nova.scheduler import weights
from oslo_log import log as logging

from edge_filters import case
from edge_filters import conf
from edge_filters import proximity
from edge_filters.scheduler import decision
from edge_filters.scheduler import known
from edge_filters.scheduler import multiplier
from edge_filters.scheduler import request_filter

LOG = logging.getLogger(__name__)

CONF = nova.conf.CONF
conf.register_opts(CONF)


class EdgeLatencyWeigher(weights.BaseHostWeigher):
    """Weigh hosts by the RTT from the origins of a server."""

    # A fixed scale: Nova would stretch any difference to the full one.
    minval = 0
    maxval = 1

    def __init__(self) -> None:
        self._settings = conf.read(CONF)
        self._rules = case.rules(self._settings)
        self._multipliers = multiplier.Multipliers(
            self._settings.edge_latency_weight_multiplier
        )
        known.follow(self._settings.map_files)
        request_filter.enable(
            self._settings, CONF.filter_scheduler.enabled_filters
        )

    def weight_multiplier(self, host_state: typing.Any) -> float:
        """Return how much the weigher counts for a host."""
        return self._multipliers.of(host_state.host)

    def weigh_objects(
        self,
        weighed_obj_list: collections.abc.Sequence[typing.Any],
        weight_properties: typing.Any,
    ) -> list[float]:
        """Return the score of each host, from 0 to 1; empty: 0 for all.

        Nova adds nothing for an empty list, and does not even look at it.
        """
        if self._settings.mode != 'enforce':
            return []
        hosts = [weighed.obj for weighed in weighed_obj_list]
        decided = decision.of(weight_properties, self._rules, hosts)
        if decided.refusal:
            # A filter of ours would have refused the server.
            LOG.info(
                'Edge decision (weigher alone) for server %(decided)s: not '
                'weighed: %(refusal)s.',
                {'decided': decided, 'refusal': decided.refusal},
            )
            return []
        if not decided.has_order:
            return []
        self._multipliers.refresh()
        judged = decided.judge(hosts, decided.judge_latency)
        scores = proximity.scores(
            [verdict.cost_ms for verdict in judged.verdicts.values()],
            self._settings.rtt_horizon_ms,
            self._settings.rtt_band_ms,
        )
        by_place = dict(zip(judged.verdicts, scores, strict=True))
        return [by_place[place] for place in judged.places]

    def _weigh_object(
        self, obj: typing.Any, weight_properties: typing.Any
    ) -> float:
        # Nova's base class asks for it; weigh_objects does not.
        weighed = [weights.WeighedHost(obj, 0.0)]
        return sum(self.weigh_objects(weighed, weight_properties))
