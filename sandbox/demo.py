# SPDX-License-Identifier: Apache-2.0
"""DOES IT WORK? The same boots with stock Nova and with edge-filters.

A server for the users of every place is booted in two clouds at once, each in
a process of its own. Where the servers ended up is printed and drawn, and the
exit status says whether each is on the nearest site that still had room.
"""

import argparse
from collections.abc import Sequence
import dataclasses
import json
import pathlib
import sys

from sandbox import pair
from sandbox import picture
from sandbox import world as worlds


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    world = worlds.load()
    try:
        outcomes = pair.play(world)
    except pair.BootsFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('Interrupted; both clouds are gone.', file=sys.stderr)
        return 130
    nearest = worlds.nearest_with_room(world, outcomes[pair.STEERED])
    _print_table(outcomes, nearest)
    _print_summary(world, outcomes)
    picture.draw(world, outcomes, options.picture)
    print(f'\nThe picture is in {options.picture}.')
    if options.json:
        _write_json(outcomes, nearest, options.json)
    return _judge(outcomes[pair.STEERED], nearest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.demo',
        description='Boot a server for the users of each of '
        f'{len(worlds.load().places)} places, with stock Nova and with '
        'edge-filters, and compare where they land.',
    )
    parser.add_argument(
        '--picture',
        metavar='FILE',
        default='demo.png',
        help='where to draw both outcomes (default: %(default)s)',
    )
    parser.add_argument(
        '--json', metavar='FILE', help='where to write both outcomes as JSON'
    )
    return parser


def _print_table(
    outcomes: dict[str, list[worlds.Placed]], nearest: list[worlds.Placed]
) -> None:
    line = '{:20} {:21}{:>6}   {:21}{:>6}   {:21}{:>6}'
    columns = (
        'user place',
        pair.STOCK,
        'ms',
        pair.STEERED,
        'ms',
        'nearest room',
        'ms',
    )
    print(line.format(*columns))
    print(line.format(*('-' * len(column) for column in columns)))
    for stock, steered, best in zip(
        outcomes[pair.STOCK], outcomes[pair.STEERED], nearest, strict=True
    ):
        print(
            line.format(
                stock.place,
                *(stock.site, f'{stock.rtt_ms:.0f}'),
                *(steered.site, f'{steered.rtt_ms:.0f}'),
                *(best.site, f'{best.rtt_ms:.0f}'),
            )
        )


def _print_summary(
    world: worlds.World, outcomes: dict[str, list[worlds.Placed]]
) -> None:
    servers, room = len(world.places), sum(world.room().values())
    print(
        f'\n{servers} servers in room for {room} ({servers / room:.0%} full);'
        f' {worlds.DOWN_SITE} is down, the figures of {worlds.OLD_SITE} are'
        f' {worlds.OLD_AGE.days} days old.\n'
    )
    line = '{:14}{:>9}{:>9}{:>15}{:>15}'
    print(line.format('', 'mean', 'p95', 'within 20 ms', 'within 50 ms'))
    for name, boots in outcomes.items():
        figures = worlds.summary(boots)
        print(
            line.format(
                name,
                f'{figures.mean_ms:.1f} ms',
                f'{figures.p95_ms:.0f} ms',
                f'{figures.within_20_ms:.0%}',
                f'{figures.within_50_ms:.0%}',
            )
        )
    print('(p95 is the nearest-rank percentile.)')


def _write_json(
    outcomes: dict[str, list[worlds.Placed]],
    nearest: list[worlds.Placed],
    file: str,
) -> None:
    report = {
        'boots': {
            name: [dataclasses.asdict(boot) for boot in boots]
            for name, boots in (
                outcomes | {'nearest with room': nearest}
            ).items()
        },
        'summary': {
            name: dataclasses.asdict(worlds.summary(boots))
            for name, boots in outcomes.items()
        },
    }
    pathlib.Path(file).write_text(json.dumps(report, indent=2) + '\n')


def _judge(boots: list[worlds.Placed], nearest: list[worlds.Placed]) -> int:
    """The exit status: 0 if every server is as near as it could be."""
    misplaced = [
        (boot, best)
        for boot, best in zip(boots, nearest, strict=True)
        if boot.rtt_ms > best.rtt_ms + pair.RTT_BAND_MS
    ]
    for boot, best in misplaced:
        print(
            f'The server for {boot.place} is on {boot.site},'
            f' {boot.rtt_ms:.0f} ms away, though {best.site} at'
            f' {best.rtt_ms:.0f} ms still had room.',
            file=sys.stderr,
        )
    if misplaced:
        return 1
    print(
        f'Each of the {len(boots)} steered servers is on the nearest site that'
        f' still had room, or within {pair.RTT_BAND_MS:g} ms of it.'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
