# SPDX-License-Identifier: Apache-2.0
"""WHICH SERVERS ARE THERE, AND WHAT DO THEY ASK? Servers and flavors of Nova.

What a flavor asks Placement for is worked out as Nova does it in
``nova.scheduler.utils.ResourceRequest``, but for what an image, a port or a
device profile adds.
"""

import collections.abc
import logging
import re
import typing
import urllib.parse
import uuid

from osc_lib import exceptions

from edge_filters import cloud
from edge_filters import spelling

LOG = logging.getLogger(__name__)

Texts = collections.abc.Mapping[str, typing.Any]

# As Nova has it: the suffix is that of a group of resources, of which all come
# from one provider.
_GROUP = re.compile('^(resources|trait)([a-zA-Z0-9_-]{1,64})?:(.*)$')

_MB_PER_GB = 1024

# The key of the host that a server is on.
_HOST = 'OS-EXT-SRV-ATTR:host'


class Flavor(typing.NamedTuple):
    """A flavor, as far as it matters where its servers are.

    :param name: its name
    :param query: what its servers take, as Placement is asked for it
    :param extra_specs: its extra specs
    """

    name: str
    query: str
    extra_specs: Texts


class Server(typing.NamedTuple):
    """A server, as far as it matters where it is.

    :param id: its UUID
    :param name: its name
    :param status: as Nova has it, such as ACTIVE
    :param host: the host that it is on; empty: none
    :param project: the ID of its project
    :param zone: the availability zone that it has to stay in; None: any
    :param hints: the scheduler hints that it was booted with
    :param flavor: its flavor
    """

    id: str
    name: str
    status: str
    host: str
    project: str
    zone: str | None
    hints: Texts
    flavor: Flavor


def find(client: cloud.Cloud, name_or_id: str) -> Server:
    """Return a server.

    :raises osc_lib.exceptions.CommandError: if there is none, or more
    """
    try:
        found = [client.server(str(uuid.UUID(name_or_id)))]
    except ValueError:
        found = [
            it
            for it in client.servers(name=f'^{re.escape(name_or_id)}$')
            if it.get('name') == name_or_id
        ]
    except cloud.CloudError as error:
        if error.status != 404:
            raise
        found = []
    shown = spelling.shown(name_or_id)
    if not found:
        raise exceptions.CommandError(
            f'There is no server {shown}. All are listed by: openstack server '
            'list --all-projects'
        )
    if len(found) > 1:
        raise exceptions.CommandError(
            f'{len(found)} servers are named {shown}; give the ID of one'
        )
    return read(found[0])


def find_flavor(client: cloud.Cloud, name_or_id: str) -> Flavor:
    """Return a flavor.

    :raises osc_lib.exceptions.CommandError: if there is none
    """
    found = client.find_flavor(name_or_id) if name_or_id else None
    if found is None:
        raise exceptions.CommandError(
            f'There is no flavor {spelling.shown(name_or_id)}. All are listed '
            'by: openstack flavor list --all'
        )
    with cloud.saying(f'read the flavor {name_or_id}', 'os-flavors'):
        return _flavor(
            cloud.text(found.name),
            found.vcpus,
            found.ram,
            found.disk,
            found.ephemeral,
            found.swap,
            found.extra_specs,
        )


def readable(
    answers: collections.abc.Iterable[Texts],
) -> collections.abc.Iterator[Server]:
    """Yield the servers that Nova's API describes; warn of what are none.

    :raises edge_filters.cloud.CloudError: if the caller has no right to know
    """
    for answer in answers:
        try:
            yield read(answer)
        except cloud.CloudError as error:
            if error.status is not None:
                raise
            LOG.warning(
                'Server %s is left out. %s',
                spelling.shown(answer.get('id')),
                error,
            )


def read(answer: Texts) -> Server:
    """Return the server that Nova's API describes.

    :raises edge_filters.cloud.CloudError: if it does not describe one
    """
    with cloud.saying('read a server', 'os_compute_api:servers:show'):
        if answer['status'] == 'UNKNOWN':
            raise cloud.CloudError(
                f'read the server {answer["id"]}',
                'its cell does not answer',
                'try again when that is up',
            )
        flavor = answer['flavor']
        for told, key, policy in (
            (answer, _HOST, 'os-extended-server-attributes'),
            (flavor, 'extra_specs', 'os-flavor-extra-specs:index'),
        ):
            if key not in told:
                raise cloud.CloudError(
                    f'see {key} of servers',
                    f'the policy os_compute_api:{policy} does not allow it',
                    'ask for a role that has it, which most often is admin',
                    403,
                )
        zone = answer['pinned_availability_zone']
        return Server(
            cloud.text(answer['id']),
            spelling.printable(cloud.text(answer['name'])),
            cloud.text(answer['status']),
            cloud.text(answer[_HOST] or ''),
            cloud.text(answer['tenant_id']),
            cloud.text(zone or '') or None,
            # One that Nova has lost the request of has none.
            dict(answer['scheduler_hints'] or {}),
            _flavor(
                cloud.text(flavor['original_name']),
                flavor['vcpus'],
                flavor['ram'],
                # That of a volume is no disk of a host.
                flavor['disk'] if answer['image'] else 0,
                flavor['ephemeral'],
                flavor['swap'],
                flavor['extra_specs'],
            ),
        )


def _flavor(
    name: str,
    vcpus: int,
    ram_mb: int,
    disk_gb: int,
    ephemeral_gb: int | None,
    swap_mb: int | str | None,
    extra_specs: Texts | None,
) -> Flavor:
    extra_specs = {
        cloud.text(key): cloud.text(value)
        for key, value in (extra_specs or {}).items()
    }
    swap_gb = -(-int(swap_mb or 0) // _MB_PER_GB)
    is_dedicated = extra_specs.get('hw:cpu_policy') == 'dedicated'
    # By suffix of the group.
    asked: dict[str, dict[str, str]] = {'': {}}
    traits: dict[str, list[str]] = {}
    for key, value in extra_specs.items():
        match = _GROUP.match(key)
        if match is None:
            continue
        kind, suffix, its = match[1], match[2] or '', match[3]
        if kind == 'resources':
            asked.setdefault(suffix, {})[its] = value
        elif value in ('required', 'forbidden'):
            sign = '!' if value == 'forbidden' else ''
            traits.setdefault(suffix, []).append(sign + its)
    named = set().union(*asked.values())
    if named.isdisjoint(('VCPU', 'PCPU')):
        asked['']['PCPU' if is_dedicated else 'VCPU'] = str(int(vcpus))
    if 'MEMORY_MB' not in named:
        asked['']['MEMORY_MB'] = str(int(ram_mb))
    if 'DISK_GB' not in named:
        disk_gb = int(disk_gb or 0) + int(ephemeral_gb or 0) + swap_gb
        asked['']['DISK_GB'] = str(disk_gb)
    query = {
        f'resources{suffix}': ','.join(
            f'{resource}:{amount}'
            for resource, amount in sorted(its.items())
            if amount != '0'
        )
        for suffix, its in asked.items()
        if set(its.values()) - {'0'}
    }
    query |= {
        f'required{suffix}': ','.join(sorted(its))
        for suffix, its in traits.items()
    }
    if 'group_policy' in extra_specs:
        query['group_policy'] = extra_specs['group_policy']
    return Flavor(name, urllib.parse.urlencode(query), extra_specs)
