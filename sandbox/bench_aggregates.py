# SPDX-License-Identifier: Apache-2.0
"""WHAT DO AGGREGATES COST? Following them, and keeping what they say."""

from collections.abc import Iterator
import gc
import itertools
import logging
import pathlib
import random
from typing import Any
from unittest import mock

from nova import objects

from edge_filters.scheduler import known
from edge_filters.scheduler import nova_compat
from sandbox import bench_hosts
from sandbox import big_hosts
from sandbox import big_world
from sandbox import memory
from sandbox import turns

# After how many updates the memory is looked at.
UPDATES = 1000


def prepare(world: big_world.World, folder: pathlib.Path) -> turns.Measures:
    """Prepare what figures 8 and 11 compare: updates, and building it all."""
    _configure(folder)
    known.follow(())
    manager = big_hosts.manager(big_hosts.aggregates(world))
    updates = _updates(world)

    def update(changed: Any) -> None:
        manager.update_aggregates(changed)
        known.now()

    def build() -> None:
        watch = nova_compat.Watch()
        watch.update(lambda: manager.aggs_by_id)
        watch.snapshot()

    def measure_update() -> float:
        changed = next(updates)
        return turns.cpu_s(lambda: update(changed)) * 1e3

    def measure_ours() -> float:
        changed = next(updates)
        # Nova has done its part when it is told, and does nothing then.
        manager._update_aggregate(changed)
        with mock.patch.object(manager, '_update_aggregate'):
            return turns.cpu_s(lambda: update(changed)) * 1e3

    def measure_memory() -> float:
        # Nova's aggregates refer to themselves: those that are replaced wait
        # for the garbage collector, all of them.
        gc.unfreeze()
        for changed in itertools.islice(updates, UPDATES):
            update(changed)
        gc.collect()
        return memory.used_mb('VmRSS')

    return {
        'update': measure_update,
        'our part': measure_ours,
        'build': lambda: turns.cpu_s(build) * 1e3,
        'memory': measure_memory,
    }


def _configure(folder: pathlib.Path) -> Any:
    # That some aggregates have too many keys is what is measured here.
    logging.disable(logging.WARNING)
    return bench_hosts.configure(folder, {}, edge_filters=True)


def _updates(world: big_world.World) -> Iterator['objects.Aggregate']:
    """Return aggregates as Nova is told of them, each with new figures."""
    rng = random.Random(big_world.SEED + 3)
    for number in itertools.count(1):
        site = rng.randrange(world.sites)
        yield big_hosts.aggregate(
            big_world.Aggregate(
                site + 1,
                world.hosts(site),
                world.metadata(site, later_us=number % 10000),
            )
        )


def prepare_memory(
    world: big_world.World, folder: pathlib.Path
) -> turns.Measures:
    """Prepare what figure 9 compares: what both keep of the aggregates."""
    _configure(folder)
    known.follow(())
    holder: list[Any] = []

    def nova() -> None:
        holder.append(big_hosts.aggregates(world))

    def ours() -> None:
        holder.append(big_hosts.manager(holder[0]))
        if len(known.now().snapshot.sites) != world.sites:
            raise AssertionError('The aggregates are not followed')

    return {
        'nova': lambda: grown_mb(nova),
        'ours': lambda: grown_mb(ours),
    }


def grown_mb(function: Any) -> float:
    """Return by how much a call makes this process grow for good."""
    gc.collect()
    before_mb = memory.used_mb('VmRSS')
    function()
    gc.collect()
    return memory.used_mb('VmRSS') - before_mb
