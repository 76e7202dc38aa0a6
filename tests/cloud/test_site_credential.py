# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import re
import secrets
import shutil
import subprocess
import tempfile
import time

from keystoneauth1 import loading
import openstack
from oslo_config import cfg

from edge_filters import cloud
from edge_filters.api import directory
from edge_filters.conf import agent
from tests.cloud import base
from tests.cloud import transcript

PAGE = pathlib.Path(__file__).parents[2] / (
    'doc/source/admin/agent-credentials.rst'
)
PROJECT = 'edge-agents'
USERS = ('edge-central', 'edge-sites')
ROLES = ('edge_publisher', 'edge_site_publisher')
SITE = 'par-01'
SPARE_HOST = 'compute-par-1'
# A site that the credential is not for.
OTHER_SITE = 'site-2'
OTHER_CITY = 'city-2'
KEY = 'edge:rtt:paris'
REVOKED_S = 5
CHECK_TIMEOUT_S = 60
# nova-api may know the prefixes of before for so long, and each of its workers
# reads them for itself; nova-scheduler follows within a second.
FOLLOWED_S = directory.POLL_INTERVAL_S + 10


class CredentialTest(base.TestCase):
    """Credentials made as the page tells; its commands are run once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        admin = base.connect()
        cls.addClassCleanup(admin.close)
        cls.addClassCleanup(_remove_all, admin)
        _remove_all(admin)
        aggregate = admin.compute.create_aggregate(name=SITE)
        admin.compute.add_host_to_aggregate(aggregate.id, SPARE_HOST)
        admin.compute.set_aggregate_metadata(
            aggregate, {'edge:site': SITE, KEY: '4.1'}
        )
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.page_commands = transcript.run(
            PAGE, cls.folder, base.environment()
        )
        cls.password = secrets.token_hex()
        for user in USERS:
            admin.identity.update_user(
                admin.identity.find_user(user), password=cls.password
            )
        # Tokens of before are revoked, and of the same second.
        time.sleep(1.1)

    def setUp(self):
        super().setUp()
        compute = self.openstack.compute
        self.own = compute.find_aggregate(SITE)
        self.other = compute.find_aggregate(OTHER_SITE)
        self.addCleanup(self._restore, self.own)
        self.addCleanup(self._restore, self.other)
        self.connection = self.connect('par-01-new', 'par-01.conf')
        self.cloud = cloud.Cloud(self.connection)
        self.central = cloud.Cloud(self.connect('central', 'central.conf'))

    def _restore(self, was):
        """Give an aggregate the keys it had."""
        compute = self.openstack.compute
        now = compute.get_aggregate(was.id)
        # An availability zone stays for as long as the aggregate.
        stays = {*was.metadata, 'availability_zone'}
        gone = now.metadata.keys() - stays
        compute.set_aggregate_metadata(
            was.id, {**was.metadata, **dict.fromkeys(gone)}
        )

    def connect(self, name, config_file):
        """Return a connection that is made as the agent makes it.

        :param name: whose ID and secret the page has written
        :param config_file: of the agent, as the page shows it
        """
        written = {
            # Capitals or none: that depends on the release of openstack.
            key.lower(): value
            for key, value in json.loads(
                (self.folder / f'{name}.json').read_text()
            ).items()
        }
        text = (self.folder / config_file).read_text()
        for option, value in (
            ('auth_url', self.openstack.config.get_auth_args()['auth_url']),
            ('application_credential_id', written['id']),
            ('application_credential_secret', written['secret']),
            ('aggregate', self.own.id),
        ):
            text = re.sub(f'(?m)^{option} = .*', f'{option} = {value}', text)
        path = self.folder / f'filled-{config_file}'
        path.write_text(text)
        config = cfg.ConfigOpts()
        agent.register_opts(config)
        config(['--config-file', str(path)], project='edge-latency-agent')
        # What it does with it beside Nova is no matter here.
        agent.read(config)
        auth = loading.load_auth_from_conf_options(config, agent.NOVA.name)
        session = loading.load_session_from_conf_options(
            config, agent.NOVA.name, auth=auth
        )
        connection = openstack.connection.Connection(
            session=session, region_name=config.nova.region_name
        )
        self.addCleanup(connection.close)
        return connection

    def error(self, function, *args):
        """Return what is said of a call that the cloud refuses."""
        return self.assertRaises(cloud.CloudError, function, *args)

    def call(self, connection, service, method, path, body=None, **headers):
        """Return the status of one call, sent once."""
        session = connection.session
        catalog = session.auth.get_access(session).service_catalog
        url = catalog.url_for(service_type=service, interface='public')
        answer = session.request(
            url + path,
            method,
            raise_exc=False,
            authenticated=False,
            headers={'X-Auth-Token': session.get_token(), **headers},
            **({} if body is None else {'json': body}),
        )
        return answer.status_code

    def as_user(self, user):
        """Return a connection of a user that the page makes."""
        connection = openstack.connection.Connection(
            auth={
                'auth_url': self.openstack.config.get_auth_args()['auth_url'],
                'user_id': user.id,
                'password': self.password,
                'project_name': PROJECT,
                'project_domain_id': user.domain_id,
            },
            region_name=self.openstack.config.get_region_name(),
        )
        self.addCleanup(connection.close)
        return connection

    def read(self, id):
        """Return an aggregate, as the agent does."""
        return self.cloud.aggregate(id)

    def aggregate(self, known):
        return cloud.Aggregate(known.id, known.name)

    def set(self, changes):
        """Set metadata of its own aggregate; None removes a key."""
        self.cloud.set_metadata(
            cloud.Aggregate(
                self.own.id, SITE, metadata=self.read(self.own.id).metadata
            ),
            changes,
        )

    def test_own_aggregate(self):
        """It reads its own aggregate, and sets any of its keys."""
        self.assertGreater(self.page_commands, 10)
        self.assertEqual(SITE, self.read(self.own.id).name)
        self.set({KEY: '5.2', 'edge:tier': 'core'})
        after = self.read(self.own.id)
        self.assertEqual('5.2', after.metadata[KEY])
        self.assertEqual([SPARE_HOST], list(after.hosts))
        self.set({'edge:tier': None})
        self.assertNotIn('edge:tier', self.read(self.own.id).metadata)

    def test_other_aggregate(self):
        """Another's is not read, changed or listed, and the rule is named."""
        id = self.other.id
        path = f'/v2.1/os-aggregates/{id}'
        for call, function, *args in (
            (f'GET {path}', self.read, id),
            (
                f'POST {path}/action',
                self.cloud.set_metadata,
                self.aggregate(self.other),
                {KEY: '1'},
            ),
            ('GET /v2.1/os-aggregates', self.cloud.aggregates),
            ('POST /v2.1/os-aggregates', self.cloud.create, 'more'),
            (
                f'DELETE /v2.1/os-aggregates/{self.own.id}',
                self.cloud.delete,
                self.aggregate(self.own),
            ),
        ):
            error = self.error(function, *args)
            self.assertEqual(401, error.status)
            self.assertTrue(
                str(error).endswith(
                    ': Nova does not accept the token; see what openstack '
                    'token issue says; the access rules of an application '
                    f'credential have to allow {call}.'
                ),
                error,
            )
        self.assertEqual(
            self.other.metadata,
            self.openstack.compute.get_aggregate(id).metadata,
        )

    def test_hosts(self):
        """It does not say which hosts are at the site, and is told why."""
        aggregate = cloud.Aggregate(
            self.own.id, SITE, hosts=tuple(self.own.hosts)
        )
        for action, host in (
            ('add_host', 'compute-1-1'),
            ('remove_host', SPARE_HOST),
        ):
            error = self.error(getattr(self.cloud, action), aggregate, host)
            self.assertEqual(403, error.status)
            self.assertIn(
                f'the policy os_compute_api:os-aggregates:{action} does not '
                'allow it',
                str(error),
            )
        self.assertEqual([SPARE_HOST], list(self.read(self.own.id).hosts))

    def test_rest_of_nova(self):
        """It sees and does nothing else in Nova."""
        own = f'/os-aggregates/{self.own.id}'
        for method, path, body in (
            ('PUT', own, {'aggregate': {'name': 'mine'}}),
            ('POST', f'{own}/images', {'cache': [{'id': 'x'}]}),
            ('GET', '/servers', None),
            ('GET', '/servers/detail?all_tenants=1', None),
            ('POST', '/servers', {'server': {'name': 'x'}}),
            ('GET', '/flavors', None),
            ('GET', '/os-hypervisors', None),
            ('GET', '/os-keypairs', None),
            ('GET', '/limits', None),
        ):
            status = self.call(self.connection, 'compute', method, path, body)
            self.assertEqual(401, status, path)

    def test_other_paths(self):
        """No other spelling of a path leads around the rules."""
        session = self.connection.session
        project = session.get_project_id()
        own, other = self.own.id, self.other.id
        for path in (
            f'/{project}/os-aggregates/{own}',
            f'/os-aggregates/{own}/',
            f'/os-aggregates/{own}.json',
            f'/os-aggregates/{own}%0a',
            f'/os-aggregates/{own}/../{other}',
            f'/os-aggregates//{other}',
            f'/os-aggregates/{other}?/os-aggregates/{own}',
            f'/os-aggregates/{other}%3F/os-aggregates/{own}',
        ):
            status = self.call(self.connection, 'compute', 'GET', path)
            self.assertEqual(401, status, path)

    def test_service_token(self):
        """The token sent a second time, as a service's, opens nothing."""
        status = self.call(
            self.connection,
            'compute',
            'GET',
            f'/os-aggregates/{self.other.id}',
            **{'X-Service-Token': self.connection.session.get_token()},
        )
        self.assertEqual(401, status)

    def test_other_services(self):
        """Placement, Glance and Keystone refuse it."""
        user = self.connection.session.get_user_id()
        mine = f'/users/{user}/application_credentials'
        more = {'application_credential': {'name': 'more'}}
        for service, method, path, body in (
            ('placement', 'GET', '/resource_providers', None),
            ('image', 'GET', '/v2/images', None),
            ('identity', 'GET', '/users', None),
            ('identity', 'GET', mine, None),
            ('identity', 'POST', mine, more),
        ):
            status = self.call(self.connection, service, method, path, body)
            self.assertEqual(401, status, (service, path))

    def test_other_tokens(self):
        """It gets no token without rules, and no other credential."""
        session = self.connection.session
        token = session.get_token()
        method = {'methods': ['token'], 'token': {'id': token}}
        for scope in ({'project': {'id': session.get_project_id()}}, None):
            auth = {'identity': method} | ({'scope': scope} if scope else {})
            for headers in ({}, {'OpenStack-Identity-Access-Rules': '1.0'}):
                status = self.call(
                    self.connection,
                    'identity',
                    'POST',
                    '/auth/tokens',
                    {'auth': auth},
                    **headers,
                )
                self.assertIn(status, (401, 404))
        # Keystone lets itself be asked so; what it must not do is to make.
        user = session.get_user_id()
        again = {'X-Service-Token': token}
        for path, body in (
            (
                f'/users/{user}/application_credentials',
                {'application_credential': {'name': 'more'}},
            ),
            (
                f'/users/{user}/credentials/OS-EC2',
                {'tenant_id': session.get_project_id()},
            ),
            (
                '/OS-TRUST/trusts',
                {
                    'trust': {
                        'trustor_user_id': user,
                        'trustee_user_id': user,
                        'impersonation': True,
                        'project_id': session.get_project_id(),
                        'roles': [{'name': ROLES[1]}],
                    }
                },
            ),
        ):
            status = self.call(
                self.connection, 'identity', 'POST', path, body, **again
            )
            self.assertIn(status, (401, 403), path)

    def test_taken_back(self):
        """One that was deleted is refused, and it is said what to look at."""
        deleted = cloud.Cloud(self.connect('par-01', 'par-01.conf'))
        error = self.error(deleted.aggregates)
        self.assertEqual(
            'Could not list the host aggregates: Keystone does not accept the '
            'credentials; see whether they and the address of Keystone are '
            'right; an application credential may have expired or been '
            'deleted.',
            str(error),
        )

    def test_token_taken_back(self):
        """The tokens of one that was deleted are refused, too."""
        identity = self.openstack.identity
        user = identity.find_user(USERS[1])
        made = self.as_user(user).identity.create_application_credential(
            user.id,
            'short',
            roles=[{'name': ROLES[1]}],
            access_rules=json.loads(
                (self.folder / 'par-01-rules.json').read_text()
            ),
        )
        (self.folder / 'short.json').write_text(
            json.dumps({'id': made.id, 'secret': made.secret})
        )
        stolen = self.connect('short', 'par-01.conf')
        call = (stolen, 'compute', 'GET', f'/os-aggregates/{self.own.id}')
        self.assertEqual(200, self.call(*call))
        identity.delete_application_credential(user.id, made.id)
        deadline = time.monotonic() + REVOKED_S
        while self.call(*call) != 401:
            self.assertLess(time.monotonic(), deadline, 'it is still good')

    def test_endpoint_with_project(self):
        """Where paths have the ID of the project, * stands for it."""
        user = self.openstack.identity.find_user(USERS[1])
        made = self.as_user(user).identity.create_application_credential(
            user.id,
            'project',
            roles=[{'name': ROLES[1]}],
            access_rules=[
                {
                    'service': 'compute',
                    'method': 'GET',
                    'path': f'/v2.1/*/os-aggregates/{self.own.id}',
                }
            ],
        )
        (self.folder / 'project.json').write_text(
            json.dumps({'id': made.id, 'secret': made.secret})
        )
        connection = self.connect('project', 'par-01.conf')
        project = connection.session.get_project_id()
        for id, expected in ((self.own.id, 200), (self.other.id, 401)):
            path = f'/{project}/os-aggregates/{id}'
            status = self.call(connection, 'compute', 'GET', path)
            self.assertEqual(expected, status)

    def boot(self, **hints):
        """Return the host that a server comes to, or why it does not.

        :param hints: those of ``edge:``
        """
        try:
            return super().boot({f'edge:{k}': v for k, v in hints.items()})
        except openstack.exceptions.BadRequestException as error:
            return str(error)

    def assert_boots(self, expected, **hints):
        """Fail unless what a boot comes to is this, as soon as it is known.

        :param expected: the name of a host, or a part of it or of the reason
        :param hints: those of ``edge:``
        """
        deadline = time.monotonic() + FOLLOWED_S
        while expected not in (got := self.boot(**hints)):
            self.assertLess(time.monotonic(), deadline, got)

    def findings(self):
        """Return what openstack edge check finds of sites."""
        environment = base.environment()
        done = subprocess.run(
            [
                shutil.which('openstack', path=environment['PATH']),
                *('edge', 'check', '--all', '-f', 'json', '-c', 'Check'),
            ],
            capture_output=True,
            check=False,
            env=environment,
            text=True,
            timeout=CHECK_TIMEOUT_S,
        )
        return {finding['Check'] for finding in json.loads(done.stdout)}

    def test_name_of_another_site(self):
        """Who takes the name of a site can close it; check warns of it."""
        self.assertIn('compute-2-', self.boot(site=OTHER_SITE))
        self.set({'edge:site': OTHER_SITE, 'edge:status': 'inactive'})
        self.assert_boots('one is inactive', site=OTHER_SITE)
        self.set({'edge:status': None, f'edge:rtt:{OTHER_CITY}': '99'})
        self.assertNotIn('compute-2-', self.boot(origin=OTHER_CITY))
        self.assertIn('figures-contradict', self.findings())

    def test_figure(self):
        """A figure that is not true brings servers, budget or not."""
        self.openstack.compute.set_aggregate_metadata(
            self.other.id, {f'edge:rtt:{OTHER_CITY}': '9'}
        )
        self.set({f'edge:rtt:{OTHER_CITY}': '0.1'})
        for budget in ({}, {'max_rtt_ms': '5'}):
            self.assert_boots(SPARE_HOST, origin=OTHER_CITY, **budget)

    def test_prefix(self):
        """A longer prefix takes the users of another site; a note says so."""
        self.openstack.compute.set_aggregate_metadata(
            self.other.id, {'edge:prefixes': '192.0.2.0/24'}
        )
        self.assert_boots('compute-2-', client_ip='192.0.2.7')
        self.set({'edge:prefixes': '192.0.2.0/25'})
        self.assert_boots(SPARE_HOST, client_ip='192.0.2.7')
        self.assertIn('prefix-overlap', self.findings())

    def test_multiplier(self):
        """A multiplier of Nova's brings servers, but not against a budget."""
        self.set(
            {'cpu_weight_multiplier': '1e6', f'edge:rtt:{OTHER_CITY}': '50'}
        )
        self.assert_boots(SPARE_HOST, origin=OTHER_CITY)
        near = self.boot(origin=OTHER_CITY, max_rtt_ms='5')
        self.assertIn('compute-2-', near)

    def test_zone(self):
        """It can make its empty hosts a zone, and nobody can undo that."""
        self.set({'availability_zone': 'elsewhere'})
        (zone,) = (
            it
            for it in self.openstack.compute.availability_zones(details=True)
            if it.name == 'elsewhere'
        )
        self.assertEqual({SPARE_HOST}, set(zone.hosts))
        self.assertRaises(
            openstack.exceptions.BadRequestException,
            self.openstack.compute.set_aggregate_metadata,
            self.own.id,
            {'availability_zone': None},
        )

    def test_central(self):
        """The central agent lists all aggregates, and sets all metadata."""
        by_name = {it.name: it for it in self.central.aggregates()}
        self.assertLessEqual({SITE, OTHER_SITE}, by_name.keys())
        self.assertEqual(
            by_name[SITE], self.central.aggregate(by_name[SITE].id)
        )
        for name in (SITE, OTHER_SITE):
            after = self.central.set_metadata(by_name[name], {KEY: '7.25'})
            self.assertEqual('7.25', after.metadata[KEY])

    def test_central_no_more(self):
        """It, too, changes no hosts, makes no sites, and sees no servers."""
        aggregate = cloud.Aggregate(
            self.own.id, SITE, hosts=tuple(self.own.hosts)
        )
        for status, function, *args in (
            (403, self.central.add_host, aggregate, 'compute-1-1'),
            (403, self.central.remove_host, aggregate, SPARE_HOST),
            (401, self.central.create, 'more'),
            (401, self.central.delete, aggregate),
            (401, self.central.hypervisors),
            (401, lambda: list(self.central.servers())),
        ):
            self.assertEqual(status, self.error(function, *args).status)

    def test_policy_without_rules(self):
        """The role alone, without access rules, says no more than the list.

        Whoever forgot the rules has a credential without any.
        """
        for user, allowed in (
            (USERS[0], {'index', 'show', 'set_metadata'}),
            (USERS[1], {'show', 'set_metadata'}),
        ):
            connection = self.as_user(self.openstack.identity.find_user(user))
            one = f'/os-aggregates/{self.own.id}'
            metadata = {'set_metadata': {'metadata': {KEY: '1'}}}
            name = {'aggregate': {'name': 'mine'}}
            add = {'add_host': {'host': 'compute-1-1'}}
            remove = {'remove_host': {'host': SPARE_HOST}}
            for action, method, path, body in (
                ('index', 'GET', '/os-aggregates', None),
                ('show', 'GET', one, None),
                ('set_metadata', 'POST', f'{one}/action', metadata),
                ('add_host', 'POST', f'{one}/action', add),
                ('remove_host', 'POST', f'{one}/action', remove),
                ('create', 'POST', '/os-aggregates', name),
                ('update', 'PUT', one, name),
                ('delete', 'DELETE', one, None),
                ('servers', 'GET', '/servers', None),
            ):
                status = self.call(connection, 'compute', method, path, body)
                expected = 200 if action in allowed else 403
                self.assertEqual(expected, status, (user, action))


def _remove_all(admin):
    """Remove what the page makes, and what it is made for."""
    identity, compute = admin.identity, admin.compute
    for find, delete, names in (
        (identity.find_user, identity.delete_user, USERS),
        (identity.find_project, identity.delete_project, (PROJECT,)),
        (identity.find_role, identity.delete_role, ROLES),
    ):
        for name in names:
            if found := find(name):
                delete(found)
    if aggregate := compute.find_aggregate(SITE):
        for host in aggregate.hosts:
            compute.remove_host_from_aggregate(aggregate.id, host)
        compute.delete_aggregate(aggregate.id)
