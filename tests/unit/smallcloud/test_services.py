# SPDX-License-Identifier: Apache-2.0

import dataclasses
import os

from keystoneauth1 import loading
from keystonemiddleware import opts as keystonemiddleware_opts
import nova.conf
import nova.conf.scheduler
from nova.policies import aggregates
from nova.policies import base as nova_policies
from oslo_config import cfg
from oslo_policy import opts as policy_opts
from oslo_policy import policy
from placement import conf as placement_conf

from edge_filters import conf
from smallcloud import backing
from smallcloud import layout
from smallcloud import outputs
from smallcloud import services
from tests.unit.smallcloud import base

PASSWORD = 'b5e0f00d5ec2e7'


class Recorder:
    """Starts nothing, and keeps what it was to start."""

    def __init__(self):
        self.command_lines = []

    def run(self, name, argv, **how):
        self.command_lines.append(' '.join(map(str, argv)))

    def start(self, service):
        self.command_lines.append(' '.join(service.argv))

    def wait(self, name, ready):
        pass

    def give_up(self):
        pass


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        # Nothing depends on the habits of whoever starts the cloud.
        self.addCleanup(os.umask, os.umask(0))
        self.run_ = Recorder()
        self.plan = services.Plan(
            place=self.place,
            run=self.run_,
            environment=base.make_environment(self.folder / 'environment'),
            hosts=layout.compute_hosts(2, 2),
            password=PASSWORD,
        )

    def read(self, name):
        """Return the sections of a file, as oslo.config parses it."""
        sections = {}
        cfg.ConfigParser(str(self.place.etc / name), sections).parse()
        return sections


class ReadmeTest(TestCase):
    """The cloud runs with what README.rst tells an operator to add."""

    def test_lines(self):
        """They are the README's, but for the mode that is for the start."""
        lines = services.edge_filters_lines().splitlines()
        names = [line.partition(' = ')[0] for line in lines]
        self.assertEqual(2, names.count('available_filters'))
        self.assertEqual(1, names.count('weight_classes'))
        self.assertNotIn('mode', names)
        readme = (layout.CHECKOUT / 'README.rst').read_text()
        for line in lines:
            self.assertIn(f'    {line}\n' if line else '\n', readme)

    def test_nova_accepts_them(self):
        """Nova reads all of its own filters and ours, and we decide."""
        services.configure(self.plan)
        config = cfg.ConfigOpts()
        nova.conf.scheduler.register_opts(config)
        conf.register_opts(config)
        path = self.place.etc / 'nova.conf'
        config(['--config-file', str(path)], project='nova')
        scheduler = config.filter_scheduler
        self.assertEqual(
            ['nova.scheduler.filters.all_filters', 'edge_filters.all_filters'],
            scheduler.available_filters,
        )
        self.assertEqual(
            ['EdgeSiteFilter', 'EdgeLatencyFilter'],
            scheduler.enabled_filters[-2:],
        )
        self.assertEqual(
            [
                'nova.scheduler.weights.all_weighers',
                'edge_filters.all_weighers',
            ],
            scheduler.weight_classes,
        )
        self.assertEqual('enforce', conf.read(config).mode)


class StockTest(TestCase):
    """A cloud to compare with runs Nova alone."""

    def test_files(self):
        """Nova's files have what ours have, but for what is ours."""
        services.configure(self.plan)
        ours = self.read('nova.conf')
        services.configure(dataclasses.replace(self.plan, stock=True))
        del ours['edge_filters'], ours['filter_scheduler']
        self.assertEqual(ours, self.read('nova.conf'))
        self.assertEqual(
            (self.plan.environment / 'etc/nova/api-paste.ini').read_text(),
            (self.place.etc / 'api-paste.ini').read_text(),
        )


class CredentialsTest(TestCase):
    """The cloud runs with what the page on agents' credentials tells."""

    def test_lines(self):
        """Access rules are known to nova-api, and bind everybody."""
        services.configure(self.plan)
        tokens = self.read('nova.conf')['keystone_authtoken']
        self.assertEqual(['compute'], tokens['service_type'])
        for name, value in (
            ('service_token_roles', 'service'),
            ('service_token_roles_required', 'true'),
        ):
            # The last line of an option counts.
            self.assertEqual(value, tokens[name][-1])

    def test_policy(self):
        """An agent reads and sets metadata; the rest is as Nova has it."""
        services.configure(self.plan)
        (path,) = self.read('nova.conf')['oslo_policy']['policy_file']
        config = cfg.ConfigOpts()
        config([], project='nova')
        enforcer = policy.Enforcer(config, policy_file=path)
        rules = aggregates.list_rules()
        enforcer.register_defaults([*nova_policies.list_rules(), *rules])
        names = {rule.name.rpartition(':')[2] for rule in rules}
        for role, allowed in (
            ('admin', names),
            ('edge_publisher', {'index', 'show', 'set_metadata'}),
            ('edge_site_publisher', {'show', 'set_metadata'}),
            ('member', set()),
        ):
            context = {'roles': [role], 'project_id': 'edge-agents'}
            self.assertEqual(
                allowed,
                {
                    rule.name.rpartition(':')[2]
                    for rule in rules
                    if enforcer.enforce(rule.name, {}, context)
                },
                role,
            )
        # What no policy of Nova is called would be ignored in silence.
        known = {rule.name for rule in rules}
        self.assertLessEqual(set(enforcer.file_rules), known)


class ApiPasteTest(TestCase):
    def test_pipelines(self):
        """Both pipelines have our filter, behind what identifies users."""
        services.configure(self.plan)
        text = (self.place.etc / 'api-paste.ini').read_text()
        pipelines = [
            line.split()
            for line in text.splitlines()
            if line.startswith('keystone = ')
        ]
        self.assertEqual(2, len(pipelines))
        for pipeline in pipelines:
            at = pipeline.index('edge_filters')
            self.assertEqual('keystonecontext', pipeline[at - 1])
        self.assertIn('[filter:edge_filters]', text)


class ConfigureTest(TestCase):
    def test_every_option_is_known(self):
        """oslo.config ignores a misspelt option in silence; none is."""
        services.configure(self.plan)
        for host in ('nova-scheduler-1', 'nova-compute-1-1'):
            services._start_nova(self.plan, host, 'nova-x')
        accounts = {
            option.dest
            for option in loading.get_plugin_loader('password').get_options()
        } | {'auth_type', 'region_name'}
        ((_, tokens),) = keystonemiddleware_opts.list_auth_token_opts()
        libraries = {
            'DEFAULT': {'debug', 'transport_url'},
            'keystone_authtoken': {option.dest for option in tokens},
            'oslo_concurrency': {'lock_path'},
            'oslo_policy': {option.dest for option in policy_opts._options},
        }
        placement = cfg.ConfigOpts()
        placement_conf.register_opts(placement)
        for name, config in (
            ('nova.conf', nova.conf.CONF),
            ('nova-scheduler-1.conf', nova.conf.CONF),
            ('nova-compute-1-1.conf', nova.conf.CONF),
            ('placement.conf', placement),
        ):
            for group, options in self.read(name).items():
                known = set(libraries.get(group, ()))
                if group == 'DEFAULT':
                    known |= set(config)
                elif group in config:
                    known |= set(config[group])
                if 'auth_url' in options:
                    known |= accounts
                if group == 'edge_filters':
                    known |= {option.dest for option in conf.OPTIONS}
                self.assertEqual(
                    set(), set(options) - known, f'{name}: {group}'
                )

    def test_paths(self):
        """What a service keeps is in the folder of the cloud."""
        services.configure(self.plan)
        keystone = self.read('keystone.conf')
        glance = self.read('glance-api.conf')
        for (path,) in (
            self.read('nova.conf')['DEFAULT']['state_path'],
            keystone['fernet_tokens']['key_repository'],
            glance['files']['filesystem_store_datadir'],
        ):
            self.assertTrue(path.startswith(f'{self.place.state}/'), path)
            self.assertTrue(os.path.isdir(path), path)

    def test_passwords(self):
        """Nobody else can read a password, in a file or in what ps shows."""
        services.configure(self.plan)
        outputs.write_clients(self.plan)
        outputs.write_tempest(
            self.plan,
            dict.fromkeys(('ubuntu', 'ubuntu-alt', 'm1.tiny', 'm1.small'), ''),
        )
        backing.start_broker(self.run_, self.place, PASSWORD)
        services.fill_databases(self.plan)
        services.start_identity(self.plan)
        services.start_placement(self.plan)
        services.start_image(self.plan)
        services.start_network(self.plan)
        services.start_conductor(self.plan)
        services.start_nova(self.plan)
        services.discover_hosts(self.plan)
        modes = {
            path.name: path.stat().st_mode & 0o777
            for path in self.place.folder.rglob('*')
            if path.is_file()
            and (
                PASSWORD in path.read_text()
                or path.is_relative_to(self.place.state)
            )
        }
        self.assertEqual({0o600}, set(modes.values()), modes)
        self.assertLessEqual(
            {'nova.conf', 'rabbitmq.conf', 'clouds.yaml', 'tempest.conf', '1'},
            set(modes),
        )
        self.assertLess(20, len(self.run_.command_lines))
        for line in self.run_.command_lines:
            self.assertNotIn(PASSWORD, line)
