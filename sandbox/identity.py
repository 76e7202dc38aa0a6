# SPDX-License-Identifier: Apache-2.0
"""Who asks: the place of keystonemiddleware in nova-api's pipeline."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from sandbox import wsgi


def token(user: str, project: str, *roles: str) -> str:
    """The token with which a user asks."""
    return ':'.join((user, project, ','.join(roles)))


def filter_factory(
    _global_conf: dict[str, str], **_local_conf: str
) -> Callable[[wsgi.WSGIApp], wsgi.WSGIApp]:
    """Paste factory: believe the token, say who it is as authtoken does."""

    def identify(app: wsgi.WSGIApp) -> wsgi.WSGIApp:
        def identified(
            environ: dict[str, Any], start_response: Callable[..., Any]
        ) -> Iterable[bytes]:
            parts = environ.get('HTTP_X_AUTH_TOKEN', '').split(':')
            if len(parts) == 3:
                user, project, roles = parts
                environ['HTTP_X_IDENTITY_STATUS'] = 'Confirmed'
                environ['HTTP_X_USER_ID'] = user
                environ['HTTP_X_PROJECT_ID'] = project
                environ['HTTP_X_ROLES'] = roles
            return app(environ, start_response)

        return identified

    return identify
