# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES ITS USER GET? The files that clients and Tempest read."""

import shlex

from smallcloud import ini
from smallcloud import layout
from smallcloud import services


def write_clients(plan: services.Plan) -> None:
    """Write ``clouds.yaml``, and ``openrc`` for a shell to source."""
    lines = ['clouds:']
    for user in ('admin', 'demo'):
        lines += [
            f'  {user}:',
            f'    region_name: {layout.REGION}',
            '    auth:',
            f'      auth_url: {layout.Port.IDENTITY.url}/v3',
            f'      username: {user}',
            f'      password: {plan.password}',
            f'      project_name: {user}',
            '      user_domain_id: default',
            '      project_domain_id: default',
        ]
    plan.place.clouds_yaml.touch(mode=0o600)
    plan.place.clouds_yaml.write_text('\n'.join([*lines, '']))
    clouds = shlex.quote(str(plan.place.clouds_yaml))
    programs = shlex.quote(str(plan.environment / 'bin'))
    plan.place.openrc.write_text(
        # Those of another cloud would win over what clouds.yaml says.
        'unset $(env | sed -n "s/^\\(OS_[A-Z0-9_]*\\)=.*/\\1/p")\n'
        f'export OS_CLIENT_CONFIG_FILE={clouds}\n'
        'export OS_CLOUD=admin\n'
        f'export PATH={programs}:$PATH\n'
    )


def write_tempest(plan: services.Plan, ids: dict[str, str]) -> None:
    """Write ``tempest.conf``.

    :param ids: of flavors and images, by name.
    """
    ini.write(
        plan.place.tempest_conf,
        {
            'DEFAULT': {
                'log_file': plan.place.logs / 'tempest.log',
                'debug': plan.debug,
            },
            'auth': {
                'admin_username': 'admin',
                'admin_password': plan.password,
                'admin_project_name': 'admin',
                'admin_domain_name': 'Default',
                'use_dynamic_credentials': True,
            },
            'identity': {
                'auth_version': 'v3',
                'uri_v3': f'{layout.Port.IDENTITY.url}/v3',
                'region': layout.REGION,
            },
            'compute': {
                'image_ref': ids['ubuntu'],
                'image_ref_alt': ids['ubuntu-alt'],
                'flavor_ref': ids['m1.tiny'],
                'flavor_ref_alt': ids['m1.small'],
                'build_interval': 1,
                'min_microversion': '2.1',
                'max_microversion': 'latest',
            },
            'compute-feature-enabled': {
                'cold_migration': True,
                'live_migration': True,
                'resize': True,
                'shelve': True,
            },
            'oslo_concurrency': {'lock_path': plan.state('tempest')},
            'service_available': {
                'cinder': False,
                'horizon': False,
                'neutron': False,
                'swift': False,
            },
            'validation': {'run_validation': False},
            # Everybody on this cloud is a test, and services.py has nova-api
            # believe whoever is on this machine.
            'edge_filters': {
                'api_middleware': True,
                'disruptive': True,
                'forwarded_for': True,
            },
        },
    )
