# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A BOOT COST, AND WHERE DOES IT GO? Nova's own scheduler.

It asks the real Placement, filters, weighs and claims. Only the computes are
not there: their rows are.
"""

from collections.abc import Callable
from collections.abc import Iterator
import itertools
import pathlib
from typing import Any
from unittest import mock

from nova import context as nova_context
from nova.scheduler import host_manager
from nova.scheduler import manager as scheduler_manager

from sandbox import bench_hosts
from sandbox import big_databases
from sandbox import big_hosts
from sandbox import big_world
from sandbox import config
from sandbox import databases
from sandbox import services
from sandbox import turns

# The budget of a request leaves one of so many sites.
_LEAVES = 10


def prepare(
    world: big_world.World,
    folder: pathlib.Path,
    options: config.Options,
    edge_filters: bool,
) -> turns.Measures:
    """Prepare what figures 6 and 7 compare."""
    boot = _scheduler(world, folder, options, edge_filters)
    within_budget = _requests_within_budget(world)
    nearest = _requests_and_nearest(world)

    def measure_budget() -> float:
        spec, sites = next(within_budget)
        hosts: list[str] = []
        seconds = turns.wall_s(lambda: hosts.append(boot(spec)))
        if edge_filters and big_world.site_of(hosts[0]) not in sites:
            raise AssertionError(f'{hosts[0]} is beyond the budget')
        return seconds * 1e3

    def find_nearest() -> float:
        spec, site = next(nearest)
        return 100.0 * (big_world.site_of(boot(spec)) == site)

    return {'budget': measure_budget, 'nearest': find_nearest}


def _scheduler(
    world: big_world.World,
    folder: pathlib.Path,
    options: config.Options,
    edge_filters: bool,
) -> Callable[[Any], str]:
    """Start the scheduler; return what boots a server and names its host."""
    databases.take_locks_late()
    files = bench_hosts.configure(folder, options, edge_filters=edge_filters)
    config.write_placement_conf(files)
    for path in (
        files.api_database,
        files.database,
        files.placement_database,
    ):
        databases.create(path)
    databases.fill(files.database, files.cell0_database, config.TRANSPORT_URL)
    placement = services.placement(files.placement_conf)
    services.reach({config.PLACEMENT: placement})
    big_databases.write(files, world)
    with mock.patch.object(host_manager.HostManager, '_init_instance_info'):
        manager = scheduler_manager.SchedulerManager()
    # What the computes tell at their start: that they have no servers.
    manager.host_manager._instance_info = {
        host: {'instances': {}, 'updated': True} for host in world.all_hosts()
    }
    context = nova_context.RequestContext('user', 'project')

    def boot(spec: Any) -> str:
        ((selection, *_),) = manager.select_destinations(
            context,
            spec_obj=spec,
            instance_uuids=[spec.instance_uuid],
            return_objects=True,
            return_alternates=True,
        )
        return str(selection.service_host)

    return boot


def _requests_within_budget(
    world: big_world.World,
) -> Iterator[tuple[Any, list[int]]]:
    """Return requests, and which sites meet the budget of each."""
    for origin in itertools.cycle(range(world.origins)):
        sites = world.nearest(origin, world.sites // _LEAVES)
        budget_ms = world.rtt_us(sites[-1], origin) / 1000
        yield (
            big_hosts.request(
                {
                    'edge:origin': [big_world.origin_name(origin)],
                    'edge:max_rtt_ms': [f'{budget_ms}'],
                }
            ),
            sites,
        )


def _requests_and_nearest(
    world: big_world.World,
) -> Iterator[tuple[Any, int]]:
    """Return requests without a budget, and which site is nearest."""
    for origin in itertools.cycle(range(world.origins)):
        (site,) = world.nearest(origin, 1)
        hints = {'edge:origin': [big_world.origin_name(origin)]}
        yield big_hosts.request(hints), site
