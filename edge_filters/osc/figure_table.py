# SPDX-License-Identifier: Apache-2.0
"""HOW IS A FIGURE A ROW? Its parts are written as those of metadata are."""

import collections.abc
import typing

from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.latency import sample_format
from edge_filters.osc import site_table
from edge_filters.osc import table

# The column that no other table has.
RTT = 'rtt_ms'

# What stands for the origins that are not listed.
DEFAULT = '*'

# The columns that are fields of a sample, and the names that those have.
_FIELDS = {
    'jitter_ms': 'jitter',
    'loss_pct': 'loss',
    'probes': 'n',
    'at': 'at',
    'source': 'by',
}
COLUMNS = (
    'origin',
    'site',
    'host',
    RTT,
    *_FIELDS,
    'aggregate',
    'from_site',
)

# How many characters Nova has for a key.
_MAX_KEY = 255


class Entry(typing.NamedTuple):
    """What a row says.

    :param where: the file and the line
    :param site: the name of the site
    :param aggregate: the name of its aggregate; empty: it is not told
    :param host: the host of the site, in lower case; empty: it is of all
    :param origin: where the users are; empty: it is between two sites
    :param key: the key of metadata
    :param figure: the figure
    """

    where: str
    site: str
    aggregate: str
    host: str
    origin: str
    key: str
    figure: sample.Sample

    @property
    def value(self) -> str:
        """The figure as metadata has it."""
        return sample_format.format_sample(self.figure)


def read(tables: collections.abc.Iterable[table.Table]) -> list[Entry]:
    """Return what tables say.

    :raises osc_lib.exceptions.CommandError: if they cannot be read, or
        contradict each other
    """
    told = table.Told()
    entries = []
    for its in tables:
        its.check(('site', RTT), COLUMNS)
        for row in its.rows:
            entry = _entry(row)
            about = (entry.site, entry.aggregate, entry.key)
            what = f'{entry.key} of {entry.site}'
            told.tell(about, what, entry.value, row.where)
            entries.append(entry)
    return entries


def _entry(row: table.Row) -> Entry:
    cells = row.cells
    for column in ('site', RTT):
        if column not in cells:
            raise table.wrong(row.where, f'there is no {column}; give it')
    if ('origin' in cells) == ('from_site' in cells):
        raise table.wrong(
            row.where,
            'a figure is from an origin or from a site; give origin or '
            'from_site',
        )
    origin = cells.get('origin', '')
    if origin != DEFAULT:
        origin = site_table.parsed(row, 'origin', spelling.parse_name)
    host = site_table.parsed(row, 'host', site_table.parse_host).lower()
    if host and (not origin or origin == DEFAULT):
        raise table.wrong(
            row.where, 'a host has figures from origins only; leave host empty'
        )
    if not origin:
        other = site_table.parsed(row, 'from_site', spelling.parse_name)
        key = metadata.SITE_RTT + other
    elif origin == DEFAULT:
        key = metadata.RTT_DEFAULT
    else:
        key = metadata.rtt_key(origin, host)
    if len(key) > _MAX_KEY:
        raise table.wrong(
            row.where,
            f'the key of the figure would have {len(key)} characters, and '
            f'Nova keeps {_MAX_KEY}; put it into a map file',
        )
    return Entry(
        row.where,
        site_table.parsed(row, 'site', spelling.parse_name),
        site_table.parsed(row, 'aggregate', site_table.parse_aggregate),
        host,
        origin,
        key,
        _figure(row, origin == DEFAULT),
    )


def _figure(row: table.Row, may_be_bound: bool) -> sample.Sample:
    words = [row.cells[RTT]]
    for column, name in _FIELDS.items():
        if column in row.cells:
            words.append(f'{name}={row.cells[column]}')
    text = ' '.join(words)
    try:
        if len(text.split()) > len(words):
            raise ValueError('has a space inside of a cell; take it out')
        return sample_format.parse_sample(text, may_be_bound)
    except ValueError as error:
        why = str(error).removeprefix('is skipped: ')
        raise table.wrong(
            row.where, f'{spelling.shown(text)} is no figure: {why}'
        ) from None


def row(figure: sample.Sample, **names: str) -> dict[str, str]:
    """Return a figure as a row.

    :param names: what it is of, by column
    :raises ValueError: if it cannot be read again
    """
    rtt, *words = sample_format.format_sample(figure).split()
    fields = dict(word.split('=') for word in words)
    return {
        **names,
        RTT: rtt,
        **{
            column: fields[name]
            for column, name in _FIELDS.items()
            if name in fields
        },
    }
