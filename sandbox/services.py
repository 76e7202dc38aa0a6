# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping what runs: Nova's services and Placement."""

from collections.abc import Iterable
from concurrent import futures
import logging
import pathlib
from typing import Any

from keystoneauth1 import loading as ks_loading
from nova import config as nova_config
from nova import context as nova_context
from nova import objects
from nova import service
from nova import thread_pool_factory
import nova.conf
from nova.objects import host_mapping
from oslo_config import cfg
from oslo_log import log
from paste import deploy as paste_deploy
from placement import conf as placement_conf
from placement import db_api as placement_db
from placement import deploy as placement_deploy

from sandbox import wsgi

CONF = nova.conf.CONF


class Logging:
    """Sends the log to Nova's log file, and gives it back on stop()."""

    def __init__(self) -> None:
        root = logging.getLogger()
        self._handlers = list(root.handlers)
        self._level = root.level
        log.setup(CONF, 'nova')

    def stop(self) -> None:
        root = logging.getLogger()
        for handler in list(root.handlers):
            if handler not in self._handlers:
                root.removeHandler(handler)
                handler.close()
        for handler in self._handlers:
            root.addHandler(handler)
        root.setLevel(self._level)
        logging.captureWarnings(False)


def configure(nova_conf: pathlib.Path) -> None:
    """Read nova.conf, as each of Nova's commands does at its start."""
    nova_config.parse_args(['nova'], default_config_files=[str(nova_conf)])
    objects.register_all()
    objects.Service.enable_min_version_cache()


def reconfigure() -> None:
    """Read nova.conf again, as a restarted service does."""
    if not CONF.reload_config_files():
        raise RuntimeError('nova.conf cannot be read: see the log')


def reach(apps: dict[str, wsgi.WSGIApp]) -> None:
    """Let every session that Nova makes reach these apps."""
    load = ks_loading.load_session_from_conf_options

    def load_session(*args: Any, **kwargs: Any) -> Any:
        session = load(*args, **kwargs)
        wsgi.mount(session.session, apps)
        return session

    ks_loading.load_session_from_conf_options = load_session


def placement(path: pathlib.Path) -> wsgi.WSGIApp:
    conf = cfg.ConfigOpts()
    placement_conf.register_opts(conf)
    conf([], project='placement', default_config_files=[str(path)])
    placement_db.configure(conf)
    return placement_deploy.loadapp(conf)


def api(api_paste: pathlib.Path) -> wsgi.WSGIApp:
    return paste_deploy.loadapp(f'config:{api_paste}', name='osapi_compute')


def start(
    binary: str, topic: str, host: str, **kwargs: Any
) -> service.Service:
    """Start a service without the timers of its heartbeat and periodic tasks.

    A heartbeat is not needed, as service_down_time is a year.
    """
    started = service.Service.create(
        host=host,
        binary=binary,
        topic=topic,
        report_interval=0,
        periodic_enable=False,
        **kwargs,
    )
    started.start()
    return started


def stop(services: Iterable[service.Service]) -> None:
    """Stop listening, and wait for what is being done.

    Service.stop() would also shut down the thread pools of the process,
    which here belong to every service.
    """
    servers = _rpc_servers(services)
    if servers:
        with futures.ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(_stop_server, servers))


def stop_listening(services: Iterable[service.Service]) -> None:
    """Stop listening, where no thread can be started any more."""
    for server in _rpc_servers(services):
        server.stop()


def _rpc_servers(services: Iterable[service.Service]) -> list[Any]:
    return [
        server
        for one in services
        for server in (one.rpcserver, one.rpcserver_alt)
        if server is not None
    ]


def _stop_server(server: Any) -> None:
    server.stop()
    server.wait()


def stop_thread_pools() -> None:
    """Stop Nova's thread pools; told at once, they end together."""
    for kind in thread_pool_factory.ExecutorType:
        thread_pool_factory.get_executor(kind).shutdown(wait=False)
    thread_pool_factory.shutdown_all_executors()


def discover_hosts() -> None:
    """Map new hosts to their cell, as nova-manage does."""
    host_mapping.discover_hosts(nova_context.get_admin_context())
