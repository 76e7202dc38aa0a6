# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Neutron: it keeps networks and ports, and carries nothing.

Nova, Tempest and ``openstack`` find one network, ``edge``, and may make ports
on it. There is no agent, no address that answers, and nothing on disk.
"""

import copy
import http.server
import json
import threading
import typing
import urllib.parse
import uuid

from smallcloud import layout

_NETWORK = '5eed0000-0000-4000-8000-00000000000a'
_SUBNET = '5eed0000-0000-4000-8000-00000000000b'

Resource = dict[str, typing.Any]

_lock = threading.Lock()
_resources: dict[str, dict[str, Resource]] = {
    'networks': {
        _NETWORK: {
            'id': _NETWORK,
            'name': 'edge',
            'admin_state_up': True,
            'status': 'ACTIVE',
            'shared': True,
            'router:external': False,
            'mtu': 1500,
            'subnets': [_SUBNET],
            'project_id': '',
            'tenant_id': '',
            'port_security_enabled': False,
        }
    },
    'subnets': {
        _SUBNET: {
            'id': _SUBNET,
            'name': 'edge',
            'network_id': _NETWORK,
            'cidr': '192.0.2.0/24',
            'gateway_ip': '192.0.2.1',
            'ip_version': 4,
            'dns_nameservers': [],
            'host_routes': [],
            'enable_dhcp': False,
            'project_id': '',
            'tenant_id': '',
        }
    },
    'ports': {},
}


def _new_port(port: Resource) -> Resource:
    number = len(_resources['ports'])
    port_id = str(uuid.uuid4())
    return {
        'id': port_id,
        'name': '',
        'status': 'ACTIVE',
        'admin_state_up': True,
        'mac_address': 'fa:16:3e:'
        + ':'.join(port_id[start : start + 2] for start in (0, 2, 4)),
        'fixed_ips': [
            {
                'subnet_id': _SUBNET,
                'ip_address': f'192.0.2.{number % 250 + 2}',
            }
        ],
        'binding:vif_type': 'ovs',
        'binding:vif_details': {},
        'binding:vnic_type': 'normal',
        'binding:profile': {},
        'device_id': '',
        'device_owner': '',
        'security_groups': [],
    } | port


def answer(
    method: str, path: str, query: dict[str, list[str]], body: Resource
) -> tuple[int, Resource | None]:
    """Return status and body for a request of Neutron's API."""
    parts = path.strip('/').split('/')
    if parts == ['']:
        return 200, {
            'versions': [
                {
                    'id': 'v2.0',
                    'status': 'CURRENT',
                    'links': [
                        {
                            'rel': 'self',
                            'href': f'{layout.Port.NETWORK.url}/v2.0/',
                        }
                    ],
                }
            ]
        }
    if parts[0] != 'v2.0' or not 2 <= len(parts) <= 3:
        return 404, {'NeutronError': {'message': 'not found'}}
    kind = parts[1]
    if kind == 'quotas':
        return 200, {'quota': {'port': -1}}
    known = _resources.get(kind)
    if known is None and method == 'GET' and len(parts) == 2:
        # Security groups, floating IPs, extensions, ...: there are none.
        return 200, {kind.replace('-', '_'): []}
    if known is None:
        return 404, {'NeutronError': {'message': f'no {kind} here'}}
    singular = kind[:-1]
    with _lock:
        if len(parts) == 2:
            if method == 'POST' and kind == 'ports':
                made = _new_port(body[singular])
                known[made['id']] = made
                return 201, {singular: copy.deepcopy(made)}
            if method != 'GET':
                return 405, {'NeutronError': {'message': 'read only'}}
            return 200, {
                kind: [
                    copy.deepcopy(resource)
                    for resource in known.values()
                    if _matches(resource, query)
                ]
            }
        resource = known.get(parts[2])
        if resource is None:
            return 404, {
                'NeutronError': {
                    'type': f'{singular.title()}NotFound',
                    'message': f'{singular} {parts[2]} could not be found.',
                    'detail': '',
                }
            }
        if method != 'GET' and kind != 'ports':
            return 405, {'NeutronError': {'message': 'read only'}}
        if method == 'DELETE':
            del known[parts[2]]
            return 204, None
        if method == 'PUT':
            resource.update(body[singular])
        return 200, {singular: copy.deepcopy(resource)}


def _matches(resource: Resource, query: dict[str, list[str]]) -> bool:
    return all(
        str(resource[name]).lower() in [value.lower() for value in values]
        for name, values in query.items()
        if name in resource
    )


class Handler(http.server.BaseHTTPRequestHandler):
    def _handle(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        length = int(self.headers.get('Content-Length') or 0)
        status, body = answer(
            self.command,
            url.path,
            urllib.parse.parse_qs(url.query),
            json.loads(self.rfile.read(length) or b'{}'),
        )
        content = b'' if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _handle


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == '__main__':
    address = (layout.ADDRESS, layout.Port.NETWORK.value)
    Server(address, Handler).serve_forever()
