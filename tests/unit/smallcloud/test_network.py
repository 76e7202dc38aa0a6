# SPDX-License-Identifier: Apache-2.0

import copy
import http.client
import json
import threading
import urllib.parse

import fixtures

from smallcloud import network
from tests.unit.smallcloud import base


class NetworkTest(base.TestCase):
    """The stand-in answers what Nova and ``openstack`` ask Neutron."""

    def setUp(self):
        super().setUp()
        self.useFixture(
            fixtures.MonkeyPatch(
                'smallcloud.network._resources',
                copy.deepcopy(network._resources),
            )
        )

    def ask(self, method, path, **body):
        url = urllib.parse.urlsplit(path)
        return network.answer(
            method, url.path, urllib.parse.parse_qs(url.query), body
        )

    def test_network(self):
        """There is one network, and it is found by its name."""
        status, found = self.ask('GET', '/v2.0/networks?name=edge')
        self.assertEqual(200, status)
        self.assertEqual(
            ['edge'], [each['name'] for each in found['networks']]
        )
        (edge,) = found['networks']
        self.assertEqual(
            (200, {'network': edge}),
            self.ask('GET', f'/v2.0/networks/{edge["id"]}'),
        )
        self.assertEqual(
            (200, {'networks': []}),
            self.ask('GET', '/v2.0/networks?name=core'),
        )
        _, subnets = self.ask('GET', f'/v2.0/subnets?network_id={edge["id"]}')
        self.assertEqual(
            edge['subnets'], [each['id'] for each in subnets['subnets']]
        )

    def test_port(self):
        """A port is made, found by its server, changed, and deleted."""
        made = {}
        for server in ('ar-1', 'ar-2'):
            status, body = self.ask(
                'POST', '/v2.0/ports', port={'device_id': server}
            )
            self.assertEqual(201, status)
            made[server] = body['port']
        self.assertNotEqual(made['ar-1']['id'], made['ar-2']['id'])
        self.assertNotEqual(
            made['ar-1']['fixed_ips'], made['ar-2']['fixed_ips']
        )
        path = f'/v2.0/ports/{made["ar-1"]["id"]}'
        self.assertEqual(
            (200, {'ports': [made['ar-1']]}),
            self.ask('GET', '/v2.0/ports?device_id=ar-1&fields=id'),
        )
        changed = made['ar-1'] | {'binding:host_id': 'compute-1-1'}
        self.assertEqual(
            (200, {'port': changed}),
            self.ask('PUT', path, port={'binding:host_id': 'compute-1-1'}),
        )
        self.assertEqual((200, {'port': changed}), self.ask('GET', path))
        self.assertEqual((204, None), self.ask('DELETE', path))
        for method in ('GET', 'PUT', 'DELETE'):
            status, body = self.ask(method, path, port={})
            self.assertEqual(404, status)
            self.assertEqual('PortNotFound', body['NeutronError']['type'])
        _, left = self.ask('GET', '/v2.0/ports')
        self.assertEqual([made['ar-2']], left['ports'])

    def test_what_there_is_none_of(self):
        """Of what it does not keep there is none; nobody may make any."""
        for kind in ('security-groups', 'floatingips', 'extensions'):
            self.assertEqual(
                (200, {kind.replace('-', '_'): []}),
                self.ask('GET', f'/v2.0/{kind}?tenant_id=x'),
            )
            for method, path in (('POST', ''), ('GET', '/x'), ('PUT', '/x')):
                status, _ = self.ask(method, f'/v2.0/{kind}{path}')
                self.assertEqual(404, status)

    def test_quota(self):
        """A quota does not keep anybody from a port."""
        self.assertEqual(
            (200, {'quota': {'port': -1}}), self.ask('GET', '/v2.0/quotas/x')
        )

    def test_junk(self):
        """What is no path of Neutron's is not found."""
        for path in ('/v2.0', '/v2.0/', '/v3/ports', '/ports', '/x/y/z'):
            for method in ('GET', 'POST', 'PUT', 'DELETE'):
                self.assertEqual(404, self.ask(method, path)[0], path)

    def test_read_only(self):
        """Nobody changes the network, nor a port by what is below it."""
        _, found = self.ask('GET', '/v2.0/networks')
        path = f'/v2.0/networks/{found["networks"][0]["id"]}'
        for method, where in (
            ('POST', '/v2.0/networks'),
            ('PUT', path),
            ('DELETE', path),
            ('DELETE', '/v2.0/ports'),
        ):
            self.assertEqual(405, self.ask(method, where, network={})[0])
        self.assertEqual(found, self.ask('GET', '/v2.0/networks')[1])
        _, made = self.ask('POST', '/v2.0/ports', port={})
        below = f'/v2.0/ports/{made["port"]["id"]}/bindings'
        for method in ('GET', 'DELETE'):
            self.assertEqual(404, self.ask(method, below)[0])

    def test_http(self):
        """It speaks HTTP, with JSON in both directions."""
        server = network.Server(('127.0.0.1', 0), network.Handler)
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)

        def ask(method, path, body=None):
            client = http.client.HTTPConnection(*server.server_address)
            self.addCleanup(client.close)
            client.request(method, path, body and json.dumps(body))
            response = client.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None

        status, versions = ask('GET', '/')
        self.assertEqual(200, status)
        self.assertEqual('v2.0', versions['versions'][0]['id'])
        for name in ('c', 'a b'):
            status, made = ask('POST', '/v2.0/ports', {'port': {'name': name}})
            self.assertEqual(201, status)
        self.assertEqual(
            (200, {'ports': [made['port']]}),
            ask('GET', '/v2.0/ports?name=a%20b'),
        )
        path = f'/v2.0/ports/{made["port"]["id"]}'
        self.assertEqual((204, None), ask('DELETE', path))
        self.assertEqual(404, ask('GET', path)[0])
