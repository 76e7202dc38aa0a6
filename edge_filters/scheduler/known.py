# SPDX-License-Identifier: Apache-2.0
"""WHAT IS KNOWN NOW? The world that nova-scheduler follows."""

import collections.abc
import functools

from oslo_log import log as logging

from edge_filters import ratelimit
from edge_filters import world
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import map_file
from edge_filters.origins import map_files
from edge_filters.origins import prefixes
from edge_filters.scheduler import nova_compat

LOG = logging.getLogger(__name__)

_WARNINGS = ratelimit.RateLimit()


class Known(world.World):
    """The world at one moment, which keeps what is still true of the last.

    :param aggregates: the sites as the aggregates have them
    :param maps: what the map files say
    :param before: what was known before, of which parts may still be true
    """

    def __init__(
        self,
        aggregates: latency_snapshot.Snapshot,
        maps: map_file.MapFile,
        before: 'Known | None' = None,
    ) -> None:
        super().__init__(aggregates, maps)
        # The last that had a table we may use; or all would be kept.
        if before is not None and not before._has_table:
            before = before._before
        is_of_use = before is not None and before.maps is maps
        self._before: Known | None = before if is_of_use else None

    @property
    def _has_table(self) -> bool:
        return 'prefix_table' in vars(self)

    @functools.cached_property
    def prefix_table(self) -> prefixes.PrefixTable:
        """The prefixes of all origins."""
        # Only few requests have an address, and only few changes are of a
        # prefix. Two threads may both do it, with the same result.
        before, self._before = self._before, None
        if before is not None and before.attached == self.attached:
            return before.prefix_table
        table = prefixes.PrefixTable(self.attached, self.maps.prefix_table)
        for level, text in table.complaints():
            if _WARNINGS.is_due(text):
                LOG.log(level, 'Prefixes: %s.', text)
        return table


_maps = map_files.MapFiles(())
_known = Known(latency_snapshot.Snapshot(), _maps.current)


def follow(paths: collections.abc.Sequence[str]) -> None:
    """Keep :func:`now` up to date from now on; needed only once.

    :param paths: the map files, which are read before it returns
    """
    global _maps
    nova_compat.follow_aggregates()
    if _maps.paths != tuple(dict.fromkeys(paths)):
        _maps = map_files.MapFiles(paths)
        _maps.read()


def now() -> Known:
    """Return what is known at this moment; it reads memory only."""
    global _known
    _maps.follow()
    aggregates, maps = nova_compat.snapshot(), _maps.current
    known = _known
    if known.aggregates is not aggregates or known.maps is not maps:
        known = _known = Known(aggregates, maps, known)
    return known
