# SPDX-License-Identifier: Apache-2.0
"""WHAT WAS ASKED? The commands, in the order in which things happen."""

import argparse
import collections.abc
import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys

from smallcloud import backing
from smallcloud import errors
from smallcloud import layout
from smallcloud import outputs
from smallcloud import processes
from smallcloud import services
from smallcloud import software
from smallcloud import steps


def main(arguments: collections.abc.Sequence[str] | None = None) -> int:
    parser = _parser()
    asked = parser.parse_args(arguments)
    place = layout.Layout()
    # As Ctrl-C does: what was started is stopped on the way out.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with _alone():
            asked.function(asked, place, processes.Processes(place))
    except (
        errors.CloudError,
        OSError,
        subprocess.CalledProcessError,
    ) as error:
        print(f'tools/cloud: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='tools/cloud',
        description=(
            'A real OpenStack of separate processes on loopback: MariaDB, '
            'RabbitMQ, Keystone, Placement, Glance, Nova with fake computes, '
            'and edge-filters enabled as README.rst says.'
        ),
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    up = commands.add_parser(
        'up',
        help='install what is missing and start the cloud',
        description=(
            'Install the Debian packages of bindep.txt that are missing (as '
            'root), make a Python environment in .tox, and start a cloud in '
            '.cloud. If anything fails, what was started is stopped again.'
        ),
    )
    up.set_defaults(function=_up)
    up.add_argument(
        '--sites', type=_positive, default=3, metavar='N', help='default: 3'
    )
    up.add_argument(
        '--computes',
        type=_positive,
        default=6,
        metavar='N',
        help='hosts in these sites; one more is in no site. Default: 6',
    )
    up.add_argument(
        '--nova',
        type=int,
        choices=(31, 33, 34),
        default=34,
        help='release of Nova; default: 34',
    )
    up.add_argument(
        '--stock',
        action='store_true',
        help='Nova without edge-filters, to compare with',
    )
    up.add_argument(
        '--debug', action='store_true', help='services log at DEBUG'
    )
    down = commands.add_parser(
        'down',
        help='stop the cloud and delete all it wrote',
        description=(
            'Stop every process that "up" started, and no other, and delete '
            '.cloud with the logs. The Python environments in .tox and the '
            'Debian packages stay, so that the next cloud is up sooner.'
        ),
    )
    down.set_defaults(function=_down)
    status = commands.add_parser('status', help='list the services')
    status.set_defaults(function=_status)
    restart = commands.add_parser(
        'restart', help='restart one service, after a change of code, say'
    )
    restart.add_argument('service', help='a name that "status" lists')
    restart.set_defaults(
        function=lambda asked, _, run: run.restart(asked.service)
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from 1 on')
    return int(text)


@contextlib.contextmanager
def _alone() -> collections.abc.Iterator[None]:
    """Keep a second command of this checkout out."""
    handle = os.open(layout.CHECKOUT / 'tools', os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.CloudError(
                'Another tools/cloud is at work in this checkout. Wait for it.'
            ) from None
        yield
    finally:
        os.close(handle)


def _up(
    asked: argparse.Namespace, place: layout.Layout, run: processes.Processes
) -> None:
    if any(run.is_left(name) for name in run.names()):
        raise errors.CloudError(
            'A cloud is up already. "tools/cloud status" lists its services, '
            '"tools/cloud down" stops them.'
        )
    if asked.computes < asked.sites:
        raise errors.CloudError(
            f'{asked.computes} hosts leave some of {asked.sites} sites empty. '
            'Ask for at least as many --computes as --sites.'
        )
    layout.check_ports_are_free()
    shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(mode=0o700)
    try:
        steps.say('Debian packages')
        software.install_packages(run)
        steps.say(f'Python environment with Nova {asked.nova}')
        plan = services.Plan(
            place=place,
            run=run,
            environment=software.install_environment(run, asked.nova),
            hosts=layout.compute_hosts(asked.sites, asked.computes),
            password=secrets.token_hex(12),
            stock=asked.stock,
            debug=asked.debug,
        )
        _start(plan)
    except BaseException:
        steps.say('stopping what was started; the logs stay in .cloud/logs')
        run.stop_all()
        for entry in place.folder.iterdir():
            if entry != place.logs:
                _delete(entry)
        raise
    steps.say('the cloud is up')
    print(
        f'\nLogs: {place.logs}\n'
        'To use it:\n\n'
        f'    . {place.openrc}\n'
        '    openstack server list\n\n'
        'To stop it: tools/cloud down'
    )


def _start(plan: services.Plan) -> None:
    place, run = plan.place, plan.run
    # Again: installing may have taken minutes.
    layout.check_ports_are_free()
    place.etc.mkdir()
    outputs.write_clients(plan)
    services.configure(plan)
    steps.say('database and message broker')
    steps.at_once(
        run.give_up,
        lambda: backing.start_database(run, place, plan.password),
        lambda: backing.start_broker(run, place, plan.password),
    )
    _fill_databases(plan)
    backing.wait_for_broker(run)
    steps.say('Keystone, Placement, Glance, and the conductor of Nova')
    services.start_network(plan)
    steps.at_once(
        run.give_up,
        lambda: _start_identity(plan),
        lambda: services.start_placement(plan),
        lambda: services.start_image(plan),
        lambda: services.start_conductor(plan),
    )
    steps.say('the rest of Nova')
    services.start_nova(plan)
    steps.say('waiting for the hosts')
    hosts = {**plan.hosts, '': [layout.SPARE_HOST]}
    _populate(plan, 'hosts', json.dumps(hosts))
    services.discover_hosts(plan)
    steps.say('flavors, images and sites')
    ids = json.loads(_populate(plan, 'sites', json.dumps(plan.hosts)))
    outputs.write_tempest(plan, ids)


def _fill_databases(plan: services.Plan) -> None:
    # It takes a minute, and gives the same for the same environment.
    tables = software.tables(plan.environment)
    if tables.exists():
        steps.say('databases, as they were when this environment was made')
        backing.restore(plan.place, tables)
    else:
        steps.say('databases')
        services.fill_databases(plan)
        backing.dump(plan.place, tables)


def _start_identity(plan: services.Plan) -> None:
    services.start_identity(plan)
    _populate(plan, 'catalog')


def _populate(plan: services.Plan, *arguments: str) -> str:
    """Run :mod:`smallcloud.populate` and return what it prints."""
    log = plan.run.log('populate')
    with log.open('ab') as output:
        done = subprocess.run(  # noqa: S603
            [plan.program('python'), '-m', 'smallcloud.populate', *arguments],
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            env={
                'PATH': os.environ['PATH'],
                'PYTHONPATH': str(pathlib.Path(__file__).parents[1]),
                'OS_CLIENT_CONFIG_FILE': str(plan.place.clouds_yaml),
                'OS_CLOUD_PASSWORD': plan.password,
            },
            check=False,
        )
    if done.returncode:
        raise errors.CloudError(
            f'Filling the cloud ({arguments[0]}) failed: see {log}.'
        )
    return done.stdout


def _down(
    asked: argparse.Namespace, place: layout.Layout, run: processes.Processes
) -> None:
    run.stop_all()
    _delete(place.folder)
    steps.say('nothing runs and nothing is left')


def _delete(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _status(
    asked: argparse.Namespace, place: layout.Layout, run: processes.Processes
) -> None:
    names = run.names()
    if not names:
        print('No cloud is up.')
    for name in names:
        pid = run.pid(name)
        print(f'{name:28} {"has ended" if pid is None else f"runs as {pid}"}')
