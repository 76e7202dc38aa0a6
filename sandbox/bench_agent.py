# SPDX-License-Identifier: Apache-2.0
"""WHAT DO PROBES TAKE? The drivers of edge-latency-agent, on loopback.

Each sends as many probes a second as an agent with 1,000 beacons, to as many
addresses of loopback, in a process of its own that has imported what an agent
imports. The whole agent measures in two intervals, makes figures of 1,000
origins, and publishes them, to aggregates in memory. The reference is a loop
that sends the same packets, reads what comes and does nothing else: what
Python and the kernel take at least. Loopback makes whoever sends a packet work
for whoever answers it, too.

The RTT of loopback is next to nothing: what is measured is the error.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import importlib
import itertools
import multiprocessing
import os
import resource
import socket
import statistics
import struct
import threading
import time

from oslo_config import cfg

from edge_filters.agent import agent
from edge_filters.agent import beacons
from edge_filters.agent import exposition
from edge_filters.agent import icmp
from edge_filters.agent import pacing
from edge_filters.agent import tcp
from edge_filters.conf import agent as agent_conf
from sandbox import memory
from sandbox import plain_cloud
from sandbox import report

# As conf has them, for so many beacons.
PROBES = 10
INTERVAL_S = 60.0

# What an agent may take.
LIMIT_CPU_PCT = 2.0
LIMIT_MB = 80.0

# What else an agent has in memory.
_IMPORTED = ('openstack', 'prometheus_client', 'requests')

# Prepares something that is to be measured, which returns RTTs. It is given
# the seconds, the addresses and the port.
Contender = Callable[[float, Sequence[str], int], Callable[[], list[float]]]


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one contender took.

    :param cpu_pct: of one core
    :param import_mb: memory before anything was measured
    """

    name: str
    probes: int
    lost: int
    cpu_pct: float
    import_mb: float
    memory_mb: float
    median_ms: float
    p99_ms: float

    def __str__(self) -> str:
        return (
            f'{self.name:22}{self.probes:>7,}{self.lost:>6,}'
            f'{self.cpu_pct:>8.2f} %{self.import_mb:>8.1f} MB'
            f'{self.memory_mb:>8.1f} MB{self.median_ms:>9.3f} ms'
            f'{self.p99_ms:>9.3f} ms'
        )


HEADER = (
    f'{"":22}{"probes":>7}{"lost":>6}{"CPU":>10}{"imports":>11}'
    f'{"memory":>11}{"median RTT":>12}{"p99":>12}'
)


def addresses_of(count: int) -> list[str]:
    """Return so many addresses of loopback."""
    return [f'127.0.{it // 250}.{it % 250 + 1}' for it in range(count)]


def _rate(addresses: Sequence[str]) -> float:
    return len(addresses) * PROBES / INTERVAL_S


def _probes(seconds: float) -> int:
    return max(1, round(PROBES * seconds / INTERVAL_S))


def _settings(seconds: float, beacons_of: str) -> agent_conf.Settings:
    config = cfg.ConfigOpts()
    agent_conf.register_opts(config)
    config([], default_config_files=[], default_config_dirs=[])
    for name, value in (
        ('site', 'here'),
        ('origin', [f'loopback {beacons_of}']),
        ('probes', _probes(seconds)),
    ):
        config.set_override(name, value, agent_conf.GROUP.name)
    return agent_conf.read(config)


def _drive(
    driver: type[pacing.Paced], scheme: str, seconds: float, written: str
) -> Callable[[], list[float]]:
    settings = _settings(seconds, written)
    parsed, problems = beacons.parse(settings, (scheme,))
    if problems:
        raise AssertionError(problems)
    probe = driver(settings, parsed)

    def run() -> list[float]:
        readings = probe.measure(seconds, threading.Event())
        return [rtt for _path, echoes in readings for rtt in echoes.rtts_ms]

    return run


def run_icmp(
    seconds: float, addresses: Sequence[str], port: int
) -> Callable[[], list[float]]:
    return _drive(icmp.Icmp, 'icmp', seconds, ' '.join(addresses))


def run_tcp(
    seconds: float, addresses: Sequence[str], port: int
) -> Callable[[], list[float]]:
    written = ' '.join(f'tcp://{it}:{port}' for it in addresses)
    return _drive(tcp.Tcp, 'tcp', seconds, written)


def run_agent(
    seconds: float, addresses: Sequence[str], port: int
) -> Callable[[], list[float]]:
    """Measure for two intervals, each beacon as an origin, and publish."""
    config = cfg.ConfigOpts()
    agent_conf.register_opts(config)
    config([], default_config_files=[], default_config_dirs=[])
    origins = [f'loopback-{it} {it}' for it in addresses]
    for name, value in (
        ('site', 'here'),
        ('name', 'bench'),
        ('aggregate', 1),
        ('origin', origins),
        ('interval', seconds / 2),
        ('probes', _probes(seconds / 2)),
    ):
        config.set_override(name, value, agent_conf.GROUP.name)
    nova = plain_cloud.PlainCloud()
    nova.add(edge__site='here')
    it = agent.Agent(agent_conf.read(config), nova)
    stop = exposition.start(
        exposition.Collector(it.publisher, it.counts), '127.0.0.1', 0
    )

    def run() -> list[float]:
        it.start()
        time.sleep(seconds)
        it.stop()
        stop()
        if len(nova.written) < 1:
            raise AssertionError('nothing was published')
        return [
            figure.rtt_ms
            for figure in it.publisher.measured_figures().values()
            for _ in range(figure.probes or 0)
            if figure.rtt_ms is not None
        ]

    return run


def run_bare(
    seconds: float, addresses: Sequence[str], port: int
) -> Callable[[], list[float]]:
    """Send the same packets at the same times, and read what comes."""
    count = len(addresses) * _probes(seconds)
    # Type, code, checksum, identifier and sequence number.
    packet = struct.pack('!BBHHH', 8, 0, 0xF7FF, 0, 0)

    def run() -> list[float]:
        pace = pacing.Schedule(count, seconds, 10 * _rate(addresses))
        targets = itertools.islice(itertools.cycle(addresses), count)
        rtts: list[float] = []
        with socket.socket(
            socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
        ) as raw:
            while len(rtts) < count:
                time.sleep(pacing.TICK_S)
                for address in itertools.islice(targets, pace.due(count)):
                    start = time.perf_counter()
                    raw.sendto(packet, (address, 0))
                    # The request, which loopback brings too, and the answer.
                    raw.recv(64)
                    raw.recv(64)
                    rtts.append((time.perf_counter() - start) * 1000)
        return rtts

    return run


def measure(
    name: str,
    contender: Contender,
    seconds: float,
    addresses: Sequence[str],
    port: int,
) -> Figures:
    """Return what a contender takes, in a process that did nothing else."""
    for it in _IMPORTED:
        importlib.import_module(it)
    import_mb = memory.used_mb('VmRSS')
    run = contender(seconds, addresses, port)
    before, start = _cpu_s(), time.perf_counter()
    rtts = sorted(run())
    taken = (_cpu_s() - before) / (time.perf_counter() - start)
    sent = len(addresses) * _probes(seconds)
    return Figures(
        name,
        sent,
        sent - len(rtts),
        taken * 100,
        import_mb,
        memory.used_mb('VmHWM'),
        statistics.median(rtts),
        rtts[len(rtts) * 99 // 100],
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _spin() -> None:
    while True:
        pass


@contextlib.contextmanager
def busy_host() -> Iterator[None]:
    """Keep every processor of this host busy."""
    context = multiprocessing.get_context('spawn')
    others = [
        context.Process(target=_spin, daemon=True)
        for _ in range(os.cpu_count() or 1)
    ]
    for it in others:
        it.start()
    try:
        yield
    finally:
        for it in others:
            it.kill()
            it.join()


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """Accept connections to every address of loopback; yield the port."""
    with socket.create_server(('0.0.0.0', 0), backlog=1024) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        # Closing alone does not wake who accepts.
        server.shutdown(socket.SHUT_RDWR)


CONTENDERS: dict[
    str, tuple[Contender, Callable[[], contextlib.AbstractContextManager]]
] = {
    'the whole agent, icmp': (run_agent, contextlib.nullcontext),
    'icmp': (run_icmp, contextlib.nullcontext),
    'icmp, busy host': (run_icmp, busy_host),
    'tcp': (run_tcp, contextlib.nullcontext),
    'tcp, busy host': (run_tcp, busy_host),
    'a loop, the reference': (run_bare, contextlib.nullcontext),
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    addresses = addresses_of(options.beacons)
    print(
        f'{len(addresses):,} beacons on loopback, {_rate(addresses):.0f} '
        f'probes a second, {options.seconds:g} seconds each\n'
    )
    print(HEADER)
    results = []
    with listening() as port:
        for name, (contender, surroundings) in CONTENDERS.items():
            with (
                surroundings(),
                multiprocessing.get_context('spawn').Pool(1) as pool,
            ):
                figures = pool.apply(
                    measure,
                    (name, contender, options.seconds, addresses, port),
                )
            print(figures, flush=True)
            results.append(figures)
    (first, *_) = results
    cpu = 'under' if first.cpu_pct < LIMIT_CPU_PCT else 'OVER'
    size = 'under' if first.memory_mb < LIMIT_MB else 'OVER'
    print(
        f'{first.name}: {first.cpu_pct:.2f} % of a core, {cpu} '
        f'{LIMIT_CPU_PCT:g} %; {first.memory_mb:.0f} MB, {size} '
        f'{LIMIT_MB:g} MB.'
    )
    told = {
        'beacons': len(addresses),
        'probes_per_second': _rate(addresses),
        'seconds': options.seconds,
        'figures': [dataclasses.asdict(it) for it in results],
    }
    report.write(told, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.bench_agent',
        description='Measure what the probes of edge-latency-agent take.',
    )
    parser.add_argument(
        '--beacons', type=int, default=1000, help='default: %(default)s'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=36.0,
        help='for how long each is measured; default: %(default)s',
    )
    report.add_option(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
