# SPDX-License-Identifier: Apache-2.0
"""HOW MUCH DOES THE WEIGHER COUNT? An option that aggregates may override."""

import collections.abc
import math
import typing

from oslo_log import log as logging

from edge_filters import ratelimit
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.scheduler import nova_compat

LOG = logging.getLogger(__name__)

_Aggregates = collections.abc.Mapping[int, typing.Any]


class Multipliers:
    """The multiplier of the weigher, as the aggregates of a host have it.

    It means what Nova's get_weight_multiplier means: the smallest value of
    the aggregates counts, else the option. That function reads the metadata
    of every aggregate for every host and request; here it is read when it
    changes.

    :param default: value of the option
    """

    def __init__(self, default: float) -> None:
        self._default = default
        self._warnings = ratelimit.RateLimit()
        # What was read from which aggregates, by host: one object, so that no
        # thread has the one without the other.
        self._known: tuple[_Aggregates, dict[str, float]] = ({}, {})

    def refresh(self) -> None:
        """Take note of aggregates that have changed."""
        aggregates = nova_compat.multiplied()
        if aggregates is not self._known[0]:
            self._known = aggregates, self._read(aggregates)

    def of(self, host: str) -> float:
        """Return the multiplier that counts for a host."""
        _, by_host = self._known
        if not by_host:
            return self._default
        return by_host.get(host.lower(), self._default)

    def _read(self, aggregates: _Aggregates) -> dict[str, float]:
        by_host: dict[str, float] = {}
        for aggregate in aggregates.values():
            value = self._value(aggregate)
            if value is None:
                continue
            for host in map(str.lower, aggregate.hosts or ()):
                by_host[host] = min(value, by_host.get(host, math.inf))
        return by_host

    def _value(self, aggregate: typing.Any) -> float | None:
        """Return the value of one aggregate; None: it cannot be read."""
        text = aggregate.metadata[metadata.MULTIPLIER]
        try:
            return spelling.parse_number(text, maximum=1e9)
        except ValueError as error:
            if self._warnings.is_due(aggregate.id):
                LOG.warning(
                    'Aggregate %(aggregate)s, %(key)s=%(value)s %(error)s; '
                    'it is ignored.',
                    {
                        'aggregate': aggregate.id,
                        'key': metadata.MULTIPLIER,
                        'value': spelling.shown(text),
                        'error': error,
                    },
                )
            return None
