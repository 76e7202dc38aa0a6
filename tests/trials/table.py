# SPDX-License-Identifier: Apache-2.0
"""WHAT DO THE RUNS SAY? Medians, tables, and rules that were broken.

::

    python -m tests.trials.table ours.json stock.json

prints them side by side, as a table for the documentation. Exits with 1 if
there is more of something than with stock Nova.
"""

import collections
import json
import pathlib
import statistics
import sys

COLUMNS = (
    'active',
    'error',
    'mute',
    'stuck',
    'lost',
    'refused',
    'leaked',
    'left_over',
    'undeletable',
    'outside',
    'stale',
    'unlearned',
    'unmapped',
    'updates',
    'updates_refused',
    'complaints',
    'failures',
    'recovery_s',
    'per_minute',
)
# Of edge-filters, or of how the trial went.
_OWN = ('outside', 'stale', 'unlearned', 'unmapped', 'per_minute')
# What the median must not be more of than that of stock Nova.
COMPARED = ('mute', 'stuck', 'lost', 'leaked', 'left_over', 'undeletable')
# A message that tells of a change is lost with it.
_LOSES_MESSAGES = 'broker'
# Nova sets those on their way to ERROR without a word.
_MUTES = 'computes'
# What there has to be to count anything.
_LEAST_PER_MINUTE = 450


def median(values):
    """Return the median; None where half of the values are none."""
    known = [float('inf') if it is None else it for it in values]
    middle = statistics.median(known) if known else None
    return None if middle == float('inf') else middle


def medians(results, fault):
    """Return the medians of the trials of a fault, by name of a count."""
    trials = [
        it
        for it in results['trials']
        if it['fault'] == fault and 'failed' not in it
    ]
    return {name: median([it.get(name) for it in trials]) for name in COLUMNS}


def faults(results):
    return list(dict.fromkeys(it['fault'] for it in results['trials']))


def line(counts):
    """Return what one trial came to, in a line."""
    if 'failed' in counts:
        return f'{counts["run"]} {counts["fault"]}: {counts["failed"]}'
    figures = ' '.join(
        f'{name}={counts[name]}' for name in COLUMNS if counts.get(name)
    )
    return f'{counts["run"]} {counts["fault"]}: {figures}'


def of_runs(results):
    """Return a table of the medians, a fault a line."""
    return _grid(
        ['fault', *COLUMNS],
        [
            [fault, *map(_shown, medians(results, fault).values())]
            for fault in faults(results)
        ],
    )


def compared(ours, stock):
    """Return the medians of both side by side: ours / those of stock Nova."""
    names = [it for it in COLUMNS if it not in _OWN]
    rows = []
    for fault in faults(ours):
        mine, others = medians(ours, fault), medians(stock, fault)
        rows.append(
            [
                fault,
                *(
                    f'{_shown(mine[it])} / {_shown(others[it])}'
                    for it in names
                ),
            ]
        )
    return _grid(['fault', *names], rows)


def more(ours, stock):
    """Return a sentence for each count that is more than that of stock."""
    return [
        f'{fault}: {_shown(mine[name])} {name}, of stock Nova '
        f'{_shown(others[name])}.'
        for fault in faults(ours)
        for mine, others in [(medians(ours, fault), medians(stock, fault))]
        for name in COMPARED
        if None in (mine[name], others[name]) or mine[name] > others[name]
    ]


def broken_rules(results):
    """Return a sentence for each rule that edge-filters did not keep."""
    sentences = []
    for it in results['trials']:
        where = f'Run {it["run"] + 1}, {it["fault"]}'
        if 'failed' in it:
            sentences.append(f'{where}: the trial failed: {it["failed"]}.')
            continue
        if it['recovery_s'] is None:
            sentences.append(f'{where}: it did not recover.')
        if it['fault'] == 'none' and (
            2 * it['active'] < results['boots']
            or it['per_minute'] < _LEAST_PER_MINUTE
        ):
            sentences.append(
                f'{where}: {it["active"]} servers and {it["per_minute"]} '
                'updates a minute are too few.'
            )
        mute = 'mute_unplaced' if it['fault'] == _MUTES else 'mute'
        if results['edge_filters']:
            sentences += [
                f'{where}: {it[name]} {what}.'
                for name, what in (
                    ('outside', 'servers are outside of their budgets'),
                    ('stale', 'servers are where they were near before'),
                    (mute, 'servers are in ERROR without a reason'),
                    ('unmapped', 'servers miss what the map file said'),
                    ('failures', 'tracebacks lead through edge_filters'),
                )
                if it[name]
                and not (name == 'stale' and it['fault'] == _LOSES_MESSAGES)
            ]
    return sentences


def _shown(value):
    if value is None:
        return '-'
    return f'{value:g}'


def _grid(head, rows):
    """Return a simple table of reStructuredText."""
    widths = [
        max(len(row[number]) for row in (head, *rows))
        for number in range(len(head))
    ]
    rule = '  '.join('=' * width for width in widths)
    body = [
        '  '.join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in (head, *rows)
    ]
    return '\n'.join([rule, body[0], rule, *body[1:], rule])


def unlike(ours, stock):
    """Return a sentence if the two cannot be compared."""

    def runs(results):
        return collections.Counter(
            it['fault'] for it in results['trials'] if 'failed' not in it
        )

    if (ours['edge_filters'], stock['edge_filters']) != (True, False):
        return ['Give the file of edge-filters, and then that of stock Nova.']
    if (ours['boots'], runs(ours)) != (stock['boots'], runs(stock)):
        return [
            'The two have other faults, or other numbers of runs or boots.'
        ]
    return []


def main(paths):
    ours, stock = (json.loads(pathlib.Path(it).read_text()) for it in paths)
    print(compared(ours, stock))
    sentences = unlike(ours, stock) + more(ours, stock)
    for sentence in sentences:
        print(sentence)
    return 1 if sentences else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
