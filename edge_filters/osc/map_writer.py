# SPDX-License-Identifier: Apache-2.0
"""HOW DOES A MAP FILE COME TO SAY IT? Figures and prefixes, put into maps.

Whatever else the file has stays as it is.
"""

import collections
import collections.abc
import decimal
import json
import typing

from osc_lib import exceptions

from edge_filters import spelling
from edge_filters.latency import sample
from edge_filters.origins import map_file
from edge_filters.origins import prefixes

# The metrics, which part of a figure they are, and how many decimal places
# their unit is from ours: microseconds from milliseconds (RFC 9439).
_METRICS: tuple[
    tuple[str, collections.abc.Callable[[sample.Sample], float | None], int],
    ...,
] = (
    (map_file.RTT, lambda figure: figure.rtt_ms, 3),
    (map_file.JITTER, lambda figure: figure.jitter_ms, 3),
    (map_file.LOSS, lambda figure: figure.loss_pct, 0),
)

_Object = dict[str, typing.Any]

# Figures by destination, a site or host:NAME, then origin.
Figures = collections.abc.Mapping[
    str, collections.abc.Mapping[str, sample.Sample]
]


def objects_of(file: str, content: bytes) -> list[_Object]:
    """Return the objects of a map file, to be changed.

    :raises osc_lib.exceptions.CommandError: if it is none
    """
    try:
        document = map_file.decode(file, content)
        objects = json.loads(content.decode('utf-8-sig'))
    except map_file.Broken as error:
        raise exceptions.CommandError(f'Map file {error}') from None
    except ValueError as error:
        raise exceptions.CommandError(
            f'Map file {file} is not JSON: {error}'
        ) from None
    if document.twice:
        raise exceptions.CommandError(
            f'Map file {file} has {spelling.shown(document.twice[0])} twice '
            'in one object; leave one'
        )
    return objects if isinstance(objects, list) else [objects]


def text(file: str, objects: list[_Object]) -> str:
    """Return what is written into a map file, a name a line if that fits.

    :raises osc_lib.exceptions.CommandError: if it would be too large to be
        read
    """
    document = objects[0] if len(objects) == 1 else objects
    for layout in (
        json.JSONEncoder(indent=1),
        json.JSONEncoder(separators=(',', ':')),
    ):
        # It is ASCII.
        written = layout.encode(document) + '\n'
        if len(written) <= map_file.MAX_BYTES:
            return written
    limit = map_file.MAX_BYTES // 1024**2
    raise exceptions.CommandError(
        f'{file} would have more than {limit} MiB, and not be read; put some '
        'of it into another file, or figures into CSV'
    )


def put_figures(objects: list[_Object], figures: Figures) -> dict[str, int]:
    """Put figures into the cost maps, in place of those that are there.

    :returns: how many of them change something, by destination
    """
    changed: dict[tuple[str, str], None] = {}
    for metric, part, places in _METRICS:
        maps = [it for it in objects if _is_map_of(it, metric)]
        there = collections.defaultdict(list)
        for it in maps:
            for origin, row in it[map_file.COST_MAP].items():
                for name in row if isinstance(row, dict) else ():
                    pair = (_destination(name), _folded(origin))
                    there[pair].append((row, name))
        rows = _by_name(maps[0][map_file.COST_MAP]) if maps else {}
        for destination, by_origin in figures.items():
            for origin, figure in by_origin.items():
                pair = (destination, origin)
                number = _number(part(figure), places)
                was = [row[name] for row, name in there[pair]]
                if was == ([] if number is None else [number]):
                    continue
                changed[pair] = None
                for row, name in there[pair]:
                    del row[name]
                if number is None:
                    continue
                if not maps:
                    maps.append(_new_map(metric))
                    objects.append(maps[0])
                costs = maps[0][map_file.COST_MAP]
                _member(costs, rows, origin)[destination] = number
    return collections.Counter(destination for destination, _ in changed)


def put_prefixes(
    objects: list[_Object],
    entries: collections.abc.Iterable[prefixes.Entry],
) -> dict[str, int]:
    """Put prefixes into the network maps.

    One that is another origin's there is so no longer.

    :returns: how many of them change something, by origin
    """
    there = collections.defaultdict(list)
    maps = [it for it in objects if map_file.NETWORK_MAP in it]
    for it in maps:
        for name, networks in it[map_file.NETWORK_MAP].items():
            if not isinstance(networks, dict):
                continue
            for texts in networks.values():
                for written in texts if isinstance(texts, list) else ():
                    owner = (_folded(name), texts, written)
                    there[_network(written)].append(owner)
    rows = _by_name(maps[0][map_file.NETWORK_MAP]) if maps else {}
    changed: dict[str, int] = collections.Counter()
    for prefix, origin, _ in entries:
        owners = there[prefix]
        if {name for name, _, _ in owners} == {origin}:
            continue
        changed[origin] += 1
        for _, texts, written in owners:
            texts.remove(written)
        if not maps:
            maps.append({map_file.NETWORK_MAP: {}})
            objects.append(maps[0])
        its = _member(maps[0][map_file.NETWORK_MAP], rows, origin)
        family = f'ipv{prefix.version}'
        if not isinstance(its.setdefault(family, []), list):
            raise _odd(f'{family} of {origin}', 'list')
        its[family].append(str(prefix))
    return changed


def put_projects(
    objects: list[_Object],
    projects: collections.abc.Mapping[str, collections.abc.Sequence[str]],
) -> list[str]:
    """Put the origins of projects in place of those that are there.

    :returns: the projects that this changes
    """
    maps = [it for it in objects if map_file.PROJECTS in it]
    changed = []
    for project, origins in projects.items():
        its = [it[map_file.PROJECTS] for it in maps]
        there = [it[project] for it in its if project in it]
        if there[:1] == [list(origins)]:
            continue
        changed.append(project)
        if not maps:
            maps.append({map_file.PROJECTS: {}})
            objects.append(maps[0])
        maps[0][map_file.PROJECTS][project] = list(origins)
    return changed


def is_aged(figure: sample.Sample) -> bool:
    """Return whether a figure has a time, probes or a source."""
    return (figure.at, figure.probes, figure.source) != (None, None, None)


def left_out(aged: int, others: int, has_sites: bool = False) -> str:
    """Return what a map file has no place for, in a sentence; empty: nothing.

    :param aged: how many figures have a time, probes or a source
    :param others: how many are no figures from an origin to a site or a host
    :param has_sites: whether there is more of sites than prefixes
    """
    lost = []
    if aged:
        lost.append(
            f'time, probes and source of {aged} figures, which never go stale '
            'there'
        )
    if others:
        lost.append(f'{others} figures between sites or of the origin *')
    if has_sites:
        lost.append('what sites have besides prefixes')
    what = ' and '.join(lost)
    return f'A map file has no place for {what}' if lost else ''


def _is_map_of(item: _Object, metric: str) -> bool:
    if map_file.COST_MAP not in item:
        return False
    written = item[map_file.META]['cost-type']['cost-metric']
    return bool(written.partition(':')[0] == metric)


def _new_map(metric: str) -> _Object:
    return {
        map_file.META: {
            'cost-type': {'cost-mode': 'numerical', 'cost-metric': metric}
        },
        map_file.COST_MAP: {},
    }


def _by_name(members: _Object) -> dict[str, _Object]:
    """Return the objects of names, however those are spelt."""
    return {
        _folded(spelt): its
        for spelt, its in members.items()
        if isinstance(its, dict)
    }


def _member(
    members: _Object, by_name: dict[str, _Object], name: str
) -> _Object:
    """Return the object of a name; make it if there is none."""
    if name not in by_name:
        if name in members:
            raise _odd(name, 'object')
        by_name[name] = members[name] = {}
    return by_name[name]


def _odd(name: str, kind: str) -> exceptions.CommandError:
    return exceptions.CommandError(
        f'The map file has as {name} something that is no {kind}, and is not '
        'read; mend it'
    )


def _destination(name: str) -> str:
    """Return the name of a site, or of a host, as it is read."""
    host = _folded(name).removeprefix(map_file.HOST)
    return host if host == _folded(name) else map_file.HOST + host.strip()


def _folded(name: str) -> str:
    return name.strip().lower()


def _network(written: typing.Any) -> spelling.Network | None:
    try:
        return spelling.parse_network(written)
    except (AttributeError, ValueError):
        return None


def _number(number: float | None, places: int) -> float | int | None:
    """Return a number in another unit, exactly as its digits are."""
    if number is None:
        return None
    moved = float(decimal.Decimal(repr(number)).scaleb(places))
    return int(moved) if moved.is_integer() else moved
