# SPDX-License-Identifier: Apache-2.0
"""Nova's API as it answers, for whoever calls it through openstacksdk.

The answers have the form of those of nova-api 34 and Placement 16, which
``tests/unit/test_nova_api.py`` holds; aggregates change as the actions of Nova
change them.
"""

import datetime
import json
import re
import uuid

import fixtures
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
from openstack import connection
from requests_mock.contrib import fixture as requests_mock_fixture

from tests.unit import recordings

URL = 'http://nova.example/v2.1'
PLACEMENT_URL = 'http://placement.example'

_VERSION = {
    'version': {
        'id': 'v2.1',
        'status': 'CURRENT',
        'version': '2.104',
        'min_version': '2.1',
        'updated': '2013-07-23T11:33:21Z',
        'links': [
            {'rel': 'self', 'href': URL + '/'},
            {
                'rel': 'describedby',
                'type': 'text/html',
                'href': 'http://docs.openstack.org/',
            },
        ],
        'media-types': [
            {
                'base': 'application/json',
                'type': 'application/vnd.openstack.compute+json;version=2.1',
            }
        ],
    }
}

_PLACEMENT_VERSION = {
    'versions': [
        {
            'id': 'v1.0',
            'status': 'CURRENT',
            'min_version': '1.0',
            'max_version': '1.39',
            'links': [{'rel': 'self', 'href': ''}],
        }
    ]
}

_NAMESPACE = uuid.UUID(int=7)
ZONE = 'availability_zone'
_HOST = 'OS-EXT-SRV-ATTR:host'
_KEY = '^[a-zA-Z0-9-_:. ]{1,255}$'


def ago(seconds):
    """Return a time as figures have it."""
    now = datetime.datetime.now(datetime.UTC)
    then = now - datetime.timedelta(seconds=seconds)
    return f'{then:%Y-%m-%dT%H:%M:%SZ}'


class NovaApi(fixtures.Fixture):
    """Nova with aggregates, and with hosts that it knows."""

    def _setUp(self):
        self.aggregates = {}
        self.hypervisors = {}
        # The aggregates' UUIDs and the traits of resource providers, by name,
        # beside those that mirror the aggregates of hypervisors.
        self.extra_providers = {}
        # Hosts that Nova did not mirror.
        self.unmirrored = set()
        # How many hypervisors it tells of at once.
        self.max_limit = 1000
        # Whether the caller may not filter servers by host, or by anything.
        self.ignores_host = self.lists_all = False
        # Policies that the caller does not have, by their last part.
        self.forbidden = set()
        mock = self.useFixture(requests_mock_fixture.Fixture())
        mock.get(re.compile(f'^{URL}/?$'), json=_VERSION)
        mock.get(URL + '/os-aggregates', json=self._index)
        mock.get(re.compile('/os-aggregates/[0-9]+$'), json=self._show)
        mock.post(URL + '/os-aggregates', json=self._create)
        mock.post(re.compile('/os-aggregates/[0-9]+/action'), json=self._act)
        mock.delete(re.compile('/os-aggregates/[0-9]+$'), json=self._delete)
        mock.get(URL + '/os-hypervisors/detail', json=self._hypervisors)
        self.flavors = {}
        self.servers = {}
        mock.get(re.compile(f'^{URL}/flavors/'), json=self._flavor)
        mock.get(re.compile(f'^{URL}/flavors/detail'), json=self._flavors)
        mock.get(re.compile(f'^{URL}/servers/[^?]'), json=self._server)
        mock.get(re.compile(f'^{URL}/servers/detail'), json=self._servers)
        mock.get(re.compile(f'^{PLACEMENT_URL}/?$'), json=_PLACEMENT_VERSION)
        mock.get(
            PLACEMENT_URL + '/allocation_candidates', json=self._candidates
        )
        mock.get(PLACEMENT_URL + '/resource_providers', json=self._providers)
        mock.get(
            re.compile('/resource_providers/[^/]+/aggregates$'),
            json=self._provider_aggregates,
        )
        self.mock = mock

    def connect(self):
        """Return a connection to it, without Keystone."""
        auth = token_endpoint.Token(URL, 'token')
        return connection.Connection(
            session=session.Session(auth=auth),
            placement_endpoint_override=PLACEMENT_URL,
        )

    def aggregate(self, name, hosts=(), **metadata):
        """Make an aggregate; a key's colons are written as __ ."""
        number = max(self.aggregates, default=0) + 1
        self.aggregates[number] = {
            ZONE: metadata.get(ZONE),
            'created_at': '2026-11-23T09:00:00.000000',
            'deleted': False,
            'deleted_at': None,
            'hosts': list(hosts),
            'id': number,
            'metadata': {
                key.replace('__', ':'): value
                for key, value in metadata.items()
            },
            'name': name,
            'updated_at': None,
            'uuid': str(uuid.uuid5(_NAMESPACE, name)),
        }
        return self.aggregates[number]

    def hypervisor(self, host, vcpus_used=0, memory_mb_used=512, **other):
        """Make a hypervisor of 8 processors and 16 GiB."""
        number = str(uuid.uuid5(_NAMESPACE, host))
        self.hypervisors[host] = {
            'cpu_info': {
                'arch': 'x86_64',
                'features': ['pge', 'clflush'],
                'model': 'Nehalem',
                'topology': {'cores': 1, 'sockets': 4, 'threads': 1},
                'vendor': 'Intel',
            },
            'current_workload': 0,
            'disk_available_least': 0,
            'free_disk_gb': 1028,
            'free_ram_mb': 16384 - memory_mb_used,
            'host_ip': '192.0.2.1',
            'hypervisor_hostname': host,
            'hypervisor_type': 'QEMU',
            'hypervisor_version': 8002002,
            'id': number,
            'local_gb': 1028,
            'local_gb_used': 0,
            'memory_mb': 16384,
            'memory_mb_used': memory_mb_used,
            'running_vms': 0,
            'service': {'disabled_reason': None, 'host': host, 'id': number},
            'state': 'up',
            'status': 'enabled',
            'vcpus': 8,
            'vcpus_used': vcpus_used,
            **other,
        }

    def flavor(self, name, vcpus=1, **extra_specs):
        """Make a flavor; a key's colons are written as __ ."""
        number = str(uuid.uuid5(_NAMESPACE, name))
        self.flavors[name] = {
            'OS-FLV-DISABLED:disabled': False,
            'OS-FLV-EXT-DATA:ephemeral': 0,
            'description': None,
            'disk': 1,
            'extra_specs': {
                key.replace('__', ':'): value
                for key, value in extra_specs.items()
            },
            'id': number,
            'links': [{'rel': 'self', 'href': f'{URL}/flavors/{number}'}],
            'name': name,
            'os-flavor-access:is_public': True,
            'ram': 512,
            'rxtx_factor': 1.0,
            'swap': '',
            'vcpus': vcpus,
        }
        return self.flavors[name]

    def server(self, name, host, flavor, hints=None, **other):
        """Make a server of a flavor on a host; it takes nothing of it.

        :returns: its ID
        """
        number = str(uuid.uuid5(_NAMESPACE, f'server {name}'))
        its = self.flavors[flavor]
        self.servers[number] = json.loads(
            json.dumps(recordings.read('servers')['answer']['servers'][0])
        ) | {
            _HOST: host,
            'OS-EXT-SRV-ATTR:hypervisor_hostname': host,
            'flavor': {
                'disk': its['disk'],
                'ephemeral': 0,
                'extra_specs': its['extra_specs'],
                'original_name': flavor,
                'ram': its['ram'],
                'swap': 0,
                'vcpus': its['vcpus'],
            },
            'id': number,
            'name': name,
            'scheduler_hints': hints or {},
            **other,
        }
        return number

    def calls(self, *methods):
        """Return the calls of some methods, and their bodies."""
        return [
            (it.path.removeprefix('/v2.1'), it.json() if it.text else None)
            for it in self.mock.request_history
            if it.method in methods
            and it.path.rstrip('/') not in ('', '/v2.1')
        ]

    def changes(self):
        """Return the calls that were to change something."""
        return self.calls('POST', 'PUT', 'DELETE')

    def _fault(self, context, status, kind, message):
        context.status_code = status
        context.headers['x-openstack-request-id'] = 'req-7'
        context.headers['content-type'] = 'application/json; charset=UTF-8'
        return {kind: {'code': status, 'message': message}}

    def _refused(self, context, policy):
        if self.forbidden.isdisjoint((policy, policy.rpartition(':')[2])):
            return None
        message = (
            f"Policy doesn't allow os_compute_api:{policy} to be performed."
        )
        return self._fault(context, 403, 'forbidden', message)

    def _index(self, request, context):
        return self._refused(context, 'os-aggregates:index') or {
            'aggregates': list(self.aggregates.values())
        }

    def _show(self, request, context):
        refused = self._refused(context, 'os-aggregates:show')
        if refused:
            return refused
        number = int(request.path.rpartition('/')[2])
        if number not in self.aggregates:
            return self._gone(context, number)
        return {'aggregate': self.aggregates[number]}

    def _create(self, request, context):
        refused = self._refused(context, 'os-aggregates:create')
        if refused:
            return refused
        name = request.json()['aggregate']['name']
        if any(name == it['name'] for it in self.aggregates.values()):
            message = f'Aggregate {name} already exists.'
            return self._fault(context, 409, 'conflictingRequest', message)
        made = dict(self.aggregate(name))
        del made['hosts'], made['metadata']
        return {'aggregate': made}

    def _act(self, request, context):
        ((action, body),) = request.json().items()
        refused = self._refused(context, f'os-aggregates:{action}')
        if refused:
            return refused
        if action == 'set_metadata':
            for key in body['metadata']:
                if not re.match(_KEY, key):
                    message = (
                        'Invalid input for field/attribute metadata. Value: '
                        f"{body['metadata']}. '{key}' does not match any of "
                        f"the regexes: '{_KEY}'"
                    )
                    return self._fault(context, 400, 'badRequest', message)
        number = int(request.path.split('/')[-2])
        aggregate = self.aggregates.get(number)
        if aggregate is None:
            return self._gone(context, number)
        if action == 'set_metadata':
            for key, value in body['metadata'].items():
                aggregate['metadata'][key] = value
                if value is None:
                    del aggregate['metadata'][key]
            aggregate[ZONE] = aggregate['metadata'].get(ZONE)
            return {'aggregate': aggregate}
        host = body['host']
        if action == 'add_host':
            refused = self._not_added(context, aggregate, host)
            if refused:
                return refused
            aggregate['hosts'].append(host)
        elif host in aggregate['hosts']:
            aggregate['hosts'].remove(host)
        else:
            message = f'Cannot remove host {host} in aggregate {number}'
            return self._fault(context, 404, 'itemNotFound', message)
        return {'aggregate': aggregate}

    def _not_added(self, context, aggregate, host):
        """Return why a host cannot be added, if so."""
        number, zone = aggregate['id'], aggregate[ZONE]
        if host not in self.hypervisors:
            message = f'Compute host {host} could not be found.'
            return self._fault(context, 404, 'itemNotFound', message)
        zones = {
            it[ZONE]
            for it in self.aggregates.values()
            if host in it['hosts'] and it[ZONE]
        }
        if zone and zones - {zone}:
            message = (
                f'Cannot add host to aggregate {number}. Reason: One or more '
                f'hosts already in availability zone(s) {sorted(zones)}.'
            )
        elif host in aggregate['hosts']:
            message = f'Aggregate {number} already has host {host}.'
        else:
            return None
        return self._fault(context, 409, 'conflictingRequest', message)

    def _gone(self, context, number):
        message = f'Aggregate {number} could not be found.'
        return self._fault(context, 404, 'itemNotFound', message)

    def _delete(self, request, context):
        refused = self._refused(context, 'os-aggregates:delete')
        if refused:
            return refused
        number = int(request.path.rpartition('/')[2])
        if number not in self.aggregates:
            return self._gone(context, number)
        if self.aggregates[number]['hosts']:
            message = (
                f'Cannot remove host from aggregate {number}. Reason: Host '
                'aggregate is not empty.'
            )
            return self._fault(context, 400, 'badRequest', message)
        del self.aggregates[number]
        return None

    def _hypervisors(self, request, context):
        refused = self._refused(context, 'os-hypervisors:list-detail')
        if refused:
            return refused
        every = list(self.hypervisors.values())
        markers = [it['id'] for it in every]
        marker = request.qs.get('marker', [''])[0]
        start = markers.index(marker) + 1 if marker else 0
        limit = int(request.qs.get('limit', [self.max_limit])[0])
        page = every[start : start + min(limit, self.max_limit)]
        answer = {'hypervisors': page}
        if start + len(page) < len(every):
            # Of an address that only the cloud itself knows.
            query = f'marker={page[-1]["id"]}'
            href = f'http://10.0.0.1/v2.1/os-hypervisors/detail?{query}'
            answer['hypervisors_links'] = [{'rel': 'next', 'href': href}]
        return answer

    def _flavors(self, request, context):
        return {'flavors': list(self.flavors.values())}

    def _flavor(self, request, context):
        number, _, rest = request.path.removeprefix(
            '/v2.1/flavors/'
        ).partition('/')
        for flavor in self.flavors.values():
            if flavor['id'] == number:
                if rest == 'os-extra_specs':
                    return {'extra_specs': flavor['extra_specs']}
                return {'flavor': flavor}
        message = f'Flavor {number} could not be found.'
        return self._fault(context, 404, 'itemNotFound', message)

    def _servers(self, request, context):
        refused = self._refused(context, 'servers:detail:get_all_tenants')
        if refused:
            return refused
        (name,) = request.qs.get('name', [''])
        (host,) = request.qs.get('host', [None])
        host = None if self.ignores_host else host
        (status,) = request.qs.get('status', [None])
        return {
            'servers': [
                it
                for it in self.servers.values()
                if self.lists_all
                or (
                    re.search(name, it['name'])
                    and host in (None, str(it.get(_HOST)).lower())
                    and status in (None, it['status'].lower())
                )
            ]
        }

    def _server(self, request, context):
        refused = self._refused(context, 'servers:show')
        if refused:
            return refused
        number = request.path.rpartition('/')[2]
        if number in self.servers:
            return {'server': self.servers[number]}
        message = f'Instance {number} could not be found.'
        return self._fault(context, 404, 'itemNotFound', message)

    def _candidates(self, request, context):
        refused = self._placement_refused(
            context, 'placement:allocation_candidates:list'
        )
        if refused:
            return refused
        (asked,) = request.qs['resources']
        asked = dict(it.upper().split(':') for it in asked.split(','))
        asked = {name: int(amount) for name, amount in asked.items()}
        hosts = {
            it['id']: it
            for it in self.hypervisors.values()
            if it['vcpus'] - it['vcpus_used'] >= asked['VCPU']
        }
        summary = {
            'parent_provider_uuid': None,
            'resources': {name: {'capacity': 8, 'used': 0} for name in asked},
            'traits': [],
        }
        return {
            'allocation_requests': [
                {
                    'allocations': {number: {'resources': asked}},
                    'mappings': {'': [number]},
                }
                for number in hosts
            ],
            'provider_summaries': {
                number: {**summary, 'root_provider_uuid': number}
                for number in hosts
            },
        }

    def _all_providers(self):
        """Return aggregates and traits of all resource providers, by name."""
        providers = {
            it['hypervisor_hostname']: (
                {
                    aggregate['uuid']
                    for aggregate in self.aggregates.values()
                    if it['service']['host'] in aggregate['hosts']
                    and it['service']['host'] not in self.unmirrored
                },
                set(),
            )
            for it in self.hypervisors.values()
        }
        for name, (aggregates, traits) in self.extra_providers.items():
            before, _ = providers.get(name, (set(), set()))
            providers[name] = (before | set(aggregates), set(traits))
        return providers

    def _placement_refused(self, context, policy):
        if policy.removeprefix('placement:') not in self.forbidden:
            return None
        context.status_code = 403
        context.headers['content-type'] = 'application/json'
        text = json.dumps(
            recordings.read('allocation-candidates-403')['answer']
        )
        return json.loads(
            text.replace('placement:allocation_candidates:list', policy)
        )

    def _providers(self, request, context):
        refused = self._placement_refused(
            context, 'placement:resource_providers:list'
        )
        if refused:
            return refused
        wanted = request.qs.get('member_of', [''])[0]
        trait = request.qs.get('required', [''])[0].upper()
        return {
            'resource_providers': [
                {
                    'generation': 3,
                    'links': [],
                    'name': name,
                    'parent_provider_uuid': None,
                    'root_provider_uuid': str(uuid.uuid5(_NAMESPACE, name)),
                    'uuid': str(uuid.uuid5(_NAMESPACE, name)),
                }
                for name, (aggregates, traits) in self._all_providers().items()
                if wanted in ('', *aggregates) and trait in ('', *traits)
            ]
        }

    def _provider_aggregates(self, request, context):
        refused = self._placement_refused(
            context, 'placement:resource_providers:aggregates:list'
        )
        number = request.path.split('/')[-2]
        return refused or {
            'aggregates': next(
                sorted(aggregates)
                for name, (aggregates, _) in self._all_providers().items()
                if str(uuid.uuid5(_NAMESPACE, name)) == number
            )
        }
