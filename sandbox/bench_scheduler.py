# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES IT COST A SCHEDULER? Each figure beside a reference.

The reference is measured in the same run, in turns with the figure, as
machines differ and have moods. Of what is measured several times the least
counts: everything else on the machine can only make it more. A figure that is
not what it should be is marked, and nothing fails.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import contextlib
import dataclasses
import functools
import multiprocessing
import pathlib
import statistics
import tempfile

from sandbox import bench_aggregates
from sandbox import bench_boots
from sandbox import bench_figures
from sandbox import bench_hosts
from sandbox import bench_maps
from sandbox import big_world
from sandbox import report
from sandbox import turns

HOSTS = (1000, 10000, 50000)
AGGREGATES = (1, 3)
HOSTS_A_SITE = 10

# A site has this many keys: its name, its figures, and one of somebody else.
KEYS = 50
ORIGINS = KEYS - 2

MANY_ORIGINS = 1000
FEW_ORIGINS = 10

# What a scheduler is expected to bear, of few hosts a site.
SITES = 1500
SITE_ORIGINS = 64
DENSE_ORIGINS = 300
FEW_HOSTS = 4

Rows = Iterator[bench_figures.Row]
Figures = Sequence[bench_figures.Figure]


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long it may take.

    :param turns_s: for how long contenders take turns, more or less
    :param close_turns_s: the same where they are expected to be close
    :param boots: how many boots look for the nearest site
    :param reference_boots: how many do so without the request filter
    :param near_hosts: among how many hosts they look
    :param candidates: how many hosts Placement returns at most
    :param updates: how many updates memory has to stand
    """

    turns_s: float = 5
    close_turns_s: float = 10
    boots: int = 200
    reference_boots: int = 40
    near_hosts: int = 10000
    candidates: int = 1000
    updates: int = 100_000


QUICK = Effort(
    turns_s=2,
    close_turns_s=4,
    boots=40,
    reference_boots=40,
    near_hosts=1000,
    candidates=100,
    updates=10_000,
)


class Bench:
    """Measures the figures.

    :param hosts: how many hosts there are, one number after the other
    :param effort: how long it may take
    :param folder: for whatever is written
    """

    def __init__(
        self, hosts: Sequence[int], effort: Effort, folder: pathlib.Path
    ) -> None:
        self._hosts = hosts
        self._effort = effort
        self._folder = folder

    def hosts(self) -> Rows:
        """Measure what a host costs."""
        close = self._effort.close_turns_s
        for world in self._worlds(self._hosts, ORIGINS):
            with self._process(bench_hosts.prepare, world) as process:
                for figures, seconds in (
                    (bench_figures.FILTERS, self._effort.turns_s),
                    (bench_figures.WEIGHERS, self._effort.turns_s),
                    (bench_figures.DEFAULTS, close),
                ):
                    measures = _measures(figures, process)
                    taken = turns.in_turns(measures, seconds)
                    yield from _rows(figures, world, taken)

    def mapped(self) -> Rows:
        """Measure what a host costs with figures of a map file."""
        few, many = (
            list(self._worlds(self._hosts, origins))
            for origins in (FEW_ORIGINS, MANY_ORIGINS)
        )
        for worlds in zip(few, many, strict=True):
            with contextlib.ExitStack() as stack:
                measures = {
                    name: stack.enter_context(self._mapped(world))
                    for name, world in zip(
                        ('few origins', 'many origins'), worlds, strict=True
                    )
                }
                taken = turns.in_turns(
                    _each(measures, 'filter'), self._effort.turns_s
                )
            yield from _rows(bench_figures.MAPPED, worlds[0], taken)

    def _mapped(self, world: big_world.World) -> turns.Process:
        world = dataclasses.replace(world, has_figures=False)
        map_file = self._folder / f'{world.host_count}-{world.origins}.json'
        if not map_file.exists():
            big_world.write_map_file(map_file, world)
        return self._process(bench_hosts.prepare_mapped, world, map_file)

    def boots(self) -> Rows:
        """Measure what a boot costs where a budget leaves few sites."""
        for world in self._worlds([min(self._hosts)], ORIGINS):
            with (
                self._process(bench_boots.prepare, world, {}, True) as ours,
                self._process(bench_boots.prepare, world, {}, False) as stock,
            ):
                processes = {'ours': ours, 'stock': stock}
                taken = turns.in_turns(
                    _each(processes, 'budget'), self._effort.close_turns_s
                )
            yield from _rows(bench_figures.BOOTS, world, taken)

    def nearest(self) -> Rows:
        """Count how often the nearest site is found, of which few know."""
        sites = self._effort.near_hosts // HOSTS_A_SITE
        world = big_world.World(
            sites, sites, HOSTS_A_SITE, listed=min(SITE_ORIGINS, sites)
        )
        # Nothing but the RTT shall decide.
        ours = {'rtt_band_ms': 0, 'edge_latency_weight_multiplier': 10**6}
        options = {
            'scheduler': {'max_placement_results': self._effort.candidates}
        }
        with (
            self._process(
                bench_boots.prepare,
                world,
                {**options, 'edge_filters': ours},
                True,
            ) as narrowed,
            self._process(
                bench_boots.prepare,
                world,
                {**options, 'edge_filters': ours | {'request_filter': False}},
                True,
            ) as weighed,
        ):
            # It is not their time that counts.
            with futures.ThreadPoolExecutor() as pool:
                found = {
                    name: pool.submit(_repeat, process, 'nearest', times)
                    for name, process, times in (
                        ('request filter', narrowed, self._effort.boots),
                        ('weighing', weighed, self._effort.reference_boots),
                    )
                }
            taken = {name: future.result() for name, future in found.items()}
        yield from _rows(bench_figures.NEAREST, world, taken, statistics.fmean)

    def updates(self) -> Rows:
        """Measure what an update of an aggregate costs."""
        world = big_world.World(SITES, SITE_ORIGINS, FEW_HOSTS)
        with self._process(bench_aggregates.prepare, world) as process:
            measures = _measures(bench_figures.UPDATES, process)
            taken = turns.in_turns(measures, self._effort.turns_s)
        yield from _rows(bench_figures.UPDATES, world, taken)

    def memory(self) -> Rows:
        """Measure what figures take, ours and Nova's."""
        taken = {}
        for form in (big_world.PLAIN, big_world.AGENT):
            world = big_world.World(SITES, DENSE_ORIGINS, FEW_HOSTS, form=form)
            prepare = bench_aggregates.prepare_memory
            with self._process(prepare, world) as process:
                taken[f'{form} in nova'] = [process.measure('nova')]
                taken[form] = [process.measure('ours')]
        yield from _rows(bench_figures.MEMORY, world, taken)

    def start(self) -> Rows:
        """Measure a scheduler's start, on a real database."""
        world = big_world.World(SITES, SITE_ORIGINS, FEW_HOSTS)
        taken = {}
        for prefix, name in (('', 'aggregates'), ('empty ', 'no figures')):
            with multiprocessing.get_context('spawn').Pool(1) as pool:
                took = pool.apply(bench_maps.measure, (name, world))
            taken[f'{prefix}start'] = [took.start_s]
            taken[f'{prefix}memory'] = [took.memory_mb]
        yield from _rows(bench_figures.START, world, taken)

    def growth(self) -> Rows:
        """Measure whether memory grows, of an agent's updates."""
        world = big_world.World(
            SITES, SITE_ORIGINS, hosts_a_site=1, form=big_world.AGENT
        )
        with self._process(bench_aggregates.prepare, world) as process:
            taken = _repeat(
                process,
                'memory',
                self._effort.updates // bench_aggregates.UPDATES,
            )
        yield from _rows(
            bench_figures.GROWTH,
            world,
            {'first': taken[:1], 'last': taken[-1:]},
        )

    def _process(
        self,
        prepare: Callable[..., turns.Measures],
        world: big_world.World,
        *others: object,
    ) -> turns.Process:
        folder = pathlib.Path(tempfile.mkdtemp(dir=self._folder)) / 'nova'
        return turns.Process(prepare, world, folder, *others)

    def _worlds(
        self, all_hosts: Sequence[int], origins: int
    ) -> Iterator[big_world.World]:
        for hosts in all_hosts:
            for aggregates in AGGREGATES:
                yield big_world.World(
                    hosts // HOSTS_A_SITE,
                    origins,
                    HOSTS_A_SITE,
                    aggregates_a_host=aggregates,
                    keys=KEYS,
                )


def _measures(figures: Figures, process: turns.Process) -> turns.Measures:
    """Return the measures of figures, all of which are in one process."""
    return {
        name: functools.partial(process.measure, name)
        for figure in figures
        for name in (figure.measure, figure.reference)
    }


def _each(processes: Mapping[str, turns.Process], name: str) -> turns.Measures:
    """Return the measure of one name in each process."""
    return {
        key: functools.partial(process.measure, name)
        for key, process in processes.items()
    }


def _rows(
    figures: Figures,
    world: big_world.World,
    taken: Mapping[str, Sequence[float]],
    sum_up: Callable[[Sequence[float]], float] = min,
) -> Rows:
    for figure in figures:
        both = taken[figure.measure], taken[figure.reference]
        yield bench_figures.Row(
            figure,
            world.host_count,
            world.aggregates_a_host,
            *map(sum_up, both),
            both,
        )


def _repeat(process: turns.Process, name: str, times: int) -> list[float]:
    return [process.measure(name) for _ in range(times)]


# What measures which figures; those of one line do not mind each other.
_STEPS: Sequence[Mapping[Callable[[Bench], Rows], Sequence[int]]] = (
    {Bench.hosts: (1, 2, 4, 5)},
    {Bench.mapped: (3,)},
    {Bench.boots: (6,)},
    {Bench.updates: (8,)},
    {Bench.memory: (9,)},
    {Bench.start: (10,)},
    {Bench.nearest: (7,), Bench.growth: (11,)},
)
NUMBERS = sorted(
    number for step in _STEPS for its in step.values() for number in its
)


def run(bench: Bench, numbers: Sequence[int]) -> Rows:
    """Measure figures, and return each as soon as it is known."""
    for step in _STEPS:
        chosen = [
            measure
            for measure, its in step.items()
            if not set(its).isdisjoint(numbers)
        ]
        if len(chosen) == 1:
            yield from chosen[0](bench)
            continue
        with futures.ThreadPoolExecutor() as pool:
            for rows in pool.map(lambda it: list(it(bench)), chosen):
                yield from rows


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    hosts = options.hosts or (HOSTS[:1] if options.quick else HOSTS)
    effort = QUICK if options.quick else Effort()
    rows = []
    print(bench_figures.HEADER)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(hosts, effort, pathlib.Path(folder))
        for row in run(bench, options.figures):
            print(row, flush=True)
            rows.append(row)
    told = {
        'effort': dataclasses.asdict(effort),
        'figures': [row.report() for row in rows],
    }
    report.write(told, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.bench_scheduler',
        description='Measure what a scheduler has to do for edge-filters.',
    )
    parser.add_argument(
        '--hosts',
        type=int,
        nargs='+',
        metavar='COUNT',
        help='how many hosts there are (default: '
        + ', '.join(map(str, HOSTS))
        + ', or the first of them if it has to be quick)',
    )
    parser.add_argument(
        '--figures',
        type=int,
        nargs='+',
        choices=NUMBERS,
        default=NUMBERS,
        metavar='NUMBER',
        help='which figures are measured, from 1 to 11 (default: all)',
    )
    parser.add_argument(
        '--quick', action='store_true', help='measure less, and shorter'
    )
    report.add_option(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
