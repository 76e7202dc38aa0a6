# SPDX-License-Identifier: Apache-2.0
"""WHICH SERVICES? Keystone, Placement, Glance, Nova, and how each is set up.

Every service gets the configuration an operator would write, in its own file,
and its API runs under uWSGI as the projects recommend.
"""

import base64
import collections.abc
import dataclasses
import os
import pathlib
import re
import sys
import textwrap
import urllib.error
import urllib.request

from smallcloud import backing
from smallcloud import errors
from smallcloud import ini
from smallcloud import layout
from smallcloud import processes
from smallcloud import steps

SCHEDULERS = ('nova-scheduler-1', 'nova-scheduler-2')
_SCHEDULER_WORKERS = 2
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_CONF = {'glance': 'glance-api.conf'}
_CREDENTIALS_PAGE = 'doc/source/admin/agent-credentials.rst'


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a cloud is made of."""

    place: layout.Layout
    run: processes.Processes
    # The Python environment.
    environment: pathlib.Path
    hosts: dict[str, list[str]]
    # One for all: everything listens on loopback, and is gone with the cloud.
    password: str
    # Without edge-filters.
    stock: bool = False
    debug: bool = False

    def program(self, name: str) -> str:
        return str(self.environment / 'bin' / name)

    def database(self, name: str) -> str:
        return backing.database_url(name, self.password)

    def credentials(self) -> dict[str, object]:
        """How one service proves to another who it is."""
        return {
            'auth_type': 'password',
            'auth_url': f'{layout.Port.IDENTITY.url}/v3',
            'username': 'service',
            'password': self.password,
            'user_domain_name': 'Default',
            'project_name': 'service',
            'project_domain_name': 'Default',
            'region_name': layout.REGION,
        }

    def tokens(self) -> dict[str, object]:
        """How a service checks who asks it."""
        return self.credentials() | {
            'www_authenticate_uri': layout.Port.IDENTITY.url,
            'service_token_roles': 'service',
            'service_token_roles_required': True,
        }

    def state(self, name: str) -> pathlib.Path:
        folder = self.place.state / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def configure(plan: Plan) -> None:
    """Write the configuration of every service."""
    _configure_identity(plan)
    _configure_placement(plan)
    _configure_image(plan)
    _configure_nova(plan)


def fill_databases(plan: Plan) -> None:
    """Make the tables of every service."""
    steps.at_once(
        plan.run.give_up,
        lambda: _manage(plan, 'keystone', 'db_sync'),
        lambda: _manage(plan, 'placement', 'db', 'sync'),
        lambda: _manage(plan, 'glance', 'db_sync'),
        lambda: _fill_nova(plan),
    )


def _fill_nova(plan: Plan) -> None:
    # Nova fills the braces in from its configuration, so that these tables
    # have no password in them.
    url = '{scheme}://{username}:{password}@{hostname}:{port}'
    _manage(plan, 'nova', 'api_db', 'sync')
    _manage(
        plan,
        'nova',
        'cell_v2',
        'map_cell0',
        f'--database_connection={url}/nova_cell0?{{query}}',
    )
    _manage(
        plan,
        'nova',
        'cell_v2',
        'create_cell',
        '--name=cell1',
        f'--database_connection={url}/nova?{{query}}',
        f'--transport-url={url}/',
    )
    _manage(plan, 'nova', 'db', 'sync')


def start_identity(plan: Plan) -> None:
    """Start Keystone, with an administrator and nothing else."""
    url = f'{layout.Port.IDENTITY.url}/v3'
    _manage(
        plan,
        'keystone',
        'bootstrap',
        f'--bootstrap-admin-url={url}',
        f'--bootstrap-internal-url={url}',
        f'--bootstrap-public-url={url}',
        f'--bootstrap-region-id={layout.REGION}',
        env={'OS_BOOTSTRAP_PASSWORD': plan.password},
    )
    _start_api(
        plan,
        'keystone',
        layout.Port.IDENTITY,
        'keystone.wsgi.api',
        {'OS_KEYSTONE_CONFIG_FILES': str(plan.place.etc / 'keystone.conf')},
    )


def start_placement(plan: Plan) -> None:
    _start_api(
        plan,
        'placement',
        layout.Port.PLACEMENT,
        'placement.wsgi.api',
        {'OS_PLACEMENT_CONFIG_DIR': str(plan.place.etc)},
    )


def start_image(plan: Plan) -> None:
    _start_api(
        plan,
        'glance',
        layout.Port.IMAGE,
        'glance.wsgi.api',
        {'OS_GLANCE_CONFIG_DIR': str(plan.place.etc)},
    )


def start_network(plan: Plan) -> None:
    # Stands in for Neutron, which would bring agents, bridges and namespaces:
    # a server needs a network service that answers, not one that carries.
    plan.run.start(
        processes.Service(
            'neutron-stand-in',
            (sys.executable, '-m', 'smallcloud.network'),
            {'PYTHONPATH': str(pathlib.Path(__file__).parents[1])},
        )
    )


def edge_filters_lines() -> str:
    """Return what README.rst tells an operator to add to nova.conf.

    Without the line that it tells to remove in the end.
    """
    return _first_ini_block('README.rst').replace('mode = observe\n', '')


def credential_lines() -> str:
    """Return what the page on credentials of agents tells to add to it."""
    return _first_ini_block(_CREDENTIALS_PAGE)


def _first_ini_block(page: str) -> str:
    text = (layout.CHECKOUT / page).read_text()
    _, _, rest = text.partition('.. code-block:: ini\n')
    if not rest:
        raise errors.CloudError(
            f'{page} has no ini block with lines for nova.conf.'
        )
    lines = []
    for line in rest.splitlines():
        if line and not line.startswith(' '):
            break
        lines.append(line)
    return textwrap.dedent('\n'.join(lines))


def start_conductor(plan: Plan) -> None:
    """Start the conductor, which a compute waits for ten seconds at a time."""
    name = 'nova-conductor'
    _start_nova(plan, name, name)
    plan.run.wait(
        name,
        lambda: 'Starting conductor node' in plan.run.log(name).read_text(),
    )


def start_nova(plan: Plan) -> None:
    """Start the rest of Nova; the hosts report a moment later."""
    for name in SCHEDULERS:
        _start_nova(plan, name, 'nova-scheduler')
    for hosts in (*plan.hosts.values(), [layout.SPARE_HOST]):
        for host in hosts:
            _start_nova(plan, compute_service(host), 'nova-compute')
    _start_api(
        plan,
        'nova-api',
        layout.Port.COMPUTE,
        'nova.wsgi.osapi_compute',
        # Only the last is read by the parser that knows repeated options.
        {
            'OS_NOVA_CONFIG_FILES': (
                f'{_api_paste(plan)};{plan.place.etc / "nova.conf"}'
            )
        },
        count=2,
    )


def compute_service(host: str) -> str:
    """Return the name of the process that is a host."""
    return f'nova-{host}'


def discover_hosts(plan: Plan) -> None:
    """Tell Nova's API of the hosts that have reported to their cell."""
    _manage(plan, 'nova', 'cell_v2', 'discover_hosts')


def _configure_identity(plan: Plan) -> None:
    keys_of = {
        use: plan.state(f'keystone-{use}')
        for use in ('fernet_tokens', 'fernet_receipts', 'credential')
    }
    for keys in keys_of.values():
        keys.chmod(0o700)
        for number in (0, 1):
            key = keys / str(number)
            key.touch(mode=0o600)
            key.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
    repositories: ini.Options = {
        use: {'key_repository': keys} for use, keys in keys_of.items()
    }
    ini.write(
        plan.place.etc / 'keystone.conf',
        {
            'DEFAULT': {'debug': plan.debug},
            'database': {'connection': plan.database('keystone')},
            # Hashes are slow on purpose; these passwords do not last a day.
            'identity': {'password_hash_rounds': 4},
            **repositories,
        },
    )


def _configure_placement(plan: Plan) -> None:
    ini.write(
        plan.place.etc / 'placement.conf',
        {
            'DEFAULT': {'debug': plan.debug},
            'api': {'auth_strategy': 'keystone'},
            'keystone_authtoken': plan.tokens(),
            'placement_database': {'connection': plan.database('placement')},
        },
    )


def _configure_image(plan: Plan) -> None:
    stores: ini.Options = {
        name: {'filesystem_store_datadir': plan.state(name)}
        for name in (
            'files',
            'os_glance_staging_store',
            'os_glance_tasks_store',
        )
    }
    ini.write(
        plan.place.etc / 'glance-api.conf',
        {
            'DEFAULT': {'debug': plan.debug, 'enabled_backends': 'files:file'},
            'database': {'connection': plan.database('glance')},
            'glance_store': {'default_backend': 'files'},
            'keystone_authtoken': plan.tokens(),
            'paste_deploy': {
                'config_file': (
                    plan.environment / 'etc/glance/glance-api-paste.ini'
                ),
                'flavor': 'keystone',
            },
            **stores,
        },
    )


def _configure_nova(plan: Plan) -> None:
    _write_api_paste(plan)
    ini.write(
        plan.place.etc / 'nova.conf',
        {
            'DEFAULT': {
                'debug': plan.debug,
                'compute_driver': 'fake.FakeDriverWithoutFakeNodes',
                'host': 'controller',
                'my_ip': layout.ADDRESS,
                'state_path': plan.state('nova'),
                'transport_url': backing.transport_url(plan.password),
            },
            'api_database': {'connection': plan.database('nova_api')},
            'database': {'connection': plan.database('nova')},
            'glance': {'region_name': layout.REGION},
            'keystone_authtoken': plan.tokens(),
            'neutron': plan.credentials(),
            'oslo_concurrency': {'lock_path': plan.state('nova-locks')},
            'oslo_policy': {
                'policy_file': (
                    layout.CHECKOUT / 'etc/edge-filters/nova-policy.yaml'
                )
            },
            'placement': plan.credentials(),
            'quota': {'instances': -1, 'cores': -1, 'ram': -1},
            'scheduler': {'workers': _SCHEDULER_WORKERS},
            'service_user': {
                name: value
                for name, value in plan.credentials().items()
                if name != 'region_name'
            }
            | {'send_service_user_token': True},
            'vnc': {'enabled': False},
            'wsgi': {'api_paste_config': _api_paste(plan)},
        },
        credential_lines(),
        '' if plan.stock else _edge_filters(),
    )


def _edge_filters() -> str:
    # Whoever is on this machine may say for whom it calls. oslo.config reads
    # a second [edge_filters] as a part of the first.
    proxies: ini.Options = {
        'edge_filters': {
            'record_origin': True,
            'trusted_proxies': layout.ADDRESS,
        }
    }
    return '\n'.join([ini.text(proxies), edge_filters_lines()])


def _manage(
    plan: Plan,
    project: str,
    *arguments: str,
    env: dict[str, str] | None = None,
) -> None:
    """Run a project's command for its administrator."""
    name = f'{project}-manage'
    conf = plan.place.etc / _CONF.get(project, f'{project}.conf')
    plan.run.run(
        name, [plan.program(name), '--config-file', conf, *arguments], env=env
    )


def _api_paste(plan: Plan) -> pathlib.Path:
    return plan.place.etc / 'api-paste.ini'


def _write_api_paste(plan: Plan) -> None:
    """Put our filter where doc/source/admin/origins.rst says."""
    stock = (plan.environment / 'etc/nova/api-paste.ini').read_text()
    if plan.stock:
        _api_paste(plan).write_text(stock)
        return
    _api_paste(plan).write_text(
        re.sub(
            r'^(keystone = .* keystonecontext) ',
            r'\1 edge_filters ',
            stock,
            flags=re.MULTILINE,
        )
        + '\n[filter:edge_filters]\n'
        'paste.filter_factory = edge_filters.api.middleware:filter_factory\n'
    )


def _start_nova(plan: Plan, name: str, program: str) -> None:
    own = ini.write(
        plan.place.etc / f'{name}.conf',
        {
            'DEFAULT': {
                'host': name.removeprefix('nova-'),
                'state_path': plan.state(name),
            }
        },
    )
    plan.run.start(
        processes.Service(
            name,
            (
                plan.program(program),
                f'--config-file={plan.place.etc / "nova.conf"}',
                f'--config-file={own}',
            ),
        )
    )


def _start_api(
    plan: Plan,
    name: str,
    port: layout.Port,
    module: str,
    env: collections.abc.Mapping[str, str],
    count: int = 1,
) -> None:
    plan.run.start(
        processes.Service(
            name,
            (
                plan.program('uwsgi'),
                '--master',
                f'--http-socket={layout.ADDRESS}:{port.value}',
                f'--module={module}:application',
                f'--processes={count}',
                '--die-on-term',
                '--enable-threads',
                '--lazy-apps',
                '--need-app',
                '--buffer-size=65535',
                # Clients that keep a connection see it reset now and then.
                '--add-header=Connection: close',
            ),
            dict(env),
        )
    )
    # The port is open before there is an application behind it.
    plan.run.wait(name, lambda: _answers(port))


def _answers(port: layout.Port) -> bool:
    try:
        _NO_PROXY.open(port.url, timeout=30).close()
    except urllib.error.HTTPError as error:
        # 300: it names its versions.
        return error.code < 500
    except OSError:
        return False
    return True
