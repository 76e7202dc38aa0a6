# SPDX-License-Identifier: Apache-2.0
"""WHO CALLED? The address of the caller, read defensively.

Anybody can write X-Forwarded-For (XFF) or Forwarded (RFC 7239). A hop of the
chain is believed only where each hop between it and us is a proxy that the
operator names. So the chain is walked from the right, from whoever has the
connection, to the first hop that is not such a proxy: that is the caller.

The answer is an address, or None: nobody knows. It is never a guess:

- A hop that cannot be read (``unknown``, ``_hidden``, empty, an octet such as
  ``010``, a name, an address that nobody calls from) ends the walk with None.
  Nothing to the left of it is believed.
- A proxy of the operator is never the caller. Where the chain ends and all its
  hops are proxies, the answer is None. nginx and others would take the
  leftmost; but most often a chain is such because a proxy does not say whom it
  speaks for, and all servers of a cloud would be placed near the proxy.
- Where both headers are there, both have to lead to the same address. A proxy
  sets one of them, and passes the other on as the client wrote it. Whichever
  one preferred, some proxies would let their clients choose.

What a proxy has to do for this to hold: append to, or overwrite, one of the
two headers; and drop headers with underscores in their names, because servers
such as uWSGI take ``X_Forwarded_For`` for ``X-Forwarded-For``.
"""

import collections.abc
import ipaddress
import re
import typing

from edge_filters import spelling

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What bounds the work. No cloud has as many proxies in a row.
MAX_HOPS = 32
MAX_FORWARDED = 8192

_PORT = r'(?::(?:[0-9]{1,5}|_[0-9A-Za-z._\-]{1,32}))?'
_V6 = r'[0-9A-Fa-f:.]{2,45}'
_ZONE = r'(?:%[0-9A-Za-z._~\-]{1,32})?'
_NODE = re.compile(
    rf'(?P<v4>[0-9.]{{7,15}}){_PORT}'
    rf'|\[(?P<bracketed>{_V6}){_ZONE}\]{_PORT}'
    rf'|(?P<bare>{_V6}){_ZONE}'
)

_TCHAR = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Colons and brackets belong in quotes, but many leave those out.
_PAIR = re.compile(
    rf'[ \t]*+(?:(?P<name>{_TCHAR}++)='
    rf'(?:"(?P<quoted>[^"\\]*+(?:\\.[^"\\]*+)*+)"'
    rf'|(?P<plain>(?:{_TCHAR}|[:\[\]])*+)))?+[ \t]*+(?P<end>[;,]|\Z)'
)
_ESCAPED = re.compile(r'\\(.)')


class Chain(typing.NamedTuple):
    """What a request says of the hops it came by; None: nothing.

    :param remote_addr: REMOTE_ADDR, as it is now
    :param forwarded_for: XFF, all of them, joined by commas
    :param forwarded: Forwarded, all of them, joined by commas
    :param peer: REMOTE_ADDR as it was, if it was kept
    """

    remote_addr: str | None
    forwarded_for: str | None = None
    forwarded: str | None = None
    peer: str | None = None


def caller(
    chain: Chain, trusted: collections.abc.Sequence[spelling.Network]
) -> Address | None:
    """Return who called; None: nobody knows.

    :param trusted: where the proxies of the operator are
    """
    if is_replaced(chain):
        return None
    peer = chain.remote_addr if chain.peer is None else chain.peer
    nearest = parse_node(peer or '')
    if nearest is None or not _is_among(nearest, trusted):
        return nearest
    told = {
        _walk(hops(header), trusted)
        for header, hops in (
            (chain.forwarded_for, _hops_of_forwarded_for),
            (chain.forwarded, _hops_of_forwarded),
        )
        if header and header.strip()
    }
    return told.pop() if len(told) == 1 else None


def is_replaced(chain: Chain) -> bool:
    """Return whether REMOTE_ADDR may be what a header says.

    Where ``[oslo_middleware] enable_proxy_headers_parsing`` is on, the
    ``http_proxy_to_wsgi`` of Nova's pipeline has replaced the address of
    whoever has the connection by what a header says, whoever wrote it. Then
    nobody knows who called, unless the address was kept before.

    What it would have written is compared with what is there, because the
    option can be set in two files. So one who writes his own address in a
    header stays unknown too, and one kept behind http_proxy_to_wsgi, by
    mistake, is no better than none.
    """
    remote_addr = chain.remote_addr
    if not remote_addr or chain.peer not in (None, remote_addr):
        return False
    if remote_addr == chain.forwarded_for:
        return True
    # As http_proxy_to_wsgi reads it, and not the RFC: only the first element
    # counts, and quotes stay.
    first = (chain.forwarded or '').partition(',')[0]
    return any(
        name.strip().lower() == 'for' and value.strip() == remote_addr
        for name, _, value in (it.partition('=') for it in first.split(';'))
    )


def parse_node(text: str) -> Address | None:
    """Return the address of a hop, or None if it has none that can be.

    A port and a zone are left out; an IPv4 address in IPv6 is that IPv4
    address.
    """
    node = _NODE.fullmatch(text.strip(' \t'))
    if node is None:
        return None
    address: Address
    try:
        if node['v4'] is not None:
            address = ipaddress.IPv4Address(node['v4'])
        else:
            v6 = ipaddress.IPv6Address(node['bracketed'] or node['bare'])
            address = v6.ipv4_mapped or v6
    except ValueError:
        return None
    return address if _can_call(address) else None


def _can_call(address: Address) -> bool:
    return not (
        address.is_unspecified
        or address.is_multicast
        or address == ipaddress.IPv4Address('255.255.255.255')
    )


def _is_among(
    address: Address, networks: collections.abc.Sequence[spelling.Network]
) -> bool:
    return any(address in network for network in networks)


def _walk(
    hops: collections.abc.Iterable[str],
    trusted: collections.abc.Sequence[spelling.Network],
) -> Address | None:
    """Return the first hop that is not trusted, if it can be read."""
    for hop in hops:
        address = parse_node(hop)
        if address is None or not _is_among(address, trusted):
            return address
    return None


def _hops_of_forwarded_for(text: str) -> collections.abc.Iterable[str]:
    """Return the hops from the right; what is too much is one bad hop."""
    return reversed(text.rsplit(',', MAX_HOPS))


def _hops_of_forwarded(text: str) -> collections.abc.Sequence[str]:
    """Return the hops from the right; a header that is malformed has none.

    It is read from the left, as the RFC has it, and strictly: what a client
    wrote at the left can make the whole header malformed, but cannot make a
    proxy's element look like a part of another, because nothing may follow a
    quoted string but a separator.
    """
    if len(text) > MAX_FORWARDED:
        return ()
    hops: list[str] = []
    hop: str | None = None
    position = 0
    while True:
        pair = _PAIR.match(text, position)
        if pair is None:
            return ()
        if pair['name'] is not None and pair['name'].lower() == 'for':
            if hop is not None:
                return ()
            quoted = pair['quoted']
            hop = (
                pair['plain']
                if quoted is None
                else _ESCAPED.sub(r'\1', quoted)
            )
        if pair['end'] != ';':
            hops.append(hop or '')
            hop = None
        if not pair['end']:
            return hops[: -MAX_HOPS - 2 : -1]
        position = pair.end()
