# SPDX-License-Identifier: Apache-2.0
"""HOW IS IT SPELT? Names and numbers in metadata, hints and flavors.

Every function takes text that somebody else wrote and returns the value, or
raises ValueError with the end of a sentence that begins with the text:
"'12,4' " + "is not a number".
"""

import collections.abc
import ipaddress
import math
import re

NAME_PATTERN = r'[a-zA-Z0-9_:.\-]{1,64}'
# Short enough to be finite, long enough for every figure Python writes.
NUMBER_PATTERN = (
    r'(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?'
)
_DEGREES_PATTERN = rf'[+-]?{NUMBER_PATTERN}'
POSITION_PATTERN = rf'{_DEGREES_PATTERN}\s*,\s*{_DEGREES_PATTERN}'

NETWORK_PATTERN = r'[0-9a-fA-F:.]{2,45}(?:/[0-9]{1,3})?'

# Where somebody is; an address is a network of one.
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# How many names a sentence has in it.
MAX_LISTED = 5

_NAME = re.compile(NAME_PATTERN)
_NUMBER = re.compile(NUMBER_PATTERN)
_NETWORK = re.compile(NETWORK_PATTERN)

# Texts that many have, and how many there may be.
_SHARED: dict[str, str] = {}
_MAX_SHARED = 100_000


def parse_name(text: str) -> str:
    """Return the name of an origin or a site in its one spelling.

    Lower case, because MySQL and MariaDB compare the keys of aggregate
    metadata without case.
    """
    text = text.strip()
    # Matched before it is folded: the Kelvin sign folds to an ASCII k.
    if not _NAME.fullmatch(text):
        raise ValueError(
            'is not a name: use 1 to 64 of the letters a-z, digits and -_:.'
        )
    return text.lower()


def parse_number(text: str, maximum: float = math.inf) -> float:
    """Return a finite number between 0 and ``maximum``."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError('is not a number of 0 or more, such as 12.5')
    number = float(text)
    if number > maximum:
        raise ValueError(f'is more than {maximum:g}')
    return number


def shared(text: str) -> str:
    """Return the object that others have for an equal text, if there is one.

    Thousands of figures have the same names. What :func:`sys.intern` is given
    some releases of Python never let go of, and edge sites could make up ever
    new names.
    """
    if len(_SHARED) >= _MAX_SHARED:
        _SHARED.clear()
    return _SHARED.setdefault(text, text)


def parse_degrees(text: str, maximum: float) -> float:
    """Return a number of degrees between ``-maximum`` and ``maximum``."""
    text = text.strip()
    try:
        degrees = parse_number(text[text.startswith(('-', '+')) :], maximum)
    except ValueError:
        raise ValueError(
            f'is not a number of degrees from -{maximum:g} to {maximum:g}'
        ) from None
    return -degrees if text.startswith('-') else degrees


def parse_position(text: str) -> tuple[float, float]:
    """Return latitude and longitude in degrees."""
    latitude, comma, longitude = text.partition(',')
    if not comma:
        raise ValueError('is not a latitude and a longitude')
    return parse_degrees(latitude, 90), parse_degrees(longitude, 180)


def parse_network(text: str) -> Network:
    """Return an address or a prefix, the bits after which are zero.

    An IPv4 address in IPv6 (RFC 4291, 2.5.5.2) is that IPv4 address.
    """
    text = text.strip()
    try:
        # ipaddress reads more than people write: 1, zones, netmasks.
        if not _NETWORK.fullmatch(text):
            raise ValueError
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError('is not an address or a prefix') from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def shown_network(network: Network) -> str:
    """Return an address, or a prefix, as people write it."""
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def parse_choice(text: str, choices: collections.abc.Sequence[str]) -> str:
    """Return one of the choices, whatever the case of the text."""
    choice = text.strip().lower()
    if choice not in choices:
        raise ValueError('is none of ' + ', '.join(choices))
    return choice


def listed(names: collections.abc.Sequence[str], separator: str = ', ') -> str:
    """Return names as they may stand in a sentence: not too many."""
    named = [*names[:MAX_LISTED]]
    if len(names) > MAX_LISTED:
        named.append(f'{len(names) - MAX_LISTED} more')
    return separator.join(named)


def shown(value: object) -> str:
    """Return what somebody wrote as it may stand in a log: quoted, short."""
    if not isinstance(value, str):
        return f'(a {type(value).__name__})'
    quoted = ascii(value[:80])
    return quoted if len(quoted) <= 80 else quoted[:77] + '...'


def printable(text: str) -> str:
    """Return a text as a terminal may show it, with nothing that steers it."""
    if text.isprintable():
        return text
    return ''.join(it if it.isprintable() else ascii(it)[1:-1] for it in text)
