# SPDX-License-Identifier: Apache-2.0
"""WHAT IS MEASURED? The beacons of the options ``origin`` and ``to_site``."""

import collections.abc
import ipaddress
import re
import typing

from edge_filters import spelling
from edge_filters.agent import reading
from edge_filters.conf import agent as agent_conf

# The scheme of a beacon that is written without one.
ICMP = 'icmp'

# The scheme that cannot do without a port.
TCP = 'tcp'

_SCHEME = re.compile(r'([a-zA-Z][a-zA-Z0-9_.+\-]{0,31})://(.*)', re.DOTALL)
_BRACKETS = re.compile(r'\[([0-9a-fA-F:.]+)\]:([^:]*)')
_LABEL = r'[a-zA-Z0-9_](?:[a-zA-Z0-9_\-]{0,61}[a-zA-Z0-9_])?'
# What ends in a number is read as an address: 127.1 as 127.0.0.1.
_NUMBER = r'(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?'
_HOST = re.compile(
    rf'(?=.{{1,253}}\Z)(?!(?:.*\.)?{_NUMBER}\Z){_LABEL}(?:\.{_LABEL})*\.?'
)
_PORT = re.compile(r'[0-9]{1,5}')


class Beacon(typing.NamedTuple):
    """What answers probes in the place of an origin or a site.

    :param path: whose RTT it is
    :param scheme: name of the driver that measures it
    :param host: an address in its one spelling, or a name in lower case
    :param port: None: it has none
    """

    path: reading.Path
    scheme: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        where = self.host
        if self.port is not None:
            host = f'[{self.host}]' if ':' in self.host else self.host
            where = f'{host}:{self.port}'
        return where if self.scheme == ICMP else f'{self.scheme}://{where}'


def parse(
    settings: agent_conf.Settings, schemes: collections.abc.Collection[str]
) -> tuple[list[Beacon], list[str]]:
    """Return the beacons, and what is wrong with others, in sentences.

    What is wrong is left out; it never raises.

    :param settings: of which ``site``, ``origin`` and ``to_site`` are read
    :param schemes: names of the drivers that measure beacons
    """
    beacons: list[Beacon] = []
    problems: list[str] = []
    for option, lines in (
        ('origin', settings.origin),
        ('to_site', settings.to_site),
    ):
        seen: set[str] = set()
        for line in lines:
            found, wrong = _parse_line(
                line, settings.site, option == 'to_site', seen, schemes
            )
            beacons += found
            where = f'{option} = {spelling.shown(line)}'
            problems += [f'{where}: {it}.' for it in wrong]
    return beacons, problems


def _parse_line(
    line: str,
    site: str,
    is_to_site: bool,
    seen: set[str],
    schemes: collections.abc.Collection[str],
) -> tuple[list[Beacon], list[str]]:
    """Return the beacons of one line, each once, and what is wrong."""
    name, *texts = line.split() or ['']
    try:
        target = spelling.parse_name(name)
    except ValueError as error:
        return [], [f'{spelling.shown(name)} {error}']
    if target in seen:
        return [], [
            f'{target} has a line before, which alone counts; write all its '
            'beacons into one line'
        ]
    seen.add(target)
    if is_to_site and target == site:
        return [], [f'{target} is the site of this agent; name another']
    if not texts:
        return [], [
            f'{target} has no beacon, and is not measured; write for '
            f'instance {target} 192.0.2.1'
        ]
    path = reading.Path(site, target, is_to_site)
    beacons: dict[Beacon, None] = {}
    problems = []
    for text in texts:
        try:
            beacons[_parse_beacon(path, text, schemes)] = None
        except ValueError as error:
            problems.append(f'{spelling.shown(text)} {error}')
    return list(beacons), problems


def _parse_beacon(
    path: reading.Path, text: str, schemes: collections.abc.Collection[str]
) -> Beacon:
    matched = _SCHEME.fullmatch(text)
    scheme, where = matched.groups() if matched else (ICMP, text)
    scheme = scheme.lower()
    if scheme not in schemes:
        raise ValueError(
            f'has the scheme {scheme}, which no driver measures; use one of '
            + ', '.join(sorted(schemes))
        )
    host, port = _parse_where(where)
    if scheme == ICMP and port is not None:
        raise ValueError(
            'has a port, which pings have not; write it without, or '
            'tcp://HOST:PORT'
        )
    if scheme == TCP and port is None:
        raise ValueError(
            'has no port; write for instance tcp://beacon.example:443 or '
            'tcp://[2001:db8::1]:443'
        )
    return Beacon(path, scheme, host, port)


def _parse_where(text: str) -> tuple[str, int | None]:
    """Return the host and the port, if there is one."""
    if '[' in text or ']' in text:
        matched = _BRACKETS.fullmatch(text)
        if not matched or ':' not in matched[1]:
            raise ValueError(
                'has brackets, which are for an IPv6 address with a port; '
                'write [2001:db8::1]:443, or 2001:db8::1 where there is none'
            )
        return _parse_host(matched[1]), _parse_port(matched[2])
    host, colon, port = text.partition(':')
    if colon and ':' not in port:
        return _parse_host(host), _parse_port(port)
    return _parse_host(text), None


def _parse_host(text: str) -> str:
    address = _parse_address(text)
    if address is not None:
        if not may_answer(address):
            raise ValueError(
                'is the address of no single host; write that of a host'
            )
        return str(address)
    if not _HOST.fullmatch(text):
        raise ValueError(
            'is not an address or the name of a host; write for instance '
            '192.0.2.1, 2001:db8::1 or tcp://beacon.example:443'
        )
    return text.lower()


def _parse_port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65536:
        raise ValueError('has a port that is not 1 to 65535; correct it')
    return int(text)


def _parse_address(
    text: str,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address; None: the text is none."""
    if '/' in text:
        return None
    try:
        return spelling.parse_network(text).network_address
    except ValueError:
        return None


def may_answer(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> bool:
    """Return whether an address is that of a single host.

    At 0.0.0.0 this host itself would answer, and look near.
    """
    return not (
        address.is_unspecified
        or address.is_multicast
        or str(address) == '255.255.255.255'
    )
