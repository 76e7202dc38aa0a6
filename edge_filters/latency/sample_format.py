# SPDX-License-Identifier: Apache-2.0
"""HOW IS A FIGURE WRITTEN? The text of one sample, as read and written."""

import datetime
import re

from edge_filters import spelling
from edge_filters.latency import sample

# The fields that are known, of which the names need not be matched.
_FIELDS = frozenset(('jitter', 'loss', 'n', 'at', 'by', 'agent'))
_FIELD = re.compile(r'[a-z_]+')
_WORD = re.compile(r'[a-zA-Z0-9_.\-]{1,32}')

# Of what can be read, all can be written: a number as Python writes it, unless
# it is 0, and a time with a year of four digits, whatever its zone.
_MIN, _MAX = 1e-99, 1e99
_END_S = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC).timestamp()


def parse_sample(text: str, may_be_bound: bool = False) -> sample.Sample:
    """Read one figure.

    Written by hand it is an RTT in milliseconds, ``12.4``; the agent adds to
    it: ``12.4 jitter=0.8 loss=0 n=20 at=2026-11-23T10:00:00Z by=icmp``. Where
    every probe was lost the RTT is ``-``: ``- loss=100 n=20``. Fields that
    are not known are passed over, so that a newer agent may add one.

    :param may_be_bound: whether ``>100``, farther than 100 ms, may be read
    :raises ValueError: if it cannot be read; the message says why and what
        to write instead
    """
    words = text.split()
    if not words:
        raise ValueError('is empty; write for instance 12.4')
    fields: dict[str, str] = {}
    for word in words[1:]:
        name, _, value = word.partition('=')
        if not value or not (name in _FIELDS or _FIELD.fullmatch(name)):
            raise ValueError(
                f'is skipped: {spelling.shown(word)} is not of the form '
                'name=value; write for instance 12.4 jitter=0.8'
            )
        if name in fields:
            raise ValueError(f'is skipped: {name} is given twice')
        fields[name] = value
    loss_pct = _parse_field(fields, 'loss', maximum=100)
    rtt_ms = None
    kind = sample.Kind.FIGURE
    if may_be_bound and words[0].startswith('>'):
        kind = sample.Kind.BOUND
        words[0] = words[0].removeprefix('>')
    if words[0] != '-' or kind is sample.Kind.BOUND:
        rtt_ms = _parse_figure('the RTT', words[0])
    elif loss_pct != 100:
        raise ValueError('is skipped: without an RTT it has to say loss=100')
    if loss_pct == 100:
        # No RTT makes up for a loss of everything, nor does a bound.
        rtt_ms, kind = None, sample.Kind.FIGURE
    return sample.Sample(
        rtt_ms,
        _parse_field(fields, 'jitter'),
        loss_pct,
        _parse_count(fields),
        _parse_time(fields),
        _parse_source(fields),
        kind,
    )


def _parse_figure(what: str, text: str, maximum: float = _MAX) -> float:
    try:
        number = spelling.parse_number(text, maximum)
        if 0 < number < _MIN:
            raise ValueError(f'is less than {_MIN:g}')
        return number
    except ValueError as error:
        raise ValueError(
            f'is skipped: {what} {spelling.shown(text)} {error}'
        ) from None


def _parse_field(
    fields: dict[str, str], name: str, maximum: float = _MAX
) -> float | None:
    if name not in fields:
        return None
    return _parse_figure(name, fields[name], maximum)


def _parse_count(fields: dict[str, str]) -> int | None:
    count = _parse_field(fields, 'n', maximum=1e9)
    if count is None:
        return None
    if count != int(count):
        raise ValueError(f'is skipped: n={fields["n"]} is not a whole number')
    return int(count)


def _parse_time(fields: dict[str, str]) -> float | None:
    if 'at' not in fields:
        return None
    text = fields['at']
    try:
        time = datetime.datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError(text)
        at = time.timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f'is skipped: at={spelling.shown(text)} is not a time such '
            'as 2026-11-23T10:00:00Z'
        ) from None
    if not 0 <= at < _END_S:
        raise ValueError(
            f'is skipped: at={spelling.shown(text)} is not within the years '
            '1970 to 9998'
        )
    return at


def _parse_source(fields: dict[str, str]) -> str | None:
    source = fields.get('by')
    if source is not None and not _WORD.fullmatch(source):
        raise ValueError(
            f'is skipped: by={spelling.shown(source)} is not a word of up to '
            '32 letters'
        )
    # Thousands of figures are by the same.
    return source and spelling.shared(source)


def parse_agent(text: str) -> str:
    """Return the name of the agent that wrote a figure; empty: none did."""
    for word in text.split()[1:]:
        name, _, value = word.partition('=')
        if name == 'agent':
            return value
    return ''


def format_sample(figure: sample.Sample, agent: str = '') -> str:
    """Write one figure as :func:`parse_sample` reads it.

    Numbers are written exactly as they are, the time in whole seconds.

    :param agent: name of the agent that writes it; empty: none does
    :raises ValueError: if it could not be read then, which is never so of a
        figure that was read
    """
    rtt = '-' if figure.rtt_ms is None else _format(figure.rtt_ms)
    words = ['>' + rtt if figure.kind is sample.Kind.BOUND else rtt]
    if figure.jitter_ms is not None:
        words.append(f'jitter={_format(figure.jitter_ms)}')
    if figure.loss_pct is not None:
        words.append(f'loss={_format(figure.loss_pct)}')
    if figure.probes is not None:
        words.append(f'n={figure.probes}')
    if figure.at is not None:
        if not 0 <= figure.at < _END_S:
            raise ValueError('has a time that cannot be written')
        time = datetime.datetime.fromtimestamp(figure.at, datetime.UTC)
        words.append(f'at={time:%Y-%m-%dT%H:%M:%SZ}')
    if figure.source is not None:
        words.append(f'by={figure.source}')
    if agent:
        words.append(f'agent={agent}')
    return ' '.join(words)


def _format(number: float) -> str:
    if number and not _MIN <= number <= _MAX:
        raise ValueError(
            f'has {number:g}, which is not within {_MIN:g} to {_MAX:g}'
        )
    # A negative zero is a zero, and could not be read.
    return repr(float(number) + 0.0).removesuffix('.0')
