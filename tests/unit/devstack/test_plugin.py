# SPDX-License-Identifier: Apache-2.0

import csv
import json
import pathlib
import re

from oslo_config import cfg
from oslo_policy import policy
import yaml

from edge_filters.agent import beacons
from edge_filters.conf import agent as agent_conf
from edge_filters_tempest_plugin import config as tempest_config
from tests.unit import base
from tests.unit.devstack import stack

FILTERS = ['EdgeSiteFilter', 'EdgeLatencyFilter']
WEIGHERS = [
    'nova.scheduler.weights.all_weighers',
    'edge_filters.all_weighers',
]
ALL_FILTERS = 'nova.scheduler.filters.all_filters'
OURS = 'edge_filters.all_filters'
PIPELINES = (
    'composite:openstack_compute_api_v21',
    'composite:openstack_compute_api_v21_legacy_v2_compatible',
)
CREDENTIALS = stack.ROOT / 'doc/source/admin/agent-credentials.rst'
PROMETHEUS = {'EDGE_FILTERS_AGENT_PROMETHEUS': 'http://127.0.0.1:9090'}
AT_A_SITE = {
    'EDGE_FILTERS_AGENT_ORIGINS': 'paris 192.0.2.1; lyon tcp://b.example:443'
}


def edit(path, pattern, replacement):
    """Change a file as another plugin would: all matches, one or more."""
    text, count = re.subn(
        pattern, replacement, path.read_text(), flags=re.MULTILINE
    )
    assert count, f'{pattern} is not in {path}'
    path.write_text(text)


def rules(text):
    """Return access rules as (method, path), and no service but compute."""
    found = json.loads(text)
    assert {rule.pop('service') for rule in found} == {'compute'}
    return {(rule['method'], rule['path']) for rule in found}


class StackTestCase(base.TestCase):
    """A machine where DevStack has configured Nova."""

    devstack = ''

    def setUp(self):
        super().setUp()
        self.stack = self.useFixture(stack.Stack(self.devstack))

    def configure(self, **variables):
        return self.stack.run('stack post-config', **variables)

    def nova(self, section):
        return stack.options(self.stack.nova_conf)[section]

    def enabled_filters(self):
        (value,) = self.nova('filter_scheduler')['enabled_filters']
        return value.split(',')

    def pipelines(self):
        sections = stack.options(self.stack.api_paste)
        return [sections[it]['keystone'][0].split() for it in PIPELINES]


class SchedulerTest(StackTestCase):
    def test_filters_come_last(self):
        """Our filters follow all that are there, and Tempest hears of them."""
        before = self.enabled_filters()
        self.configure()
        self.assertEqual(before + FILTERS, self.enabled_filters())
        self.assertEqual(
            FILTERS, self.stack.variables()['NOVA_FILTERS'].split(',')[-2:]
        )
        section = self.nova('filter_scheduler')
        self.assertEqual(
            {ALL_FILTERS, OURS}, set(section['available_filters'])
        )
        self.assertEqual([','.join(WEIGHERS)], section['weight_classes'])
        self.assertEqual(['enforce'], self.nova('edge_filters')['mode'])

    def test_others_meanwhile(self):
        """Nothing is added before those have finished who write as well."""
        self.configure(
            WRITES_MEANWHILE='filter_scheduler weight_classes theirs.Weigher'
        )
        self.assertEqual(
            ['configure_neutron_nova'], self.stack.calls('async_wait')
        )
        self.assertEqual(
            ['theirs.Weigher,edge_filters.all_weighers'],
            self.nova('filter_scheduler')['weight_classes'],
        )

    def test_others_are_kept(self):
        """What other plugins have configured before stays, beside ours."""
        edit(
            self.stack.nova_conf,
            r'^\[filter_scheduler\]\n',
            '[filter_scheduler]\n'
            f'available_filters = {ALL_FILTERS}\n'
            'available_filters = theirs.Filter\n'
            'weight_classes = theirs.Weigher\n',
        )
        edit(self.stack.nova_conf, '(?<=,DifferentHostFilter)$', ' , Theirs ')
        before = self.stack.files()
        self.configure()
        section = self.nova('filter_scheduler')
        self.assertEqual(
            sorted([ALL_FILTERS, OURS, 'theirs.Filter']),
            sorted(section['available_filters']),
        )
        self.assertEqual(
            ['theirs.Weigher,edge_filters.all_weighers'],
            section['weight_classes'],
        )
        self.assertEqual(
            ['Theirs', *FILTERS],
            [name.strip() for name in self.enabled_filters()][-3:],
        )
        self.stack.run('clean')
        self.assertEqual(before, self.stack.files())

    def test_no_filters(self):
        """A list that is empty, or is not there, gets ours and loses it."""
        section = r'\n\[filter_scheduler\]\n(.+\n)*'
        for instead in (
            '\n[filter_scheduler]\nenabled_filters =\n',
            '\n[filter_scheduler]\n',
            '',
        ):
            edit(self.stack.nova_conf, section, instead)
            before = self.stack.files()
            self.configure()
            self.assertEqual(FILTERS, self.enabled_filters()[-2:])
            self.assertNotIn('', self.enabled_filters())
            self.stack.run('clean')
            self.assertEqual(before, self.stack.files())


class ApiTest(StackTestCase):
    def test_pipelines(self):
        """In both pipelines ours is after keystonecontext, its peer first."""
        before = self.pipelines()
        self.configure()
        for was, now in zip(before, self.pipelines(), strict=True):
            context = now.index('keystonecontext')
            self.assertEqual('edge_filters', now[context + 1])
            proxy = now.index('http_proxy_to_wsgi')
            self.assertEqual('edge_filters_peer', now[proxy - 1])
            self.assertEqual(
                was, [it for it in now if not it.startswith('edge_filters')]
            )
        sections = stack.options(self.stack.api_paste)
        for name in ('edge_filters', 'edge_filters_peer'):
            (factory,) = sections[f'filter:{name}']['paste.filter_factory']
            module, _, function = factory.partition(':')
            self.assertTrue(
                callable(getattr(__import__(module, fromlist=['_']), function))
            )

    def test_who_called(self):
        """The machine itself may say for whom it calls, or nobody may."""
        self.configure()
        section = self.nova('edge_filters')
        self.assertEqual(['True'], section['record_origin'])
        self.assertEqual(['192.0.2.10'], section['trusted_proxies'])
        self.configure(
            EDGE_FILTERS_TRUSTED_PROXIES='', EDGE_FILTERS_RECORD_ORIGIN='no'
        )
        section = self.nova('edge_filters')
        self.assertEqual(['False'], section['record_origin'])
        self.assertEqual([''], section['trusted_proxies'])

    def test_publishers(self):
        """nova-api gets the policies and options that publishing takes."""
        self.configure()
        config = cfg.ConfigOpts()
        config(['--config-file', str(self.stack.nova_conf)], project='nova')
        enforcer = policy.Enforcer(config)
        enforcer.load_rules()
        ours = stack.ROOT / 'etc/edge-filters/nova-policy.yaml'
        self.assertEqual(
            yaml.safe_load(ours.read_text()),
            {name: it.check_str for name, it in enforcer.file_rules.items()},
        )
        section = self.nova('keystone_authtoken')
        self.assertEqual(['compute'], section['service_type'])
        self.assertEqual(['True'], section['service_token_roles_required'])

    def test_elsewhere(self):
        """On a machine without scheduler and API nothing is touched."""
        before = self.stack.files()
        self.stack.stack(ENABLED_SERVICES='n-cpu')
        folder = pathlib.Path('edge-filters')
        self.assertEqual({**before, folder: None}, self.stack.files())


class AgentTest(StackTestCase):
    def read(self):
        """Return its options, as the agent reads them."""
        config = cfg.ConfigOpts()
        agent_conf.register_opts(config)
        config(['--config-file', str(self.stack.agent_conf)], project='agent')
        return agent_conf.read(config), stack.options(self.stack.agent_conf)

    def created(self):
        """Return the user, and the rules of its credential."""
        (call,) = (
            call
            for call in self.stack.calls('openstack')
            if 'application credential create' in call
        )
        return (
            re.search('--os-username ([^ ]+) ', call)[1],
            re.search('--role ([^ ]+) ', call)[1],
            rules(re.search(r'--access-rules (\[.*\]) ', call)[1]),
        )

    def page(self, caption, id):
        """Return the rules that the page has, for both paths of the API."""
        text = CREDENTIALS.read_text().partition(f':caption: {caption}')[2]
        block = re.search(r'\n   \[\n.*?\n   \]\n', text, re.DOTALL)[0]
        found = rules(block.replace('/ID', f'/{id}'))
        return found | {(method, f'/compute{it}') for method, it in found}

    def test_off(self):
        """Without anything to measure there is no agent."""
        self.stack.stack()
        self.assertFalse(self.stack.agent_conf.exists())
        self.assertEqual([], self.stack.calls('systemctl'))
        self.assertNotIn('agent', self.stack.variables()['ENABLED_SERVICES'])

    def test_central(self):
        """With a Prometheus it publishes for all sites, as the page says."""
        self.stack.stack(**PROMETHEUS)
        settings, sections = self.read()
        self.assertEqual('http://127.0.0.1:9090', settings.prometheus_url)
        nova = sections['nova']
        self.assertEqual(['7'], nova['application_credential_id'])
        self.assertRegex(
            nova['application_credential_secret'][0], '^[0-9a-f]{64}$'
        )
        self.assertEqual(0o600, self.stack.agent_conf.stat().st_mode & 0o777)
        self.assertEqual(
            (
                'edge-central',
                'edge_publisher',
                self.page('central-rules.json', '*'),
            ),
            self.created(),
        )

    def test_at_a_site(self):
        """With beacons it publishes for one site, and may no other."""
        self.stack.stack(**AT_A_SITE)
        settings, _ = self.read()
        measured, problems = beacons.parse(settings, {'icmp', 'tcp'})
        self.assertEqual([], problems)
        self.assertEqual('par-01', settings.site)
        self.assertEqual('7', str(settings.aggregate))
        self.assertEqual(
            {'paris', 'lyon'}, {it.path.target for it in measured}
        )
        self.assertEqual(
            (
                'edge-sites',
                'edge_site_publisher',
                self.page('site-rules.json', '7'),
            ),
            self.created(),
        )

    def test_starts_and_stops(self):
        """It is started with its file, and unstack stops it, twice."""
        self.stack.stack(**PROMETHEUS)
        (unit,) = (self.stack.folder / 'systemd').iterdir()
        self.assertRegex(
            unit.read_text(),
            '(?m)^ExecStart = /.*/edge-latency-agent --config-file '
            f'{self.stack.agent_conf}$',
        )
        self.assertEqual(
            'start devstack@edge-latency-agent.service',
            self.stack.calls('systemctl')[-1],
        )
        self.stack.run('unstack', 'unstack', **PROMETHEUS)
        calls = self.stack.calls('systemctl')
        self.assertEqual(1, sum(call.startswith('stop') for call in calls))

    def test_again(self):
        """A second run starts it anew, with its new credential."""
        self.stack.stack(**PROMETHEUS)
        first = self.stack.agent_conf.read_text()
        self.stack.stack(**PROMETHEUS)
        self.assertNotEqual(first, self.stack.agent_conf.read_text())
        asked = [
            call.split()[0]
            for call in self.stack.calls('systemctl')
            if call.startswith(('start', 'stop'))
        ]
        self.assertEqual(['start', 'stop', 'start'], asked)


class SitesTest(StackTestCase):
    def table(self, name):
        path = self.stack.etc / 'edge-filters' / name
        with path.open() as lines:
            return list(csv.DictReader(lines))

    def test_sites(self):
        """Computes go to the sites in turn; each serves its own users best."""
        self.stack.stack()
        hosts = {}
        for row in self.table('sites.csv'):
            hosts.setdefault(row['site'], []).append(row['host'])
        self.assertEqual(
            {
                'par-01': ['', 'stack1', 'stack4'],
                'lyo-01': ['', 'stack2'],
                'mrs-01': ['', 'stack3'],
            },
            hosts,
        )
        figures = {
            (row['origin'], row['site']): float(row['rtt_ms'])
            for row in self.table('figures.csv')
        }
        self.assertEqual(9, len(figures))
        self.assertEqual(2, figures['lyon', 'lyo-01'])
        self.assertEqual(9, figures['lyon', 'mrs-01'])
        self.assertEqual(16, figures['marseille', 'par-01'])
        (call,) = (
            call
            for call in self.stack.calls('openstack')
            if 'edge import' in call
        )
        self.assertIn('/sites.csv ', call)
        self.assertTrue(call.endswith('/figures.csv'))

    def test_waits(self):
        """Hosts are put into sites when all have reported, and not before."""
        self.stack.stack()
        calls = self.stack.calls('openstack')
        # The stand-in has one more each time.
        self.assertEqual(
            [False] * len(stack.HOSTS) + [True],
            ['edge import' in call for call in calls],
        )

    def test_missing(self):
        """A compute that does not report ends it, and is named."""
        said = self.stack.run(
            'stack extra',
            check=False,
            COMPUTES='stack1',
            NUMBER_FAKE_NOVA_COMPUTE='2',
            NOVA_READY_TIMEOUT='0',
        )
        self.assertIn('Have not reported: stack2', said)

    def test_real_compute(self):
        """A compute that is not fake has the name in nova.conf."""
        edit(self.stack.nova_conf, r'^\[DEFAULT\]\n', '[DEFAULT]\nhost = me\n')
        self.stack.stack(VIRT_DRIVER='libvirt', COMPUTES='me')
        self.assertIn(
            {'site': 'par-01', 'host': 'me'}, self.table('sites.csv')
        )

    def test_none(self):
        """No sites are made where none are asked for."""
        self.stack.stack(EDGE_FILTERS_SITES='')
        self.assertEqual([], self.stack.calls('openstack'))

    def test_failure(self):
        """What fails ends stack.sh, and is not passed over."""
        for call in ('edge import', 'role add', 'credential create'):
            self.stack.run(*stack.STACK, check=False, FAILS=call, **PROMETHEUS)


class TempestTest(StackTestCase):
    def test_options(self):
        """tempest.conf has what this cloud has, in options that exist."""
        self.stack.stack(EDGE_FILTERS_DISRUPTIVE='True')
        section = stack.options(self.stack.tempest_conf)['edge_filters']
        self.assertEqual(
            {
                'api_middleware': ['True'],
                'disruptive': ['True'],
                'forwarded_for': ['True'],
            },
            section,
        )
        known = {option.name for option in tempest_config.OPTS}
        self.assertLessEqual(section.keys(), known)

    def test_nobody_forwards(self):
        """Tests call from elsewhere only where nova-api believes them."""
        for variables in (
            {'EDGE_FILTERS_TRUSTED_PROXIES': '192.0.2.1,192.0.2.100'},
            {'EDGE_FILTERS_RECORD_ORIGIN': 'False'},
        ):
            self.stack.run('stack test-config', **variables)
            section = stack.options(self.stack.tempest_conf)['edge_filters']
            self.assertEqual(['False'], section['forwarded_for'])

    def test_plugins(self):
        """Tempest gets the plugin once, beside those of others."""
        ours = f'{self.stack.folder}/edge-filters'
        for before, after in (
            ('0', ours),
            ('', ours),
            ('/opt/a', f'/opt/a {ours}'),
            (f'{ours} /opt/a', f'{ours} /opt/a'),
        ):
            self.stack.run('unstack', TEMPEST_PLUGINS=before)
            self.assertEqual(
                after, self.stack.variables()['TEMPEST_PLUGINS'], before
            )

    def test_without_tempest(self):
        """Without Tempest its file is left alone."""
        self.stack.stack(ENABLED_SERVICES='n-api,n-sch,n-cpu')
        self.assertFalse(self.stack.tempest_conf.exists())


class UndoTest(StackTestCase):
    def test_stack_twice(self):
        """A second run leaves what the first has left."""
        self.stack.stack(EDGE_FILTERS_MODE='observe')
        self.stack.stack()
        twice = self.stack.files()
        self.stack.run('clean')
        self.stack.stack()
        self.assertEqual(twice, self.stack.files())

    def test_clean(self):
        """Cleaning gives every byte back, and a second time does nothing."""
        before = self.stack.files()
        self.stack.stack(**PROMETHEUS)
        self.assertNotEqual(before, self.stack.files())
        for _ in range(2):
            self.stack.run('unstack', 'clean', **PROMETHEUS)
            self.assertEqual(before, self.stack.files())

    def test_clean_first(self):
        """Cleaning a machine that was never stacked does nothing."""
        before = self.stack.files()
        self.stack.run('unstack', 'clean', **PROMETHEUS)
        self.assertEqual(before, self.stack.files())
        self.stack.nova_conf.unlink()
        self.stack.api_paste.unlink()
        self.stack.nova_conf.parent.rmdir()
        self.stack.run('unstack', 'clean', **PROMETHEUS)
        self.assertEqual({}, self.stack.files())

    def test_clean_leaves_others(self):
        """What others have added after us stays as they wrote it."""
        self.stack.stack()
        conf, paste = self.stack.nova_conf, self.stack.api_paste
        edit(conf, '(?<=,EdgeLatencyFilter)$', ',Theirs')
        edit(conf, '(?<=edge_filters.all_weighers)$', ',theirs.Weigher')
        edit(
            conf,
            r'^\[filter_scheduler\]\n',
            '[filter_scheduler]\navailable_filters = theirs.Filter\n',
        )
        edit(conf, '^mode = enforce$', 'mode = observe')
        edit(conf, r'^(service_type = )compute$', r'\1theirs')
        edit(paste, ' edge_filters ', ' edge_filters theirs ')
        paste.write_text(f'{paste.read_text()}\n[filter:theirs]\nx = y\n')
        theirs = self.stack.etc / 'edge-filters' / 'map.json'
        theirs.write_text('[]')
        self.stack.run('clean')
        section = self.nova('filter_scheduler')
        self.assertEqual('Theirs', self.enabled_filters()[-1])
        for name in FILTERS:
            self.assertNotIn(name, conf.read_text())
        self.assertEqual(
            [f'{WEIGHERS[0]},theirs.Weigher'], section['weight_classes']
        )
        # Without Nova's own line theirs would be all that there is.
        self.assertEqual(
            ['theirs.Filter', ALL_FILTERS], section['available_filters']
        )
        self.assertEqual({'mode': ['observe']}, self.nova('edge_filters'))
        self.assertEqual(
            ['theirs'], self.nova('keystone_authtoken')['service_type']
        )
        for pipeline in self.pipelines():
            context = pipeline.index('keystonecontext')
            self.assertEqual('theirs', pipeline[context + 1])
        self.assertTrue(
            paste.read_text().endswith('\n\n[filter:theirs]\nx = y\n')
        )
        self.assertNotIn('edge_filters', paste.read_text())
        self.assertEqual('[]', theirs.read_text())

    def test_clean_after_any_failure(self):
        """Wherever stack.sh ends, cleaning gives every byte back."""
        said = self.stack.run(
            'interrupt',
            'stack post-config',
            'stack extra',
            'after',
            'clean',
        )
        self.assertRegex(said, '^(cleaned\n){30,}$')


class ShellTest(StackTestCase):
    def test_trace(self):
        """Whether commands are shown is as it was, wherever we were."""
        said = self.stack.run('stack install', SHELLOPTS='xtrace')
        self.assertIn('setup_develop', said)
        self.assertNotIn('set -o errexit', said.partition('plugin.sh')[2])

    def test_install(self):
        """The package is installed with what its agent and commands need."""
        self.stack.run('stack install')
        (call,) = self.stack.calls('pip')
        self.assertEqual(
            f'install -e {self.stack.folder}/edge-filters[agent,cli]', call
        )


if stack.DEVSTACK:

    class DevStackSchedulerTest(SchedulerTest):
        devstack = stack.DEVSTACK

    class DevStackApiTest(ApiTest):
        devstack = stack.DEVSTACK

    class DevStackAgentTest(AgentTest):
        devstack = stack.DEVSTACK

    class DevStackSitesTest(SitesTest):
        devstack = stack.DEVSTACK

    class DevStackTempestTest(TempestTest):
        devstack = stack.DEVSTACK

    class DevStackUndoTest(UndoTest):
        devstack = stack.DEVSTACK

    class DevStackShellTest(ShellTest):
        devstack = stack.DEVSTACK
