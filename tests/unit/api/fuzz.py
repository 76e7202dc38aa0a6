# SPDX-License-Identifier: Apache-2.0
"""What must hold whatever users, clients and attackers write.

The unit tests try each with a few hundred examples. To try many more::

    python -m tests.unit.api.fuzz --examples 100000
"""

import argparse
import copy
import ipaddress
import itertools
import json
import time

import hypothesis
from hypothesis import strategies as st
from nova import objects
from oslo_middleware import http_proxy_to_wsgi
import webob

from edge_filters.api import document
from edge_filters.api import forwarded
from edge_filters.api import middleware
from edge_filters.origins import request
from tests.unit.api import base

XFF = 'HTTP_X_FORWARDED_FOR'
FORWARDED = 'HTTP_FORWARDED'

# Chains.

V4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
PROXIES = st.sampled_from(
    ('10.0.0.1', '10.9.8.7', '198.51.100.1', 'fd00::1', '::ffff:10.0.0.2')
)
CLIENTS = st.one_of(
    st.sampled_from(('192.0.2.1', '203.0.113.1', '2001:db8::1')), V4, V6
).map(str)
JUNK = st.sampled_from(
    (
        '',
        ' ',
        'unknown',
        '_hidden',
        '010.0.0.1',
        '10.0.0.1.',
        '192.0.2.1:99999999',
        '[192.0.2.1]',
        '[::1',
        '::1]',
        'fe80::1%eth0',
        '0.0.0.0',
        '::',
        '224.0.0.1',
        '255.255.255.255',
        '127.1',
        '2130706433',
        '０.0.0.1',
        '192.0.2.1\x00',
        'for=192.0.2.9',
        '"192.0.2.9"',
        'for="192.0.2.9',
        'for="\\',
        'for=192.0.2.9;for=10.0.0.1',
        'for="_x";by="',
        '";for="',
        '=',
        ';',
        '"',
        '\\"',
    )
)
ANY_HOP = st.one_of(PROXIES, CLIENTS, JUNK, st.text(max_size=12))


def _spelt_for(draw, address):
    """An address as proxies write it in X-Forwarded-For."""
    is_v6 = ':' in address
    port = draw(st.sampled_from(('', ':1', ':4711', ':65535')))
    if is_v6 and (port or draw(st.booleans())):
        address = f'[{address}]'
    return address + port


def _spelt(draw, address):
    """An address as proxies write it in Forwarded."""
    node = _spelt_for(draw, address)
    if set(node) & set(':[]') or draw(st.booleans()):
        node = f'"{node}"'
    name = draw(st.sampled_from(('for', 'For', 'FOR')))
    pairs = draw(
        st.lists(
            st.sampled_from(
                ('proto=http', 'by=_gw', 'host="a:1"', 'x="\\"; for=1.2.3.4"')
            ),
            max_size=2,
            unique=True,
        )
    )
    pairs.insert(draw(st.integers(0, len(pairs))), f'{name}={node}')
    return draw(st.sampled_from((';', '; '))).join(pairs)


@st.composite
def attacks(draw):
    """What a client writes in a header: lists of hops, or anything."""
    hops = draw(st.lists(ANY_HOP, max_size=4))
    if draw(st.booleans()):
        hops = [f'for={hop}' for hop in hops]
    text = draw(st.sampled_from((',', ', ', ' ,', ',,'))).join(hops)
    return text + draw(st.sampled_from(('', '', '"', '\\', ', for="', ' x="')))


@st.composite
def chains(draw):
    """Return an environ as it reaches nova-api, and who really called.

    The client writes what it likes; each proxy appends its peer to one of the
    headers, or overwrites it. Some do it in one header, some in the other.
    """
    client = draw(CLIENTS)
    headers = {
        name: draw(st.none() | st.just('') | attacks() | JUNK)
        for name in (XFF, FORWARDED)
    }
    is_attack = any(headers.values())
    peer = client
    kinds = set()
    is_lossy = False
    for proxy in draw(st.lists(PROXIES, max_size=4)):
        kind = draw(st.sampled_from((XFF, FORWARDED)))
        spell = _spelt_for if kind == XFF else _spelt
        hop = spell(draw, peer)
        before = headers[kind]
        # Also one that was sent but empty gets a comma.
        if before is None or draw(st.integers(0, 9)) == 0:
            # Only the first can overwrite, and no hop is lost.
            is_lossy = is_lossy or peer != client
            headers[kind] = hop
        else:
            headers[kind] = before + draw(st.sampled_from((',', ', '))) + hop
        kinds.add(kind)
        peer = proxy
    environ = base.environ(b'{}', REMOTE_ADDR=peer)
    environ.update(
        {name: text for name, text in headers.items() if text is not None}
    )
    return environ, client, is_attack or is_lossy or len(kinds) > 1


def _caller(environ):
    return forwarded.caller(
        forwarded.Chain(
            environ.get('REMOTE_ADDR'),
            environ.get(XFF),
            environ.get(FORWARDED),
            environ.get(middleware.PEER),
        ),
        base.PROXIES,
    )


def _with_oslo(environ):
    """An environ as http_proxy_to_wsgi leaves it where parsing is on."""
    environ = dict(environ)
    proxy = http_proxy_to_wsgi.HTTPProxyToWSGI(
        None, {'enable_proxy_headers_parsing': True}
    )
    proxy.process_request(webob.Request(environ))
    return environ


def _can_be(client):
    """Who a client can be taken for: what it is, if anybody calls so."""
    address = ipaddress.ip_address(client)
    address = getattr(address, 'ipv4_mapped', None) or address
    if any(address in network for network in base.PROXIES):
        return None
    return forwarded.parse_node(str(address))


@hypothesis.given(chains())
def check_chains(chain):
    """The caller is who really called, or nobody; never what it writes."""
    environ, client, is_spoilt = chain
    expected = _can_be(client)
    hypothesis.assume(expected is not None)
    found = _caller(environ)
    assert found in (None, expected), (environ, found, client)
    if not is_spoilt and not forwarded.is_replaced(
        forwarded.Chain(
            environ['REMOTE_ADDR'], environ.get(XFF), environ.get(FORWARDED)
        )
    ):
        assert found == expected, (environ, found, client)
    # Where oslo has replaced REMOTE_ADDR, nothing wrong is believed either;
    # and what was kept before is as good as if it had not.
    replaced = _with_oslo(environ)
    if replaced['REMOTE_ADDR'] != environ['REMOTE_ADDR']:
        assert _caller(replaced) is None
        replaced[middleware.PEER] = environ['REMOTE_ADDR']
        assert _caller(replaced) in (None, expected)
    # Kept behind oslo it is of no use, and does no harm.
    replaced[middleware.PEER] = replaced['REMOTE_ADDR']
    assert _caller(replaced) in (None, expected)


@hypothesis.given(st.text() | JUNK | attacks(), st.text() | attacks())
def check_headers(forwarded_for, forwards):
    """No header raises, whatever the length of it."""
    for chain in (
        forwarded.Chain('10.0.0.1', forwarded_for, forwards),
        forwarded.Chain('10.0.0.1', forwarded_for * 99, forwards * 99),
        forwarded.Chain(forwarded_for, None, forwards),
        forwarded.Chain(None, forwarded_for, None, forwards),
    ):
        forwarded.caller(chain, base.PROXIES)


@hypothesis.given(st.lists(V4 | V6, min_size=1, max_size=4), st.data())
def check_forwarded(addresses, data):
    """Of RFC 7239 as proxies write it every hop is read."""
    text = ','.join(_spelt(data.draw, str(it)) for it in addresses)
    (hops,) = itertools.islice([forwarded._hops_of_forwarded(text)], 1)
    for hop, address in zip(hops, reversed(addresses), strict=True):
        known = address if address.version == 4 else address.ipv4_mapped
        node = forwarded.parse_node(hop)
        assert node in (known or address, None)
        if not (address.is_unspecified or address.is_multicast):
            assert (
                node is not None
                or str(known)
                in (
                    '0.0.0.0',
                    '255.255.255.255',
                )
                or known.is_multicast
            )


@hypothesis.given(
    st.text() | JUNK | st.text('0123456789abcdef:.%[]_', max_size=24)
)
def check_nodes(text):
    """What is taken for an address is one, and one that can call."""
    address = forwarded.parse_node(text)
    if address is not None:
        assert not address.is_unspecified and not address.is_multicast
        assert forwarded.parse_node(str(address)) == address
        assert str(address).isascii() and 'ffff:' not in str(address)[:8]


# Bodies.

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**40, 10**41),
    st.floats(),
    st.text(max_size=9),
)
WORDS = st.sampled_from(
    (
        'paris',
        'Lyon',
        '192.0.2.7',
        '192.0.2.200',
        '192.0.2.0/24',
        '192.0.2.0/26',
        '::ffff:192.0.2.9',
        '2001:db8::7',
        '198.18.0.1',
        '48.85,2.35',
        '20',
        'accept',
        '',
    )
)
VALUES = st.one_of(
    WORDS,
    SCALARS,
    st.lists(WORDS, max_size=3),
    st.lists(SCALARS, max_size=2),
    st.lists(st.lists(WORDS, max_size=1), max_size=2),
    st.dictionaries(st.text(max_size=3), SCALARS, max_size=2),
)
NAMES = st.one_of(
    st.sampled_from(
        (
            *request.VOCABULARY,
            'edge:origin',
            'edge:client_ip',
            'Edge:Client_IP',
            ' edge:origin',
            'edge:bogus',
            'group',
            'é',
        )
    ),
    st.text(max_size=5),
)
SENSIBLE = st.sampled_from(
    (
        ('edge:origin', 'nantes'),
        ('edge:origin', ['Paris', 'brest']),
        ('edge:client_ip', '192.0.2.7'),
        ('edge:client_ip', ['192.0.2.200', '2001:db8::7', '192.0.2.201']),
        ('Edge:Client_IP', '192.0.2.128/26'),
        ('edge:near', '48.85,2.35'),
        ('edge:max_rtt_ms', 20),
        ('edge:max_jitter_ms', 2.5),
        ('group', 'x'),
    )
)
# As pairs, because a JSON object can have a name twice.
MEMBERS = st.lists(SENSIBLE | SENSIBLE | st.tuples(NAMES, VALUES), max_size=4)
KEYS = st.sampled_from((*document.HINTS_KEYS, 'os:scheduler_hint'))


def _written(draw, pairs):
    """A JSON object of (name, JSON text), spaced anyhow."""
    space = st.sampled_from(('', ' ', '\n\t', '\r\n '))
    ascii_only = draw(st.booleans())
    members = [
        f'{draw(space)}{json.dumps(name, ensure_ascii=ascii_only)}'
        f'{draw(space)}:{draw(space)}{text}{draw(space)}'
        for name, text in pairs
    ]
    return '{' + (','.join(members) or draw(space)) + '}'


@st.composite
def bodies(draw):
    """A server create: most of them such that Nova reads their hints."""
    pairs = [('server', '{"name": "a", "x": 1.10, "y": 1e400, "y": 0}')]
    for key in draw(st.lists(KEYS, max_size=3)):
        hints = draw(MEMBERS)
        texts = [(name, json.dumps(value)) for name, value in hints]
        text = _written(draw, texts)
        if draw(st.integers(0, 9)) == 0:
            text = draw(st.sampled_from(('null', '[]', '"x"', '1', '{')))
        pairs.append((key, text))
    body = _written(draw, draw(st.permutations(pairs)))
    # A surrogate cannot be sent.
    return body.encode('utf-8', 'replace')


def _hints_of(body):
    """The hints as nova.api.openstack.compute.servers reads them."""
    decoded = json.loads(body)
    for key in ('os:scheduler_hints', 'OS-SCH-HNT:scheduler_hints'):
        if key in decoded:
            return decoded[key]
    return {}


def _is_ours(name):
    return name.strip().lower() in ('edge:origin', 'edge:client_ip')


def _others(hints):
    return repr({k: v for k, v in hints.items() if not _is_ours(k)})


APIS = [
    base.Api(
        base.Prefixes(origins, is_complete),
        mode=mode,
        record_origin=records,
        trusted_proxies=['10.0.0.0/8'],
    )
    for mode in ('enforce', 'observe', 'off')
    for records in (True, False)
    for origins, is_complete in ((base.ORIGINS, True), ({}, False))
]


@hypothesis.given(
    bodies(),
    st.sampled_from((0, 0, 0, 0, *range(len(APIS)))),
    st.sampled_from(('192.0.2.1', '198.18.0.1', '10.0.0.1', '')),
    st.none() | attacks(),
)
def check_bodies(body, number, remote_addr, forwarded_for):
    """What Nova gets is what was sent, but for whom the server serves."""
    api = APIS[number]
    environ = base.environ(body, REMOTE_ADDR=remote_addr)
    if forwarded_for is not None:
        environ[XFF] = forwarded_for
    got = api(environ)
    enforces, records = number < 4, number % 4 < 2
    is_complete = number % 2 == 0
    try:
        before = copy.deepcopy(_hints_of(body))
    except ValueError:
        before = None
    if not enforces or not isinstance(before, dict):
        assert got == body
        return
    ours = [name for name in before if name.strip().lower()[:5] == 'edge:']
    if isinstance(got, str):
        assert ours, 'refused, though it says nothing of ours'
        assert got.startswith('Hint ') and got.endswith('.')
        return
    after = _hints_of(got)
    # What passes can be read by the scheduler, or Nova would answer 500.
    assert not request.parse(_in_scheduler(after), None).problems
    if got == body:
        has_address = any('client_ip' in name.lower() for name in ours)
        assert not (has_address and records and is_complete)
        return
    assert records and is_complete
    assert not any('client_ip' in name.lower() for name in after)
    assert _others(before) == _others(after)
    # Every other byte is as it was: without the hints nothing differs.
    assert _rest(body) == _rest(got)
    origins = after['edge:origin']
    origins = [origins] if isinstance(origins, str) else origins
    assert origins and len(origins) == len(set(origins))
    users = {name.strip().lower() for name in before}
    if users.isdisjoint({'edge:origin', 'edge:near', 'edge:client_ip'}):
        assert (origins == ['paris'] and remote_addr == '192.0.2.1') or (
            remote_addr == '10.0.0.1' and forwarded_for
        )


def _in_scheduler(hints):
    """Hints of ours as Nova hands them to the scheduler."""
    spec = objects.RequestSpec()
    spec._from_hints(
        {
            name: value
            for name, value in hints.items()
            if name.strip().lower().startswith('edge:')
        }
    )
    return spec.scheduler_hints


def _rest(body):
    """All but the hints that Nova reads, number by number as it is written."""
    decoded = json.loads(
        body,
        parse_float=lambda text: ('float', text),
        parse_int=lambda text: ('int', text),
        object_pairs_hook=list,
    )
    names = [name for name, _ in decoded]
    for key in document.HINTS_KEYS:
        if key in names:
            # Nova takes the last of them.
            del decoded[len(names) - 1 - names[::-1].index(key)]
            break
    return decoded


@hypothesis.given(
    bodies()
    | st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
    ).map(lambda value: json.dumps(value).encode())
    | st.text('{}[]":,0123eE-+.truefalsn \n\\u', max_size=20).map(str.encode)
    | st.binary(max_size=20),
    st.data(),
)
def check_documents(body, data):
    """A body is a create for us exactly where it is one for Nova."""
    if data.draw(st.booleans()) and body:
        # Cut, or with one byte too many.
        cut = data.draw(st.integers(0, len(body)))
        body = body[:cut] + data.draw(st.sampled_from((b'', b'}', b',', b' ')))
    create = document.parse(body)
    try:
        decoded = json.loads(body.decode())
        is_create = isinstance(decoded['server'], dict)
        is_create = is_create and isinstance(_hints_of(body), dict)
    except (ValueError, TypeError, KeyError, IndexError):
        is_create = False
    assert (create is not None) == is_create, body
    if create is not None:
        assert repr(create.hints) == repr(_hints_of(body))


CHECKS = (
    check_chains,
    check_headers,
    check_forwarded,
    check_nodes,
    check_bodies,
    check_documents,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--examples',
        type=int,
        default=100000,
        help='how many inputs in all (default: %(default)s)',
    )
    total = parser.parse_args().examples
    each = -(-total // len(CHECKS))
    for check in CHECKS:
        tried = 0
        inner = check.hypothesis.inner_test

        def count(*args, inner=inner, **kwargs):
            nonlocal tried
            tried += 1
            return inner(*args, **kwargs)

        check.hypothesis.inner_test = count
        started = time.monotonic()
        hypothesis.settings(
            max_examples=each,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )(check)()
        elapsed_s = time.monotonic() - started
        print(f'{check.__name__}: {tried} inputs, {elapsed_s:.0f} s: held')


if __name__ == '__main__':
    main()
