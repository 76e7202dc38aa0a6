# SPDX-License-Identifier: Apache-2.0
"""HOW IS IT WRITTEN? The metadata of a host aggregate that is a site.

The one place that knows the keys and the form of their values; whoever reads
or writes a site's metadata does it through this module.
"""

import collections.abc
import dataclasses
import datetime
import re

from edge_filters import spelling
from edge_filters.latency import sample

# Every key of ours; no other key of an aggregate is read.
PREFIX = 'edge:'

# The name of the site. An aggregate with this key is a site.
SITE = 'edge:site'

# edge:rtt:ORIGIN. RTT between the users of an origin and the site.
RTT = 'edge:rtt:'

# edge:host_rtt:HOST:ORIGIN. The same for one host of the site: it wins over
# the figure of the site.
HOST_RTT = 'edge:host_rtt:'

# How many keys a site may have before Nova becomes slow: it loads an
# aggregate as hosts x keys rows.
KEYS_PER_SITE = 64

_FIELD = re.compile(r'([a-z_]+)=(\S+)')
_WORD = re.compile(r'[a-zA-Z0-9_.\-]{1,32}')


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """A key of a site that is skipped, and why, in words."""

    site: str
    key: str
    value: str
    why: str

    def __str__(self) -> str:
        key = spelling.shown(self.key).strip("'")
        value = spelling.shown(self.value)
        return f'site {self.site}: {key}={value} {self.why}'


@dataclasses.dataclass(frozen=True, slots=True)
class SiteRecord:
    """What one aggregate says of a site.

    :param site: name of the site
    :param hosts: its hosts, in lower case
    :param samples: figures by origin
    :param host_samples: figures by host (in lower case), then origin
    """

    site: str
    hosts: frozenset[str]
    samples: collections.abc.Mapping[str, sample.Sample]
    host_samples: collections.abc.Mapping[
        str, collections.abc.Mapping[str, sample.Sample]
    ]


def parse_site(
    metadata: collections.abc.Mapping[str, str],
    hosts: collections.abc.Iterable[str],
) -> tuple[SiteRecord | None, list[Problem]]:
    """Read the metadata of one aggregate.

    :returns: the site, or None if the aggregate is none; and what had to be
        skipped. It never raises, whatever the metadata.
    """
    keys = sorted(
        (key.strip().lower(), key, value)
        for key, value in metadata.items()
        if key.strip().lower().startswith(PREFIX)
    )
    names = [(key, value) for folded, key, value in keys if folded == SITE]
    if not names:
        return None, []
    key, value = names[0]
    try:
        site = spelling.parse_name(value)
    except ValueError as error:
        return None, [
            Problem('unnamed', key, value, f'{error}; the site is ignored')
        ]

    problems: list[Problem] = []
    by_origin: dict[str, sample.Sample] = {}
    by_host: dict[str, dict[str, sample.Sample]] = {}
    for folded, key, value in keys:
        try:
            if folded == SITE:
                continue
            elif folded.startswith(RTT):
                origin = _parse_origin(folded.removeprefix(RTT))
                _keep(by_origin, origin, parse_sample(value))
            elif folded.startswith(HOST_RTT):
                host, _, name = folded.removeprefix(HOST_RTT).partition(':')
                origin = _parse_origin(name)
                figure = parse_sample(value)
                _keep(by_host.setdefault(host.strip(), {}), origin, figure)
            else:
                raise ValueError('is skipped: no such key is known')
        except ValueError as error:
            problems.append(Problem(site, key, value, str(error)))
    if len(keys) > KEYS_PER_SITE:
        problems.append(
            Problem(
                site,
                PREFIX + '*',
                str(len(keys)),
                f'are more than {KEYS_PER_SITE} keys, which makes Nova load '
                'aggregates slowly; publish only the nearest sites of an '
                'origin',
            )
        )
    folded_hosts = frozenset(host.lower() for host in hosts)
    return SiteRecord(site, folded_hosts, by_origin, by_host), problems


def _keep(
    figures: dict[str, sample.Sample], origin: str, figure: sample.Sample
) -> None:
    """Add a figure; of two keys that differ in case the worse one counts."""
    if origin in figures:
        figure = sample.worst(figures[origin], figure)
    figures[origin] = figure


def _parse_origin(name: str) -> str:
    try:
        return spelling.parse_name(name)
    except ValueError as error:
        raise ValueError(
            f'is skipped: the origin {spelling.shown(name)} {error}'
        ) from None


def parse_sample(text: str) -> sample.Sample:
    """Read one figure.

    Written by hand it is an RTT in milliseconds, ``12.4``; the agent adds to
    it: ``12.4 jitter=0.8 loss=0 n=20 at=2026-11-23T10:00:00Z by=icmp``. Where
    every probe was lost the RTT is ``-``: ``- loss=100 n=20``. Fields that
    are not known are passed over, so that a newer agent may add one.

    :raises ValueError: if it cannot be read; the message says why and what
        to write instead
    """
    words = text.split()
    if not words:
        raise ValueError('is empty; write for instance 12.4')
    fields: dict[str, str] = {}
    for word in words[1:]:
        match = _FIELD.fullmatch(word)
        if not match:
            raise ValueError(
                f'is skipped: {spelling.shown(word)} is not of the form '
                'name=value; write for instance 12.4 jitter=0.8'
            )
        name, value = match.groups()
        if name in fields:
            raise ValueError(f'is skipped: {name} is given twice')
        fields[name] = value
    loss_pct = _parse_field(fields, 'loss', maximum=100)
    rtt_ms = None
    if words[0] != '-':
        rtt_ms = _parse_figure('the RTT', words[0])
    elif loss_pct != 100:
        raise ValueError('is skipped: without an RTT it has to say loss=100')
    return sample.Sample(
        # No RTT makes up for a loss of everything.
        rtt_ms=None if loss_pct == 100 else rtt_ms,
        jitter_ms=_parse_field(fields, 'jitter'),
        loss_pct=loss_pct,
        count=_parse_count(fields),
        at=_parse_time(fields),
        source=_parse_source(fields),
    )


def _parse_figure(
    what: str, text: str, maximum: float = float('inf')
) -> float:
    try:
        return spelling.parse_number(text, maximum)
    except ValueError as error:
        raise ValueError(
            f'is skipped: {what} {spelling.shown(text)} {error}'
        ) from None


def _parse_field(
    fields: dict[str, str], name: str, maximum: float = float('inf')
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
        return time.timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f'is skipped: at={spelling.shown(text)} is not a time in UTC '
            'such as 2026-11-23T10:00:00Z'
        ) from None


def _parse_source(fields: dict[str, str]) -> str | None:
    source = fields.get('by')
    if source is not None and not _WORD.fullmatch(source):
        raise ValueError(
            f'is skipped: by={spelling.shown(source)} is not a word of up to '
            '32 letters'
        )
    return source


def format_sample(figure: sample.Sample) -> str:
    """Write one figure as :func:`parse_sample` reads it.

    Numbers are written exactly as they are, the time in whole seconds.
    """
    words = ['-' if figure.rtt_ms is None else _format(figure.rtt_ms)]
    if figure.jitter_ms is not None:
        words.append(f'jitter={_format(figure.jitter_ms)}')
    if figure.loss_pct is not None:
        words.append(f'loss={_format(figure.loss_pct)}')
    if figure.count is not None:
        words.append(f'n={figure.count}')
    if figure.at is not None:
        time = datetime.datetime.fromtimestamp(figure.at, datetime.UTC)
        words.append(f'at={time:%Y-%m-%dT%H:%M:%SZ}')
    if figure.source is not None:
        words.append(f'by={figure.source}')
    return ' '.join(words)


def _format(number: float) -> str:
    return repr(float(number)).removesuffix('.0')
