# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES THE MIDDLEWARE COST? Requests with it, and without.

What stands behind it does what Nova does first: it reads the body and decodes
it. The rest of a server create takes Nova tens of milliseconds.
"""

import argparse
import base64
from collections.abc import Callable
from collections.abc import Sequence
import io
import ipaddress
import json
import logging
import os
import random
import statistics
import time
from typing import Any

import nova.conf
from oslo_serialization import jsonutils
import webob

from edge_filters import conf
from edge_filters.api import directory
from edge_filters.api import middleware
from edge_filters.origins import prefixes
from sandbox import report

SEED = 20261123
ORIGINS = 300
PROXY = '10.0.0.1'

# How much more a request may take.
LIMIT_US = 1000.0

App = Callable[..., Any]


class Read(directory.Directory):
    """A directory that has read a database, and reads no more."""

    def __init__(self, count: int) -> None:
        super().__init__(())
        rng = random.Random(SEED)
        table = prefixes.PrefixTable(
            prefixes.Entry(
                ipaddress.IPv4Network((rng.randrange(1 << 24) << 8, 24)),
                f'origin-{index % ORIGINS}',
                'a map file',
            )
            for index in range(count)
        )
        # The longest around the others, so that any address has an origin.
        self.listing = directory.Listing(
            prefixes.PrefixTable(
                [
                    prefixes.Entry(
                        ipaddress.IPv4Network('0.0.0.0/0'), 'else', 'a site'
                    )
                ],
                table,
            ),
            True,
        )

    def follow(self) -> None:
        """Start no thread."""


def nova_api(environ: dict[str, Any], start_response: App) -> list[bytes]:
    """Read the body of a request as Nova does."""
    body = webob.Request(environ).body
    if body:
        jsonutils.loads(body)
    start_response('202 Accepted', [])
    return [b'']


def with_middleware(count: int, **options: Any) -> App:
    config = nova.conf.CONF
    config([], project='nova', default_config_files=[])
    conf.register_opts(config)
    for name, value in options.items():
        config.set_override(name, value, 'edge_filters')
    return middleware.EdgeMiddleware(nova_api, conf.read(config), Read(count))


def body(hints: dict[str, Any] | None, user_data: int = 0) -> bytes:
    server: dict[str, Any] = {
        'name': 'game-17',
        'imageRef': '70a599e0-31e7-49b7-b260-868f441e862b',
        'flavorRef': '6',
        'networks': [{'uuid': 'ff608d40-75e9-48cb-b745-77bb55b5eaf2'}],
        'metadata': {f'key{number}': 'value' * 4 for number in range(8)},
        'security_groups': [{'name': 'default'}],
        'key_name': 'mine',
    }
    if user_data:
        server['user_data'] = base64.b64encode(os.urandom(user_data)).decode()
    document: dict[str, Any] = {'server': server}
    if hints is not None:
        document['os:scheduler_hints'] = hints
    return json.dumps(document).encode()


def environ(content: bytes, method: str, **more: str) -> dict[str, Any]:
    return {
        'REQUEST_METHOD': method,
        'SCRIPT_NAME': '/v2.1',
        'PATH_INFO': '/servers',
        'SERVER_NAME': 'nova',
        'SERVER_PORT': '8774',
        'CONTENT_LENGTH': str(len(content)),
        'wsgi.input': io.BytesIO(content),
        'wsgi.url_scheme': 'http',
        'REMOTE_ADDR': '198.51.100.7',
        **more,
    }


PROXIED = {
    'REMOTE_ADDR': PROXY,
    'HTTP_X_FORWARDED_FOR': f'203.0.113.5, 198.51.100.7, {PROXY}',
}

# The request, its method and its headers.
CASES: dict[str, tuple[bytes, str, dict[str, str]]] = {
    'GET /servers': (b'', 'GET', {}),
    'create, nothing told': (body(None), 'POST', PROXIED),
    'create, edge:origin told': (
        body({'edge:origin': 'paris', 'edge:max_rtt_ms': '20'}),
        'POST',
        PROXIED,
    ),
    'create, 16 of edge:client_ip': (
        body({'edge:client_ip': [f'198.51.{it}.7' for it in range(16)]}),
        'POST',
        PROXIED,
    ),
    'create, 64 kB of user data': (body(None, 48000), 'POST', PROXIED),
    'create, refused': (body({'edge:max_rtt_ms': 'abc'}), 'POST', PROXIED),
}


def measure(app: App, case: str, count: int) -> float:
    """Return the median of what a request takes, in microseconds."""
    content, method, more = CASES[case]
    taken = []
    for _ in range(count):
        request = environ(content, method, **more)
        started = time.perf_counter()
        app(request, lambda status, headers, exc_info=None: None)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    figures = {}
    with open(os.devnull, 'w') as nowhere:
        # What it logs is formatted and written, as in nova-api.
        logging.basicConfig(stream=nowhere, level=logging.INFO)
        ours = with_middleware(
            options.prefixes, record_origin=True, trusted_proxies=[PROXY]
        )
        print(f'{options.prefixes} prefixes, median of', end=' ')
        print(f'{options.requests} requests, in microseconds')
        print(f'{"":30} {"without":>8} {"with":>8} {"more":>8} {"ratio":>6}')
        for case in CASES:
            # One after the other, so that both meet the same machine.
            bare_us = measure(nova_api, case, options.requests)
            with_us = measure(ours, case, options.requests)
            figures[case] = {'without_us': bare_us, 'with_us': with_us}
            print(
                f'{case:30} {bare_us:8.1f} {with_us:8.1f} '
                f'{with_us - bare_us:8.1f} {with_us / bare_us:6.2f}'
            )
    worst_us = max(it['with_us'] - it['without_us'] for it in figures.values())
    verdict = 'under' if worst_us < LIMIT_US else 'OVER'
    print(f'At most {worst_us:.0f} us more: {verdict} {LIMIT_US:.0f} us.')
    told = {
        'prefixes': options.prefixes,
        'requests': options.requests,
        'figures': figures,
    }
    report.write(told, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.bench_middleware',
        description='Measure what a request to nova-api takes more.',
    )
    parser.add_argument(
        '--prefixes', type=int, default=100_000, help='default: %(default)s'
    )
    parser.add_argument(
        '--requests', type=int, default=2000, help='default: %(default)s'
    )
    report.add_option(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
