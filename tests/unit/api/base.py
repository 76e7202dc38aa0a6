# SPDX-License-Identifier: Apache-2.0
"""A nova-api that says what reached it, and prefixes for it."""

import io
import ipaddress
import json

from nova import objects
import nova.conf

from edge_filters import conf
from edge_filters.api import directory
from edge_filters.api import middleware
from edge_filters.origins import prefixes

nova.conf.CONF([], project='nova', default_config_files=[])
objects.register_all()

# Prefixes that do not name a caller by accident, one inside another.
ORIGINS = {
    '192.0.2.0/24': 'paris',
    '192.0.2.128/25': 'lyon',
    '2001:db8::/32': 'nice',
    '127.0.0.0/8': 'here',
}

PROXIES = tuple(
    map(ipaddress.ip_network, ('10.0.0.0/8', 'fd00::/8', '198.51.100.1'))
)

PROJECT = '6f70656e-7374-6163-6b20-342065766572'

SERVER = {'name': 'a', 'flavorRef': '1', 'networks': 'none'}


def table(origins):
    return prefixes.PrefixTable(
        prefixes.Entry(ipaddress.ip_network(prefix), origin, 'a test')
        for prefix, origin in origins.items()
    )


class Prefixes:
    """What a directory is to the middleware."""

    def __init__(self, origins=ORIGINS, is_complete=True):
        self.listing = directory.Listing(table(origins), is_complete)
        self.followed = 0

    def follow(self):
        self.followed += 1


class Nova:
    """What stands behind the middleware: keeps what reaches it."""

    def __init__(self):
        self.bodies = []
        self.environ = None

    def __call__(self, environ, start_response):
        self.environ = environ
        length = environ.get('CONTENT_LENGTH')
        body = environ['wsgi.input'].read(int(length)) if length else None
        self.bodies.append(body)
        start_response('202 Accepted', [])
        return [b'']


def settings(**options):
    config = nova.conf.CONF
    conf.register_opts(config)
    for name, value in options.items():
        config.set_override(name, value, 'edge_filters')
    try:
        return conf.read(config)
    finally:
        for name in options:
            config.clear_override(name, 'edge_filters')


def environ(body, path='/servers', method='POST', **more):
    return {
        'REQUEST_METHOD': method,
        'SCRIPT_NAME': '/v2.1',
        'PATH_INFO': path,
        'QUERY_STRING': '',
        'SERVER_NAME': 'nova',
        'SERVER_PORT': '8774',
        'SERVER_PROTOCOL': 'HTTP/1.1',
        'REMOTE_ADDR': '203.0.113.1',
        'CONTENT_TYPE': 'application/json',
        'CONTENT_LENGTH': str(len(body)),
        'wsgi.input': io.BytesIO(body),
        'wsgi.url_scheme': 'http',
        **more,
    }


def create(hints=None, key='os:scheduler_hints', **more):
    """The body of a server create."""
    body = {'server': SERVER, **more}
    if hints is not None:
        body[key] = hints
    return json.dumps(body).encode()


class Api:
    """nova-api with the middleware in front.

    :ivar nova: what is behind the middleware
    :ivar status: of the last answer
    :ivar headers: of the last answer
    """

    def __init__(self, prefixes=None, **options):
        self.nova = Nova()
        self.prefixes = prefixes or Prefixes()
        self._app = middleware.EdgeMiddleware(
            self.nova, settings(**options), self.prefixes
        )

    def __call__(self, environ):
        """Return the body that reaches Nova, or the refusal as text."""

        def start_response(status, headers, exc_info=None):
            self.status, self.headers = status, dict(headers)

        self.nova.bodies.clear()
        answer = b''.join(self._app(environ, start_response))
        if self.nova.bodies:
            (body,) = self.nova.bodies
            return body
        fault = json.loads(answer)['badRequest']
        assert fault['code'] == 400
        return fault['message']
