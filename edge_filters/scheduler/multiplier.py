# SPDX-License-Identifier: Apache-2.0
"""HOW MUCH DOES A WEIGHER COUNT? An option that aggregates may override."""

import math
import typing
import weakref

from oslo_log import log as logging

from edge_filters import ratelimit
from edge_filters import spelling

LOG = logging.getLogger(__name__)


class Multipliers:
    """The multiplier of a weigher, as the aggregates of a host have it.

    It means what Nova's get_weight_multiplier means: the smallest value of
    the aggregates counts, else the option. That function reads the metadata
    of every aggregate for every host and request; here an aggregate is read
    once, as Nova replaces the object of a changed one.

    :param key: the key of the aggregates' metadata
    :param default: value of the option
    """

    def __init__(self, key: str, default: float) -> None:
        self._key = key
        self._default = default
        self._values: weakref.WeakKeyDictionary[typing.Any, float] = (
            weakref.WeakKeyDictionary()
        )
        self._warnings = ratelimit.RateLimit()

    def of(self, host_state: typing.Any) -> float:
        """Return the multiplier that counts for a host."""
        value = math.inf
        for aggregate in host_state.aggregates:
            known = self._values.get(aggregate)
            if known is None:
                known = self._values[aggregate] = self._read(aggregate)
            value = min(value, known)
        return self._default if value == math.inf else value

    def _read(self, aggregate: typing.Any) -> float:
        """Return the value of one aggregate; infinity if it has none."""
        text = (aggregate.metadata or {}).get(self._key)
        if text is None:
            return math.inf
        try:
            return spelling.parse_number(text, maximum=1e9)
        except ValueError as error:
            if self._warnings.is_due(aggregate.id):
                LOG.warning(
                    'Aggregate %(aggregate)s, %(key)s=%(value)s %(error)s; '
                    'it is ignored.',
                    {
                        'aggregate': aggregate.id,
                        'key': self._key,
                        'value': spelling.shown(text),
                        'error': error,
                    },
                )
            return math.inf
