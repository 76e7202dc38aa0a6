# SPDX-License-Identifier: Apache-2.0

import json
import urllib.parse

from keystoneauth1 import exceptions as ksa_exceptions

from edge_filters import cloud
from tests.unit import base
from tests.unit import nova_api

HOST = 'par-1'
KEY = {'edge:tier': 'core'}


class CloudTestCase(base.TestCase):
    """A cloud with a site, reached through openstacksdk."""

    def setUp(self):
        super().setUp()
        self.nova = self.useFixture(nova_api.NovaApi())
        self.nova.aggregate(
            'par-01', ['par-1', 'par-2'], edge__site='par-01', edge__tier='far'
        )
        self.cloud = cloud.Cloud(self.nova.connect())

    def par(self):
        """Return the aggregate as it is now."""
        return self.cloud.aggregates()[0]


class ReadTest(CloudTestCase):
    """All that there is to read comes in one call."""

    def test_aggregates(self):
        """Every aggregate is read, with its hosts and metadata, at once."""
        self.nova.aggregate('az', availability_zone='az')
        par, zone = self.cloud.aggregates()
        self.assertEqual(1, par.id)
        self.assertEqual('par-01', par.name)
        self.assertEqual(36, len(par.uuid))
        self.assertEqual(('par-1', 'par-2'), par.hosts)
        self.assertEqual(
            {'edge:site': 'par-01', 'edge:tier': 'far'}, par.metadata
        )
        self.assertEqual(('az', ()), (zone.name, zone.hosts))
        self.assertEqual([('/os-aggregates', None)], self.nova.calls('GET'))

    def test_aggregate(self):
        """One aggregate is read alone, by whoever may see no other."""
        self.nova.forbidden = {'os-aggregates:index'}
        self.nova.aggregate('lyo', ['lyo-1'], edge__site='lyo')
        lyo = self.cloud.aggregate(2)
        self.assertEqual((2, 'lyo', ('lyo-1',)), (lyo.id, lyo.name, lyo.hosts))
        self.assertEqual({'edge:site': 'lyo'}, lyo.metadata)
        self.assertEqual([('/os-aggregates/2', None)], self.nova.calls('GET'))

    def test_sites(self):
        """Aggregates with edge:site are sites; bad keys are told."""
        self.nova.aggregate('az', availability_zone='az')
        self.nova.aggregate('lyo', edge__site='lyo', edge__rtt__paris='far')
        sites = self.cloud.sites()
        self.assertEqual({'par-01', 'lyo'}, sites.snapshot.sites.keys())
        self.assertEqual([1, 2, 3], list(sites.aggregates))
        self.assertEqual([3], list(sites.problems))
        self.assertIn('edge:rtt:paris', str(sites.problems[3][0]))

    def test_capacity(self):
        """Nothing is free on a host where no server may come."""
        self.nova.hypervisor('Par-1', vcpus_used=3, memory_mb_used=1024)
        self.nova.hypervisor('par-2', vcpus_used=2, state='down')
        capacity = self.cloud.capacity()
        self.assertEqual((3, 5, 1024, 15360), capacity['par-1'])
        self.assertEqual((2, 0, 512, 0), capacity['par-2'])

    def test_capacity_version(self):
        """It is asked for in a version of the API that still tells it."""
        self.cloud.capacity()
        asked = self.nova.mock.last_request.headers
        self.assertEqual('compute 2.87', asked['OpenStack-API-Version'])

    def test_capacity_pages(self):
        """Nova tells of so many hosts at once; all of them are counted."""
        for number in range(5):
            self.nova.hypervisor(f'h{number}')
        self.nova.max_limit = 2
        self.assertEqual(5, len(self.cloud.capacity()))
        self.assertEqual(3, len(self.nova.calls('GET')))

    def test_capacity_of_nodes(self):
        """A service with many nodes has what all of them have."""
        self.nova.hypervisor('par-1', vcpus_used=3)
        node = self.nova.hypervisors['par-1']
        self.nova.hypervisors['node'] = {**node, 'id': 'other'}
        self.assertEqual(6, self.cloud.capacity()['par-1'].vcpus_used)

    def test_nodes(self):
        """Placement's names of a host are those of its nodes."""
        self.nova.hypervisor('Par-1', hypervisor_hostname='one.example')
        node = self.nova.hypervisors['Par-1']
        self.nova.hypervisors['two'] = {
            **node,
            'hypervisor_hostname': 'two.example',
        }
        self.assertEqual(
            {'par-1': {'one.example', 'two.example'}}, self.cloud.nodes()
        )


class ChangeTest(CloudTestCase):
    """What changes nothing is not sent."""

    def test_set_metadata(self):
        """Any number of keys is one call, and only those that change."""
        after = self.cloud.set_metadata(
            self.par(),
            {
                'edge:site': 'par-01',
                'edge:tier': None,
                'edge:status': 'draining',
                'edge:rtt:paris': None,
            },
        )
        sent = {'edge:tier': None, 'edge:status': 'draining'}
        self.assertEqual(
            [
                (
                    '/os-aggregates/1/action',
                    {'set_metadata': {'metadata': sent}},
                )
            ],
            self.nova.changes(),
        )
        self.assertEqual(
            {'edge:site': 'par-01', 'edge:status': 'draining'}, after.metadata
        )

    def test_nothing_to_set(self):
        """Metadata that is there already is not sent."""
        par = self.par()
        self.assertIs(
            par, self.cloud.set_metadata(par, {'edge:site': 'par-01'})
        )
        self.assertEqual([], self.nova.changes())

    def test_other_case(self):
        """A key in another case is replaced, as MySQL takes it for one."""
        self.nova.aggregate('lyo', Edge__Tier='far')
        lyo = self.cloud.aggregates()[1]
        lyo = self.cloud.set_metadata(lyo, {'edge:tier': 'far'})
        self.assertEqual({'edge:tier': 'far'}, lyo.metadata)
        lyo = self.cloud.set_metadata(lyo, {'EDGE:TIER': None})
        self.assertEqual({}, lyo.metadata)

    def test_spaces(self):
        """So is one with spaces around its names, which are none to us."""
        par = self.par()
        self.nova.aggregates[par.id]['metadata'][' edge:rtt: paris'] = '500'
        after = self.cloud.set_metadata(self.par(), {'edge:rtt:paris': '5'})
        self.assertEqual(
            {'edge:rtt:paris': '5'},
            {key: it for key, it in after.metadata.items() if 'paris' in key},
        )

    def test_split(self):
        """More than 64 kB goes in several calls, and all of it arrives."""
        changes = {f'edge:rtt:o{it:04}': '9' * 255 for it in range(1000)}
        after = self.cloud.set_metadata(self.par(), changes)
        sizes = [len(json.dumps(body)) for _, body in self.nova.changes()]
        self.assertLessEqual(max(sizes), cloud.MAX_BODY)
        self.assertGreater(min(sizes[:-1]), cloud.MAX_BODY - 500)
        self.assertEqual(changes.items() - after.metadata.items(), set())

    def test_hosts(self):
        """A host is added and removed once, whatever the case of its name."""
        self.nova.hypervisor('par-3')
        par = self.par()
        par = self.cloud.add_host(par, 'PAR-1')
        par = self.cloud.remove_host(par, 'lyo-1')
        self.assertEqual([], self.nova.changes())
        par = self.cloud.add_host(par, 'par-3')
        par = self.cloud.remove_host(par, 'Par-1')
        self.assertEqual(('par-2', 'par-3'), par.hosts)

    def test_create_and_delete(self):
        """An aggregate is created empty, and deleted when it is."""
        made = self.cloud.create('lyo-01')
        self.assertEqual((2, 'lyo-01', ()), (made.id, made.name, made.hosts))
        self.cloud.delete(made)
        self.assertEqual([1], list(self.nova.aggregates))


class ErrorTest(CloudTestCase):
    """What the cloud does not do becomes a sentence with a next step."""

    def error(self, function, *args):
        """Return the error that a call raises."""
        error = self.assertRaises(cloud.CloudError, function, *args)
        self.assertNotIn('\n', str(error))
        self.assertTrue(str(error).endswith('.'))
        return error

    def test_forbidden(self):
        """A 403 names the policy that is missing."""
        par = self.par()
        for policy, function, *args in (
            ('os-aggregates:index', self.cloud.aggregates),
            ('os-aggregates:show', self.cloud.aggregate, 1),
            ('os-aggregates:create', self.cloud.create, 'lyo'),
            ('os-aggregates:delete', self.cloud.delete, par),
            ('os-aggregates:add_host', self.cloud.add_host, par, 'a'),
            ('os-aggregates:remove_host', self.cloud.remove_host, par, HOST),
            ('os-aggregates:set_metadata', self.cloud.set_metadata, par, KEY),
            ('os-hypervisors:list-detail', self.cloud.capacity),
        ):
            self.nova.forbidden = {policy.rpartition(':')[2]}
            error = self.error(function, *args)
            self.assertIn(
                f'the policy os_compute_api:{policy} does not allow it; ask '
                'for a role',
                str(error),
            )
            self.assertEqual(403, error.status)

    def test_unauthorized(self):
        """A 401 says which call an access rule would have to allow."""
        self.nova.mock.post(
            nova_api.URL + '/os-aggregates/1/action', status_code=401
        )
        path = urllib.parse.urlsplit(nova_api.URL).path
        self.assertEqual(
            'Could not set the metadata of the aggregate par-01: Nova does '
            'not accept the token; see what openstack token issue says; the '
            'access rules of an application credential have to allow POST '
            f'{path}/os-aggregates/1/action.',
            str(self.error(self.cloud.set_metadata, self.par(), KEY)),
        )

    def test_credentials(self):
        """Where Keystone refuses, it is not the network that is looked at."""
        for refusal in (
            ksa_exceptions.Unauthorized(),
            # As for an application credential that was deleted.
            ksa_exceptions.NotFound(),
        ):
            self.nova.mock.get(nova_api.URL + '/os-aggregates', exc=refusal)
            error = self.error(self.cloud.aggregates)
            self.assertEqual(
                'Could not list the host aggregates: Keystone does not accept '
                'the credentials; see whether they and the address of '
                'Keystone are right; an application credential may have '
                'expired or been deleted.',
                str(error),
            )
            self.assertEqual(refusal.http_status, error.status)

    def test_no_such_host(self):
        """An unknown host is told apart from an unknown aggregate."""
        error = self.error(self.cloud.add_host, self.par(), 'lyo-1')
        self.assertEqual(
            'Could not add host lyo-1 to the aggregate par-01: Compute host '
            'lyo-1 could not be found; the hosts are listed by: openstack '
            'compute service list --service nova-compute.',
            str(error),
        )

    def test_gone(self):
        """An aggregate that somebody else removed is said to be gone."""
        par = self.par()
        self.nova.aggregates.clear()
        error = self.error(self.cloud.set_metadata, par, KEY)
        self.assertIn('Aggregate 1 could not be found', str(error))
        self.assertIn('openstack aggregate list', str(error))
        error = self.error(self.cloud.aggregate, 1)
        self.assertIn('Could not show the aggregate 1: Aggre', str(error))

    def test_other(self):
        """An answer about another aggregate, or no aggregate, is none."""
        par = self.par()
        other = dict(self.nova.aggregate('lyo', edge__site='lyo'))
        number = {**other, 'id': 1, 'metadata': {'edge:site': 7}}
        url = f'{nova_api.URL}/os-aggregates/1'
        for answer in (other, number, None, {}):
            self.nova.mock.get(url, json={'aggregate': answer})
            self.nova.mock.post(f'{url}/action', json={'aggregate': answer})
            for error in (
                self.error(self.cloud.aggregate, 1),
                self.error(self.cloud.set_metadata, par, KEY),
            ):
                self.assertIn('does not speak as Nova does', str(error))

    def test_conflict(self):
        """A name that is taken is said to be."""
        error = self.error(self.cloud.create, 'par-01')
        self.assertIn('Aggregate par-01 already exists; give it', str(error))

    def test_not_empty(self):
        """An aggregate with hosts is not deleted, and it is said why."""
        error = self.error(self.cloud.delete, self.par())
        self.assertIn('is not empty; take its hosts away first', str(error))

    def test_broken(self):
        """Where Nova breaks, the log of nova-api is where to look."""
        self.nova.mock.get(
            nova_api.URL + '/os-aggregates',
            status_code=500,
            json={'computeFault': {'message': 'Unexpected\nAPI Error.'}},
            headers={
                'content-type': 'application/json',
                'x-openstack-request-id': 'req-9',
            },
        )
        self.assertEqual(
            'Could not list the host aggregates: Unexpected API Error; the '
            'log of nova-api says more (req-9).',
            str(self.error(self.cloud.aggregates)),
        )

    def test_no_network(self):
        """Where nothing answers, it is said what to look at."""
        self.nova.mock.get(
            nova_api.URL + '/os-aggregates',
            exc=ksa_exceptions.ConnectTimeout,
        )
        error = self.error(self.cloud.aggregates)
        self.assertIn('cannot be reached; see whether the net', str(error))
        self.assertIsNone(error.status)

    def test_no_json(self):
        """What is no answer of Nova is said to be none."""
        self.nova.mock.get(nova_api.URL + '/os-aggregates', text='<html>')
        error = self.error(self.cloud.aggregates)
        self.assertIn('does not speak as Nova does; see', str(error))

    def test_no_certificates(self):
        """A file of certificates that is not there is named."""
        self.nova.mock.get(
            nova_api.URL + '/os-aggregates',
            exc=OSError('invalid path: /etc/ssl/none.pem'),
        )
        error = self.error(self.cloud.aggregates)
        self.assertIn('/etc/ssl/none.pem; see whether the files', str(error))

    def test_strange_name(self):
        """The name of an aggregate does not steer a terminal or a log."""
        error = cloud.CloudError('read \x1b[2J\nmore', 'why', 'do')
        self.assertEqual(
            'Could not read \\x1b[2J\\nmore: why; do.', str(error)
        )
