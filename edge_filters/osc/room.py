# SPDX-License-Identifier: Apache-2.0
"""WHERE IS ROOM? The hosts that could take a server, as Placement has them."""

import collections.abc
import functools

from edge_filters import cloud
from edge_filters.osc import placement
from edge_filters.osc import servers


class Room:
    """The hosts that have room, asked for once for each sort of server.

    Methods may raise CloudError.

    :param client: the cloud
    :param aggregates: its aggregates, which make zones too
    """

    def __init__(
        self,
        client: cloud.Cloud,
        aggregates: collections.abc.Iterable[cloud.Aggregate],
    ) -> None:
        self._client = client
        self._zones: dict[str, set[str]] = {}
        for aggregate in aggregates:
            zone = aggregate.metadata.get('availability_zone')
            if zone is not None:
                hosts = self._zones.setdefault(zone, set())
                hosts.update(map(str.lower, aggregate.hosts))
        self._by_query: dict[str, frozenset[str]] = {}

    @functools.cached_property
    def hosts(self) -> dict[str, str]:
        """The hosts that are up and enabled, by UUID, in lower case."""
        return {
            it.id: it.host for it in self._client.hypervisors() if it.is_open
        }

    def of(
        self, flavor: servers.Flavor, zone: str | None = None
    ) -> frozenset[str]:
        """Return the hosts with room for a server, in lower case.

        :param zone: the availability zone that it has to be in; None: any
        """
        query = flavor.query
        if query not in self._by_query:
            self._by_query[query] = frozenset(
                self.hosts[id]
                for id in placement.candidates(self._client, query)
                if id in self.hosts
            )
        found = self._by_query[query]
        return found if zone is None else found & self._zones.get(zone, set())
