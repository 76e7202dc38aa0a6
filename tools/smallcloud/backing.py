# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES OPENSTACK STAND ON? A database, and a message broker."""

import getpass
import pathlib
import socket
import subprocess

from smallcloud import layout
from smallcloud import processes
from smallcloud import software

_USER = 'cloud'
DATABASES = (
    'keystone',
    'placement',
    'glance',
    'nova_api',
    'nova_cell0',
    'nova',
)


def database_url(name: str, password: str) -> str:
    return (
        f'mysql+pymysql://{_USER}:{password}@{layout.ADDRESS}:'
        f'{layout.Port.DATABASE.value}/{name}?charset=utf8mb4'
    )


def transport_url(password: str) -> str:
    return (
        f'rabbit://{_USER}:{password}@{layout.ADDRESS}:'
        f'{layout.Port.BROKER.value}/'
    )


def start_database(
    run: processes.Processes, place: layout.Layout, password: str
) -> None:
    """Start a database server that has an empty database for each name."""
    data = place.state / 'database'
    data.mkdir(parents=True)
    run.run(
        'database',
        [
            'mariadb-install-db',
            '--no-defaults',
            f'--datadir={data}',
            f'--user={getpass.getuser()}',
            '--auth-root-authentication-method=socket',
            f'--auth-root-socket-user={getpass.getuser()}',
            '--skip-test-db',
            '--innodb-log-file-size=16M',
        ],
    )
    run.start(
        processes.Service(
            'database',
            (
                software.MARIADB,
                '--no-defaults',
                f'--datadir={data}',
                f'--user={getpass.getuser()}',
                f'--bind-address={layout.ADDRESS}',
                f'--port={layout.Port.DATABASE.value}',
                # Relative to datadir: the name of a socket must be short.
                '--socket=sql.sock',
                f'--pid-file={data}/pid',
                '--max-connections=1000',
                '--innodb-log-file-size=16M',
                # It need not survive the machine's loss of power, but a crash
                # of its own, as tests/trials has it.
                '--innodb-flush-log-at-trx-commit=2',
                '--innodb-doublewrite=0',
                '--skip-log-bin',
            ),
            folder=str(data),
        )
    )
    run.wait('database', lambda: answers(layout.Port.DATABASE))
    statements = [
        f"CREATE USER '{_USER}'@'{layout.ADDRESS}' "
        f"IDENTIFIED BY '{password}';",
        *(
            f'CREATE DATABASE {name} CHARACTER SET utf8mb4; '
            f"GRANT ALL ON {name}.* TO '{_USER}'@'{layout.ADDRESS}';"
            for name in DATABASES
        ),
    ]
    _ask(place, ['mariadb'], '\n'.join(statements))


def dump(place: layout.Layout, path: pathlib.Path) -> None:
    """Keep what is in all databases."""
    content = _ask(place, ['mariadb-dump', '--databases', *DATABASES], '')
    # Whole or not at all.
    new = path.with_suffix('.new')
    new.write_text(content)
    new.rename(path)


def restore(place: layout.Layout, path: pathlib.Path) -> None:
    """Bring back what :func:`dump` kept."""
    _ask(place, ['mariadb'], path.read_text())


def _ask(place: layout.Layout, argv: list[str], text: str) -> str:
    done = subprocess.run(  # noqa: S603
        [argv[0], '--no-defaults', '--socket=sql.sock', *argv[1:]],
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        cwd=place.state / 'database',
        check=True,
    )
    return done.stdout


def start_broker(
    run: processes.Processes, place: layout.Layout, password: str
) -> None:
    home = place.state / 'broker'
    home.mkdir(parents=True)
    (place.etc / 'enabled_plugins').write_text('[].\n')
    (place.etc / 'rabbitmq.conf').touch(mode=0o600)
    (place.etc / 'rabbitmq.conf').write_text(
        f'listeners.tcp.1 = {layout.ADDRESS}:{layout.Port.BROKER.value}\n'
        f'default_user = {_USER}\n'
        f'default_pass = {password}\n'
        'log.console = true\n'
        'log.console.level = info\n'
        'log.file = false\n'
        'disk_free_limit.absolute = 50MB\n'
    )
    # Erlang's register of names would be started by the broker, as a daemon
    # of its own that stays behind.
    names = {
        'ERL_EPMD_ADDRESS': layout.ADDRESS,
        'ERL_EPMD_PORT': str(layout.Port.ERLANG_NAMES.value),
    }
    run.start(processes.Service('erlang-names', ('epmd',), names))
    run.wait('erlang-names', lambda: answers(layout.Port.ERLANG_NAMES))
    run.start(
        processes.Service(
            'broker',
            (software.RABBITMQ,),
            names
            | {
                # Where the secret lies that lets one node command another.
                'HOME': str(home),
                'RABBITMQ_CONF_ENV_FILE': '/dev/null',
                'RABBITMQ_CONFIG_FILE': str(place.etc / 'rabbitmq.conf'),
                'RABBITMQ_ADVANCED_CONFIG_FILE': str(home / 'none.config'),
                'RABBITMQ_DIST_PORT': str(layout.Port.BROKER_NODE.value),
                'RABBITMQ_ENABLED_PLUGINS_FILE': str(
                    place.etc / 'enabled_plugins'
                ),
                'RABBITMQ_LOGS': '-',
                'RABBITMQ_LOG_BASE': str(home),
                'RABBITMQ_MNESIA_BASE': str(home),
                'RABBITMQ_NODENAME': 'edge-filters@localhost',
                'RABBITMQ_NODE_IP_ADDRESS': layout.ADDRESS,
                'RABBITMQ_NODE_PORT': str(layout.Port.BROKER.value),
                'RABBITMQ_PID_FILE': str(home / 'pid'),
                'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': (
                    '-kernel inet_dist_use_interface {127,0,0,1}'
                ),
            },
            folder=str(home),
        )
    )


def wait_for_broker(run: processes.Processes) -> None:
    run.wait('broker', lambda: answers(layout.Port.BROKER))


def answers(port: layout.Port) -> bool:
    """Whether somebody listens on a port."""
    try:
        socket.create_connection((layout.ADDRESS, port.value), 1).close()
    except OSError:
        return False
    return True
