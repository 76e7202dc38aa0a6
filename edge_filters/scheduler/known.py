# SPDX-License-Identifier: Apache-2.0
"""WHAT IS KNOWN NOW? Aggregates and map files, joined at one moment."""

import collections.abc

from oslo_log import log as logging

from edge_filters import ratelimit
from edge_filters import spelling
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import map_file
from edge_filters.origins import map_files
from edge_filters.origins import prefixes
from edge_filters.scheduler import nova_compat

LOG = logging.getLogger(__name__)

_WARNINGS = ratelimit.RateLimit()


class Known:
    """All that a decision reads, immutable.

    :param aggregates: the sites as the aggregates have them
    :param maps: what the map files say
    :param before: what was known before, of which parts may still be true
    :ivar snapshot: the sites with the figures of the map files
    :ivar projects: origins by project ID
    """

    def __init__(
        self,
        aggregates: latency_snapshot.Snapshot,
        maps: map_file.MapFile,
        before: 'Known | None' = None,
    ) -> None:
        self.aggregates = aggregates
        self.maps = maps
        self.snapshot = aggregates.with_mapped(
            latency_snapshot.Mapped(
                maps.samples, maps.host_samples, maps.origins
            )
        )
        self.projects = maps.projects
        # The last that had a table we may use; or all would be kept.
        if before is not None and before._table is None:
            before = before._before
        is_of_use = before is not None and before.maps is maps
        self._before: Known | None = before if is_of_use else None
        self._attached: tuple[prefixes.Entry, ...] | None = None
        self._table: prefixes.PrefixTable | None = None

    def find(self, where: spelling.Network) -> str | None:
        """Return the origin of an address or prefix; None: it has none.

        :raises ValueError: if it has more than one
        """
        if self._table is None:
            self._table = self._make_table()
        entry = self._table.find(where)
        return entry.origin if entry is not None else None

    def _make_table(self) -> prefixes.PrefixTable:
        # Only few requests have an address, and only few changes are of a
        # prefix. Two threads may both do it, with the same result.
        self._attached = prefixes.of_sites(
            prefixes.Entry(prefix, name, f'site {name}')
            for name, records in self.aggregates.sites.items()
            for record in records.values()
            for prefix in record.prefixes
        )
        before, self._before = self._before, None
        if before is not None and before._attached == self._attached:
            if before._table is not None:
                return before._table
        table = prefixes.PrefixTable(self._attached, self.maps.prefix_table)
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
