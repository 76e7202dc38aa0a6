# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES THE REAL API ANSWER? Recorded, for those who stand in for it.

Runs on a cloud that ``tools/cloud up`` has started, and writes what
``tests/unit/recordings.py`` reads::

    python -m tests.cloud.record

What it makes it removes again. IDs, names of hosts, times and addresses are
replaced, so that two recordings differ where the API does.
"""

import contextlib
import json
import re

import openstack

from tests.cloud import base
from tests.unit import recordings

# What the recorded cloud is called.
_NAMES = {
    'compute-1-1': 'par-1',
    'compute-1-2': 'par-2',
    'compute-2-1': 'lyo-1',
    'compute-2-2': 'lyo-2',
    'compute-3-1': 'far-1',
    'compute-3-2': 'far-2',
    'compute-par-1': 'new-1',
    'site-1': 'par-01',
    'site-2': 'lyo-01',
    'site-3': 'far-01',
}
_ANY_NAME = re.compile('|'.join(map(re.escape, _NAMES)))
_ID = re.compile(
    r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32,64}\b'
)
_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d')
_FRACTION = re.compile(r'(?<=:\d\d\.)\d{6}')
_RESERVATION = re.compile(r'\br-[0-9a-z]{8}\b')
_ADDRESS = re.compile(r'http://127\.0\.0\.1:185(\d\d)')
_HOSTS = {
    '04': 'keystone.example',
    '05': 'placement.example',
    '08': 'nova.example',
}

ZONE = 'recorded-zone'
SITE = 'recorded-01'
FLAVOR = 'recorded'
SERVER = 'recorded-1'
SPARE_HOST = 'compute-par-1'


class Recorder:
    """Calls the API and keeps what it answers.

    :ivar taken: requests and answers, by the name of the recording
    """

    def __init__(self):
        self.taken = {}
        self._ids = {}

    def call(
        self,
        name,
        service,
        method,
        path,
        body=None,
        microversion=None,
        **options,
    ):
        """Call the API; return what it answers, as it is.

        :param name: that of the recording; None: it is not kept
        :param service: a service of openstacksdk
        :param options: more, for keystoneauth
        """
        answer = service.request(
            path,
            method,
            microversion=microversion,
            raise_exc=False,
            **({} if body is None else {'json': body}),
            **options,
        )
        content = answer.json() if answer.content else None
        if name is not None:
            self.taken[name] = {
                'method': method,
                'path': self._neutral(path),
                'microversion': microversion,
                'request': self._neutral(body),
                'status': answer.status_code,
                'content_type': answer.headers.get('content-type'),
                'answer': self._neutral(content),
            }
        return content

    def _neutral(self, content):
        """Return content without what is of this cloud alone."""
        text = json.dumps(content)
        text = _ANY_NAME.sub(lambda match: _NAMES[match[0]], text)
        text = _ID.sub(lambda match: self._id(match[0]), text)
        text = _TIME.sub('2026-11-23T10:00:00', text)
        text = _FRACTION.sub('000000', text)
        text = _RESERVATION.sub('r-recorded', text)
        text = _ADDRESS.sub(lambda match: f'http://{_HOSTS[match[1]]}', text)
        return json.loads(text.replace('127.0.0.1', '192.0.2.1'))

    def _id(self, there):
        """Return an ID as long, and the same whenever it is."""
        number = self._ids.setdefault(there, len(self._ids) + 1)
        if '-' in there:
            return f'00000000-0000-4000-8000-{number:012x}'
        return f'{number:0{len(there)}x}'


def record(admin, user):
    """Return the recordings, by name.

    :param admin: a connection with the role admin
    :param user: one without it
    """
    to = Recorder()
    with contextlib.ExitStack() as stack:
        _aggregates(to, admin, user, stack)
        _servers(to, admin, user, stack)
        _hypervisors(to, admin, user)
        _placement(to, admin, user)
    return to.taken


def _aggregates(to, admin, user, stack):
    compute = admin.compute
    path = '/os-aggregates'

    def call(name, *args, service=compute):
        return to.call(name, service, *args, microversion='2.41')

    def remove(id):
        there = call(None, 'GET', f'{path}/{id}').get('aggregate')
        if there:
            for host in there['hosts']:
                act(None, id, 'remove_host', host=host)
            call(None, 'DELETE', f'{path}/{id}')

    def create(name, site, **more):
        made = call(name, 'POST', path, {'aggregate': {'name': site, **more}})
        id = made['aggregate']['id']
        stack.callback(remove, id)
        return id

    def act(name, id, action, service=compute, **body):
        url = f'{path}/{id}/action'
        call(name, 'POST', url, {action: body}, service=service)

    to.call('version', compute, 'GET', '/')
    to.call(
        'unauthorized-401',
        compute,
        'GET',
        path,
        authenticated=False,
        headers={'X-Auth-Token': 'no such token'},
    )
    site = create('aggregate-create', SITE)
    body = {'aggregate': {'name': SITE}}
    call('aggregate-create-409', 'POST', path, body)
    call('aggregate-create-403', 'POST', path, body, service=user.compute)
    keys = {'edge:site': SITE, 'edge:rtt:city-1': '4.1', 'edge:tier': 'core'}
    act('aggregate-set-metadata', site, 'set_metadata', metadata=keys)
    act(None, site, 'set_metadata', metadata={'edge:tier': None})
    bad = {'edge:rtt:a/b': '1'}
    act('aggregate-set-metadata-400', site, 'set_metadata', metadata=bad)
    for status, id in ((404, 999999), (403, site)):
        act(
            f'aggregate-set-metadata-{status}',
            id,
            'set_metadata',
            service=user.compute if status == 403 else compute,
            metadata=keys,
        )
    act('aggregate-add-host', site, 'add_host', host=SPARE_HOST)
    act('aggregate-add-host-again-409', site, 'add_host', host=SPARE_HOST)
    act('aggregate-add-host-404', site, 'add_host', host='no-such-host')
    # A host is in one availability zone at most.
    act(None, site, 'set_metadata', metadata={'availability_zone': ZONE})
    other = create(None, 'recorded-02', availability_zone='recorded-other')
    act('aggregate-add-host-zone-409', other, 'add_host', host=SPARE_HOST)
    call('aggregates', 'GET', path)
    call('aggregates-403', 'GET', path, service=user.compute)
    call('aggregate-show', 'GET', f'{path}/{site}')
    call('aggregate-show-404', 'GET', f'{path}/999999')
    call('aggregate-show-403', 'GET', f'{path}/{site}', service=user.compute)
    call('aggregate-delete-400', 'DELETE', f'{path}/{site}')
    act('aggregate-remove-host', site, 'remove_host', host=SPARE_HOST)
    act('aggregate-remove-host-404', site, 'remove_host', host=SPARE_HOST)
    empty = create(None, 'recorded-03')
    call('aggregate-delete', 'DELETE', f'{path}/{empty}')
    call('aggregate-delete-404', 'DELETE', f'{path}/{empty}')


def _servers(to, admin, user, stack):
    compute = admin.compute
    flavor = compute.create_flavor(name=FLAVOR, ram=64, vcpus=1, disk=1)
    stack.callback(compute.delete_flavor, flavor)
    specs = {'edge:max_rtt_ms': '20', 'edge:unmeasured': 'reject'}
    compute.create_flavor_extra_specs(flavor, specs)
    server = compute.create_server(
        name=SERVER,
        flavor_id=flavor.id,
        image_id=admin.image.find_image('ubuntu').id,
        networks='none',
        scheduler_hints={'edge:origin': 'city-1', 'edge:max_rtt_ms': '30'},
    )
    stack.callback(compute.wait_for_delete, server)
    stack.callback(compute.delete_server, server)
    compute.wait_for_server(server)
    for name, service, path, microversion in (
        # The first that tells hints.
        ('servers', compute, f'all_tenants=1&name={SERVER}', '2.100'),
        ('servers-403', user.compute, 'all_tenants=1', '2.100'),
    ):
        url = f'/servers/detail?{path}'
        to.call(name, service, 'GET', url, None, microversion)
    # Extra specs are told from 2.61 on.
    url = '/flavors/detail?is_public=None&sort_key=memory_mb&limit=2'
    to.call('flavors', compute, 'GET', url, None, '2.61')


def _hypervisors(to, admin, user):
    # 2.87 is the last version that has CPUs and memory.
    for name, service, query in (
        ('hypervisors', admin.compute, '?limit=2'),
        ('hypervisors-403', user.compute, ''),
    ):
        url = f'/os-hypervisors/detail{query}'
        to.call(name, service, 'GET', url, None, '2.87')


def _placement(to, admin, user):
    aggregates = [
        admin.compute.find_aggregate(site).uuid
        for site in ('site-1', 'site-2')
    ]
    candidates = (
        '/allocation_candidates?limit=2&resources='
        'VCPU:1,MEMORY_MB:64,DISK_GB:1&member_of=in:' + ','.join(aggregates)
    )
    for name, who, url, microversion in (
        ('allocation-candidates', admin, candidates, '1.36'),
        ('allocation-candidates-403', user, candidates, '1.36'),
        ('allocation-candidates-400', admin, '/allocation_candidates', '1.36'),
        (
            'resource-providers',
            admin,
            f'/resource_providers?member_of=in:{aggregates[0]}',
            '1.20',
        ),
    ):
        to.call(name, who.placement, 'GET', url, None, microversion)


def connect():
    """Return a connection with the role admin, and one without it."""
    config = openstack.config.OpenStackConfig(
        config_files=[str(base.FOLDER / 'clouds.yaml')]
    )
    return [
        openstack.connection.Connection(config=config.get_one(name))
        for name in ('admin', 'demo')
    ]


def main():
    recordings.FOLDER.mkdir(exist_ok=True)
    for name, taken in record(*connect()).items():
        text = json.dumps(taken, indent=2, sort_keys=True)
        (recordings.FOLDER / f'{name}.json').write_text(f'{text}\n')


if __name__ == '__main__':
    main()
