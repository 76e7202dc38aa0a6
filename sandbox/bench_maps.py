# SPDX-License-Identifier: Apache-2.0
"""AGGREGATES OR A FILE? What a scheduler's start takes with dense figures.

Both have the same figures, from each origin to each site. Nova's own
HostManager reads the aggregates from a real database, and ours follows it,
each time in a process of its own.
"""

import argparse
from collections.abc import Sequence
import contextlib
import dataclasses
import gc
import json
import logging
import multiprocessing
import pathlib
import random
import sqlite3
import tempfile
import time
from typing import Any
import uuid

from nova.scheduler import host_manager

from edge_filters.scheduler import known
from sandbox import config
from sandbox import databases
from sandbox import memory
from sandbox import services

HOSTS_A_SITE = 4
SEED = 20261123


@dataclasses.dataclass(frozen=True)
class World:
    """How much there is.

    :param sites: how many sites, of four hosts each
    :param origins: how many origins, each with a figure for each site
    """

    sites: int
    origins: int

    def rtt_us(self, site: int, origin: int) -> int:
        """Return an RTT in microseconds, the same each time."""
        return random.Random(SEED ^ site << 16 ^ origin).randrange(
            1000, 300000
        )


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one way to keep the figures took."""

    name: str
    start_s: float
    memory_mb: float
    peak_mb: float


def write_aggregates(
    database: pathlib.Path, world: World, *, has_figures: bool
) -> None:
    """Fill Nova's tables; through its API it would take hours."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executemany(
            'INSERT INTO aggregates (id, uuid, name) VALUES (?, ?, ?)',
            [
                (site + 1, str(uuid.uuid4()), f'site-{site}')
                for site in range(world.sites)
            ],
        )
        connection.executemany(
            'INSERT INTO aggregate_hosts (aggregate_id, host) VALUES (?, ?)',
            [
                (site + 1, f'compute-{site}-{host}')
                for site in range(world.sites)
                for host in range(HOSTS_A_SITE)
            ],
        )
        connection.executemany(
            'INSERT INTO aggregate_metadata (aggregate_id, key, value) '
            'VALUES (?, ?, ?)',
            (
                (site + 1, key, value)
                for site in range(world.sites)
                for key, value in [
                    ('edge:site', f'site-{site}'),
                    *(
                        (
                            f'edge:rtt:origin-{origin}',
                            f'{world.rtt_us(site, origin) / 1000}',
                        )
                        for origin in range(world.origins * has_figures)
                    ),
                ]
            ),
        )
        connection.commit()


def write_map_file(path: pathlib.Path, world: World) -> None:
    path.write_text(
        json.dumps(
            {
                'meta': {
                    'cost-type': {
                        'cost-mode': 'numerical',
                        'cost-metric': 'delay-rt',
                    }
                },
                'cost-map': {
                    f'origin-{origin}': {
                        f'site-{site}': world.rtt_us(site, origin)
                        for site in range(world.sites)
                    }
                    for origin in range(world.origins)
                },
            }
        )
    )


def measure(name: str, world: World) -> Figures:
    """Return what a scheduler's start takes, as far as we are concerned."""
    in_file = name == 'map file'
    # That so many keys are too many for aggregates is what is shown here.
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        files = config.Files(pathlib.Path(folder))
        map_file = files.directory / 'map.json'
        paths = [str(map_file)] * in_file
        config.write_nova_conf(files, {}, edge_filters=True)
        services.configure(files.nova_conf)
        databases.fill(
            files.database, files.cell0_database, config.TRANSPORT_URL
        )
        if in_file:
            write_map_file(map_file, world)
        write_aggregates(
            files.api_database, world, has_figures=name == 'aggregates'
        )
        manager: Any = host_manager.HostManager.__new__(
            host_manager.HostManager
        )
        manager.aggs_by_id = {}
        manager.host_aggregates_map = host_manager.collections.defaultdict(set)
        gc.collect()
        before_mb = memory.used_mb('VmRSS')
        start = time.perf_counter()
        known.follow(paths)
        manager._init_aggregates()
        snapshot = known.now().snapshot
        start_s = time.perf_counter() - start
        gc.collect()
        expected = 0 if name == 'no figures' else world.origins
        if len(snapshot.origins) != expected:
            raise AssertionError(f'{name}: {len(snapshot.origins)} origins')
        return Figures(
            name,
            start_s,
            memory.used_mb('VmRSS') - before_mb,
            memory.used_mb('VmHWM') - before_mb,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    world = World(options.sites, options.origins)
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
    if options.json:
        report = {
            **dataclasses.asdict(world),
            'figures': [dataclasses.asdict(figures) for figures in results],
        }
        pathlib.Path(options.json).write_text(
            json.dumps(report, indent=2) + '\n'
        )
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
    parser.add_argument(
        '--json', metavar='FILE', help='where to write the figures as JSON'
    )
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
