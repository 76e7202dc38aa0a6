# SPDX-License-Identifier: Apache-2.0
"""Whom a server serves: addresses, callers, and what nova-api refuses."""

from concurrent import futures
import ipaddress
import json
import random
import re
import time

from tempest import config
from tempest.common import tempest_fixtures
from tempest.lib import decorators
from tempest.lib import exceptions
from tempest.lib.common.utils import data_utils
import testtools

from edge_filters_tempest_plugin.tests import base
from edge_filters_tempest_plugin.tests import test_disruptive

CONF = config.CONF
IS_CALLER_KNOWN = CONF.edge_filters.forwarded_for
CALLER_IS_UNKNOWN = '[edge_filters] forwarded_for is not set.'

# nova-api reads the prefixes every 30 seconds, and nobody can be asked whether
# it has. Each process of it begins with its first request.
PREFIXES_READ_S = 33
ENOUGH_FOR_EACH_PROCESS = 40

# In the order in which Nova looks for the hints.
HINTS_KEYS = ('os:scheduler_hints', 'OS-SCH-HNT:scheduler_hints')

# Nobody has these addresses (RFC 5737).
DOCUMENTATION = ('192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24')

# From here on Nova shows the hints of a server.
HINTS_MICROVERSION = '2.100'


class UsersTest(base.EdgeFiltersTest):
    """Two sites have users, at addresses that nobody has.

    Their prefixes of IPv4 are neighbours. That of IPv6 of the second site is
    inside that of the first.

    :cvar near: name of a site, and of the origin that its users are
    :cvar far: name of another
    :cvar users: prefixes by site; all who are there are users of that site
    :cvar users_of_both: prefixes with users of either site
    :cvar strangers: prefixes of no origin
    """

    @classmethod
    def resource_setup(cls):
        super().resource_setup()
        # A second run of Tempest must not choose the same sites.
        with tempest_fixtures.LockFixture('edge_filters_prefixes'):
            cls.find_sites()
            cls.near, cls.far = cls._pick_sites_without_users()
            for site, prefixes in cls._choose_prefixes().items():
                text = ','.join(map(str, prefixes))
                cls.set_key_for_class(site, 'edge:prefixes', text)
        if CONF.edge_filters.api_middleware:
            cls._await_nova_api()

    @classmethod
    def _pick_sites_without_users(cls):
        keys = {
            site: {key for it in aggregates for key in _keys(it)}
            for site, aggregates in cls.site_aggregates.items()
        }
        # What is written of an origin that others know places their servers.
        known = set().union(*keys.values())
        found = [
            site
            for site in cls.usable_sites
            if 'edge:prefixes' not in keys[site]
            and f'edge:rtt:{site}' not in known
        ]
        if len(found) < 2:
            raise cls.skipException(
                '2 sites are needed that the tests may use, without '
                'edge:prefixes, and to whose names nobody has an edge:rtt; '
                f'found: {", ".join(found) or "none"}.'
            )
        return found[:2]

    @classmethod
    def _choose_prefixes(cls):
        """Return what to write, by site."""
        blocks = map(ipaddress.ip_network, DOCUMENTATION)
        both_v4, strangers_v4 = cls._choose_two(
            prefix for block in blocks for prefix in block.subnets(3)
        )
        # Of one's own (RFC 4193), chosen by chance.
        both_v6, strangers_v6 = cls._choose_two(
            ipaddress.ip_network((0xFD << 120 | number << 80, 48))
            for number in random.sample(range(1 << 40), 8)
        )
        near_v4, far_v4 = both_v4.subnets()
        near_v6, far_v6, *_ = both_v6.subnets(8)
        cls.users = {cls.near: (near_v4, near_v6), cls.far: (far_v4, far_v6)}
        cls.users_of_both = (both_v4, both_v6)
        cls.strangers = (strangers_v4, strangers_v6)
        return {cls.near: (near_v4, both_v6), cls.far: (far_v4, far_v6)}

    @classmethod
    def _choose_two(cls, candidates):
        taken = [
            prefix
            for aggregates in cls.site_aggregates.values()
            for aggregate in aggregates
            for prefix in _prefixes(aggregate)
        ]
        free = [it for it in candidates if not any(map(it.overlaps, taken))]
        if len(free) < 2:
            raise cls.skipException(
                'Sites have edge:prefixes around addresses that nobody has: '
                f'{", ".join(map(str, taken))}.'
            )
        return random.sample(free, 2)

    @classmethod
    def _await_nova_api(cls):
        with futures.ThreadPoolExecutor(ENOUGH_FOR_EACH_PROCESS) as pool:
            for _ in range(ENOUGH_FOR_EACH_PROCESS):
                pool.submit(cls.user_servers.list_servers)
        time.sleep(PREFIXES_READ_S)

    def assert_sites(self, wanted, requests):
        """Boot several servers, and return them.

        :param wanted: at which site each of them is to come up, or REFUSED
        """
        self.settle()
        servers = [self.request_server(**how) for how in requests]
        self.assertEqual(wanted, [*map(self.site_of_request, servers)])
        return servers

    def assert_keeps(self, hints, server):
        """Nova keeps these hints, and no others; if it tells."""
        client = self.servers
        status, text = _call(
            client,
            'GET',
            f'{client.base_url.rstrip("/")}/servers/{server}',
            HINTS_MICROVERSION,
        )
        # This Nova does not have that microversion.
        if status != 406:
            shown = json.loads(text)['server']['scheduler_hints']
            self.assertEqual(hints, shown)


class OriginsTest(UsersTest):
    """A server is placed near an address that its user gives, or calls from.

    Users who are attached to a site are nearest to that.
    """

    @decorators.idempotent_id('bccb323c-bce7-42c0-961c-11697c39f45d')
    def test_client_ip(self):
        """A server boots at the site that an address is attached to."""
        self.assert_sites(
            [self.near, self.near, self.far, self.far],
            [
                {'client_ip': _address(prefix)}
                for site in (self.near, self.far)
                for prefix in self.users[site]
            ],
        )

    @decorators.idempotent_id('77619d65-8e26-4332-9531-ab6447d8f885')
    def test_prefix(self):
        """So it does for a prefix, which may be a part of one."""
        wide_v4, wide_v6 = self.users[self.near]
        self.assert_sites(
            [self.near, self.near, self.far],
            [
                {'client_ip': next(wide_v4.subnets())},
                {'client_ip': next(wide_v6.subnets(8))},
                {'client_ip': self.users[self.far][1]},
            ],
        )

    @decorators.idempotent_id('c9b159b3-3564-4227-a70c-5c8c4eef1e20')
    @decorators.attr(type='negative')
    def test_client_ip_of_no_origin(self):
        """A server for an address that is of no origin is refused."""
        for prefix in self.strangers:
            self._assert_refused(_address(prefix))

    @decorators.idempotent_id('4ec0bd51-5a5e-44a5-af50-a1df904bafa8')
    @decorators.attr(type='negative')
    def test_prefix_of_two_origins(self):
        """So is one for a prefix with users of two origins."""
        for prefix in self.users_of_both:
            self._assert_refused(prefix)

    def _assert_refused(self, where):
        """nova-api refuses where it knows the prefixes, else the scheduler."""
        if IS_CALLER_KNOWN:
            error = self.assertRaises(
                exceptions.BadRequest, self.boot, client_ip=where
            )
            self.assertIn('edge:client_ip', str(error))
            self.assertIn(str(where), str(error))
            return
        try:
            self.assertEqual(base.REFUSED, self.site_of_boot(client_ip=where))
        except exceptions.BadRequest as error:
            self.assertIn('edge:client_ip', str(error))

    @decorators.idempotent_id('8f257e04-8be9-4dab-96e2-6694a7f96120')
    @testtools.skipUnless(IS_CALLER_KNOWN, CALLER_IS_UNKNOWN)
    def test_client_ip_is_not_kept(self):
        """Nova keeps the origin of an address or a prefix, and not it."""
        clients = {
            self.near: self.users[self.near][0],
            self.far: _address(self.users[self.far][1]),
        }
        servers = self.assert_sites(
            [*clients], [{'client_ip': where} for where in clients.values()]
        )
        for site, server in zip(clients, servers, strict=True):
            self.assert_keeps({'edge:origin': [site]}, server)

    @decorators.idempotent_id('74b727b1-6118-4f17-867b-6660cd9a5e16')
    @testtools.skipUnless(IS_CALLER_KNOWN, CALLER_IS_UNKNOWN)
    def test_caller(self):
        """A server that says nothing boots at the site of its caller.

        Nova keeps whom it serves: the origin, and no address.
        """
        wanted = [self.near, self.far] * 2
        addresses = [
            _address(self.users[site][version])
            for version in (0, 1)
            for site in (self.near, self.far)
        ]
        servers = self.assert_sites(
            wanted, [{'called_from': address} for address in addresses]
        )
        for site, server in zip(wanted, servers, strict=True):
            self.assert_keeps({'edge:origin': [site]}, server)

    @decorators.idempotent_id('de0f55f3-c8e5-4e64-8253-621504f09eec')
    @testtools.skipUnless(IS_CALLER_KNOWN, CALLER_IS_UNKNOWN)
    def test_budget_of_flavor(self):
        """A budget of the flavor is met for the caller, if he is known."""
        self.set_figure(self.near, self.near, base.RTTS_MS[0])
        self.set_figure(self.far, self.near, base.RTTS_MS[1])
        flavor = self.make_flavor(max_rtt_ms=8)
        caller = _address(self.users[self.near][0])
        self.assert_sites(
            [self.near, base.REFUSED],
            [
                {'flavor': flavor, 'called_from': caller},
                {'flavor': flavor},
            ],
        )

    @decorators.idempotent_id('f9335c35-99a1-4f7e-aea8-ce869d61e145')
    @testtools.skipUnless(IS_CALLER_KNOWN, CALLER_IS_UNKNOWN)
    def test_caller_who_lies(self):
        """Who writes another address before his own is where he is."""
        near, far = (
            _address(self.users[site][0]) for site in (self.near, self.far)
        )
        lie, other_lie = f'{far}, {near}', f'{near}, {far}'
        self.assert_sites(
            [self.near, self.far],
            [{'called_from': lie}, {'called_from': other_lie}],
        )

    @decorators.idempotent_id('a71beca0-74fb-4cd0-bb22-439a06b7d935')
    @testtools.skipUnless(IS_CALLER_KNOWN, CALLER_IS_UNKNOWN)
    def test_hint_wins(self):
        """A server whose user says whom it serves is not for the caller."""
        caller = _address(self.users[self.near][0])
        servers = self.assert_sites(
            [self.far, self.far],
            [
                {'called_from': caller, 'origin': self.far},
                {
                    'called_from': caller,
                    'client_ip': _address(self.users[self.far][0]),
                },
            ],
        )
        for server in servers:
            self.assert_keeps({'edge:origin': [self.far]}, server)

    @decorators.idempotent_id('f23c84e9-dbee-4a23-b585-2d65ef26e11a')
    @testtools.skipUnless(IS_CALLER_KNOWN, CALLER_IS_UNKNOWN)
    def test_caller_of_no_origin(self):
        """A caller of no origin boots servers, and nothing is kept."""
        for prefix in self.strangers:
            server = self.boot(called_from=_address(prefix))
            self.assert_keeps({}, server)


@decorators.serial
class EvacuateSiteTest(UsersTest, test_disruptive.DisruptiveTest):
    """Whoever moves a server, it still serves whom it was booted for."""

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not IS_CALLER_KNOWN:
            raise cls.skipException(CALLER_IS_UNKNOWN)

    @decorators.idempotent_id('b182f1bd-c1d6-4756-bc1c-ea138a1c5402')
    @decorators.attr(type='slow')
    def test_evacuate(self):
        """It leaves a dead site for the next nearest to its own users.

        That is not the site of the administrator who evacuates it.
        """
        middle, *_ = (
            site
            for site in self.pick_sites(3)
            if site not in (self.near, self.far)
        )
        for site, rtt_ms in zip(
            (self.near, middle, self.far), base.RTTS_MS, strict=True
        ):
            self.set_figure(site, self.near, rtt_ms)
        user, administrator = (
            _address(self.users[site][0]) for site in (self.near, self.far)
        )
        server = self.boot(called_from=user)
        self.assertEqual(self.near, self.site_of(server))
        self.stop_and_force_down(server, self.site_hosts[self.near])
        self.post(
            self.servers,
            f'servers/{server}/action',
            {'evacuate': {}},
            called_from=administrator,
        )
        self.wait(server, 'SHUTOFF')
        self.assertEqual(middle, self.site_of(server))
        self.assert_keeps({'edge:origin': [self.near]}, server)


class HintsTest(base.EdgeFiltersTest):
    """nova-api refuses bad hints while their user is there to hear it."""

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.edge_filters.api_middleware:
            raise cls.skipException(
                '[edge_filters] api_middleware is not set.'
            )

    @decorators.idempotent_id('0b7f7992-1c6f-470c-bbb2-2dd080fc7d74')
    @decorators.attr(type='negative')
    def test_bad_value(self):
        """What cannot be read is refused, with an example of what can."""
        for name, value in (
            ('edge:max_rtt_ms', 'fast'),
            ('edge:max_loss_pct', ['101']),
            ('edge:origin', 'Paris, France'),
            ('edge:client_ip', ['192.0.2.256']),
            ('edge:near', '48.85'),
            ('edge:fallback', 'maybe'),
        ):
            self._assert_refused(name, value, 'write for instance')

    @decorators.idempotent_id('1a877ebb-0e0b-4a9f-a715-b5db31e88734')
    @decorators.attr(type='negative')
    def test_no_text(self):
        """So is what is neither text nor number, where Nova alone fails."""
        for value in (None, [None], {'name': 'paris'}, [['paris']]):
            self._assert_refused('edge:origin', value, 'write for instance')

    @decorators.idempotent_id('69023b8e-d026-4e1b-a174-1f36df052c84')
    @decorators.attr(type='negative')
    def test_unknown_name(self):
        """A name that is not known is refused, with those that are."""
        self._assert_refused('edge:orgin', 'paris', 'edge:origin')

    @decorators.idempotent_id('b2343e4f-5e56-466b-a296-6fabbf5d7c58')
    @decorators.attr(type='negative')
    def test_too_many_values(self):
        """More values than are read are refused, with how many are."""
        cities = [f'city-{number}' for number in range(17)]
        self._assert_refused('edge:origin', cities, 'at most 16')
        self._assert_refused('edge:max_rtt_ms', ['20', '30'], 'once')

    def _assert_refused(self, name, value, advice):
        for url, version in self._urls():
            for key in HINTS_KEYS:
                where = f'{name}={value} in {key} to {url}'
                status, text = self._create(url, version, key, {name: value})
                self.assertEqual(400, status, f'{where}: {text}')
                fault = json.loads(text)
                self.assertEqual(['badRequest'], [*fault], where)
                self.assertEqual(400, fault['badRequest']['code'], where)
                self.assertIn(name, fault['badRequest']['message'], where)
                self.assertIn(advice, fault['badRequest']['message'], where)

    @decorators.idempotent_id('6f5c40d6-d0bf-4b74-b882-334476a2d4c4')
    def test_good_hints(self):
        """Good ones pass, under either key, and place the server."""
        *_, site = self.pick_sites(2)
        for url, version in self._urls():
            # Before 2.37 a server has to have a network; and Nova 34 answers
            # all that is right of /os-volumes_boot with a 500.
            if version is None or not url.endswith('/servers'):
                continue
            for key in HINTS_KEYS:
                hints = {'edge:site': site, 'edge:fallback': 'none'}
                status, text = self._create(url, version, key, hints)
                self.assertEqual(202, status, f'{key} to {url}: {text}')
                server = json.loads(text)['server']['id']
                self.assertEqual(site, self.site_of_request(server))

    def _urls(self):
        """Yield where servers are created, and the microversion, if any."""
        client = self.user_servers
        root, has_version = re.subn(
            r'/v2(\.1)?(/[^/]+)?/?$', '', client.base_url
        )
        versions = self.os_primary.compute_versions_client.list_versions()
        microversions = {'/v2.1': self.min_microversion}
        if 'v2.0' in [it['id'] for it in versions['versions']]:
            microversions['/v2'] = None
        if not has_version:
            # What the catalog has is all that we know.
            microversions = {'': self.min_microversion}
        for version, microversion in microversions.items():
            for project in ('', f'/{client.project_id}'):
                for resource in ('servers', 'os-volumes_boot'):
                    url = f'{root}{version}{project}/{resource}'
                    yield url, microversion

    def _create(self, url, version, key, hints):
        """Ask for a server, and return the status and the answer."""
        body = {'server': self.describe_server(), key: hints}
        if version is None:
            del body['server']['networks']
        status, text = _call(self.user_servers, 'POST', url, version, body)
        if status == 202:
            self.keep_track(json.loads(text)['server']['id'])
        return status, text


def _keys(aggregate):
    """Return the metadata of an aggregate as the schedulers read it."""
    return {
        key.strip().lower(): value
        for key, value in aggregate['metadata'].items()
    }


def _prefixes(aggregate):
    """Yield the prefixes that an aggregate has, but for bad ones."""
    for text in _keys(aggregate).get('edge:prefixes', '').split(','):
        try:
            yield ipaddress.ip_network(text.strip())
        except ValueError:
            continue


def _address(prefix):
    """Return an address of a prefix, chosen by chance."""
    return prefix[data_utils.rand_int_id(end=prefix.num_addresses - 1)]


def _call(client, method, url, microversion, body=None):
    """Call any URL of nova-api, and return the status and the answer."""
    headers = client.get_headers()
    headers['X-Auth-Token'] = client.token
    headers.pop(client.api_microversion_header_name, None)
    if microversion is not None:
        headers[client.api_microversion_header_name] = microversion
    response, text = client.raw_request(
        url, method, headers, None if body is None else json.dumps(body)
    )
    return response.status, text
