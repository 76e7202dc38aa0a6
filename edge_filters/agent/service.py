# SPDX-License-Identifier: Apache-2.0
"""WHO STARTS AND STOPS IT? The process that an operator has."""

import collections.abc
import contextlib
import queue
import signal
import sys

from keystoneauth1 import exceptions as ksa_exceptions
from keystoneauth1 import loading
from openstack import connection as sdk_connection
from oslo_config import cfg
from oslo_log import log as logging

from edge_filters import cloud
from edge_filters.agent import agent
from edge_filters.agent import exposition
from edge_filters.agent import preview
from edge_filters.conf import agent as agent_conf

LOG = logging.getLogger(__name__)

PROGRAM = 'edge-latency-agent'

# Where its configuration is looked for, under /etc and elsewhere.
PROJECT = 'edge-filters'

# How long a call that is under way may hold up the end.
_STOP_S = 5.0

# How often it is looked whether a signal came unnoticed.
_LOOK_S = 0.5

# As a shell has it for a program that was interrupted.
_INTERRUPTED = 130

_COMMAND_LINE = [
    cfg.BoolOpt(
        'once',
        default=False,
        help='Measure once, publish it, and exit: 0 if all of it was.',
    ),
    cfg.BoolOpt(
        'dry-run',
        default=False,
        help='Measure once, print what would be written, and exit.',
    ),
]


def main(arguments: collections.abc.Sequence[str]) -> int:
    """Run the agent; return its exit status.

    :param arguments: what stands after its name
    """
    # A queue, as a handler may interrupt whatever is done with another lock.
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    _listen(told, signal.SIGHUP)
    try:
        config, settings, nova = _read(arguments)
    except ValueError as error:
        print(f'{PROGRAM}: {error}', file=sys.stderr)
        return 2
    it = agent.Agent(settings, nova)
    try:
        if config.dry_run:
            return _preview(it)
        if config.once:
            return 0 if it.once() else 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    _listen(told, signal.SIGTERM, signal.SIGINT)
    _serve(arguments, it, told)
    return 0


def _listen(told: 'queue.SimpleQueue[int]', *numbers: int) -> None:
    """Have signals put into a queue."""
    for number in numbers:
        signal.signal(number, lambda which, _frame: told.put(which))


def _read(
    arguments: collections.abc.Sequence[str],
) -> tuple[cfg.ConfigOpts, agent_conf.Settings, cloud.Cloud]:
    """Read the configuration, and log as it has it.

    :raises ValueError: if it cannot be used
    """
    try:
        config = _configure(arguments)
        settings, nova = agent_conf.read(config), _connect(config)
        logging.setup(config, PROGRAM)
    except UnicodeDecodeError as error:
        raise ValueError(
            f'a configuration file is not UTF-8 ({error}); write it in UTF-8'
        ) from None
    except (cfg.Error, logging.LogConfigError, OSError) as error:
        raise ValueError(str(error)) from None
    return config, settings, nova


def _configure(arguments: collections.abc.Sequence[str]) -> cfg.ConfigOpts:
    config = cfg.ConfigOpts()
    logging.register_options(config)
    agent_conf.register_opts(config)
    config.register_cli_opts(_COMMAND_LINE)
    config(list(arguments), project=PROJECT, prog=PROGRAM)
    return config


def _connect(config: cfg.ConfigOpts) -> cloud.Cloud:
    """Return Nova, which is not asked anything yet.

    :raises ValueError: if nobody tells how
    """
    group = agent_conf.NOVA.name
    try:
        auth = loading.load_auth_from_conf_options(config, group)
        session = loading.load_session_from_conf_options(
            config, group, auth=auth
        )
    except (OSError, ksa_exceptions.ClientException) as error:
        raise ValueError(f'[{group}] {error}') from None
    if auth is None:
        raise ValueError(
            f'[{group}] auth_type is not set: say how to reach Nova, as '
            'keystoneauth has it'
        )
    return cloud.Cloud(
        sdk_connection.Connection(session=session, oslo_conf=config)
    )


def _preview(it: agent.Agent) -> int:
    """Print what would be written."""
    try:
        changes = it.preview()
    except cloud.CloudError as error:
        print(f'{PROGRAM}: {error}', file=sys.stderr)
        return 1
    print(preview.table(changes))
    return 0


def _serve(
    arguments: collections.abc.Sequence[str],
    current: agent.Agent,
    told: 'queue.SimpleQueue[int]',
) -> None:
    """Measure and publish until it is told to end.

    :param told: the signals that come; SIGHUP: read the configuration again
    """
    stop_metrics = _expose(current)
    current.start()
    LOG.info('%s has started.', PROGRAM)
    while _next(told) == signal.SIGHUP:
        try:
            _, settings, nova = _read(arguments)
        except ValueError as error:
            LOG.error(
                'The configuration is not used, and the one before goes on: '
                '%s; mend it, and tell me again.',
                error,
            )
            continue
        current.stop(_STOP_S)
        stop_metrics()
        current = agent.Agent(settings, nova, current)
        stop_metrics = _expose(current)
        current.start()
        LOG.info('The configuration was read again.')
    current.stop(_STOP_S)
    stop_metrics()
    LOG.info('%s has stopped.', PROGRAM)


def _next(told: 'queue.SimpleQueue[int]') -> int:
    """Wait for a signal; to read again is to read once, however often told."""
    number = 0
    while not number or (number == signal.SIGHUP and not told.empty()):
        # One that comes just before it sleeps does not wake it.
        with contextlib.suppress(queue.Empty):
            number = told.get(timeout=_LOOK_S)
    return number


def _expose(it: agent.Agent) -> collections.abc.Callable[[], None]:
    """Have the metrics of an agent answered; return what ends it."""
    return exposition.start(
        exposition.Collector(it.publisher, it.counts),
        it.settings.metrics_address,
        it.settings.metrics_port,
    )
