# SPDX-License-Identifier: Apache-2.0
"""HOW IS A SITE A ROW? One for each of its hosts, or one if it has none.

What is the site's stands in every one of its rows, or in some, but nowhere
otherwise. An empty cell says nothing.
"""

import collections.abc
import re
import typing

from osc_lib import exceptions

from edge_filters import cloud
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.osc import table

# The columns that are the site's, and the keys that they are.
KEYS = {
    'latitude': metadata.LATITUDE,
    'longitude': metadata.LONGITUDE,
    'tier': metadata.TIER,
    'prefixes': metadata.PREFIXES,
    'status': metadata.STATUS,
    'weight_multiplier': metadata.MULTIPLIER,
}
COLUMNS = (
    'site',
    'host',
    'latitude',
    'longitude',
    'tier',
    'prefixes',
    'aggregate',
    'status',
    'weight_multiplier',
)

# How many characters Nova keeps of a value, and of the name of an aggregate.
_MAX_VALUE = 255
_MAX_NAME = 255

_HOST = re.compile(r'[a-zA-Z0-9_.\-]{1,255}')


class Entry(typing.NamedTuple):
    """What a row says.

    :param where: the file and the line
    :param site: the name of the site
    :param aggregate: the name of its aggregate; empty: it is not told
    :param host: a host of that; empty: none
    :param values: metadata of that, as it is written
    """

    where: str
    site: str
    aggregate: str
    host: str
    values: collections.abc.Mapping[str, str]


def read(tables: collections.abc.Iterable[table.Table]) -> list[Entry]:
    """Return what tables say.

    :raises osc_lib.exceptions.CommandError: if they cannot be read, or
        contradict each other
    """
    told = table.Told()
    entries = []
    for its in tables:
        its.check(('site',), COLUMNS)
        for row in its.rows:
            entry = _entry(row)
            about = entry.aggregate or (entry.site,)
            told.tell((about, ''), 'the site', entry.site, row.where)
            for key, value in entry.values.items():
                what = f'{key} of {entry.site}'
                told.tell((about, key), what, value, row.where)
            entries.append(entry)
    return entries


def _entry(row: table.Row) -> Entry:
    cells = row.cells
    if 'site' not in cells:
        raise table.wrong(row.where, 'there is no site; name it')
    if ('latitude' in cells) != ('longitude' in cells):
        raise table.wrong(
            row.where, 'a position is latitude and longitude; give both'
        )
    return Entry(
        row.where,
        parsed(row, 'site', spelling.parse_name),
        parsed(row, 'aggregate', parse_aggregate),
        parsed(row, 'host', parse_host),
        {
            KEYS[column]: parsed(row, column, parse)
            for column, parse in _PARSE.items()
            if column in cells
        },
    )


def parsed(
    row: table.Row,
    column: str,
    parse: collections.abc.Callable[[str], str],
) -> str:
    """Return a cell as its parser does; an empty one as it is."""
    text = row.cells.get(column, '')
    try:
        return parse(text) if text else text
    except ValueError as error:
        raise table.wrong(
            row.where, f'{column} {spelling.shown(text)} {error}'
        ) from None


def parse_host(text: str) -> str:
    """Return the name of a host, as Nova has it."""
    if not _HOST.fullmatch(text):
        raise ValueError(
            'is not the name of a host; they are listed by: openstack compute '
            'service list --service nova-compute'
        )
    return text


def parse_aggregate(text: str) -> str:
    """Return the name of an aggregate."""
    if len(text) > _MAX_NAME or not text.isprintable():
        raise ValueError(
            f'is not the name of an aggregate: use 1 to {_MAX_NAME} letters'
        )
    return text


def _parse_prefixes(text: str) -> str:
    networks = []
    for word in text.replace(',', ' ').split():
        try:
            networks.append(spelling.parse_network(word))
        except ValueError as error:
            raise ValueError(
                f'has {spelling.shown(word)}, which {error}'
            ) from None
    return _joined(networks)


def prefixes_value(
    name: str, prefixes: collections.abc.Iterable[spelling.Network]
) -> str:
    """Return prefixes of a site as metadata has them.

    :raises osc_lib.exceptions.CommandError: if Nova has no room for them
    """
    value = _joined(prefixes)
    if len(value) > _MAX_VALUE:
        raise exceptions.CommandError(
            f'The prefixes of {name} take {len(value)} characters, and Nova '
            f'keeps {_MAX_VALUE}; put them into a map file'
        )
    return value


def _joined(prefixes: collections.abc.Iterable[spelling.Network]) -> str:
    return ','.join(map(spelling.shown_network, dict.fromkeys(prefixes)))


def _parse_multiplier(text: str) -> str:
    return repr(spelling.parse_number(text)).removesuffix('.0')


_PARSE: dict[str, collections.abc.Callable[[str], str]] = {
    'latitude': lambda text: str(spelling.parse_degrees(text, 90)),
    'longitude': lambda text: str(spelling.parse_degrees(text, 180)),
    'tier': spelling.parse_name,
    'prefixes': _parse_prefixes,
    'status': lambda text: spelling.parse_choice(
        text, tuple(metadata.STATUSES)
    ),
    'weight_multiplier': _parse_multiplier,
}


def rows(
    aggregate: cloud.Aggregate, record: metadata.SiteRecord
) -> list[dict[str, str]]:
    """Return an aggregate as rows, without what cannot be read."""
    cells = {'site': record.site, 'aggregate': aggregate.name}
    there = {key.strip().lower(): it for key, it in aggregate.metadata.items()}
    if record.position is not None:
        cells['latitude'] = str(record.position.latitude)
        cells['longitude'] = str(record.position.longitude)
    if record.tier is not None:
        cells['tier'] = record.tier
    cells['prefixes'] = _joined(record.prefixes).replace(',', ' ')
    # Where none can be read a site is active, but nobody has said so.
    if any(
        key.strip().lower() == metadata.STATUS
        and it.strip().lower() in metadata.STATUSES
        for key, it in aggregate.metadata.items()
    ):
        cells['status'] = record.status.name.lower()
    try:
        multiplier = _parse_multiplier(there.get(metadata.MULTIPLIER, ''))
        cells['weight_multiplier'] = multiplier
    except ValueError:
        pass
    return [{**cells, 'host': host} for host in sorted(aggregate.hosts)] or [
        cells
    ]
