# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A COMMAND TAKE? ``openstack edge``, beyond what the API takes.

Each command is a process of its own, as a person runs it. What answers is not
Nova, but a server on loopback that has its answers ready (``listing``). The
reference is a process that starts ``openstack`` and fetches the same answers
(``fetch``): what a command takes more is ours.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from sandbox import big_world
from sandbox import listing
from sandbox import report
from sandbox import turns

HOSTS_A_SITE = 4
# As [edge_filters] nearest_sites has it; for 20 figures a site.
NEAREST_SITES = 64
FIGURES_A_SITE = 20

# How much more the first may take.
LIMIT_S = 3.0

_OPENSTACK = ('-m', 'openstackclient.shell')
_FETCH = (str(pathlib.Path(__file__).with_name('fetch.py')),)

_BOTH = (listing.AGGREGATES, listing.HYPERVISORS)

# Each command, and what it fetches; the last is one of OpenStackClient itself.
CASES: dict[str, tuple[str, ...]] = {
    'edge site list': _BOTH,
    'edge latency list': _BOTH[:1],
    'edge origin list': _BOTH[:1],
    'aggregate list --long': _BOTH[:1],
}


@dataclasses.dataclass(frozen=True)
class Figures:
    """What a command took, and the reference beside it."""

    name: str
    rows: int
    command_s: float
    reference_s: float

    @property
    def more_s(self) -> float:
        return self.command_s - self.reference_s

    def __str__(self) -> str:
        return (
            f'{self.name:24}{self.rows:>8,}{self.command_s:>10.2f} s'
            f'{self.reference_s:>10.2f} s{self.more_s:>8.2f} s'
            f'{self.command_s / self.reference_s:>8.2f}'
        )


HEADER = (
    f'{"openstack ...":24}{"rows":>8}{"command":>12}{"reference":>12}'
    f'{"more":>10}{"ratio":>8}'
)


def world_of(sites: int) -> big_world.World:
    """Return a world of so many sites."""
    return big_world.World(
        sites,
        origins=max(1, round(sites * FIGURES_A_SITE / NEAREST_SITES)),
        hosts_a_site=HOSTS_A_SITE,
        listed=min(sites, NEAREST_SITES),
        form=big_world.AGENT,
    )


def run(endpoint: str, program: Sequence[str], *arguments: str) -> bytes:
    """Run ``openstack``, or what is like it; return what it writes."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith('OS_') and not name.lower().endswith('_proxy')
    }
    return subprocess.run(
        [
            sys.executable,
            '-P',
            *program,
            # As whoever asks; nobody asks Keystone.
            '--os-auth-type=admin_token',
            f'--os-endpoint={endpoint}',
            '--os-token=token',
            *arguments,
        ],
        check=True,
        env=clean,
        stdout=subprocess.PIPE,
    ).stdout


def measure(endpoint: str, name: str, seconds: float) -> Figures:
    """Return what a command takes."""
    words = [*name.split(), '-f', 'json']
    ours = functools.partial(run, endpoint, _OPENSTACK, *words)
    plain = functools.partial(
        run, endpoint, _FETCH, 'plain', 'fetch', *CASES[name]
    )
    listed: list[Any] = json.loads(ours())
    contenders: dict[str, Callable[[], bytes]] = {'ours': ours, 'plain': plain}
    taken = turns.in_turns(
        {
            key: functools.partial(turns.wall_s, it)
            for key, it in contenders.items()
        },
        seconds,
    )
    return Figures(name, len(listed), min(taken['ours']), min(taken['plain']))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    world = world_of(options.sites)
    print(
        f'{world.sites:,} sites, {world.host_count:,} hosts, '
        f'{world.origins:,} origins; no API takes part\n'
    )
    print(HEADER)
    results = []
    with listing.serving(world) as endpoint:
        for name in CASES:
            figures = measure(endpoint, name, options.seconds)
            print(figures, flush=True)
            results.append(figures)
    (listed, *_) = results
    verdict = 'under' if listed.more_s < LIMIT_S else 'OVER'
    print(f'{listed.name}: {listed.more_s:.2f} s, {verdict} {LIMIT_S:g} s.')
    told = {
        'sites': world.sites,
        'hosts': world.host_count,
        'origins': world.origins,
        'figures': [
            dataclasses.asdict(it) | {'more_s': it.more_s} for it in results
        ],
    }
    report.write(told, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.bench_cli',
        description='Measure what commands of openstack edge take.',
    )
    parser.add_argument(
        '--sites', type=int, default=1500, help='default: %(default)s'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=30.0,
        help='for how long each command is measured; default: %(default)s',
    )
    report.add_option(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
