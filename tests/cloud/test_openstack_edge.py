# SPDX-License-Identifier: Apache-2.0

import json
import re
import shutil
import subprocess

from tests.cloud import base

TIMEOUT_S = 60
SPARE_HOST = 'compute-par-1'
SITE = 'edge-command-01'
ZONE = 'edge-command-zone'
SITE_RTT_MS = 3.5
# As requestlog of Nova writes it.
_CHANGE = re.compile(r'"(?:POST|PUT|DELETE) \S*/os-aggregates\S*"')


class CloudTestCase(base.TestCase):
    """What is changed of aggregates is put back."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self._restore, self._aggregates())

    def _aggregates(self):
        return {it.id: it for it in self.openstack.compute.aggregates()}

    def _restore(self, before):
        """Make the aggregates what they were."""
        compute = self.openstack.compute
        for id, now in self._aggregates().items():
            was = before.get(id)
            metadata = was.metadata if was else {}
            hosts = was.hosts if was else []
            for host in set(now.hosts) - set(hosts):
                compute.remove_host_from_aggregate(id, host)
            if not was:
                compute.delete_aggregate(id)
                continue
            if now.metadata != metadata:
                gone = dict.fromkeys(now.metadata.keys() - metadata.keys())
                compute.set_aggregate_metadata(id, {**metadata, **gone})
            for host in set(hosts) - set(now.hosts):
                compute.add_host_to_aggregate(id, host)


class OpenstackEdgeTest(CloudTestCase):
    """The real command, Keystone and Nova."""

    def run_command(self, *args, user='admin'):
        """Run ``openstack edge``; return what became of it."""
        environment = base.environment(user)
        return subprocess.run(
            # Found in our PATH else, and not in that of the environment.
            [
                shutil.which('openstack', path=environment['PATH']),
                'edge',
                *args,
            ],
            capture_output=True,
            check=False,
            env=environment,
            text=True,
            timeout=TIMEOUT_S,
        )

    def edge(self, words, *args):
        """Run a command that succeeds; return what it writes."""
        done = self.run_command(*words.split(), *args)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return done.stdout

    def json(self, words, *args):
        """Run a command that succeeds; return what it says to a machine."""
        return json.loads(self.edge(words, '-f', 'json', *args))

    def error(self, words, *args, user='admin'):
        """Run a command that fails; return the one sentence that it says."""
        done = self.run_command(*words.split(), *args, user=user)
        self.assertEqual((1, ''), (done.returncode, done.stdout))
        (sentence,) = done.stderr.splitlines()
        return sentence

    def changes(self):
        """Return how often aggregates were to be changed up to now."""
        return len(_CHANGE.findall((base.LOGS / 'nova-api.log').read_text()))

    def test_life_of_a_site(self):
        """A spare host becomes a site, and is spare again without it."""
        made = self.json(
            f'site create {SITE} --host {SPARE_HOST} --tier far-edge'
        )
        self.assertEqual(
            (SITE, [SITE], [SPARE_HOST], 'far-edge'),
            tuple(made[it] for it in ('name', 'aggregates', 'hosts', 'tier')),
        )
        self.edge(f'site set {SITE} --status draining --no-tier')
        shown = self.json(f'site show {SITE}')
        self.assertEqual(('draining', None), (shown['status'], shown['tier']))
        self.edge(f'site delete {SITE}')
        self.assertIn(
            f"There is no site '{SITE}'", self.error(f'site show {SITE}')
        )
        self.assertNotIn(
            SITE, [it.name for it in self.openstack.compute.aggregates()]
        )

    def test_figure(self):
        """A figure that is set is listed, and is that of its origin."""
        set_it = (
            f'latency set --origin command --site site-2 {SITE_RTT_MS} '
            '--jitter 0.2 --loss 0 --probes 20 --source icmp'
        )
        self.edge(set_it)
        self.edge(f'{set_it} --host compute-2-1')
        listed = self.json('latency list --origin command')
        self.assertEqual(
            [('site-2', None), ('site-2', 'compute-2-1')],
            [(it['Site'], it['Host']) for it in listed],
        )
        for it in listed:
            self.assertEqual(SITE_RTT_MS, it['RTT ms'])
            self.assertEqual((None, 'measured'), (it['Age'], it['State']))
        (origin,) = [
            it for it in self.json('origin list') if it['Name'] == 'command'
        ]
        self.assertEqual(
            ('site-2', SITE_RTT_MS), (origin['Nearest Site'], origin['RTT ms'])
        )

    def test_prefix(self):
        """An address is located by the longest prefix of a site."""
        self.edge('site set site-1 --user-prefix 192.0.2.0/24')
        self.edge('site set site-2 --user-prefix 192.0.2.0/28')
        self.assertEqual(
            ['site-2', 'site-1'],
            [
                self.json(f'origin locate {address}')['origin']
                for address in ('192.0.2.7', '192.0.2.70')
            ],
        )
        self.assertIn(
            'belongs to no origin', self.error('origin locate 198.51.100.1')
        )

    def test_capacity(self):
        """A site has what the hypervisors of its hosts count."""
        server = self.openstack.create_server(
            'edge-command',
            image='ubuntu',
            flavor='m1.medium',
            network='edge',
            # Not on the spare host, which is in no site.
            scheduler_hints={'edge:site': 'site-1'},
            wait=True,
        )
        self.addCleanup(
            self.openstack.delete_server, server.id, wait=True, timeout=60
        )
        counted = {}
        answer = self.openstack.compute.get(
            '/os-hypervisors/detail', microversion='2.87'
        )
        for it in answer.json()['hypervisors']:
            counted[it['service']['host']] = it
        listed = {it['Name']: it for it in self.json('site list')}
        used = 0
        for aggregate in self.openstack.compute.aggregates():
            site = listed[aggregate.metadata['edge:site']]
            its = [counted[host] for host in aggregate.hosts]
            for name, kind in (('vCPUs', 'vcpus'), ('Memory MB', 'memory_mb')):
                in_use = sum(it[f'{kind}_used'] for it in its)
                there = sum(it[kind] for it in its)
                self.assertEqual(in_use, site[f'{name} Used'])
                self.assertEqual(there - in_use, site[f'{name} Free'])
            used += site['vCPUs Used']
        self.assertEqual(server.flavor.vcpus, used)

    def test_zone(self):
        """An availability zone is adopted, and outlives the site it was."""
        compute = self.openstack.compute
        zone = compute.create_aggregate(name=ZONE, availability_zone=ZONE)
        compute.add_host_to_aggregate(zone.id, SPARE_HOST)
        made = self.json(f'site create {SITE} --aggregate {ZONE}')
        self.assertEqual([ZONE], made['aggregates'])
        self.assertEqual([SPARE_HOST], made['hosts'])
        done = self.run_command('site', 'delete', SITE)
        self.assertEqual(0, done.returncode)
        self.assertIn(f'Aggregate {ZONE} is kept', done.stderr)
        left = self._aggregates()[zone.id]
        self.assertEqual({'availability_zone': ZONE}, left.metadata)
        self.assertEqual([SPARE_HOST], left.hosts)

    def test_nothing_is_sent_twice(self):
        """What is there already is not sent to Nova again."""
        before = self.changes()
        for _ in range(2):
            self.edge('site set site-3 --host compute-3-1 --tier metro')
            self.edge('latency set --origin city-1 --site site-3 7.5')
        self.assertEqual(2, self.changes() - before)

    def test_ordinary_user(self):
        """Who lacks a policy is told which one."""
        for words in (
            'site list',
            f'site create {SITE}',
            'site set site-1 --tier metro',
            'latency set --origin city-1 --site site-1 1',
            'origin list',
        ):
            self.assertEqual(
                'Could not list the host aggregates: the policy '
                'os_compute_api:os-aggregates:index does not allow it; ask '
                'for a role that has it, which most often is admin.',
                self.error(words, user='demo'),
            )

    def test_wrong_host(self):
        """A host that Nova does not know is said to be unknown."""
        self.assertEqual(
            'Could not add host no-such-host to the aggregate site-1: Compute '
            'host no-such-host could not be found; the hosts are listed by: '
            'openstack compute service list --service nova-compute.',
            self.error('site set site-1 --host no-such-host'),
        )

    def test_wrong_site(self):
        """A site that is not there is told with those that are alike."""
        self.assertEqual(
            "There is no site 'site-9'. Is it site-3 or site-2 or site-1? All "
            'are listed by: openstack edge site list',
            self.error('latency set --origin city-1 --site site-9 1'),
        )
