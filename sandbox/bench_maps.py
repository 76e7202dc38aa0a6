# SPDX-License-Identifier: Apache-2.0
"""AGGREGATES OR A FILE? What a scheduler's start takes with dense figures.

Both have the same figures, from each origin to each site. Nova's own
HostManager reads the aggregates from a real database, and ours follows it,
each time in a process of its own.
"""

import argparse
from collections.abc import Sequence
import dataclasses
import gc
import logging
import multiprocessing
import pathlib
import tempfile
import time
from unittest import mock

from nova.scheduler import host_manager

from edge_filters.scheduler import known
from sandbox import big_databases
from sandbox import big_world
from sandbox import config
from sandbox import databases
from sandbox import memory
from sandbox import report
from sandbox import services

HOSTS_A_SITE = 4


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one way to keep the figures took."""

    name: str
    start_s: float
    memory_mb: float
    peak_mb: float


def measure(name: str, world: big_world.World) -> Figures:
    """Return what a scheduler's start takes, as far as we are concerned."""
    in_file = name == 'map file'
    in_aggregates = name == 'aggregates'
    # That so many keys are too many for aggregates is what is shown here.
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        files = config.Files(pathlib.Path(folder))
        options: config.Options = {}
        if in_file:
            map_file = files.directory / 'map.json'
            big_world.write_map_file(map_file, world)
            options = {'edge_filters': {'map_files': map_file}}
        config.write_nova_conf(files, options, edge_filters=True)
        services.configure(files.nova_conf)
        databases.fill(
            files.database, files.cell0_database, config.TRANSPORT_URL
        )
        big_databases.write_aggregates(
            files.api_database,
            dataclasses.replace(world, has_figures=in_aggregates),
        )
        gc.collect()
        before_mb = memory.used_mb('VmRSS')
        start = time.perf_counter()
        # It would ask in the background for the servers, of which are none.
        with mock.patch.object(
            host_manager.HostManager, '_init_instance_info'
        ):
            manager = host_manager.HostManager()
        snapshot = known.now().snapshot
        start_s = time.perf_counter() - start
        gc.collect()
        after_mb = memory.used_mb('VmRSS')
        if len(manager.aggs_by_id) != len(snapshot.sites):
            raise AssertionError(f'{name}: {len(snapshot.sites)} sites')
        last = big_world.origin_name(world.origins - 1)
        if snapshot.knows(last) != (in_file or in_aggregates):
            raise AssertionError(f'{name}: the figures are not as they were')
        return Figures(
            name,
            start_s,
            after_mb - before_mb,
            memory.used_mb('VmHWM') - before_mb,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    world = big_world.World(
        options.sites, options.origins, hosts_a_site=HOSTS_A_SITE
    )
    results = []
    for name in ('no figures', 'map file', 'aggregates'):
        with multiprocessing.get_context('spawn').Pool(1) as pool:
            results.append(pool.apply(measure, (name, world)))
    print(
        f'{world.sites} sites of {HOSTS_A_SITE} hosts, '
        f'{world.origins} origins\n'
    )
    line = '{:14}{:>10}{:>11}{:>11}'
    print(line.format('', 'start', 'memory', 'peak'))
    for figures in results:
        print(
            line.format(
                figures.name,
                f'{figures.start_s:.1f} s',
                f'{figures.memory_mb:.0f} MB',
                f'{figures.peak_mb:.0f} MB',
            )
        )
    told = {
        'sites': world.sites,
        'origins': world.origins,
        'figures': [dataclasses.asdict(figures) for figures in results],
    }
    report.write(told, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.bench_maps',
        description='Measure the start of a scheduler with dense figures.',
    )
    parser.add_argument(
        '--sites', type=int, default=1500, help='default: %(default)s'
    )
    parser.add_argument(
        '--origins', type=int, default=300, help='default: %(default)s'
    )
    report.add_option(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
