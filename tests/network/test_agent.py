# SPDX-License-Identifier: Apache-2.0

import pathlib
import re
import secrets
import signal
import sys
import time

import fixtures
import openstack
import requests

from edge_filters.latency import metadata
from edge_filters.latency import sample_format
from tests.cloud import base
from tests.network import lab
from tests.network import monitoring
from tests.network import process

SITES = ('site-1', 'site-2', 'site-3')
ORIGINS = ('town-1', 'town-2', 'town-3', 'town-4')
# Whose beacons answer by ICMP, over IPv6, and by TCP over either.
PING, PING6, TCP, TCP6 = ORIGINS
TCP_PORT = 7
METRICS_PORT = 9723
# Keystone and nova-api of tools/cloud.
CLOUD_PORTS = (18504, 18508)
ROLE = 'edge_site_publisher'
PROJECT = USER = 'edge-network-test'
RULES = (('GET', ''), ('POST', '/action'))
# 40 probes in 2 s: a loss of 30 % shows within 10 points in half a minute.
INTERVAL_S = 2
PROBES = 40
SEEN_WITHIN_S = 40
RTT_MS = {
    'site-1': (5, 20, 35, 50),
    'site-2': (20, 5, 20, 35),
    'site-3': (35, 20, 5, 20),
}
PROGRAM = pathlib.Path(sys.executable).with_name('edge-latency-agent')


def is_near(seen_ms, set_ms):
    """Return whether a delay is seen for what it is: 10 % or 1 ms."""
    return seen_ms is not None and (
        abs(seen_ms - set_ms) <= max(1.0, 0.1 * set_ms)
    )


class NetworkTestCase(base.TestCase):
    """Three sites of the cloud, and four origins, in networks of their own."""

    def setUp(self):
        super().setUp()
        compute = self.openstack.compute
        self.aggregates = {it.name: it for it in compute.aggregates()}
        self.addCleanup(self._restore)
        self.lab = self.useFixture(lab.Lab(SITES, ORIGINS))
        for site, rtts_ms in RTT_MS.items():
            for origin, rtt_ms in zip(ORIGINS, rtts_ms, strict=True):
                self.lab.set_link(site, origin, rtt_ms)
        for origin in (TCP, TCP6):
            self.lab.serve_tcp(origin, TCP_PORT)

    def _restore(self):
        """Take what was published away, and nothing else."""
        for was in self.aggregates.values():
            now = self.openstack.compute.get_aggregate(was.id)
            gone = now.metadata.keys() - was.metadata.keys()
            self.openstack.compute.set_aggregate_metadata(
                was.id, {**was.metadata, **dict.fromkeys(gone)}
            )

    def published(self, site):
        """Return what is published for a site, by key."""
        now = self.openstack.compute.get_aggregate(self.aggregates[site].id)
        return now.metadata

    def figure(self, site, key):
        """Return a figure as the aggregate has it; None: it has none."""
        value = self.published(site).get(key)
        return value and sample_format.parse_sample(value, True)

    def until(self, what, is_so):
        """Wait until something is so, and return what it then is."""
        deadline = time.monotonic() + SEEN_WITHIN_S
        while not (seen := is_so()):
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.2)
        return seen

    def until_near(self, site, origin, rtt_ms):
        """Wait until the RTT that is published is the one that was set."""
        key = metadata.rtt_key(origin)
        self.until(
            f'{site} to {origin}: {rtt_ms} ms',
            lambda: (
                (figure := self.figure(site, key))
                and is_near(figure.rtt_ms, rtt_ms)
            ),
        )

    def configure(self, name, nova, **options):
        """Write a configuration; return where it is.

        :param nova: how to reach it, by option
        """
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).join(f'{name}.conf')
        )
        options |= {'name': name, 'max_api_calls_per_second': 20}
        path.write_text(
            ''.join(
                [
                    '[edge_latency_agent]\n',
                    *(
                        f'{option} = {value}\n'
                        for option, values in options.items()
                        for value in (
                            values if isinstance(values, list) else [values]
                        )
                    ),
                    '[nova]\n',
                    *(f'{option} = {it}\n' for option, it in nova.items()),
                ]
            )
        )
        return path


class SiteAgentsTest(NetworkTestCase):
    """An agent at each site, with a credential for its aggregate alone."""

    def setUp(self):
        super().setUp()
        self.agents = {}
        self.doorways = {}
        self.configurations = {}
        credentials = self._credentials()
        for site in SITES:
            self.doorways[site] = self._open_doorways(site)
            self.configurations[site] = self.configure(
                f'{site}-agent',
                {
                    'auth_type': 'v3applicationcredential',
                    'auth_url': self.auth_url,
                    'application_credential_id': credentials[site].id,
                    'application_credential_secret': credentials[site].secret,
                },
                **self._options(site),
            )
            self.agents[site] = self._start(site)

    def _open_doorways(self, site):
        """Let a site reach the cloud; return what has it end."""
        return [self.lab.doorway(site, port) for port in CLOUD_PORTS]

    def _options(self, site):
        return {
            'site': site,
            'aggregate': self.aggregates[site].id,
            'interval': INTERVAL_S,
            'probe_timeout': 1,
            'probes': PROBES,
            'max_probes_per_second': 1000,
            'origin': [
                f'{PING} {self.lab.address(PING)}',
                f'{PING6} {self.lab.address(PING6, 6)}',
                f'{TCP} tcp://{self.lab.address(TCP)}:{TCP_PORT}',
                f'{TCP6} tcp://[{self.lab.address(TCP6, 6)}]:{TCP_PORT}',
                # Each is told, and holds up nobody.
                'nowhere beacon.invalid',
                f'{PING} 192.0.2.1',
            ],
            'to_site': [
                f'{other} {self.lab.address(other)}'
                for other in SITES
                if other != site
            ],
        }

    @property
    def auth_url(self):
        return self.openstack.config.get_auth_args()['auth_url']

    def _credentials(self):
        """Return a credential for each site, as operators make them."""
        identity = self.openstack.identity
        role = identity.find_role(ROLE)
        if not role:
            role = identity.create_role(name=ROLE)
            self.addCleanup(identity.delete_role, role)
        project = identity.create_project(name=PROJECT, domain_id='default')
        self.addCleanup(identity.delete_project, project)
        password = secrets.token_hex()
        user = identity.create_user(
            name=USER, password=password, domain_id='default'
        )
        self.addCleanup(identity.delete_user, user)
        identity.assign_project_role_to_user(project, user, role)
        own = openstack.connection.Connection(
            auth={
                'auth_url': self.auth_url,
                'user_id': user.id,
                'password': password,
                'project_id': project.id,
            },
            region_name=self.openstack.config.get_region_name(),
        )
        self.addCleanup(own.close)
        return {
            site: own.identity.create_application_credential(
                user.id,
                site,
                roles=[{'name': ROLE}],
                access_rules=[
                    {
                        'service': 'compute',
                        'method': method,
                        'path': f'/v2.1/os-aggregates/'
                        f'{self.aggregates[site].id}{rest}',
                    }
                    for method, rest in RULES
                ],
            )
            for site in SITES
        }

    def _start(self, site):
        command = [str(PROGRAM), '--config-file']
        return self.lab.run(site, [*command, str(self.configurations[site])])

    def log(self):
        """Return what all agents have said."""
        return '\n'.join(
            detail.as_text() for detail in self.lab.getDetails().values()
        )

    def test_figures(self):
        """What is published is what the networks are, whatever measures it.

        Changes and losses at run time, too; and a cut link for what it is.
        """
        for site, rtts_ms in RTT_MS.items():
            for origin, rtt_ms in zip(ORIGINS, rtts_ms, strict=True):
                self.until_near(site, origin, rtt_ms)
        for origin, by in ((PING, 'icmp'), (PING6, 'icmp'), (TCP6, 'tcp')):
            figure = self.figure('site-1', metadata.rtt_key(origin))
            self.assertEqual((by, 0), (figure.source, figure.loss_pct))
            self.assertGreaterEqual(figure.probes, PROBES)
        self.assertNotIn('edge:rtt:nowhere', self.published('site-1'))
        log = self.log()
        self.assertIn('beacon.invalid', log)
        self.assertIn('192.0.2.1', log)

        self.lab.set_link('site-1', PING, 80)
        self.lab.set_link('site-1', TCP6, 12)
        self.lab.cut('site-2', PING6)
        self.lab.cut('site-3', TCP)
        self.lab.set_link('site-3', PING, 35, jitter_ms=6, loss_pct=30)
        self.lab.set_link('site-1', 'site-2', 14)
        self.until_near('site-1', PING, 80)
        self.until_near('site-1', TCP6, 12)
        for site, origin in (('site-2', PING6), ('site-3', TCP)):
            self.until(
                f'{site} to {origin}: cut',
                lambda site=site, origin=origin: (
                    self.figure(site, metadata.rtt_key(origin)).is_unreachable
                ),
            )
        self.until(
            'a loss of 30 %',
            lambda: (
                abs(
                    self.figure('site-3', metadata.rtt_key(PING)).loss_pct - 30
                )
                <= 10
            ),
        )
        for site, other in (('site-1', 'site-2'), ('site-2', 'site-1')):
            self.until(
                f'{site} to {other}',
                lambda site=site, other=other: (
                    (it := self.figure(site, metadata.SITE_RTT + other))
                    and is_near(it.rtt_ms, 14)
                ),
            )
        # A link that was cut is there again.
        self.lab.set_link('site-2', PING6, 5)
        self.until_near('site-2', PING6, 5)

    def test_boot(self):
        """A server goes to where its users are near when it is booted."""
        for site in SITES:
            self.until_near(site, PING, RTT_MS[site][0])
        self.assertIn('compute-1-', self._boot())
        self.lab.set_link('site-1', PING, 45)
        self.lab.set_link('site-3', PING, 4)
        self.until_near('site-1', PING, 45)
        self.until_near('site-3', PING, 4)
        self.assertIn('compute-3-', self._boot())
        # Where a site cannot be reached nobody is sent.
        self.lab.cut('site-3', PING)
        self.until(
            'site-3 is cut',
            lambda: (
                self.figure('site-3', metadata.rtt_key(PING)).is_unreachable
            ),
        )
        self.assertIn('compute-2-', self._boot())

    def _boot(self):
        """Return where a server of the users of an origin goes."""
        return self.boot({'edge:origin': PING, 'edge:max_rtt_ms': '40'})

    def test_nova_away(self):
        """While Nova is away an agent measures; then it publishes that."""
        site = 'site-1'
        key = metadata.rtt_key(PING)
        self.until_near(site, PING, 5)
        for doorway in self.doorways[site]:
            doorway.close()
        self.lab.set_link(site, PING, 60)
        self.until(
            'Nova is missed',
            lambda: re.search(
                'Could not .* the aggregate.* cannot be reached', self.log()
            ),
        )
        self.assertTrue(is_near(self.figure(site, key).rtt_ms, 5))
        self._open_doorways(site)
        self.until_near(site, PING, 60)

    def test_signals(self):
        """An agent reads its configuration again, and ends, when told to."""
        site = 'site-1'
        agent = self.agents[site]
        for origin in (PING, PING6):
            self.until_near(site, origin, self._rtt_ms(site, origin))
        path = self.configurations[site]
        path.write_text(
            re.sub(rf'(?m)^origin = {PING6} .*\n', '', path.read_text())
        )
        probes = self.figure(site, metadata.rtt_key(PING)).probes
        agent.send_signal(signal.SIGHUP)
        self.until('read again', lambda: 'was read again' in self.log())
        self.lab.set_link(site, PING6, 90)
        self.lab.set_link(site, PING, 60)
        self.until_near(site, PING, 60)
        # Loss is counted on, and what is not measured any more is as it was.
        figure = self.figure(site, metadata.rtt_key(PING))
        self.assertGreater(figure.probes, probes)
        was = self.figure(site, metadata.rtt_key(PING6))
        self.assertTrue(is_near(was.rtt_ms, self._rtt_ms(site, PING6)))
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(0, agent.wait(20))
        self.assertIn('has stopped', self.log())
        self.assertNotIn('Traceback', self.log())

    def test_metrics(self):
        """Prometheus can watch an agent at its site."""
        site = 'site-1'
        self.until_near(site, PING, 5)
        window = self.lab.window(site, METRICS_PORT)
        url = f'http://127.0.0.1:{window}/metrics'
        with requests.Session() as session:
            session.trust_env = False
            text = session.get(url, timeout=10).text
        rtt_s = re.search(
            f'(?m)^edge_figure_rtt_seconds{{origin="{PING}",site="{site}"}} '
            '(.+)$',
            text,
        )
        self.assertTrue(is_near(1000 * float(rtt_s[1]), 5))
        self.assertIn('edge_latency_agent_stale_sites 0.0', text)

    def _rtt_ms(self, site, origin):
        return RTT_MS[site][ORIGINS.index(origin)]


class CentralAgentTest(NetworkTestCase):
    """One agent beside the control plane, which asks a real Prometheus."""

    def setUp(self):
        super().setUp()
        jobs = []
        for site in SITES:
            exporter = self.useFixture(
                monitoring.BlackboxExporter(self.lab, site)
            )
            jobs += [
                exporter.scrape_config(
                    'icmp4', {PING: self.lab.address(PING)}
                ),
                exporter.scrape_config(
                    'icmp6', {PING6: self.lab.address(PING6, 6)}
                ),
                exporter.scrape_config(
                    'icmp4',
                    {it: self.lab.address(it) for it in SITES if it != site},
                    'to_site',
                ),
            ]
        self.lab.set_link('site-1', 'site-2', 14)
        prometheus = self.useFixture(
            monitoring.Prometheus(
                {
                    'global': {
                        'scrape_interval': '1s',
                        'scrape_timeout': '1s',
                    },
                    'scrape_configs': jobs,
                }
            )
        )
        auth = self.openstack.config.get_auth_args()
        nova = {'auth_type': 'password', **auth}
        rtt = '(probe_icmp_duration_seconds{phase="rtt"} > 0)[8s:1s]'
        self.path = self.configure(
            'central',
            nova,
            interval=INTERVAL_S,
            probe_timeout=1,
            prometheus_url=prometheus.url,
            prometheus_rtt_query=f'quantile_over_time(0.5, {rtt})',
            prometheus_jitter_query='',
            prometheus_loss_query='1 - avg_over_time(probe_success[8s])',
            prometheus_count_query='count_over_time(probe_success[8s])',
            metrics_port=0,
        )

    def test_figures(self):
        """What Prometheus sees of the networks is published for all sites."""
        log = self.path.with_suffix('.log')
        agent = process.start(
            [str(PROGRAM), '--config-file', str(self.path)], log
        )
        self.addCleanup(process.stop, agent)
        self.addDetail('agent', process.detail(log))
        for site in SITES:
            for origin in (PING, PING6):
                rtt_ms = RTT_MS[site][ORIGINS.index(origin)]
                self.until_near(site, origin, rtt_ms)
        figure = self.figure('site-1', metadata.rtt_key(PING))
        self.assertEqual('prometheus', figure.source)
        self.until(
            'between sites',
            lambda: (
                (it := self.figure('site-1', metadata.SITE_RTT + 'site-2'))
                and is_near(it.rtt_ms, 14)
            ),
        )
        self.lab.set_link('site-1', PING, 60)
        self.lab.cut('site-2', PING6)
        self.until_near('site-1', PING, 60)
        self.until(
            'site-2 is cut',
            lambda: (
                self.figure('site-2', metadata.rtt_key(PING6)).is_unreachable
            ),
        )
