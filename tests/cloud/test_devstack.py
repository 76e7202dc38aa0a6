# SPDX-License-Identifier: Apache-2.0

import functools
import pathlib
import sys

import fixtures
from keystoneauth1 import exceptions
import openstack
import yaml

from smallcloud import ini
from smallcloud import layout
from smallcloud import processes
from smallcloud import services
from tests.cloud import base
from tests.unit.devstack import stack

ANOTHER_PLUGIN = pathlib.Path(__file__).parent / 'another_plugin'
# Of the sites that tools/cloud makes; see another.py for the other host.
OPEN_HOST = 'compute-2-2'
CLOSED_HOST = 'compute-2-1'
FAR_HOST = 'compute-3-2'
SPARE_HOST = layout.SPARE_HOST
SITES = ('par-01', 'lyo-01')
ROLE = 'edge_publisher'
# What local.conf and stackrc have.
VARIABLES = {
    'EDGE_FILTERS_ORIGINS': 'paris lyon',
    'EDGE_FILTERS_SITES': ' '.join(SITES),
    'EDGE_FILTERS_TRUSTED_PROXIES': layout.ADDRESS,
    'VIRT_DRIVER': 'libvirt',
}
# As plugins do it that know of no other.
OTHERS = """
    iniset $CONF filter_scheduler available_filters \
        nova.scheduler.filters.all_filters
    iniadd_literal $CONF filter_scheduler available_filters \
        another.AnotherFilter
    iniset $CONF filter_scheduler enabled_filters \
        "ComputeFilter, AnotherFilter"
    iniset $CONF filter_scheduler weight_classes \
        nova.scheduler.weights.all_weighers,another.AnotherWeigher
"""
# Loaded machines take their time to import Nova.
START_TIMEOUT_S = 180


def _write_stock(path):
    """Write the nova.conf that the cloud would have without edge-filters."""
    sections = stack.options(base.FOLDER / 'etc' / 'nova.conf')
    for section in ('edge_filters', 'filter_scheduler', 'oslo_policy'):
        sections.pop(section, None)
    tokens = sections['keystone_authtoken']
    for option in ('service_type', 'service_token_roles_required'):
        tokens.pop(option, None)
    # The compute of this machine; the scheduler has a name of its own.
    sections['DEFAULT']['host'] = [SPARE_HOST]
    sections['wsgi']['api_paste_config'] = [path.with_name('api-paste.ini')]
    path.write_text(ini.text(sections))


class Services(fixtures.Fixture):
    """The schedulers and nova-api of the cloud, with files of a DevStack.

    They get back those they had.
    """

    def __init__(self, devstack):
        """Say whose files.

        :param devstack: a :class:`stack.Stack`
        """
        self._stack = devstack
        self._run = processes.Processes(layout.Layout())

    def _setUp(self):
        names = (*services.SCHEDULERS, 'nova-api')
        before = [self._run.service(name) for name in names]
        self.addCleanup(self._start, before)
        self._start([self._changed(service) for service in before])

    def _changed(self, service):
        """Return a service that reads the files of the DevStack."""
        ours = str(base.FOLDER / 'etc')
        theirs = str(self._stack.nova_conf.parent)
        for name in ('nova.conf', 'api-paste.ini'):
            service = processes.Service(
                service.name,
                tuple(
                    it.replace(f'{ours}/{name}', f'{theirs}/{name}')
                    for it in service.argv
                ),
                {
                    key: it.replace(f'{ours}/{name}', f'{theirs}/{name}')
                    for key, it in service.env.items()
                },
                service.folder,
            )
        service.env['PYTHONPATH'] = str(ANOTHER_PLUGIN)
        return service

    def _start(self, started):
        """Start services in place of those of the same name."""
        ends = {}
        for service in started:
            ends[service.name] = len(self._log(service.name))
            self._run.replace(service)
        for name, end in ends.items():
            ready = functools.partial(self._is_ready, name, end)
            self._run.wait(name, ready, START_TIMEOUT_S)

    def _is_ready(self, name, end):
        """Return whether a service answers, whose log once ended there."""
        if name == 'nova-api':
            return _answers()
        return 'Starting scheduler node' in self._log(name)[end:]

    def _log(self, name):
        return self._run.log(name).read_text(errors='replace')


def _answers():
    with base.connect() as connection:
        try:
            list(connection.compute.flavors())
        except (exceptions.ConnectFailure, openstack.exceptions.SDKException):
            return False
    return True


class DevStackTestCase(base.TestCase):
    """Nova with the files that phases of the plugin leave."""

    phases = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.admin = base.connect()
        cls.addClassCleanup(cls.admin.close)
        cls.stack = stack.Stack()
        cls.stack.setUp()
        cls.addClassCleanup(cls.stack.cleanUp)
        _write_stock(cls.stack.nova_conf)
        said = stack.bash(f'CONF={cls.stack.nova_conf}\n{OTHERS}')
        assert not said, said
        cls.stock = cls.stack.files()
        cls.stack.run(*cls.phases, **VARIABLES, **_client(cls.stack.folder))
        replaced = Services(cls.stack)
        replaced.setUp()
        cls.addClassCleanup(replaced.cleanUp)


class PluginTest(DevStackTestCase):
    phases = stack.STACK

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(_remove_sites)
        super().setUpClass()

    def test_nearest(self):
        """A server comes up at the site that is nearest to its users."""
        self.assertIn('compute-3-', self.boot({'edge:origin': 'city-3'}))
        self.assertIn('compute-1-', self.boot({'edge:origin': 'city-1'}))

    def test_sites(self):
        """The sites of the plugin have its hosts and its figures."""
        self.assertEqual(SPARE_HOST, self.boot({'edge:origin': 'paris'}))
        self.assertEqual(SPARE_HOST, self.boot({'edge:site': 'par-01'}))

    def test_refused(self):
        """Where no site is near enough the user is told so."""
        said = self.boot({'edge:origin': 'city-2', 'edge:max_rtt_ms': '1'})
        self.assertIn('city-2', said)
        self.assertIn('1 ms', said)

    def test_misspelt(self):
        """nova-api refuses a hint that is misspelt."""
        error = self.assertRaises(
            openstack.exceptions.BadRequestException,
            self.boot,
            {'edge:orign': 'city-2'},
        )
        self.assertIn('edge:orign', str(error))

    def test_publisher(self):
        """Whoever has the role for it may read the sites, and nobody else."""
        identity = self.openstack.identity
        role = identity.create_role(name=ROLE)
        self.addCleanup(identity.delete_role, role)
        names = {
            'user': identity.find_user('demo'),
            'project': identity.find_project('demo'),
        }
        with base.connect('demo') as demo:
            self.assertRaises(
                openstack.exceptions.ForbiddenException,
                lambda: list(demo.compute.aggregates()),
            )
        identity.assign_project_role_to_user(role=role, **names)
        with base.connect('demo') as demo:
            self.assertNotEqual([], list(demo.compute.aggregates()))

    def test_others(self):
        """Filters and weighers of others have their say, with ours."""
        # Which one is nearest is ours, which one is closed theirs.
        self.assertEqual(OPEN_HOST, self.boot({'edge:origin': 'city-2'}))
        for host in (CLOSED_HOST, OPEN_HOST):
            self.assertEqual(
                OPEN_HOST, self.boot({'edge:site': 'site-2', 'another': host})
            )
        self.assertEqual(FAR_HOST, self.boot({'another': FAR_HOST}))


class CleanTest(DevStackTestCase):
    phases = (*stack.STACK, 'unstack', 'clean')

    @classmethod
    def setUpClass(cls):
        # clean.sh drops the databases.
        cls.addClassCleanup(_remove_sites)
        super().setUpClass()

    def test_clean(self):
        """After cleaning Nova is what it was, with what others have added."""
        self.assertEqual(self.stock, self.stack.files())
        # Ours would refuse this, in nova-api and in the scheduler.
        nowhere = {'edge:orign': '?', 'edge:site': 'nowhere'}
        self.assertEqual(FAR_HOST, self.boot({**nowhere, 'another': FAR_HOST}))
        self.assertNotEqual(
            CLOSED_HOST, self.boot({**nowhere, 'another': CLOSED_HOST})
        )


def _client(folder):
    """Return what has the plugin speak to the cloud, as variables."""
    clouds = yaml.safe_load((base.FOLDER / 'clouds.yaml').read_text())
    clouds['clouds']['devstack-admin'] = clouds['clouds']['admin']
    path = folder / 'clouds.yaml'
    path.write_text(yaml.safe_dump(clouds))
    return {
        'NOVA_BIN_DIR': str(pathlib.Path(sys.executable).parent),
        'OS_CLIENT_CONFIG_FILE': str(path),
    }


def _remove_sites():
    with base.connect() as admin:
        for name in SITES:
            if found := admin.compute.find_aggregate(name):
                for host in found.hosts:
                    admin.compute.remove_host_from_aggregate(found.id, host)
                admin.compute.delete_aggregate(found.id)
