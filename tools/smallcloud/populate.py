# SPDX-License-Identifier: Apache-2.0
"""WHAT IS IN THE CLOUD? Its catalog, users, flavors, image and sites.

Runs inside the cloud's own environment, as its administrator::

    python -m smallcloud.populate catalog
    python -m smallcloud.populate sites '{"site-1": ["compute-1-1"]}'

The second prints, as JSON, the IDs that Tempest wants to know.
"""

import argparse
import json
import os
import sys
import time
import typing

import openstack
import openstack.connection

from smallcloud import layout

_SERVICES = {
    'placement': layout.Port.PLACEMENT.url,
    'image': layout.Port.IMAGE.url,
    'network': layout.Port.NETWORK.url,
    'compute': f'{layout.Port.COMPUTE.url}/v2.1',
}
# Name: MiB of memory, GiB of disk, virtual CPUs.
_FLAVORS = {
    'm1.tiny': (512, 1, 1),
    'm1.small': (2048, 20, 1),
    'm1.medium': (4096, 40, 2),
}
_IMAGE = 'ubuntu'
# RTT in ms of the users of a city to their own site, and for each site on.
_OWN_RTT_MS = 2.0
_STEP_RTT_MS = 6.5
_TIERS = ('far-edge', 'near-edge', 'core')
_HOSTS_TIMEOUT_S = 180


def catalog(cloud: openstack.connection.Connection) -> None:
    """Say where the services are, and who may use them."""
    identity: typing.Any = cloud.identity
    for kind, url in _SERVICES.items():
        service = identity.create_service(type=kind, name=kind)
        for interface in ('public', 'internal', 'admin'):
            identity.create_endpoint(
                service_id=service.id,
                interface=interface,
                url=url,
                region_id=layout.REGION,
            )
    password = os.environ['OS_CLOUD_PASSWORD']
    roles = {role.name: role for role in identity.roles()}
    for name, its_roles in (
        ('service', ('admin', 'service')),
        ('demo', ('member',)),
    ):
        project = identity.create_project(name=name, domain_id='default')
        user = identity.create_user(
            name=name,
            password=password,
            domain_id='default',
            default_project_id=project.id,
        )
        for role in its_roles:
            identity.assign_project_role_to_user(project, user, roles[role])


def contents(
    cloud: openstack.connection.Connection, hosts: dict[str, list[str]]
) -> dict[str, str]:
    """Make flavors, an image, and the sites.

    :param hosts: the hosts of each site.
    :returns: IDs by name.
    """
    ids = {
        name: cloud.compute.create_flavor(
            name=name, ram=ram, disk=disk, vcpus=vcpus
        ).id
        for name, (ram, disk, vcpus) in _FLAVORS.items()
    }
    for name in (_IMAGE, f'{_IMAGE}-alt'):
        ids[name] = cloud.image.create_image(
            name=name,
            container_format='bare',
            disk_format='raw',
            visibility='public',
            data=b'\0' * 1024,
            wait=True,
        ).id
    for number, (site, its_hosts) in enumerate(hosts.items()):
        aggregate = cloud.compute.create_aggregate(name=site)
        for host in its_hosts:
            cloud.compute.add_host_to_aggregate(aggregate, host)
        cloud.compute.set_aggregate_metadata(
            aggregate, _metadata(number, site, len(hosts))
        )
    return ids


def _metadata(number: int, site: str, sites: int) -> dict[str, str]:
    """Return the metadata of a site; each serves a city of its own."""
    return {
        'edge:site': site,
        'edge:tier': _TIERS[number % len(_TIERS)],
    } | {
        f'edge:rtt:city-{city + 1}': str(
            _OWN_RTT_MS + _STEP_RTT_MS * abs(number - city)
        )
        # What Nova keeps for an aggregate grows with hosts x keys.
        for city in range(max(0, number - 8), min(sites, number + 9))
    }


def wait_for_hosts(
    cloud: openstack.connection.Connection, hosts: set[str]
) -> None:
    """Wait until every host has reported to Nova and to Placement."""
    deadline = time.monotonic() + _HOSTS_TIMEOUT_S
    while missing := hosts - {
        provider.name for provider in cloud.placement.resource_providers()
    }:
        if time.monotonic() > deadline:
            sys.exit(
                f'Not up after {_HOSTS_TIMEOUT_S} s: '
                f'{", ".join(sorted(missing))}.'
            )
        time.sleep(0.3)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('what', choices=('catalog', 'hosts', 'sites'))
    parser.add_argument('hosts', nargs='?', default='{}', type=json.loads)
    arguments = parser.parse_args()
    cloud = openstack.connect(cloud='admin')
    hosts: dict[str, list[str]] = arguments.hosts
    result: typing.Any = {}
    match arguments.what:
        case 'catalog':
            catalog(cloud)
        case 'hosts':
            wait_for_hosts(
                cloud, {host for pair in hosts.values() for host in pair}
            )
        case 'sites':
            result = contents(cloud, hosts)
    json.dump(result, sys.stdout)


if __name__ == '__main__':
    main()
