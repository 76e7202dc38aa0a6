# SPDX-License-Identifier: Apache-2.0
"""WHICH HOSTS PASS? What the filters have in common."""

import abc
import collections.abc
import typing

import nova.conf
from nova.scheduler import filters

from edge_filters import case
from edge_filters import conf
from edge_filters.scheduler import decision
from edge_filters.scheduler import known
from edge_filters.scheduler import request_filter

CONF = nova.conf.CONF
conf.register_opts(CONF)

HostStates = list[typing.Any]


class EdgeFilter(filters.BaseHostFilter, metaclass=abc.ABCMeta):
    """A filter that decides on all hosts of a request at once."""

    def __init__(self) -> None:
        settings = conf.read(CONF)
        self.mode = settings.mode
        self.enabled = list(CONF.filter_scheduler.enabled_filters)
        self._rules = case.rules(settings)
        known.follow(settings.map_files)
        request_filter.enable(settings, self.enabled)

    def filter_all(
        self,
        filter_obj_list: collections.abc.Iterable[typing.Any],
        spec_obj: typing.Any,
    ) -> HostStates:
        """Return the hosts that pass; the work per request is done once."""
        hosts = list(filter_obj_list)
        if self.mode == 'off' or decision.is_rebuild(spec_obj):
            return hosts
        decided = decision.of(spec_obj, self._rules, hosts)
        if decided.refusal:
            passing = self.refuse(decided)
        else:
            passing = self.decide(decided, hosts)
        return passing if self.mode == 'enforce' else hosts

    @abc.abstractmethod
    def decide(
        self, decided: decision.Decision, hosts: HostStates
    ) -> HostStates:
        """Return the hosts that pass, and log what is decided."""

    def refuse(self, decided: decision.Decision) -> HostStates:
        """Let no host pass, as what was asked cannot be read."""
        self.log(decided, f'refused: {decided.refusal}')
        return []

    def log(self, decided: decision.Decision, outcome: str) -> None:
        """Log the one line that a decision has."""
        decision.log(decided, self.mode, outcome)

    def log_refusal(
        self, decided: decision.Decision, verdicts: case.Verdicts
    ) -> None:
        """Log that no host passes, and what is wrong at the nearest sites."""
        outcome = f'no host passes: {decision.in_words(verdicts.values())}'
        if decided.narrowed:
            outcome += f'; {decided.narrowed}'
        self.log(decided, outcome)
