# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A SITE SAY? The metadata of a host aggregate that is a site.

The one place that knows the keys and the form of their values; whoever reads
or writes a site's metadata does it through this module.
"""

import collections.abc
import dataclasses
import enum
import typing

from edge_filters import spelling
from edge_filters.latency import estimate
from edge_filters.latency import figures
from edge_filters.latency import sample
from edge_filters.latency import sample_format

# Every key of ours but one; no other key of an aggregate is read.
PREFIX = 'edge:'

# The name of the site. An aggregate with this key is a site.
SITE = 'edge:site'

# A free word that says what sort of site it is: far-edge, near-edge, core.
TIER = 'edge:tier'

# Whether the site takes servers; see Status.
STATUS = 'edge:status'

# Where the site is, in WGS 84 degrees; of use only together.
LATITUDE = 'edge:latitude'
LONGITUDE = 'edge:longitude'

# edge:rtt:ORIGIN. RTT between the users of an origin and the site.
RTT = 'edge:rtt:'

# edge:host_rtt:HOST:ORIGIN. The same for one host of the site: it wins over
# the figure of the site.
HOST_RTT = 'edge:host_rtt:'

# RTT from known origins that are not listed: a figure or, as in ">100", what
# they are farther than.
RTT_DEFAULT = 'edge:rtt_default'

# edge:site_rtt:SITE. RTT to another site, either way.
SITE_RTT = 'edge:site_rtt:'

# Where the users attached to the site are: CIDRs, separated by commas. They
# form an origin that is named after the site.
PREFIXES = 'edge:prefixes'

# The multiplier of the weigher for the hosts of any aggregate, as each weigher
# of Nova has one.
MULTIPLIER = 'edge_latency_weight_multiplier'

# How many keys a site may have before Nova becomes slow: it loads an
# aggregate as hosts x keys rows.
KEYS_PER_SITE = 64


class Status(enum.IntEnum):
    """Whether a site takes servers; the larger is the stricter."""

    # It takes servers.
    ACTIVE = 0
    # No boots and no moves in from elsewhere; moves within the site.
    DRAINING = 1
    # Nothing at all.
    INACTIVE = 2


# By how they are written.
STATUSES = {status.name.lower(): status for status in Status}


def rtt_key(origin: str, host: str = '') -> str:
    """Return the key of a figure.

    :param host: the host that it is of; empty: it is of the whole site
    """
    return f'{HOST_RTT}{host}:{origin}' if host else RTT + origin


def fold(key: str) -> str:
    """Return the one spelling of a key: two that fold alike are one to us.

    To MySQL and MariaDB case does not matter; spaces are stripped of names.
    """
    return ':'.join(part.strip() for part in key.lower().split(':'))


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
    :param site_samples: figures to other sites, by name
    :param default: figure or bound for known origins that are not listed
    :param tier: what sort of site it is; None: not told
    :param status: whether it takes servers
    :param position: where it is; None: not told
    :param prefixes: where the users attached to it are
    """

    site: str
    hosts: frozenset[str]
    samples: collections.abc.Mapping[str, sample.Sample]
    host_samples: collections.abc.Mapping[
        str, collections.abc.Mapping[str, sample.Sample]
    ]
    site_samples: collections.abc.Mapping[str, sample.Sample]
    default: sample.Sample | None = None
    tier: str | None = None
    status: Status = Status.ACTIVE
    position: estimate.Position | None = None
    prefixes: tuple[spelling.Network, ...] = ()


def parse_site(
    metadata: collections.abc.Mapping[str, str],
    hosts: collections.abc.Iterable[str],
) -> tuple[SiteRecord | None, list[Problem]]:
    """Read the metadata of one aggregate.

    :returns: the site, or None if the aggregate is none; and what had to be
        skipped. It never raises, whatever the metadata.
    """
    keys = sorted(
        (folded, key, value)
        for key, value in metadata.items()
        if (folded := key.strip().lower()).startswith(PREFIX)
    )
    names = [(key, value) for folded, key, value in keys if folded == SITE]
    if not names:
        return None, []
    # Of keys that differ in case, the one in lower case counts.
    key, value = names[-1]
    try:
        site = spelling.parse_name(value)
    except ValueError as error:
        return None, [
            Problem('unnamed', key, value, f'{error}; the site is ignored')
        ]
    problems = [
        Problem(site, *other, f'is skipped: {key} is there too')
        for other in names[:-1]
    ]
    fields: dict[str, typing.Any] = {
        'samples': {},
        'host_samples': {},
        'site_samples': {},
    }
    degrees: dict[str, float] = {}
    for folded, key, value in keys:
        try:
            if folded in (LATITUDE, LONGITUDE):
                degrees[folded] = _parse_degrees(folded, value)
            elif folded == PREFIXES:
                prefixes, skipped = _parse_prefixes(value)
                fields['prefixes'] = (*fields.get('prefixes', ()), *prefixes)
                problems += [Problem(site, key, *why) for why in skipped]
            elif folded != SITE:
                _read(fields, folded, value)
        except ValueError as error:
            problems.append(Problem(site, key, value, str(error)))
    if len(degrees) == 2:
        fields['position'] = estimate.Position(
            degrees[LATITUDE], degrees[LONGITUDE]
        )
    elif degrees:
        (key, number), *_ = degrees.items()
        why = 'is of use only with both latitude and longitude'
        problems.append(Problem(site, key, f'{number:g}', why))
    if len(keys) > KEYS_PER_SITE:
        why = (
            f'are more than {KEYS_PER_SITE} keys, which makes Nova load '
            'aggregates slowly; publish only the nearest sites of an origin'
        )
        problems.append(Problem(site, PREFIX + '*', str(len(keys)), why))
    folded_hosts = frozenset(host.lower() for host in hosts)
    # Of hosts that are not here nobody here may speak.
    for host in fields['host_samples'].keys() - folded_hosts:
        del fields['host_samples'][host]
    fields['samples'] = figures.Figures(fields['samples'])
    fields['site_samples'] = figures.Figures(fields['site_samples'])
    fields['host_samples'] = {
        host: figures.Figures(by_origin)
        for host, by_origin in fields['host_samples'].items()
    }
    return SiteRecord(site, folded_hosts, **fields), problems


def _read(fields: dict[str, typing.Any], key: str, value: str) -> None:
    """Read one key, in lower case, into the fields of the record.

    Of two keys that differ in case the stricter or worse value counts.
    """
    if key == TIER:
        fields['tier'] = _named('the tier', value)
    elif key == STATUS:
        status = _parse_status(value)
        fields['status'] = max(status, fields.get('status', status))
    elif key == RTT_DEFAULT:
        default = sample_format.parse_sample(value, True)
        fields['default'] = sample.worst(
            default, fields.get('default', default)
        )
    elif key.startswith(RTT):
        origin = _named('the origin', key.removeprefix(RTT))
        _keep(fields['samples'], origin, value)
    elif key.startswith(SITE_RTT):
        other = _named('the site', key.removeprefix(SITE_RTT))
        _keep(fields['site_samples'], other, value)
    elif key.startswith(HOST_RTT):
        host, _, name = key.removeprefix(HOST_RTT).partition(':')
        origin = _named('the origin', name)
        if not host.strip():
            raise ValueError('is skipped: it names no host')
        by_origin = fields['host_samples'].get(host.strip(), {})
        _keep(by_origin, origin, value)
        fields['host_samples'][host.strip()] = by_origin
    else:
        raise ValueError('is skipped: no such key is known')


def _named(what: str, name: str) -> str:
    try:
        return spelling.parse_name(name)
    except ValueError as error:
        raise ValueError(
            f'is skipped: {what} {spelling.shown(name)} {error}'
        ) from None


def _keep(by_name: dict[str, sample.Sample], name: str, value: str) -> None:
    """Add a figure, or keep the worse one of that name."""
    figure = sample_format.parse_sample(value)
    if name in by_name:
        figure = sample.worst(figure, by_name[name])
    by_name[name] = figure


def _parse_status(value: str) -> Status:
    try:
        return Status[value.strip().upper()]
    except KeyError:
        raise ValueError(
            'is skipped: it is none of active, draining and inactive'
        ) from None


def _parse_degrees(key: str, value: str) -> float:
    try:
        return spelling.parse_degrees(value, 90 if key == LATITUDE else 180)
    except ValueError as error:
        raise ValueError(f'is skipped: it {error}') from None


def _parse_prefixes(
    value: str,
) -> tuple[tuple[spelling.Network, ...], list[tuple[str, str]]]:
    """Return the prefixes, and those that had to be skipped with why."""
    prefixes: list[spelling.Network] = []
    skipped = []
    for text in value.split(','):
        try:
            prefixes.append(spelling.parse_network(text))
        except ValueError:
            why = 'is skipped: it is not a prefix such as 192.0.2.0/24'
            skipped.append((text, why))
    return tuple(prefixes), skipped
