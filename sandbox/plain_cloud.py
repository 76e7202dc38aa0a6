# SPDX-License-Identifier: Apache-2.0
"""WHAT WOULD NOVA KEEP? Aggregates in memory, for who measures the rest.

It has the methods of ``edge_filters.cloud.Cloud`` that the agent calls, and
nothing is sent. What Nova refuses, and how, ``tests/unit/nova_api.py`` has.
"""

from collections.abc import Mapping
import dataclasses

from edge_filters import cloud


class PlainCloud:
    """Aggregates by ID.

    :ivar calls: how often it was called, in all
    :ivar written: the changes of each call that wrote, with the ID
    """

    def __init__(self) -> None:
        self.by_id: dict[int, cloud.Aggregate] = {}
        self.calls = 0
        self.written: list[tuple[int, Mapping[str, str | None]]] = []

    def add(
        self, hosts: tuple[str, ...] = (), **metadata: str
    ) -> cloud.Aggregate:
        """Add an aggregate; a key's colons are written as __ ."""
        id = len(self.by_id) + 1
        keys = {key.replace('__', ':'): it for key, it in metadata.items()}
        self.by_id[id] = cloud.Aggregate(
            id, f'aggregate-{id}', None, hosts, keys
        )
        return self.by_id[id]

    def aggregates(self) -> list[cloud.Aggregate]:
        self.calls += 1
        return list(self.by_id.values())

    def aggregate(self, id: int) -> cloud.Aggregate:
        self.calls += 1
        return self.by_id[id]

    def set_metadata(
        self,
        aggregate: cloud.Aggregate,
        changes: Mapping[str, str | None],
    ) -> cloud.Aggregate:
        self.calls += 1
        there = self.by_id[aggregate.id]
        sent = cloud.needed(aggregate.metadata, changes)
        self.written.append((aggregate.id, sent))
        keys = {**there.metadata, **sent}
        self.by_id[there.id] = dataclasses.replace(
            there,
            metadata={key: it for key, it in keys.items() if it is not None},
        )
        return self.by_id[there.id]
