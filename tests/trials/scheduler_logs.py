# SPDX-License-Identifier: Apache-2.0
"""WHAT DID THE SCHEDULERS SAY? Their decisions, complaints and failures."""

import collections
import dataclasses
import datetime
import re

from tests.cloud import base

# oslo.log begins a line with date, time, process ID and level.
_LINE = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) \d+ ([A-Z]+) ')
_DECISION = re.compile(r'Edge decision .* for server ([0-9a-f-]{36}), ')
_NEAREST = re.compile(
    r'; nearest: (\S+) is ([0-9.]+) ms(?: \([^)]*\))? from ([^ ,]+)'
)
_OURS = re.compile(r' (WARNING|ERROR|CRITICAL) edge_filters\.')
_FRAME = re.compile(r'File "[^"]*/edge_filters/')


@dataclasses.dataclass(frozen=True)
class Decision:
    """A line that a decision has.

    :ivar when: seconds since the epoch
    :ivar rtt_ms: of the nearest site that passed; None: it does not say
    :ivar site: that site; None: the same
    """

    when: float
    rtt_ms: float | None
    site: str | None


@dataclasses.dataclass
class Said:
    """What all schedulers, and nova-api, said of one trial.

    :ivar decisions: by server
    :ivar complaints: of ours, from WARNING on, as they were said
    :ivar failures: lines of tracebacks that lead through edge_filters
    """

    decisions: dict[str, list[Decision]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(list)
    )
    complaints: list[str] = dataclasses.field(default_factory=list)
    failures: list[str] = dataclasses.field(default_factory=list)


def ends():
    """Return how long each log is now, by its path."""
    return {
        path: path.stat().st_size
        for pattern in ('nova-scheduler-*.log', 'nova-api.log')
        for path in sorted(base.LOGS.glob(pattern))
    }


def read(since):
    """Return what was said since then.

    :param since: what :func:`ends` returned
    :returns: Said
    """
    said = Said()
    for path in ends():
        with path.open('rb') as log:
            log.seek(since.get(path, 0))
            text = log.read().decode(errors='replace')
        for line in text.splitlines():
            _take(line, said)
    return said


def _take(line, said):
    if _FRAME.search(line):
        said.failures.append(line.strip())
    if _OURS.search(line):
        said.complaints.append(line.strip())
    stamp, decision = _LINE.match(line), _DECISION.search(line)
    if stamp and decision:
        nearest = _NEAREST.search(line)
        said.decisions[decision[1]].append(
            Decision(
                datetime.datetime.fromisoformat(stamp[1]).timestamp(),
                float(nearest[2]) if nearest else None,
                nearest[1] if nearest else None,
            )
        )
