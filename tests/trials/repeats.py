# SPDX-License-Identifier: Apache-2.0
"""HAS IT BEEN SAID TWICE? What a log has of ours, and how often.

A warning is of a site and a key. Where it quotes the value of a key, another
value is no other warning.
"""

import collections
import dataclasses
import datetime
import re

INTERVAL_S = 600
# The clock of a log is not the clock that the rate limit goes by.
_TOLERANCE_S = 2

_LINE = re.compile(
    r'(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) (?P<pid>\d+) '
    r'(?P<level>[A-Z]+) (?P<logger>edge_filters\S*) '
    r'\[(?P<context>[^]]*)\] (?P<text>.*)'
)
_LOUD = ('WARNING', 'ERROR', 'CRITICAL')
_VALUE = re.compile(r'^(Aggregate \S+ .*?)=.*')
_COUNT = re.compile(r'\d+(?= more )')
_DECISION = re.compile(r'Edge decision .* for server ([0-9a-f-]+)')


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of ours in a log.

    :ivar at_s: when, in seconds since the epoch
    :ivar context: the request that it is about, as oslo.log has it
    """

    at_s: float
    pid: int
    level: str
    logger: str
    context: str
    text: str


@dataclasses.dataclass(frozen=True)
class Repeat:
    """A warning that was said again too soon."""

    line: Line
    after_s: float


def lines(text):
    """Yield the lines of ours in the text of a log."""
    for it in text.splitlines():
        if match := _LINE.match(it):
            at = datetime.datetime.fromisoformat(match['at'])
            yield Line(
                at.timestamp(),
                int(match['pid']),
                match['level'],
                match['logger'],
                match['context'],
                match['text'],
            )


def warnings(said):
    """Return those of the lines that an operator has to look at."""
    return [it for it in said if it.level in _LOUD]


def subject(line):
    """Return what a warning is about, for which it is said once."""
    return _COUNT.sub('N', _VALUE.sub(r'\1', line.text))


def repeats(said):
    """Return the warnings that a process said again before they were due."""
    before = {}
    found = []
    for it in warnings(said):
        key = (it.pid, it.logger, subject(it))
        after_s = it.at_s - before.get(key, -INTERVAL_S)
        if after_s < INTERVAL_S - _TOLERANCE_S:
            found.append(Repeat(it, after_s))
        before[key] = it.at_s
    return found


def decisions(said):
    """Return how often each decision was logged: a server in a request."""
    return collections.Counter(
        (it.context, match[1])
        for it in said
        if (match := _DECISION.match(it.text))
    )
