# SPDX-License-Identifier: Apache-2.0
"""WHERE IS ROOM? The hosts that could take a server, as Placement has them."""

import collections.abc
import functools
import logging

from edge_filters import cloud
from edge_filters.osc import placement
from edge_filters.osc import servers

LOG = logging.getLogger(__name__)


class Room:
    """The hosts that have room, asked for once for each sort of server.

    Where Nova or Placement does not tell, a warning says so, once.

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
        self._by_query: dict[str, frozenset[str] | None] = {}

    @functools.cached_property
    def _hypervisors(self) -> list[cloud.Hypervisor] | None:
        try:
            return self._client.hypervisors()
        except cloud.CloudError as error:
            LOG.warning('%s Hosts in no site are not known.', error)
            return None

    @functools.cached_property
    def hosts(self) -> frozenset[str]:
        """All hosts that there are, in lower case; empty: nobody tells."""
        return frozenset(it.host for it in self._hypervisors or ())

    @functools.cached_property
    def _open(self) -> dict[str, str]:
        """The hosts that are up and enabled, by UUID."""
        return {it.id: it.host for it in self._hypervisors or () if it.is_open}

    def of(
        self,
        flavor: servers.Flavor,
        zone: str | None = None,
        taken: str = '',
    ) -> collections.abc.Set[str] | None:
        """Return the hosts with room for a server; None: nobody tells.

        :param zone: the availability zone that it has to be in; None: any
        :param taken: the host where it has room already, as it is there
        """
        query = flavor.query
        if query not in self._by_query:
            self._by_query[query] = self._ask(query)
        found = self._by_query[query]
        if found is None:
            return None
        # The default zone, which no aggregate makes, is no matter to Nova.
        if zone in self._zones:
            found &= self._zones[zone]
        return found | ({taken.lower()} & set(self._open.values()))

    def _ask(self, query: str) -> frozenset[str] | None:
        if self._hypervisors is None:
            return None
        try:
            found = placement.candidates(self._client, query)
        except cloud.CloudError as error:
            LOG.warning('%s Where there is room is not known.', error)
            return None
        return frozenset(self._open[it] for it in found if it in self._open)
