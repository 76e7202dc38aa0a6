# SPDX-License-Identifier: Apache-2.0
"""WHAT WAS ASKED? A Paste filter for nova-api that reads server creates.

It stands after ``keystonecontext`` in both pipelines of api-paste.ini. It
refuses hints that the scheduler could not read, while the user is still there
to hear it, and it has Nova keep whom a server serves as an origin, never as an
address. Whatever is no server create, and what needs no change, passes as it
came.

A second one, ``peer_factory``, keeps the address of whoever has the
connection. It is of use in front of ``http_proxy_to_wsgi`` where that replaces
the address; see :func:`edge_filters.api.forwarded.caller`.
"""

import collections.abc
import dataclasses
import io
import re
import typing

from nova.api.openstack import wsgi
import nova.conf
from oslo_config import cfg
from oslo_log import log as logging
import webob
import webob.exc

from edge_filters import conf
from edge_filters import ratelimit
from edge_filters import spelling
from edge_filters.api import directory
from edge_filters.api import document
from edge_filters.api import forwarded
from edge_filters.origins import request as origins_request

CONF = nova.conf.CONF
conf.register_opts(CONF)

LOG = logging.getLogger(__name__)

# Where the address of whoever has the connection is kept. Clients cannot
# write it: what they send has names that begin with HTTP_.
PEER = 'edge_filters.peer'

# Nova's routes, with or without the prefix that its URL map takes off.
_CREATE = re.compile(
    r'^(?:/v2(?:\.1)?)?(?:/[0-9a-f-]+)?/(?:servers|os-volumes_boot)$'
)

# What oslo.middleware accepts unless it is told otherwise.
_MAX_BODY = 114688

_Environ = dict[str, typing.Any]
_App = collections.abc.Callable[..., collections.abc.Iterable[bytes]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Outcome:
    """What is to be done with a server create.

    :param refusal: why it is refused; empty: it is not
    :param origins: what becomes the hint ``edge:origin``; empty: nothing does
    :param reason: where the origins are from
    """

    refusal: str = ''
    origins: tuple[str, ...] = ()
    reason: str = ''


_NOTHING = _Outcome()


class EdgeMiddleware:
    """Checks and completes the hints of server creates.

    :param app: what comes next in the pipeline
    :param settings: the options
    :param prefixes: tells which origin an address belongs to
    """

    def __init__(
        self,
        app: _App,
        settings: conf.Settings,
        prefixes: directory.Directory,
    ) -> None:
        self._app = app
        self._settings = settings
        self._prefixes = prefixes
        self._records = settings.record_origin and settings.mode != 'off'
        self._said = ratelimit.RateLimit()

    def __call__(
        self,
        environ: _Environ,
        start_response: collections.abc.Callable[..., typing.Any],
    ) -> collections.abc.Iterable[bytes]:
        """Answer a request, or pass it on."""
        refusal: _App | None = None
        try:
            if self._records:
                # On any request, so that it has read before the first create.
                self._prefixes.follow()
            if self._settings.mode != 'off' and _is_create(environ):
                refusal = self._refusal(environ)
        except Exception as error:
            # Nova can do without us; its users cannot do without Nova.
            if self._said.is_due(type(error).__name__):
                LOG.exception('A request passes as it is')
        return (refusal or self._app)(environ, start_response)

    def _refusal(self, environ: _Environ) -> _App | None:
        """Change a server create, or return what answers it instead."""
        body = _read(environ)
        create = None if body is None else document.parse(body)
        if create is None:
            return None
        outcome = self._examine(environ, create)
        enforces = self._settings.mode == 'enforce'
        if outcome == _NOTHING:
            return None
        self._log(outcome, enforces)
        if not enforces:
            return None
        if outcome.refusal:
            return _fault(outcome.refusal)
        _replace(environ, _completed(create, outcome.origins))
        return None

    def _examine(self, environ: _Environ, create: document.Create) -> _Outcome:
        hints = {
            name: _as_nova_reads(value) for name, value in create.hints.items()
        }
        request = origins_request.parse(hints, None)
        if request.problems:
            return _refused(request.problems)
        if not self._records:
            return _NOTHING
        if request.clients:
            return self._resolve(request)
        if request.has_users:
            return _NOTHING
        return self._identify(environ)

    def _resolve(self, request: origins_request.Request) -> _Outcome:
        """Turn the addresses of a request into origins.

        Where the prefixes are not known, the addresses stay, and Nova keeps
        them. To refuse the server, or to forget whom it serves for all its
        life, would be worse than to keep what its user wrote.
        """
        listing = self._prefixes.listing
        origins = list(request.origins)
        problems = []
        for client in request.clients:
            why = 'belongs to no origin'
            try:
                entry = listing.table.find(client)
            except ValueError:
                # Their names are not for everybody.
                entry = None
                why = 'has addresses of several origins; give a longer prefix'
            if entry is None:
                why = (
                    f'{spelling.shown_network(client)} {why}; or give an '
                    f'origin, for instance {origins_request.ORIGIN.name}='
                    f'{origins_request.ORIGIN.example}'
                )
                problems.append(_problem(why))
            else:
                origins.append(entry.origin)
        if problems and not listing.is_complete:
            if self._said.is_due('kept'):
                LOG.warning(
                    'Nova keeps an address that is a hint: its origin is not '
                    'known, as not all prefixes have been read yet, or there '
                    'are none.'
                )
            return _NOTHING
        origins = list(dict.fromkeys(origins))
        if len(origins) > origins_request.MAX_VALUES:
            why = (
                f'and {origins_request.ORIGIN.name} are {len(origins)} '
                f'origins; give at most {origins_request.MAX_VALUES}'
            )
            problems.append(_problem(why))
        if problems:
            return _refused(problems[: origins_request.MAX_PROBLEMS])
        return _Outcome('', tuple(origins), 'of the addresses given')

    def _identify(self, environ: _Environ) -> _Outcome:
        """Find the origin of the caller, if it can be told."""
        chain = forwarded.Chain(
            environ.get('REMOTE_ADDR'),
            environ.get('HTTP_X_FORWARDED_FOR'),
            environ.get('HTTP_FORWARDED'),
            environ.get(PEER),
        )
        if forwarded.is_replaced(chain) and self._said.is_due('replaced'):
            LOG.warning(
                'Nobody knows who called: REMOTE_ADDR is what a header says. '
                'Where [oslo_middleware] enable_proxy_headers_parsing is on, '
                'put the filter edge_filters_peer in front of '
                'http_proxy_to_wsgi in api-paste.ini.'
            )
        caller = forwarded.caller(chain, self._settings.trusted_proxies)
        if caller is None:
            return _NOTHING
        listing = self._prefixes.listing
        entry = listing.table.find(caller)
        if entry is None:
            if not listing.is_complete and self._said.is_due('incomplete'):
                LOG.warning(
                    'The origin of a caller is not known, as not all prefixes '
                    'have been read yet, or there are none. If this is said '
                    'again: uWSGI needs enable-threads.'
                )
            return _NOTHING
        return _Outcome('', (entry.origin,), 'of the caller')

    def _log(self, outcome: _Outcome, enforces: bool) -> None:
        if not (enforces or self._said.is_due(outcome)):
            return
        done = (
            f'refused: {outcome.refusal}'
            if outcome.refusal
            else f'origin {spelling.listed(outcome.origins)} {outcome.reason}'
        )
        LOG.info(
            'Edge middleware (%(mode)s): %(done)s.',
            {'mode': self._settings.mode, 'done': done},
        )


def _is_create(environ: _Environ) -> bool:
    # Nova reads a body with these two alone.
    return (
        environ.get('REQUEST_METHOD') in ('POST', 'PUT')
        and _CREATE.match(environ.get('PATH_INFO', '')) is not None
        and _method(environ) == 'POST'
    )


def _method(environ: _Environ) -> str:
    """Return the method by which Nova's routes go: a query may override it."""
    method = str(environ['REQUEST_METHOD'])
    if '_method' in environ.get('QUERY_STRING', ''):
        query = webob.Request(environ).GET
        method = str(query.get('_method') or method).upper()
    return method


def _read(environ: _Environ) -> bytes | None:
    """Return the body of a request and put it back; None: it has none."""
    try:
        length = int(environ.get('CONTENT_LENGTH') or 0)
    except ValueError:
        return None
    # Without a length Nova takes the body for empty.
    if not 0 < length <= _max_body():
        return None
    source = environ['wsgi.input']
    if environ.get('webob.is_body_seekable'):
        source.seek(0)
    body = b''
    try:
        while len(body) < length:
            chunk = source.read(length - len(body))
            if not chunk:
                break
            body += chunk
    except OSError:
        # The client is gone.
        pass
    _put_back(environ, body)
    if len(body) < length:
        # So that webob finds it to be cut short, and says so.
        environ['webob.is_body_seekable'] = False
        return None
    return body


def _put_back(environ: _Environ, body: bytes) -> None:
    environ['wsgi.input'] = io.BytesIO(body)
    # Spares webob, and so Nova, a copy.
    environ['webob.is_body_seekable'] = True


def _replace(environ: _Environ, body: bytes) -> None:
    _put_back(environ, body)
    environ['CONTENT_LENGTH'] = str(len(body))


def _max_body() -> int:
    try:
        return int(CONF.oslo_middleware.max_request_body_size)
    except cfg.Error:
        return _MAX_BODY


def _as_nova_reads(value: object) -> object:
    """Return the value of a hint as Nova hands it to the scheduler.

    Nova makes text of numbers, alone or in a list. To what is neither text
    nor number it answers with a 500.
    """
    if isinstance(value, list):
        return [str(it) if isinstance(it, int | float) else it for it in value]
    return str(value) if isinstance(value, int | float) else value


def _refused(
    problems: collections.abc.Iterable[origins_request.Problem],
) -> _Outcome:
    return _Outcome('. '.join(map(_sentence, problems)))


def _problem(why: str) -> origins_request.Problem:
    return origins_request.Problem('hint', origins_request.CLIENT_IP.name, why)


def _sentence(problem: origins_request.Problem) -> str:
    text = str(problem)
    return text[:1].upper() + text[1:]


def _completed(
    create: document.Create, origins: collections.abc.Sequence[str]
) -> bytes:
    """Return a body with these origins, and no address."""
    names = (origins_request.ORIGIN.name, origins_request.CLIENT_IP.name)
    return create.with_hint(
        origins_request.ORIGIN.name,
        origins[0] if len(origins) == 1 else list(origins),
        [it for it in create.hints if it.strip().lower() in names],
    )


def _fault(refusal: str) -> _App:
    explanation = f'{refusal}.'
    fault: _App = wsgi.Fault(webob.exc.HTTPBadRequest(explanation=explanation))
    return fault


class KeepPeer:
    """Keeps the address of whoever has the connection."""

    def __init__(self, app: _App) -> None:
        self._app = app

    def __call__(
        self,
        environ: _Environ,
        start_response: collections.abc.Callable[..., typing.Any],
    ) -> collections.abc.Iterable[bytes]:
        """Pass a request on, with the address kept."""
        environ[PEER] = environ.get('REMOTE_ADDR', '')
        return self._app(environ, start_response)


def filter_factory(
    global_conf: collections.abc.Mapping[str, str], **local_conf: str
) -> collections.abc.Callable[[_App], EdgeMiddleware]:
    """Return what Paste puts in front of the next in the pipeline.

    Its options are in nova.conf.
    """
    settings = conf.read(CONF)
    prefixes = directory.shared(settings.map_files)
    return lambda app: EdgeMiddleware(app, settings, prefixes)


def peer_factory(
    global_conf: collections.abc.Mapping[str, str], **local_conf: str
) -> collections.abc.Callable[[_App], KeepPeer]:
    """Return what Paste puts in front of ``http_proxy_to_wsgi``."""
    return KeepPeer
