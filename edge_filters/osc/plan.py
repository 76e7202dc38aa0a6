# SPDX-License-Identifier: Apache-2.0
"""WHICH AGGREGATES ARE MEANT? What files want of the aggregates there are.

A key that the files have a value for gets that value, a host that they name
is added, and nothing else is touched.
"""

import collections
import collections.abc
import dataclasses

from osc_lib import exceptions

from edge_filters import cloud
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.latency import sample_format
from edge_filters.origins import map_file
from edge_filters.osc import figure_table
from edge_filters.osc import site_table
from edge_filters.osc import table


@dataclasses.dataclass(slots=True)
class Target:
    """An aggregate, and what files want it to have.

    :param site: the name of the site that it is, or is to be
    :param name: its name
    :param aggregate: the aggregate; None: it is to be created
    :param is_site: whether it is the site already
    :param values: wanted metadata
    :param wanted_hosts: wanted hosts, by their names in lower case
    :param problem: why nothing can be done, in a sentence; empty: it can
    """

    site: str
    name: str
    aggregate: cloud.Aggregate | None = None
    is_site: bool = False
    values: dict[str, str] = dataclasses.field(default_factory=dict)
    wanted_hosts: dict[str, str] = dataclasses.field(default_factory=dict)
    problem: str = ''

    @property
    def now(self) -> cloud.Aggregate:
        """The aggregate as it is; one to be created is empty."""
        return self.aggregate or cloud.Aggregate(0, self.name)

    @property
    def changes(self) -> dict[str, str | None]:
        """What has to be sent as its metadata."""
        site = {} if self.is_site else {metadata.SITE: self.site}
        return cloud.needed(self.now.metadata, {**site, **self.values})

    @property
    def new_hosts(self) -> list[str]:
        """The hosts that have to be added."""
        there = set(map(str.lower, self.now.hosts))
        return [
            it for key, it in self.wanted_hosts.items() if key not in there
        ]

    @property
    def then(self) -> cloud.Aggregate:
        """The aggregate as it is to be."""
        merged = {**self.now.metadata, **self.changes}
        return dataclasses.replace(
            self.now,
            hosts=(*self.now.hosts, *self.new_hosts),
            metadata={k: v for k, v in merged.items() if v is not None},
        )

    @property
    def prefixes(self) -> tuple[spelling.Network, ...]:
        """Where the users attached to it are to be."""
        then = self.then
        record, _ = metadata.parse_site(then.metadata, then.hosts)
        return record.prefixes if record else ()

    def has_host(self, host: str) -> bool:
        """Return whether it has, or is to have, a host."""
        return host in self.wanted_hosts or host in map(
            str.lower, self.now.hosts
        )

    def has_key(self, key: str) -> bool:
        """Return whether it has, or is to have, a key."""
        return key in self.values or key in map(str.lower, self.now.metadata)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What files want.

    :param targets: the aggregates that they want something of, by name
    :param warnings: what of the files has no place there, in sentences
    """

    targets: tuple[Target, ...]
    warnings: tuple[str, ...]


def make(
    aggregates: collections.abc.Iterable[cloud.Aggregate],
    sites: collections.abc.Iterable[site_table.Entry],
    figures: collections.abc.Iterable[figure_table.Entry],
    maps: map_file.MapFile,
) -> Plan:
    """Return what files want of aggregates.

    A figure of a table goes before one of a map file.

    :param aggregates: those that there are
    :raises osc_lib.exceptions.CommandError: if rows contradict each other
    """
    planner = _Planner(aggregates)
    # Those without the name of an aggregate are of the one that has a name.
    for site in sorted(sites, key=lambda it: not it.aggregate):
        planner.add_site(site)
    for figure in figures:
        planner.add_figure(figure)
    planner.add_maps(maps)
    return planner.plan()


class _Planner:
    def __init__(
        self, aggregates: collections.abc.Iterable[cloud.Aggregate]
    ) -> None:
        sites = cloud.read_sites(aggregates)
        self._names = {it.name: it for it in sites.aggregates.values()}
        self._told = table.Told()
        self._targets: dict[str, Target] = {}
        self._of_site: dict[str, list[Target]] = collections.defaultdict(list)
        self._impossible: dict[tuple[str, str], Target] = {}
        # What has no place, by name, and how much of it there is.
        self._no_site: dict[str, int] = collections.Counter()
        self._no_host: dict[str, int] = collections.Counter()
        self._no_room: dict[str, int] = collections.Counter()
        self._no_number: dict[str, int] = collections.Counter()
        self._not_newer: dict[str, int] = collections.Counter()
        # The keys of figures that have a time, by the name of the aggregate.
        self._dated: dict[str, frozenset[str]] = {}
        self._projects = 0
        for site, records in sites.snapshot.sites.items():
            for id in sorted(records):
                it = sites.aggregates[id]
                self._add(Target(site, it.name, it, True))

    def _add(self, target: Target) -> Target:
        self._targets[target.name] = target
        self._of_site[target.site].append(target)
        return target

    def add_site(self, entry: site_table.Entry) -> None:
        target = self._named(entry) if entry.aggregate else self._only(entry)
        for key, value in entry.values.items():
            self._set(target, key, value, entry.where)
        if entry.host:
            target.wanted_hosts.setdefault(entry.host.lower(), entry.host)
        try:
            prefixes = _networks(target.values.get(metadata.PREFIXES, ''))
            site_table.prefixes_value(target.site, prefixes)
        except exceptions.CommandError as error:
            target.problem = str(error)

    def _named(self, entry: site_table.Entry) -> Target:
        """Return the target that an entry names."""
        name = entry.aggregate
        target = self._targets.get(name)
        if target is None:
            return self._add(Target(entry.site, name, self._names.get(name)))
        if target.site != entry.site:
            return self._cannot(
                entry,
                f'Aggregate {name} is the site {target.site} already; name '
                'another one in the column aggregate',
            )
        return target

    def _only(self, entry: site_table.Entry) -> Target:
        """Return the target of an entry that names none."""
        its = self._of_site[entry.site]
        if len(its) > 1:
            names = spelling.listed([it.name for it in its])
            return self._cannot(
                entry,
                f'Site {entry.site} is several aggregates ({names}); name one '
                'in the column aggregate',
            )
        if its:
            return its[0]
        aggregate = self._names.get(entry.site)
        # One that has nothing is what a creation that was cut short leaves.
        is_empty = aggregate and not (aggregate.hosts or aggregate.metadata)
        if (aggregate and not is_empty) or entry.site in self._targets:
            return self._cannot(
                entry,
                f'There is an aggregate {entry.site} already; make it the '
                'site with its name in the column aggregate',
            )
        return self._add(Target(entry.site, entry.site, aggregate))

    def _cannot(self, entry: site_table.Entry, why: str) -> Target:
        """Return the target of what cannot be done."""
        name = entry.aggregate or entry.site
        return self._impossible.setdefault(
            (entry.site, entry.aggregate),
            Target(entry.site, name, problem=why),
        )

    def _set(self, target: Target, key: str, value: str, where: str) -> None:
        what = f'{key} of {target.site}'
        self._told.tell((target.name, target.site, key), what, value, where)
        target.values[key] = value

    def add_figure(self, entry: figure_table.Entry) -> None:
        its = self._of_site.get(entry.site, [])
        if entry.aggregate:
            its = [it for it in its if it.name == entry.aggregate]
        if not its:
            self._no_site[entry.site] += 1
        elif entry.host and not any(it.has_host(entry.host) for it in its):
            self._no_host[entry.host] += 1
        for target in _homes(its, entry.host, entry.key):
            self._set(target, entry.key, entry.value, entry.where)

    def add_maps(self, maps: map_file.MapFile) -> None:
        self._projects = len(maps.projects)
        for site, figures in maps.samples.items():
            its = self._of_site.get(site, [])
            if not its:
                self._no_site[site] += len(figures)
            for origin, figure in figures.items():
                self._fill(its, '', metadata.rtt_key(origin), figure)
        by_host: dict[str, list[Target]] = {}
        for target in self._targets.values() if maps.host_samples else ():
            for host in target.then.hosts:
                by_host.setdefault(host.lower(), []).append(target)
        for host, figures in maps.host_samples.items():
            its = by_host.get(host, [])
            if not its:
                self._no_host[host] += len(figures)
            for origin, figure in figures.items():
                key = metadata.rtt_key(origin, host)
                self._fill(its, host, key, figure)
        by_origin: dict[str, list[spelling.Network]] = {}
        for entry in maps.prefix_table:
            by_origin.setdefault(entry.origin, []).append(entry.prefix)
        for origin, networks in by_origin.items():
            self._add_prefixes(origin, networks)

    def _fill(
        self, its: list[Target], host: str, key: str, figure: sample.Sample
    ) -> None:
        """Give a figure of a map file to its targets, unless they have one.

        One that has no time takes no place of one that has: it would never be
        too old.
        """
        for target in _homes(its, host, key):
            if key in target.values:
                continue
            if target.name not in self._dated:
                self._dated[target.name] = _dated(target.now.metadata)
            if key in self._dated[target.name]:
                self._not_newer[target.site] += 1
                continue
            try:
                target.values[key] = sample_format.format_sample(figure)
            except ValueError:
                self._no_number[target.site] += 1

    def _add_prefixes(
        self, origin: str, networks: list[spelling.Network]
    ) -> None:
        """Give a site its prefixes, if they fit and others lack them."""
        targets = self._of_site.get(origin)
        if not targets:
            self._no_room[origin] = len(networks)
            return
        first, *others = targets
        try:
            told = _networks(first.values.get(metadata.PREFIXES, ''))
            elsewhere = {it for other in others for it in other.prefixes}
            its = [it for it in networks if it not in elsewhere]
            if told or its:
                value = site_table.prefixes_value(origin, [*told, *its])
                first.values[metadata.PREFIXES] = value
        except exceptions.CommandError:
            self._no_room[origin] = len(networks)

    def plan(self) -> Plan:
        targets = sorted(
            (
                it
                for it in (*self._targets.values(), *self._impossible.values())
                if it.problem
                or it.aggregate is None
                or it.changes
                or it.new_hosts
            ),
            key=lambda it: (it.name, it.site),
        )
        return Plan(tuple(targets), tuple(self._warnings(targets)))

    def _warnings(
        self, targets: list[Target]
    ) -> collections.abc.Iterator[str]:
        for what, counts, next_step in (
            (
                'Figures left out, as their sites are not there',
                self._no_site,
                'import the sites too',
            ),
            (
                'Figures left out, as their hosts are not there',
                self._no_host,
                'add the hosts to a site',
            ),
            (
                'Figures of map files left out, as those that are there have '
                'a time',
                self._not_newer,
                'import figures with times, as CSV',
            ),
            (
                'Figures left out, as their numbers are too large or too '
                'small to be read again',
                self._no_number,
                'mend the map files',
            ),
            (
                'Prefixes left out, as they are more than an aggregate keeps, '
                'or of origins that are no sites',
                self._no_room,
                'keep their file in [edge_filters] map_files',
            ),
        ):
            if counts:
                names = spelling.listed(sorted(counts))
                total = sum(counts.values())
                yield f'{what}: {total} ({names}); {next_step}'
        if self._projects:
            yield (
                'Projects left out, as no aggregate has their origins: '
                f'{self._projects}; keep their file in [edge_filters] '
                'map_files'
            )
        many = [it.name for it in targets if it.changes and _is_many(it)]
        if many:
            yield (
                f'Aggregates of more than {metadata.KEYS_PER_SITE} keys, '
                f'which makes Nova slow: {len(many)} '
                f'({spelling.listed(many)}); put the figures into a map file '
                'with --to'
            )


def _homes(its: list[Target], host: str, key: str) -> list[Target]:
    """Return where a figure belongs: where it is, else into the first.

    Of several figures the worst would count.
    """
    if host:
        its = [it for it in its if it.has_host(host)]
    if len(its) < 2:
        return its
    return [it for it in its if it.has_key(key)] or its[:1]


def _dated(written: collections.abc.Mapping[str, str]) -> frozenset[str]:
    """Return the keys, in lower case, of the figures that have a time."""
    keys = set()
    for key, value in written.items():
        try:
            if sample_format.parse_sample(value).at is not None:
                keys.add(key.strip().lower())
        except ValueError:
            # It is no figure, or none that counts.
            pass
    return frozenset(keys)


def _networks(value: str) -> list[spelling.Network]:
    return [spelling.parse_network(it) for it in value.split(',') if it]


def _is_many(target: Target) -> bool:
    folded = (key.strip().lower() for key in target.then.metadata)
    ours = sum(key.startswith(metadata.PREFIX) for key in folded)
    return ours > metadata.KEYS_PER_SITE
