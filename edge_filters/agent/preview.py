# SPDX-License-Identifier: Apache-2.0
"""WHAT WOULD BE WRITTEN? A table of it, for a person."""

import collections.abc

import prettytable

from edge_filters import spelling
from edge_filters.agent import change

_COLUMNS = ('Site', 'Key', 'Published', 'Would be', 'Why')


def table(changes: collections.abc.Sequence[change.Change]) -> str:
    """Return a table with a row for each key that would be written."""
    if not changes:
        return 'Nothing would be written.'
    rows = prettytable.PrettyTable(_COLUMNS)
    rows.align = 'l'
    for it in changes:
        rows.add_row(
            [
                spelling.printable(text)
                for text in (
                    it.site,
                    it.key,
                    it.before or '',
                    '(removed)' if it.after is None else it.after,
                    it.why,
                )
            ]
        )
    return str(rows.get_string())
