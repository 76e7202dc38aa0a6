# SPDX-License-Identifier: Apache-2.0
"""WHAT IS WRONG WITH THE SITES? Their keys, hosts and prefixes."""

import collections.abc

from edge_filters import cloud
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.osc import finding
from edge_filters.osc import lookup

# How many rows of hosts x keys Nova may load for all aggregates. So many take
# it about 3 s and 170 MB, at each start and each listing.
MAX_ROWS = 200_000

_UNSET = 'openstack aggregate unset --property <key> <aggregate>'

_Findings = collections.abc.Iterator[finding.Finding]


def findings(
    world: lookup.World,
    known_hosts: collections.abc.Container[str] | None = None,
) -> _Findings:
    """Yield what is wrong with the sites.

    :param known_hosts: the hosts that Nova has, in lower case; None: nobody
        knows
    """
    if not world.snapshot.sites:
        yield finding.Finding(
            'no-sites',
            metadata.SITE,
            'is a key of no aggregate: there are no sites',
            'make one with openstack edge site create',
        )
    yield from _of_keys(world)
    yield from _of_rows(world.sites.aggregates.values())
    for name in world.snapshot.sites:
        yield from _of_site(name, world.site(name))
    yield from _of_hosts(world, known_hosts)
    yield from _of_prefixes(world)
    yield from _of_maps(world)


def _of_keys(world: lookup.World) -> _Findings:
    """Yield the keys that no one reads, and those that are too many."""
    records = {
        its_id: record
        for its in world.snapshot.sites.values()
        for its_id, record in its.items()
    }
    for its_id, aggregate in world.sites.aggregates.items():
        for problem in world.sites.problems.get(its_id, ()):
            what = str(problem).removeprefix(f'site {problem.site}: ')
            if its_id not in records:
                check, remedy = 'site-unnamed', 'set edge:site to a name'
            elif problem.key == metadata.PREFIX + '*':
                check = 'too-many-keys'
                remedy = 'publish less, or put figures into a map file'
            else:
                check = 'key-skipped'
                remedy = f'set it to what it may be, or {_UNSET}'
            yield finding.Finding(check, aggregate.name, what, remedy)
        for key, why in _unread(aggregate, records.get(its_id)):
            yield finding.Finding(
                'key-unread', aggregate.name, f'has {key}: {why}', _UNSET
            )


def _unread(
    aggregate: cloud.Aggregate, record: metadata.SiteRecord | None
) -> collections.abc.Iterator[tuple[str, str]]:
    """Yield what of an aggregate is written in vain, and why."""
    if metadata.MULTIPLIER in aggregate.metadata:
        value = aggregate.metadata[metadata.MULTIPLIER]
        try:
            spelling.parse_number(value, maximum=1e9)
        except ValueError as error:
            yield (
                f'{metadata.MULTIPLIER}={spelling.shown(value)}',
                f'it {error}',
            )
    ours = {
        folded: key
        for key in sorted(aggregate.metadata)
        if (folded := key.strip().lower()).startswith(metadata.PREFIX)
    }
    if record is None:
        if ours and metadata.SITE not in ours:
            yield (
                spelling.listed(list(ours.values())),
                'without edge:site the aggregate is no site',
            )
        return
    for folded, key in ours.items():
        if folded.startswith(metadata.HOST_RTT):
            host = folded.removeprefix(metadata.HOST_RTT).partition(':')[0]
            if host.strip() and host.strip() not in record.hosts:
                yield key, 'the host is not in the aggregate'
        elif folded == metadata.SITE_RTT + record.site:
            yield key, 'it is the site itself'


def _of_rows(
    aggregates: collections.abc.Iterable[cloud.Aggregate],
) -> _Findings:
    # An aggregate without hosts or keys is a row, too.
    rows = sorted(
        (-max(len(it.hosts), 1) * max(len(it.metadata), 1), it.name)
        for it in aggregates
    )
    total = -sum(count for count, _ in rows)
    if total > MAX_ROWS:
        yield finding.Finding(
            'too-many-rows',
            'all aggregates',
            f'have {total} rows of hosts x keys, more than {MAX_ROWS}: Nova '
            'loads them all at each start and each listing; the most have '
            + ', '.join(name for _, name in rows[: spelling.MAX_LISTED]),
            'publish only the nearest sites of an origin, or put figures into '
            'a map file',
        )


def _of_site(name: str, found: lookup.Found) -> _Findings:
    if not any(record.hosts for _, record in found):
        yield finding.Finding(
            'site-without-hosts',
            name,
            'has no hosts: no server comes there',
            'openstack edge site set --host <host> <site>',
        )
    if not any(record.position for _, record in found):
        yield finding.Finding(
            'site-without-position',
            name,
            'has no position: how far it is from users who tell only theirs '
            '(edge:near) nobody knows',
            'openstack edge site set --latitude <degrees> --longitude '
            '<degrees> <site>',
        )


def _of_hosts(
    world: lookup.World,
    known_hosts: collections.abc.Container[str] | None,
) -> _Findings:
    remove = 'openstack aggregate remove host <aggregate> <host>'
    for host, place in world.snapshot.places.items():
        sites = spelling.listed(place.sites, ' and ')
        if len(place.sites) > 1:
            yield finding.Finding(
                'host-in-two-sites',
                host,
                f'is in the sites {sites}: the worse of their verdicts counts',
                f'leave it in the site that it is at: {remove}',
            )
        if known_hosts is not None and host not in known_hosts:
            yield finding.Finding(
                'host-unknown',
                host,
                f'of {sites} has no hypervisor that Nova knows',
                f'start its nova-compute, or take it away: {remove}',
            )


def _of_prefixes(world: lookup.World) -> _Findings:
    # The one table has not what the other has on its own.
    for table in (world.prefix_table, world.maps.prefix_table):
        for conflict in table.conflicts:
            winner = conflict.winner
            yield finding.Finding(
                'prefix-overlap' if conflict.is_overlap else 'prefix-twice',
                str(winner.prefix),
                f'of {winner.origin} ({winner.source}) is '
                f'{"inside" if conflict.is_overlap else "also"} '
                f'{conflict.loser}: {winner.origin} has it',
                'nothing, if it is meant as an exception'
                if conflict.is_overlap
                else 'take it away from one of the two',
            )
        if table.more_conflicts:
            yield finding.Finding(
                'prefix-overlap',
                'prefixes',
                f'there are {table.more_conflicts} more that have two origins',
                'mend those that are named first',
            )


def _of_maps(world: lookup.World) -> _Findings:
    """Yield the sites and hosts that a map file has figures of in vain."""
    snapshot, maps = world.snapshot, world.maps
    for what, names in (
        ('site', maps.samples.keys() - snapshot.sites.keys()),
        ('host of a site', maps.host_samples.keys() - snapshot.places.keys()),
    ):
        for name in names:
            yield finding.Finding(
                'map-file-unread',
                name,
                f'has figures in a map file, and there is no such {what}',
                'mend the file, or create the site: openstack edge site list '
                'has those that there are',
            )
