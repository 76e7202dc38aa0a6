# SPDX-License-Identifier: Apache-2.0
"""HOW FAST IS AN ORIGIN FOUND? A million prefixes, and a dict beside them.

The dict holds the same prefixes and finds only those it is asked for as they
are; it stands for what Python takes at least. Where py-radix is installed it
is measured too. Each runs in a process of its own.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import gc
import importlib.util
import ipaddress
import json
import multiprocessing
import pathlib
import random
import tempfile
import time

from edge_filters import spelling
from edge_filters.origins import prefixes
from sandbox import memory
from sandbox import report

ORIGINS = 300
LOOKUPS = 100_000
SEED = 20261123

# How long prefixes are, and how many of each length there are, more or less
# as in the routing tables of the Internet.
LENGTHS = {
    4: {16: 1, 18: 1, 19: 2, 20: 4, 21: 5, 22: 11, 23: 10, 24: 60, 32: 6},
    6: {29: 3, 32: 12, 36: 4, 40: 9, 44: 9, 48: 55, 56: 4, 64: 4},
}
V4_SHARE = 0.75

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Find = Callable[[Address], object]


@dataclasses.dataclass(frozen=True)
class World:
    """What is loaded, and what is looked up.

    :param texts: prefixes as a file has them
    :param networks: some of them
    :param addresses: one in each of those
    """

    texts: list[str]
    networks: list[spelling.Network]
    addresses: list[Address]


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one contender took."""

    name: str
    load_s: float
    memory_mb: float
    lookup_us: float


def write_world(count: int, file: pathlib.Path) -> None:
    """Write a random world, the same each time."""
    rng = random.Random(SEED)
    networks: dict[spelling.Network, None] = {}
    while len(networks) < count:
        networks[_network(rng)] = None
    asked = rng.sample(list(networks), min(LOOKUPS, count))
    addresses = [
        network.network_address + rng.randrange(network.num_addresses)
        for network in asked
    ]
    world = World(*(list(map(str, it)) for it in (networks, asked, addresses)))
    file.write_text(json.dumps(dataclasses.asdict(world)))


def read_world(file: pathlib.Path) -> World:
    written = json.loads(file.read_text())
    return World(
        written['texts'],
        list(map(ipaddress.ip_network, written['networks'])),
        list(map(ipaddress.ip_address, written['addresses'])),
    )


def _network(rng: random.Random) -> spelling.Network:
    version = 4 if rng.random() < V4_SHARE else 6
    (length,) = rng.choices(
        list(LENGTHS[version]), list(LENGTHS[version].values())
    )
    if version == 4:
        # 1.0.0.0 to 223.255.255.255
        first = rng.randrange(1 << 24, 224 << 24) >> (32 - length)
        return ipaddress.IPv4Network((first << (32 - length), length))
    # 2000::/3
    first = rng.randrange(1 << 125, 2 << 125) >> (128 - length)
    return ipaddress.IPv6Network((first << (128 - length), length))


def _origin(index: int) -> str:
    return f'origin-{index % ORIGINS}'


def load_table(world: World) -> Find:
    return prefixes.PrefixTable(
        prefixes.Entry(ipaddress.ip_network(text), _origin(index), 'maps.json')
        for index, text in enumerate(world.texts)
    ).find


def load_dict(world: World) -> Find:
    origins = {
        ipaddress.ip_network(text): _origin(index)
        for index, text in enumerate(world.texts)
    }
    known = dict(zip(world.addresses, world.networks, strict=True))
    return lambda address: origins[known[address]]


def load_radix(world: World) -> Find:
    import radix

    tree = radix.Radix()
    for index, text in enumerate(world.texts):
        tree.add(text).data['origin'] = _origin(index)
    return lambda address: tree.search_best(packed=address.packed)


CONTENDERS: dict[str, Callable[[World], Find]] = {
    'PrefixTable': load_table,
    'dict of networks': load_dict,
}
if importlib.util.find_spec('radix'):
    CONTENDERS['py-radix'] = load_radix


def measure(name: str, file: pathlib.Path) -> Figures:
    """Return what a contender takes, in a process that did nothing else."""
    world = read_world(file)
    gc.collect()
    memory_mb = memory.used_mb('VmRSS')
    start = time.perf_counter()
    find = CONTENDERS[name](world)
    load_s = time.perf_counter() - start
    gc.collect()
    memory_mb = memory.used_mb('VmRSS') - memory_mb
    start = time.perf_counter()
    for address in world.addresses:
        if find(address) is None:
            raise AssertionError(f'{name} does not find {address}')
    lookup_us = (time.perf_counter() - start) / len(world.addresses) * 1e6
    return Figures(name, load_s, memory_mb, lookup_us)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / 'world.json'
        write_world(options.count, file)
        for name in CONTENDERS:
            with multiprocessing.get_context('spawn').Pool(1) as pool:
                results.append(pool.apply(measure, (name, file)))
    print(f'{options.count} prefixes of {ORIGINS} origins\n')
    line = '{:18}{:>10}{:>11}{:>14}'
    print(line.format('', 'load', 'memory', 'lookup'))
    for figures in results:
        print(
            line.format(
                figures.name,
                f'{figures.load_s:.1f} s',
                f'{figures.memory_mb:.0f} MB',
                f'{figures.lookup_us:.2f} us',
            )
        )
    told = {
        'prefixes': options.count,
        'figures': [dataclasses.asdict(figures) for figures in results],
    }
    report.write(told, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.bench_prefixes',
        description='Measure how long prefixes take to load and to look up.',
    )
    parser.add_argument(
        '--count',
        type=int,
        default=1_000_000,
        help='how many prefixes (default: %(default)s)',
    )
    report.add_option(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
