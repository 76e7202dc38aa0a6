# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES PUBLISHING TAKE? Calls to Nova, and the agent's own work.

Without ``--cloud`` hours pass in minutes, and aggregates are kept in memory
(``plain_cloud``): how often Nova is called, and what that takes of a
processor, without Nova. The reference writes all that is measured, each
interval, as a script would.

With ``--cloud`` real aggregates of a real cloud are written, in real time.
They are made before and removed after.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import gc
import threading
import time
from typing import Any

import openstack
from oslo_config import cfg

from edge_filters import cloud
from edge_filters.agent import change
from edge_filters.agent import publisher
from edge_filters.conf import agent as agent_conf
from sandbox import memory
from sandbox import noise
from sandbox import plain_cloud
from sandbox import report

SITES = 1500
ORIGINS = 300
INTERVAL_S = 60.0
# How often the paths of one site become longer or short again.
STEP_S = 120.0
LIMIT_PER_S = 2.0

# Names of the aggregates that are made in a real cloud.
PREFIX = 'bench'

_START = 1.8e9

Settings = agent_conf.Settings


def settings(**changes: Any) -> Settings:
    """Return the default settings of an agent, and what is otherwise."""
    config = cfg.ConfigOpts()
    agent_conf.register_opts(config)
    config([], default_config_files=[], default_config_dirs=[])
    group = agent_conf.GROUP.name
    config.set_override('prometheus_url', 'http://192.0.2.1', group)
    config.set_override('name', 'bench', group)
    return dataclasses.replace(agent_conf.read(config), **changes)


@dataclasses.dataclass
class Spent:
    """How often something was done, and what it took, in seconds."""

    times: int = 0
    sum_s: float = 0.0
    most_s: float = 0.0

    def add(self, taken_s: float) -> None:
        self.times += 1
        self.sum_s += taken_s
        self.most_s = max(self.most_s, taken_s)

    @property
    def mean_s(self) -> float:
        return self.sum_s / self.times if self.times else 0.0

    @contextlib.contextmanager
    def of(self, clock: Callable[[], float]) -> Iterator[None]:
        start = clock()
        try:
            yield
        finally:
            self.add(clock() - start)


@dataclasses.dataclass
class Figures:
    """What publishing took, without Nova.

    :param calls_per_s: calls to Nova in a second, once all was written
    :param keys_per_s: keys that were written in a second
    :param measured_s: CPU of taking one round, and the most of all rounds
    :param step_ms: CPU of a step that makes a call, the mean; without Nova's
    :param idle_ms: CPU of a step that makes none, the mean
    :param listing_s: CPU of the step that lists all, the mean
    :param memory_mb: memory beyond what is measured, and the aggregates
    :param stale: the most sites that had a figure older than max_age
    :param behind_s: the longest that it took until a step was written, from
        when it was measured
    """

    noise_pct: float
    calls_per_s: float
    keys_per_s: float
    measured_s: float
    measured_most_s: float
    step_ms: float
    idle_ms: float
    listing_s: float
    memory_mb: float
    stale: int
    behind_s: float

    def __str__(self) -> str:
        return (
            f'publisher, noise {self.noise_pct:g} %: '
            f'{self.calls_per_s:.2f} calls/s, {self.keys_per_s:.0f} keys/s; '
            f'a round {self.measured_s:.2f} s CPU (most '
            f'{self.measured_most_s:.2f}), a step {self.step_ms:.2f} ms, '
            f'idle {self.idle_ms:.2f} ms, with a listing '
            f'{self.listing_s:.2f} s; {self.memory_mb:.0f} MB; a change '
            f'waits {self.behind_s:.0f} s at most; {self.stale} stale'
        )


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> float:
        return self.now


def simulate(
    sites: int, origins: int, hours: float, noise_pct: float
) -> Figures:
    """Publish for hours, which pass as fast as can be."""
    measurements = noise.Measurements(sites, origins, noise_pct)
    its = plain_cloud.PlainCloud()
    for name in measurements.sites:
        its.add(edge__site=name)
    ids = {name: id for id, name in enumerate(measurements.sites, 1)}
    clock = Clock()
    agent = publisher.Publisher(its, settings(), clock, clock)
    figures = measurements.measure(clock.now)
    gc.collect()
    before_mb = memory.used_mb('VmRSS')
    rounds, steps, idle, listings = Spent(), Spent(), Spent(), Spent()
    waits: dict[int, float] = {}
    stale = behind_s = calls = keys = used_mb = 0.0
    warm_s = sites / LIMIT_PER_S + 2 * INTERVAL_S
    end, warm = clock.now + warm_s + hours * 3600, clock.now + warm_s
    next_step = warm
    while clock.now < end:
        with rounds.of(time.thread_time):
            agent.measured(figures)
        used_mb = max(used_mb, memory.used_mb('VmRSS'))
        until = clock.now + INTERVAL_S
        while clock.now < until:
            before, start = its.calls, time.thread_time()
            wait_s = agent.step()
            taken_s = time.thread_time() - start
            if its.calls == before:
                idle.add(taken_s)
            elif its.written:
                steps.add(taken_s)
                for id, sent in its.written:
                    if id in waits:
                        behind_s = max(behind_s, clock.now - waits.pop(id))
                    if clock.now >= warm:
                        keys += len(sent)
                its.written.clear()
            else:
                listings.add(taken_s)
            if clock.now >= warm:
                calls += its.calls - before
            clock.now += max(wait_s, 0.001)
        if clock.now >= warm:
            stale = max(stale, agent.stale_sites(clock.now))
        if clock.now >= next_step:
            next_step += STEP_S
            waits.setdefault(ids[measurements.step()], clock.now)
        del figures
        figures = measurements.measure(clock.now)
    measured_s = clock.now - warm
    return Figures(
        noise_pct,
        calls / measured_s,
        keys / measured_s,
        rounds.mean_s,
        rounds.most_s,
        steps.mean_s * 1e3,
        idle.mean_s * 1e3,
        listings.mean_s,
        used_mb - before_mb,
        int(stale),
        behind_s,
    )


@dataclasses.dataclass
class Reference:
    """What it takes to write all that is measured, each interval.

    :param round_s: CPU of one round
    """

    calls_per_s: float
    keys_per_s: float
    round_s: float

    def __str__(self) -> str:
        return (
            f'reference, all that is measured: {self.calls_per_s:.2f} '
            f'calls/s, {self.keys_per_s:.0f} keys/s; a round '
            f'{self.round_s:.2f} s CPU'
        )


def refer(sites: int, origins: int) -> Reference:
    """Write all that is measured, once, without a question."""
    measurements = noise.Measurements(sites, origins, 1)
    its = plain_cloud.PlainCloud()
    there = {name: its.add(edge__site=name) for name in measurements.sites}
    figures = measurements.measure(_START)
    start = time.thread_time()
    by_site: dict[str, dict[str, str | None]] = {}
    for path, figure in figures.items():
        value = change.value(figure, 'bench')
        by_site.setdefault(path.site, {})[path.key] = value
    for site, values in by_site.items():
        its.set_metadata(there[site], values)
    taken_s = time.thread_time() - start
    return Reference(
        its.calls / INTERVAL_S, len(figures) / INTERVAL_S, taken_s
    )


class Timed:
    """A cloud, and how long its calls take."""

    def __init__(self, its: cloud.Cloud) -> None:
        self._cloud = its
        self.taken_s: list[float] = []

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._cloud, name)

        def timed(*args: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*args)
            finally:
                self.taken_s.append(time.perf_counter() - start)

        return timed


@dataclasses.dataclass
class RealFigures:
    """What a while of publishing to a real cloud took.

    :param minute: minutes since everything was written once
    :param calls_per_s: calls to Nova in a second
    :param errors: how many failed
    :param mean_ms: what a call took
    :param p95_ms: what 95 percent of the calls took at most
    :param cpu_pct: what the agent took of a processor
    """

    minute: float
    calls_per_s: float
    errors: int
    mean_ms: float
    p95_ms: float
    cpu_pct: float
    stale: int

    def __str__(self) -> str:
        return (
            f'{self.minute:7.1f}{self.calls_per_s:10.2f}{self.errors:8}'
            f'{self.mean_ms:10.0f}{self.p95_ms:10.0f}{self.cpu_pct:8.1f}'
            f'{self.stale:8}'
        )


HEADER = (
    f'{"minute":>7}{"calls/s":>10}{"errors":>8}{"mean ms":>10}'
    f'{"p95 ms":>10}{"CPU %":>8}{"stale":>8}'
)


@contextlib.contextmanager
def aggregates(its: cloud.Cloud, sites: Sequence[str]) -> Iterator[None]:
    """Make aggregates that are sites, and remove them whatever happens."""
    try:
        there = {it.name: it for it in its.aggregates()}
        for name in sites:
            made = there.get(name) or its.create(name)
            its.set_metadata(made, {'edge:site': name})
        yield
    finally:
        ours = set(sites)
        for aggregate in its.aggregates():
            if aggregate.name in ours:
                its.delete(aggregate)


def publish(
    its: cloud.Cloud,
    measurements: noise.Measurements,
    given: Settings,
    seconds: float,
    tell: Callable[[RealFigures], None],
    row_s: float = 60.0,
) -> list[RealFigures]:
    """Publish in real time, and return what each minute took.

    It counts from when every site was written once.

    :param tell: is told of each minute
    """
    timed = Timed(its)
    agent = publisher.Publisher(timed, given)
    stop = threading.Event()

    def measure() -> None:
        while not stop.is_set():
            started = time.monotonic()
            agent.measured(measurements.measure(time.time()))
            measurements.step()
            stop.wait(given.interval_s - (time.monotonic() - started))

    thread = threading.Thread(target=measure, name='measure')
    thread.start()
    try:
        while len({path.site for path in agent.published()}) < len(
            measurements.sites
        ):
            for _ in range(20):
                time.sleep(agent.step())
        return _watch(agent, timed, seconds, tell, row_s)
    finally:
        stop.set()
        thread.join()


def _watch(
    agent: publisher.Publisher,
    timed: Timed,
    seconds: float,
    tell: Callable[[RealFigures], None],
    row_s: float,
) -> list[RealFigures]:
    rows: list[RealFigures] = []
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        calls, errors = agent.api_calls, agent.errors
        timed.taken_s.clear()
        start, cpu_s = time.monotonic(), time.process_time()
        while time.monotonic() - start < row_s:
            time.sleep(agent.step())
        took_s = time.monotonic() - start
        taken_s = sorted(timed.taken_s) or [0.0]
        row = RealFigures(
            (time.monotonic() - begun) / 60,
            (agent.api_calls - calls) / took_s,
            agent.errors - errors,
            sum(taken_s) / len(taken_s) * 1e3,
            taken_s[int(0.95 * (len(taken_s) - 1))] * 1e3,
            (time.process_time() - cpu_s) / took_s * 100,
            agent.stale_sites(time.time()),
        )
        rows.append(row)
        tell(row)
    return rows


def _in_memory(options: argparse.Namespace) -> list[Any]:
    results: list[Any] = [refer(options.sites, options.origins)]
    print(results[0], flush=True)
    for noise_pct in options.noise_pct:
        figures = simulate(
            options.sites, options.origins, options.hours, noise_pct
        )
        verdict = 'not over' if figures.calls_per_s <= LIMIT_PER_S else 'OVER'
        print(f'{figures}; {verdict} {LIMIT_PER_S:g} calls/s', flush=True)
        results.append(figures)
    return results


def _in_cloud(options: argparse.Namespace) -> list[Any]:
    speedup = options.speedup
    base = settings()
    given = dataclasses.replace(
        base,
        keep_alive_s=base.keep_alive_s / speedup,
        max_api_calls_per_second=base.max_api_calls_per_second * speedup,
    )
    print(
        f'keep_alive {given.keep_alive_s:g} s, at most '
        f'{given.max_api_calls_per_second:g} calls/s: {speedup:g} times as '
        'fast as by default.'
    )
    its = cloud.Cloud(openstack.connect(cloud=options.cloud))
    measurements = noise.Measurements(
        options.sites, options.origins, options.noise_pct[0], PREFIX
    )
    with aggregates(its, measurements.sites):
        print(HEADER)
        return publish(
            its,
            measurements,
            given,
            options.minutes * 60,
            lambda row: print(row, flush=True),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    print(
        f'{options.sites:,} sites, {options.origins:,} origins, an interval '
        f'of {INTERVAL_S:g} s'
    )
    results = (_in_cloud if options.cloud else _in_memory)(options)
    told = [
        {'what': type(it).__name__} | dataclasses.asdict(it) for it in results
    ]
    report.write(told, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.bench_publisher',
        description='Measure what publishing takes.',
    )
    parser.add_argument(
        '--sites', type=int, default=SITES, help='default: %(default)s'
    )
    parser.add_argument(
        '--origins', type=int, default=ORIGINS, help='default: %(default)s'
    )
    parser.add_argument(
        '--noise-pct',
        type=float,
        nargs='+',
        default=[1.0, 5.0],
        help='standard deviation of RTTs in percent; default: %(default)s; '
        'with --cloud the first',
    )
    parser.add_argument(
        '--hours',
        type=float,
        default=1.0,
        help='how long is simulated; default: %(default)s',
    )
    parser.add_argument(
        '--cloud',
        metavar='NAME',
        help='write to this cloud of clouds.yaml, in real time',
    )
    parser.add_argument(
        '--minutes',
        type=float,
        default=20.0,
        help='for how long a cloud is written; default: %(default)s',
    )
    parser.add_argument(
        '--speedup',
        type=float,
        default=1.0,
        help='by what keep_alive is shortened and the limit of calls raised, '
        'for a cloud; default: %(default)s',
    )
    report.add_option(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
