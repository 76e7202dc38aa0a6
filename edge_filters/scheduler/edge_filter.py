# SPDX-License-Identifier: Apache-2.0
"""WHICH HOSTS PASS? What the filters have in common."""

import abc
import collections.abc
import typing

import nova.conf
from nova.scheduler import filters
from oslo_log import log as logging

from edge_filters import conf
from edge_filters import proximity
from edge_filters.scheduler import decision
from edge_filters.scheduler import nova_compat

CONF = nova.conf.CONF
conf.register_opts(CONF)

LOG = logging.getLogger(__name__)

# How many of the nearest places a refusal names.
_NAMED = 3


class EdgeFilter(filters.BaseHostFilter, metaclass=abc.ABCMeta):
    """A filter that asks for a verdict on each host."""

    RUN_ON_REBUILD = False

    def __init__(self) -> None:
        self._max_age_s = conf.read(CONF).max_age_s
        nova_compat.follow_aggregates()

    @abc.abstractmethod
    def judge(
        self, decided: decision.Decision, host: str
    ) -> proximity.Verdict:
        """Return the verdict on one host."""

    def filter_all(
        self,
        filter_obj_list: collections.abc.Iterable[typing.Any],
        spec_obj: typing.Any,
    ) -> collections.abc.Iterable[typing.Any]:
        """Return the hosts that pass; the work per request is done once."""
        if decision.is_rebuild(spec_obj):
            return filter_obj_list
        decided = decision.Decision(spec_obj, self._max_age_s)
        if decided.request.asks_nothing:
            return filter_obj_list
        if decided.is_refused:
            self._log_refusal(spec_obj, decided.request.problems)
            return []
        passing = []
        failing = set()
        for host_state in filter_obj_list:
            verdict = self.judge(decided, host_state.host)
            if verdict.passes:
                passing.append(host_state)
            else:
                failing.add(verdict)
        if failing and not passing:
            nearest = sorted(failing, key=proximity.distance)[:_NAMED]
            self._log_refusal(spec_obj, [v.reason for v in nearest])
        return passing

    def _log_refusal(
        self, spec_obj: typing.Any, reasons: collections.abc.Iterable[object]
    ) -> None:
        LOG.info(
            '%(filter)s refuses every host for server %(server)s: '
            '%(reasons)s.',
            {
                'filter': self.__class__.__name__,
                'server': spec_obj.instance_uuid,
                'reasons': '; '.join(str(reason) for reason in reasons),
            },
        )
