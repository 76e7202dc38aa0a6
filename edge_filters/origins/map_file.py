# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A MAP FILE SAY? ALTO maps, and the origins of projects.

A map file is a JSON object, or a list of such objects, with any of these
members, the first two as an ALTO server has them:

``network-map``
    The prefixes of origins, ``{ORIGIN: {"ipv4": [...], "ipv6": [...]}}``
    (RFC 7285, 11.2.1.6).
``cost-map``, with ``meta``
    One metric from origins to sites, or to hosts, which are written
    ``host:NAME``: ``{ORIGIN: {SITE: NUMBER}}`` (RFC 7285, 11.2.3.6). It is
    ``delay-rt``, the RTT; ``delay-variation``, the jitter; or ``lossrate``
    (RFC 9439, 4.2 to 4.4).
``projects``
    Whom projects serve: ``{PROJECT_ID: [ORIGIN, ...]}``.
"""

import collections
import collections.abc
import dataclasses
import functools
import ipaddress
import itertools
import json
import re
import sys
import typing

from edge_filters import spelling
from edge_filters.latency import figures
from edge_filters.latency import sample
from edge_filters.origins import prefixes
from edge_filters.origins import request

# How large a file may be: twice a million prefixes. While it is read it takes
# up to 35 times as much of memory.
MAX_BYTES = 64 * 1024 * 1024

META = 'meta'
NETWORK_MAP = 'network-map'
COST_MAP = 'cost-map'
PROJECTS = 'projects'
_MAPS = (NETWORK_MAP, COST_MAP, PROJECTS)

# What the name of a destination begins with if it is a host, not a site.
HOST = 'host:'

# How many problems are kept: every entry may have one.
MAX_PROBLEMS = 20

# The metrics of RFC 9439.
RTT = 'delay-rt'
JITTER = 'delay-variation'
LOSS = 'lossrate'

# The unit of each metric, as a part of ours, and the largest number there is.
# Delays are in microseconds, the loss in percent (4.2.2, 4.3.2, 4.4.2).
_UNITS = {
    RTT: (1000.0, sys.float_info.max),
    JITTER: (1000.0, sys.float_info.max),
    LOSS: (1.0, 100.0),
}

# What may stand after a metric and a colon: which of all figures measured it
# is (3.2). Not stddev and stdvar, which are not among the figures.
_STATISTIC = re.compile(
    r'cur|min|max|median|mean|p(?:100(?:\.0+)?|[0-9]{1,2}(?:\.[0-9]+)?)'
)

_NETWORKS: dict[
    str, tuple[collections.abc.Callable[[str], spelling.Network], str]
] = {
    'ipv4': (ipaddress.IPv4Network, '192.0.2.0/24'),
    'ipv6': (ipaddress.IPv6Network, '2001:db8::/32'),
}

_Json = typing.Any
_Object = collections.abc.Mapping[str, _Json]
_Samples = collections.abc.Mapping[
    str, collections.abc.Mapping[str, sample.Sample]
]


class Broken(ValueError):
    """A file that is no map file as a whole.

    :param file: its name
    :param why: what it is instead, and where
    """

    def __init__(self, file: str, why: str) -> None:
        self.file = file
        self.why = why
        super().__init__(f'{file} {why}')


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """An entry of a file that does not count as it is, and why, in words."""

    file: str
    name: str
    why: str

    def __str__(self) -> str:
        return f'{self.file}: {self.name} {self.why}'


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One map file, whose entries are still to be read.

    :param file: its name
    :param objects: its objects
    :param twice: the names that an object has twice; the last one counts
    """

    file: str
    objects: tuple[_Object, ...]
    twice: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class MapFile:
    """What all map files say.

    :param prefix_table: prefixes of origins
    :param samples: figures by site, then origin
    :param host_samples: figures by host, in lower case, then origin
    :param projects: origins by project ID
    :param origins: the origins that the network maps and cost maps have
    :param problems: what had to be skipped, the first few
    :param more_problems: how many more there are
    """

    prefix_table: prefixes.PrefixTable = dataclasses.field(
        default_factory=prefixes.PrefixTable
    )
    samples: _Samples = dataclasses.field(default_factory=dict)
    host_samples: _Samples = dataclasses.field(default_factory=dict)
    projects: collections.abc.Mapping[str, tuple[str, ...]] = (
        dataclasses.field(default_factory=dict)
    )
    origins: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    more_problems: int = 0


def parse(
    files: collections.abc.Iterable[tuple[str, bytes]],
) -> MapFile:
    """Read map files.

    :param files: names and contents
    :raises Broken: if one of them is no map file
    """
    return merge([decode(file, content) for file, content in files])


def decode(file: str, content: bytes) -> Document:
    """Read one map file as far as it can be broken as a whole.

    :param file: its name
    :raises Broken: if it is too large, is not JSON, has none of our members,
        or a cost map of another metric
    """
    if len(content) > MAX_BYTES:
        raise Broken(file, f'has more than {MAX_BYTES // 1024**2} MiB')
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise Broken(
            file, f'is not UTF-8: it has {error.reason} at byte {error.start}'
        ) from None
    twice: dict[str, None] = {}
    try:
        written = json.loads(
            text,
            object_pairs_hook=functools.partial(_members, twice),
            # As an int it could have any number of digits.
            parse_int=float,
        )
    except json.JSONDecodeError as error:
        where = f'line {error.lineno}, column {error.colno}'
        raise Broken(file, f'is not JSON: {error.msg} at {where}') from None
    except RecursionError:
        raise Broken(
            file, 'is no map file: it has objects in objects without end'
        ) from None
    objects = written if isinstance(written, list) else [written]
    for number, item in enumerate(objects, 1):
        try:
            _check(item)
        except ValueError as error:
            what = f'object {number}' if len(objects) > 1 else 'it'
            raise Broken(file, f'is no map file: {what} {error}') from None
    return Document(file, tuple(objects), tuple(twice))


def _members(
    twice: dict[str, None], pairs: list[tuple[str, _Json]]
) -> dict[str, _Json]:
    """Return a JSON object; note the names that it has twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = collections.Counter(name for name, _ in pairs)
        twice.update(dict.fromkeys(it for it in counts if counts[it] > 1))
    return members


def _check(item: _Json) -> None:
    """Refuse what is no object of ours."""
    if not isinstance(item, dict):
        raise ValueError(f'is {_shown(item)}, not an object')
    maps = [name for name in _MAPS if name in item]
    if not maps:
        raise ValueError(f'has none of {", ".join(_MAPS)}')
    for name in maps:
        if not isinstance(item[name], dict):
            raise ValueError(
                f'has as {name} {_shown(item[name])}, not an object'
            )
    if COST_MAP in maps:
        _metric(item)


def _metric(item: _Object) -> str:
    """Return the metric of an object with a cost map."""
    meta = item.get(META)
    cost_type = meta.get('cost-type') if isinstance(meta, dict) else None
    if not isinstance(cost_type, dict):
        raise ValueError(f'has a {COST_MAP}, but no cost-type in {META}')
    mode = cost_type.get('cost-mode')
    if mode != 'numerical':
        raise ValueError(f'has cost-mode {_shown(mode)}, not numerical')
    metric = cost_type.get('cost-metric')
    if isinstance(metric, str):
        name, colon, statistic = metric.partition(':')
        if name in _UNITS and (not colon or _STATISTIC.fullmatch(statistic)):
            return name
    raise ValueError(
        f'has cost-metric {_shown(metric)}, not {", ".join(_UNITS)}, or one '
        f'of them with a statistic, such as {RTT}:p95'
    )


def merge(documents: collections.abc.Iterable[Document]) -> MapFile:
    """Return what map files say together.

    Single entries that cannot be read are skipped. Where files disagree, the
    first counts for prefixes and projects, and the worse figure. What loses
    everything is unreachable; else where there is no RTT there is no figure,
    whatever jitter and loss are.
    """
    return _Reader().read(tuple(documents))


class _Reader:
    """Reads the entries of documents."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._more_problems = 0
        self._origins: set[str] = set()
        self._projects: dict[str, tuple[str, ...]] = {}
        # By metric, destination and origin.
        self._figures: dict[str, dict[str, dict[str, float]]] = {
            metric: collections.defaultdict(dict) for metric in _UNITS
        }
        # Names by what is written. Of equal names and numbers one is kept.
        self._names: dict[str, str] = {}
        self._destinations: dict[str, str] = {}
        self._numbers: dict[float, float] = {}

    def read(self, documents: tuple[Document, ...]) -> MapFile:
        # One by one: a million prefixes as objects are much larger.
        prefix_table = prefixes.PrefixTable(
            itertools.chain.from_iterable(map(self._read_networks, documents))
        )
        for document in documents:
            self._read(document)
        sites, hosts = self._samples()
        return MapFile(
            prefix_table,
            sites,
            hosts,
            self._projects,
            frozenset(self._origins),
            tuple(self._problems),
            self._more_problems,
        )

    def _read(self, document: Document) -> None:
        file = document.file
        for name in document.twice:
            why = 'is there twice in one object; the last one counts'
            self._note(file, name, why=why)
        for item in document.objects:
            for name in item:
                if name not in (META, *_MAPS):
                    why = f'is skipped: it is none of {", ".join(_MAPS)}'
                    self._note(file, name, why=why)
            if COST_MAP in item:
                self._read_costs(file, item)
            if PROJECTS in item:
                self._read_projects(file, item[PROJECTS])

    def _note(self, file: str, *names: _Json, why: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            name = ' '.join(map(_shown, names))
            self._problems.append(Problem(file, name, why))
        else:
            self._more_problems += 1

    def _name(self, file: str, *names: str) -> str | None:
        """Return the last of the names as it is spelt; None: it is none."""
        text = names[-1]
        if text not in self._names:
            try:
                self._names[text] = spelling.parse_name(text)
            except ValueError as error:
                self._note(file, *names, why=f'is skipped: it {error}')
                return None
        return self._names[text]

    def _origin(self, file: str, name: str, value: _Json) -> str | None:
        """Return the origin that an object is of; None: it is none."""
        if not isinstance(value, dict):
            why = f'is skipped: it has {_shown(value)}, not an object'
            self._note(file, name, why=why)
            return None
        origin = self._name(file, name)
        if origin is not None:
            self._origins.add(origin)
        return origin

    def _read_networks(
        self, document: Document
    ) -> collections.abc.Iterator[prefixes.Entry]:
        file = document.file
        for item in document.objects:
            for name, networks in item.get(NETWORK_MAP, {}).items():
                origin = self._origin(file, name, networks)
                if origin is None:
                    continue
                for kind, texts in networks.items():
                    for prefix in self._read_prefixes(file, name, kind, texts):
                        yield prefixes.Entry(prefix, origin, file)

    def _read_prefixes(
        self, file: str, name: str, kind: str, texts: _Json
    ) -> collections.abc.Iterator[spelling.Network]:
        if kind not in _NETWORKS or not isinstance(texts, list):
            why = f'is skipped: it is no list of {" or ".join(_NETWORKS)}'
            self._note(file, name, kind, why=why)
            return
        network, example = _NETWORKS[kind]
        for text in texts:
            try:
                # In which zone an address is only its own host knows.
                if not isinstance(text, str) or '%' in text:
                    raise ValueError
                yield network(text.strip())
            except ValueError:
                why = f'is skipped: it is no prefix such as {example}'
                self._note(file, name, text, why=why)

    def _read_costs(self, file: str, item: _Object) -> None:
        metric = _metric(item)
        unit, maximum = _UNITS[metric]
        by_destination = self._figures[metric]
        for name, row in item[COST_MAP].items():
            origin = self._origin(file, name, row)
            if origin is None:
                continue
            for text, number in row.items():
                destination = self._destination(file, name, text)
                if destination is None:
                    continue
                # Neither true nor NaN is.
                if type(number) is not float or not 0 <= number <= maximum:
                    why = f'is skipped: {metric} is a number from 0'
                    why += ' to 100' if metric == LOSS else ' up'
                    self._note(file, name, text, number, why=why)
                    continue
                figure = abs(number) / unit
                by_origin = by_destination[destination]
                if figure > by_origin.get(origin, -1):
                    figure = self._numbers.setdefault(figure, figure)
                    by_origin[origin] = figure

    def _destination(self, file: str, name: str, text: str) -> str | None:
        """Return a site or, with its prefix, a host; None: it is neither."""
        destination = self._destinations.get(text)
        if destination is not None:
            return destination
        folded = text.strip().lower()
        if folded.startswith(HOST):
            destination = HOST + folded.removeprefix(HOST).strip()
            if destination == HOST:
                why = 'is skipped: it names no host'
                self._note(file, name, text, why=why)
                return None
        else:
            destination = self._name(file, name, text)
        if destination is not None:
            self._destinations[text] = destination
        return destination

    def _samples(
        self,
    ) -> tuple[dict[str, figures.Figures], dict[str, figures.Figures]]:
        """Return the figures of sites, and those of hosts."""
        sites: dict[str, figures.Figures] = {}
        hosts: dict[str, figures.Figures] = {}
        for destination in _keys(self._figures.values()):
            metrics = [
                it.get(destination, {}) for it in self._figures.values()
            ]
            by_origin = {}
            for origin in _keys(metrics):
                figure = _sample(*(metric.get(origin) for metric in metrics))
                if figure is not None:
                    by_origin[origin] = figure
                    continue
                why = f'is skipped: it has no {RTT}'
                self._note('map files', origin, destination, why=why)
            if by_origin:
                places = hosts if destination.startswith(HOST) else sites
                name = destination.removeprefix(HOST)
                places[name] = figures.Figures(by_origin)
        return sites, hosts

    def _read_projects(self, file: str, projects: _Object) -> None:
        for text, names in projects.items():
            project = text.strip()
            origins = []
            for name in names if isinstance(names, list) else ():
                if not isinstance(name, str):
                    why = 'is skipped: it is no name of an origin'
                    self._note(file, text, name, why=why)
                    continue
                origins.append(self._name(file, text, name))
            wanted = tuple(dict.fromkeys(filter(None, origins)))
            if not project or not wanted:
                why = 'is skipped: a project has an ID and a list of origins'
            elif len(wanted) > request.MAX_VALUES:
                why = f'has more than {request.MAX_VALUES} origins, the most '
                why += 'that count'
            elif self._projects.get(project, wanted) != wanted:
                why = 'is there again with other origins; the first count'
            else:
                why = ''
            if why:
                self._note(file, text, why=why)
            if project and wanted:
                self._projects.setdefault(
                    project, wanted[: request.MAX_VALUES]
                )


def _keys(
    objects: collections.abc.Iterable[collections.abc.Mapping[str, object]],
) -> dict[str, None]:
    """Return the keys of objects, each once."""
    return dict.fromkeys(itertools.chain.from_iterable(objects))


def _sample(
    rtt_ms: float | None = None,
    jitter_ms: float | None = None,
    loss_pct: float | None = None,
) -> sample.Sample | None:
    """Return the figure of one pair; None: it has none."""
    if loss_pct == 100:
        rtt_ms = None
    elif rtt_ms is None:
        return None
    return sample.Sample(rtt_ms, jitter_ms, loss_pct)


def _shown(value: _Json) -> str:
    """Return a JSON value as it may stand in a log."""
    if isinstance(value, str):
        return spelling.shown(value)
    if isinstance(value, float):
        return f'{value:g}'
    return {list: 'a list', dict: 'an object', type(None): 'null'}.get(
        type(value), str(value).lower()
    )
