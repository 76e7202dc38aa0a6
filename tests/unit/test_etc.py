# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import pathlib
import re
from unittest import mock

import fixtures
from osc_lib import exceptions
import yaml

from edge_filters.agent import exposition
from edge_filters.agent import measurement
from edge_filters.agent import reading
from edge_filters.conf import agent as agent_conf
from edge_filters.latency import sample
from tests.unit import base
from tests.unit.osc import base as osc_base

ETC = osc_base.ROOT / 'etc' / 'edge-filters'
DEFAULTS = {it.dest: it.default for it in agent_conf.OPTIONS}

# Of Prometheus, and of prometheus_client.
THEIRS = {
    'up',
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'process_start_time_seconds',
}
_METRIC = re.compile(r'\b(?:edge|process)_[a-z_]+\b|\bup\b')
_COMMAND = re.compile(r'"openstack edge ([^"]+)"')


def exposed():
    """Return the names of all metrics that the agent has."""
    figure = sample.Sample(5.0, 1.0, 0.0, 20, at=0.0)
    publisher = mock.Mock(
        api_calls=1,
        errors=0,
        last_success=0.0,
        published=lambda: {reading.Path('par-01', 'paris'): figure},
        sites=lambda: 1,
        stale_sites=lambda now: 0,
    )
    measured = measurement.Counts()
    measured.add('icmp', reading.Echoes((5.0,), 1, 0.0), 0.0)
    return {
        it.name
        for metric in exposition.Collector(publisher, measured).collect()
        for it in metric.samples
    }


def read(name):
    text = (ETC / name).read_text()
    return json.loads(text) if name.endswith('json') else yaml.safe_load(text)


class AlertsTest(osc_base.CommandTestCase):
    """What wakes somebody."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.rules = [
            rule
            for group in read('prometheus-alerts.yaml')['groups']
            for rule in group['rules']
        ]

    def test_metrics(self):
        """An alert is made of metrics that there are."""
        known = exposed() | THEIRS
        for rule in self.rules:
            names = set(_METRIC.findall(rule['expr']))
            self.assertTrue(names, rule)
            self.assertEqual(set(), names - known, rule['alert'])

    def test_commands(self):
        """It says what to do, in commands that can be given."""
        for rule in self.rules:
            self.assertTrue(rule['annotations']['summary'], rule['alert'])
            lines = _COMMAND.findall(rule['annotations']['description'])
            self.assertTrue(lines, rule['alert'])
            for line in lines:
                words = re.sub(r'{{.*?}}', 'par-01', line).split()
                length = 1 if words[0] == 'check' else 2
                with contextlib.suppress(exceptions.CommandError):
                    self.run_command(' '.join(words[:length]), *words[length:])

    def test_job(self):
        """The job that alerts look for is that of the example."""
        jobs = {
            it['job_name'] for it in read('prometheus.yaml')['scrape_configs']
        }
        for rule in self.rules:
            for job in re.findall(r'job="([^"]+)"', rule['expr']):
                self.assertIn(job, jobs)


class DashboardTest(base.TestCase):
    """What is seen at a glance."""

    def setUp(self):
        super().setUp()
        self.dashboard = read('grafana-dashboard.json')

    def test_metrics(self):
        """Each metric of the agent has a panel, and no panel another."""
        names = {
            name
            for panel in self.dashboard['panels']
            for target in panel['targets']
            for name in _METRIC.findall(target['expr'])
        }
        self.assertEqual(exposed(), names - THEIRS)

    def test_variables(self):
        """What a panel asks for are variables of the dashboard."""
        variables = {it['name'] for it in self.dashboard['templating']['list']}
        # Grafana's own.
        variables |= {'__rate_interval', '__all'}
        text = json.dumps(self.dashboard)
        self.assertEqual(
            set(), set(re.findall(r'\$\{?([a-z_]+)', text)) - variables
        )
        for panel in self.dashboard['panels']:
            for it in (panel, *panel['targets']):
                self.assertEqual('${datasource}', it['datasource']['uid'])

    def test_places(self):
        """No panel is above another, or outside."""
        taken = set()
        for panel in self.dashboard['panels']:
            at = panel['gridPos']
            cells = {
                (x, y)
                for x in range(at['x'], at['x'] + at['w'])
                for y in range(at['y'], at['y'] + at['h'])
            }
            self.assertEqual(set(), cells & taken, panel['title'])
            self.assertLessEqual(at['x'] + at['w'], 24)
            taken |= cells
        ids = [it['id'] for it in self.dashboard['panels']]
        self.assertEqual(len(ids), len(set(ids)))


class ScrapeTest(base.TestCase):
    """How Prometheus comes to know what the agent asks for."""

    def setUp(self):
        super().setUp()
        self.config = read('prometheus.yaml')
        self.jobs = {
            it['job_name']: it for it in self.config['scrape_configs']
        }

    def test_labels(self):
        """A path has a site, and an origin or another site."""
        for each in self.jobs['edge-icmp']['static_configs']:
            self.assertIn(
                set(each['labels']), ({'site', 'origin'}, {'site', 'to_site'})
            )

    def test_exporter(self):
        """No exporter says itself at which site it is, or whom it pings."""
        for name, job in self.jobs.items():
            self.assertNotIn('honor_labels', job, name)

    def test_module(self):
        """What is asked of the exporter is what it is told to do."""
        modules = read('blackbox.yaml')['modules']
        (name,) = self.jobs['edge-icmp']['params']['module']
        self.assertEqual('icmp', modules[name]['prober'])

    def test_interval(self):
        """It scrapes as often as the default queries expect."""
        (step,) = {
            step
            for option, query in DEFAULTS.items()
            if option.startswith('prometheus_') and query
            for step in re.findall(r':(\w+)\]', str(query))
        }
        self.assertEqual(step, self.config['global']['scrape_interval'])

    def test_agent(self):
        """It scrapes the agent where that answers."""
        self.assertEqual(
            [f'{DEFAULTS["metrics_address"]}:{DEFAULTS["metrics_port"]}'],
            self.jobs['edge-latency-agent']['static_configs'][0]['targets'],
        )


class ServiceTest(base.TestCase):
    """How the agent is run."""

    def test_program(self):
        """It runs the program that is installed, as nobody special."""
        lines = (ETC / 'edge-latency-agent.service').read_text().splitlines()
        settings = dict(it.split('=', 1) for it in lines if it[:1].isalpha())
        path, *_ = settings['ExecStart'].split()
        self.assertIn(
            pathlib.Path(path).name, osc_base.entry_points('console_scripts')
        )
        self.assertEqual('/bin/kill -HUP $MAINPID', settings['ExecReload'])
        self.assertEqual('CAP_NET_RAW', settings['AmbientCapabilities'])
        self.assertEqual('CAP_NET_RAW', settings['CapabilityBoundingSet'])
        self.assertNotEqual('root', settings['User'])

    def test_hardening(self):
        """Whoever gets hold of it has no machine: it writes no file of it."""
        lines = (ETC / 'edge-latency-agent.service').read_text().splitlines()
        for line in (
            'CapabilityBoundingSet=CAP_NET_RAW',
            'LockPersonality=yes',
            'NoNewPrivileges=yes',
            'PrivateDevices=yes',
            'PrivateTmp=yes',
            'ProtectHome=yes',
            'ProtectKernelModules=yes',
            'ProtectKernelTunables=yes',
            'ProtectSystem=strict',
            'RestrictNamespaces=yes',
            'RestrictSUIDSGID=yes',
            'SystemCallFilter=@system-service',
            'SystemCallFilter=~@privileged @resources',
            'UMask=0077',
        ):
            self.assertIn(line, lines)
        for line in lines:
            self.assertFalse(line.startswith('ReadWritePaths='), line)
