# SPDX-License-Identifier: Apache-2.0
"""HTTP without sockets: requests sessions that call WSGI apps directly."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import io
import sys
from typing import Any
from urllib import parse

import requests
from requests import adapters
import urllib3

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class WSGIAdapter(adapters.HTTPAdapter):
    """Answers the requests of a session by calling an app in this thread."""

    def __init__(self, app: WSGIApp, remote_address: str) -> None:
        super().__init__()
        self._app = app
        self._remote_address = remote_address

    def send(
        self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any
    ) -> requests.Response:
        started: list[Any] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> None:
            started[:] = [status, headers]

        chunks = self._app(
            _environ(request, self._remote_address), start_response
        )
        try:
            body = b''.join(chunks)
        finally:
            close = getattr(chunks, 'close', None)
            if close is not None:
                close()
        status, headers = started
        code, _, reason = status.partition(' ')
        answer = urllib3.HTTPResponse(
            body=io.BytesIO(body),
            headers=headers,
            status=int(code),
            reason=reason,
            preload_content=False,
        )
        return self.build_response(request, answer)


def _environ(
    request: requests.PreparedRequest, remote_address: str
) -> dict[str, Any]:
    url = parse.urlsplit(request.url)
    body = request.body or b''
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = b''.join(body)
    environ = {
        'REQUEST_METHOD': request.method,
        'SCRIPT_NAME': '',
        'PATH_INFO': parse.unquote(url.path) or '/',
        'QUERY_STRING': url.query,
        'SERVER_NAME': url.hostname,
        'SERVER_PORT': str(url.port or 80),
        'SERVER_PROTOCOL': 'HTTP/1.1',
        'REMOTE_ADDR': remote_address,
        'CONTENT_LENGTH': str(len(body)),
        'wsgi.version': (1, 0),
        'wsgi.url_scheme': url.scheme,
        'wsgi.input': io.BytesIO(body),
        'wsgi.errors': sys.stderr,
        'wsgi.multithread': True,
        'wsgi.multiprocess': False,
        'wsgi.run_once': False,
    }
    for name, value in request.headers.items():
        if isinstance(value, bytes):
            value = value.decode('latin-1')
        key = name.upper().replace('-', '_')
        if key == 'CONTENT_TYPE':
            environ[key] = value
        elif key != 'CONTENT_LENGTH':
            environ[f'HTTP_{key}'] = value
    environ.setdefault('HTTP_HOST', url.netloc)
    return environ


def mount(
    session: requests.Session,
    apps: Mapping[str, WSGIApp],
    remote_address: str = '127.0.0.1',
) -> requests.Session:
    """Let the session reach the apps, a mapping of base URL to app."""
    for url, app in apps.items():
        session.mount(url, WSGIAdapter(app, remote_address))
    return session
