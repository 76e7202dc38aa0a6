# SPDX-License-Identifier: Apache-2.0
"""HOW IS A TABLE A FILE? CSV, as people and spreadsheets write it.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a
formula. Such a cell gets an apostrophe before it, unless it is a number, and
loses it again where it is read.
"""

import collections
import collections.abc
import csv
import io
import re
import typing

from osc_lib import exceptions

from edge_filters import spelling

# What separates cells: spreadsheets write what the country's custom is.
_DELIMITERS = ',;\t'

_OTHER_NAMES = {'lat': 'latitude', 'lon': 'longitude'}

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r'[+-]?[0-9.]*')


class Row(typing.NamedTuple):
    """A row of a table.

    :param where: the file and the line, as a sentence begins with them
    :param cells: what is not empty, by column
    """

    where: str
    cells: collections.abc.Mapping[str, str]


class Table(typing.NamedTuple):
    """A table of a file.

    :param file: its name
    :param columns: the names of its columns, in lower case
    :param rows: its rows, without those that are empty
    """

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def check(
        self,
        needed: collections.abc.Iterable[str],
        known: collections.abc.Sequence[str],
    ) -> None:
        """Raise, unless it has the columns needed, and no unknown ones."""
        for name in needed:
            if name not in self.columns:
                raise wrong(self.file, f'there is no column {name}; add it')
        for name in self.columns:
            if name not in known:
                raise wrong(
                    self.file,
                    f'there is no such column as {spelling.shown(name)}; '
                    f'leave it out, or use one of {", ".join(known)}',
                )


class Told:
    """What rows say, of whatever; no row may contradict another."""

    def __init__(self) -> None:
        self._told: dict[typing.Hashable, tuple[str, str]] = {}

    def tell(
        self, of: typing.Hashable, what: str, value: str, where: str
    ) -> None:
        """Note what a row says.

        :param of: what it is about
        :param what: the same, for people
        :raises osc_lib.exceptions.CommandError: if another said otherwise
        """
        other, before = self._told.setdefault(of, (value, where))
        if other != value:
            raise wrong(
                where,
                f'{what} is {spelling.shown(value)}, but '
                f'{spelling.shown(other)} at {before}; make them agree',
            )


def wrong(where: str, why: str) -> exceptions.CommandError:
    """Return what to say of a file, or of a row."""
    return exceptions.CommandError(f'{where}: {why}')


def parse(file: str, content: bytes) -> Table:
    """Read a table.

    :param file: its name
    :raises osc_lib.exceptions.CommandError: if it is none
    """
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise wrong(
            f'{file}, line {line}',
            'it is not UTF-8; save the file as CSV in UTF-8',
        ) from None
    header = next((it for it in text.splitlines() if it.strip()), '')
    delimiter = max(_DELIMITERS, key=header.count)
    lines = csv.reader(
        io.StringIO(text, newline=''), delimiter=delimiter, strict=True
    )
    columns: tuple[str, ...] = ()
    rows = []
    try:
        for cells in lines:
            cells = [_unescaped(it.strip()) for it in cells]
            where = f'{file}, line {lines.line_num}'
            if not any(cells):
                continue
            if not columns:
                columns = _columns(where, cells)
                continue
            if any(cells[len(columns) :]):
                raise wrong(
                    where,
                    f'there are {len(cells)} cells under {len(columns)} '
                    f'columns; put quotation marks around what has a '
                    f'{delimiter!r} in it',
                )
            named = zip(columns, cells, strict=False)
            rows.append(Row(where, {name: it for name, it in named if it}))
    except csv.Error as error:
        where = f'{file}, line {lines.line_num}'
        raise wrong(where, f'it is no CSV: {error}; mend the line') from None
    return Table(file, columns, tuple(rows))


def _columns(where: str, cells: list[str]) -> tuple[str, ...]:
    while not cells[-1]:
        cells = cells[:-1]
    names = [_OTHER_NAMES.get(it.lower(), it.lower()) for it in cells]
    for name, count in collections.Counter(names).items():
        if count > 1:
            raise wrong(
                where,
                f'there is more than one column {spelling.shown(name)}; '
                'leave one',
            )
    return tuple(names)


def text(
    columns: collections.abc.Sequence[str],
    rows: collections.abc.Iterable[collections.abc.Mapping[str, str]],
) -> str:
    """Return a table as :func:`parse` reads it."""
    file = io.StringIO(newline='')
    lines = csv.writer(file, lineterminator='\n')
    lines.writerow(columns)
    for row in rows:
        lines.writerow([_escaped(row.get(name, '')) for name in columns])
    return file.getvalue()


def _escaped(cell: str) -> str:
    is_formula = _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return "'" + cell if is_formula else cell


def _unescaped(cell: str) -> str:
    is_escaped = cell.startswith("'") and _FORMULA.match(cell)
    return cell[1:] if is_escaped else cell
