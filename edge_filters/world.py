# SPDX-License-Identifier: Apache-2.0
"""WHAT IS KNOWN? Aggregates and map files, joined at one moment."""

import functools

from edge_filters import spelling
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import map_file
from edge_filters.origins import prefixes


class World:
    """All that a decision reads, immutable.

    :param aggregates: the sites as the aggregates have them
    :param maps: what the map files say
    :ivar snapshot: the sites with the figures of the map files
    :ivar projects: origins by project ID
    """

    def __init__(
        self, aggregates: latency_snapshot.Snapshot, maps: map_file.MapFile
    ) -> None:
        self.aggregates = aggregates
        self.maps = maps
        self.snapshot = aggregates.with_mapped(
            latency_snapshot.Mapped(
                maps.samples, maps.host_samples, maps.origins
            )
        )
        self.projects = maps.projects

    @functools.cached_property
    def attached(self) -> tuple[prefixes.Entry, ...]:
        """The prefixes of users that are attached to sites."""
        return prefixes.of_sites(
            prefixes.Entry(prefix, name, f'site {name}')
            for name, records in self.aggregates.sites.items()
            for record in records.values()
            for prefix in record.prefixes
        )

    @functools.cached_property
    def prefix_table(self) -> prefixes.PrefixTable:
        """The prefixes of all origins."""
        return prefixes.PrefixTable(self.attached, self.maps.prefix_table)

    def find(self, where: spelling.Network) -> str | None:
        """Return the origin of an address or prefix; None: it has none.

        :raises ValueError: if it has more than one
        """
        entry = self.prefix_table.find(where)
        return entry.origin if entry is not None else None
