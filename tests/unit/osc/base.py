# SPDX-License-Identifier: Apache-2.0
"""A small cloud, and the commands that operators give to it."""

import configparser
import importlib
import io
import json
import pathlib
import types

from edge_filters import cloud
from edge_filters.osc import lookup
from edge_filters.osc import plugin
from tests.unit import base
from tests.unit import nova_api

ROOT = pathlib.Path(__file__).parents[3]


def entry_points(group):
    """Return the entry points of a group, as setup.cfg has them."""
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    lines = config['entry_points'][group].split('\n')
    return dict(line.split(' = ') for line in lines if line)


class WorldTestCase(base.TestCase):
    """A cloud without aggregates yet."""

    def setUp(self):
        super().setUp()
        self.nova = self.useFixture(nova_api.NovaApi())

    def world(self, maps=None):
        """Return what there is."""
        return lookup.World(cloud.Cloud(self.nova.connect()).sites(), maps)

    def site(self, name='par', hosts=('par-1',), aggregate=None, **keys):
        """Make a site of which nothing is wrong, but what is given."""
        keys = {
            'edge__site': name,
            'edge__latitude': '48.85',
            'edge__longitude': '2.35',
            **keys,
        }
        return self.nova.aggregate(aggregate or name, hosts, **keys)


class CommandTestCase(base.TestCase):
    """Three sites, of which one is an availability zone's."""

    def setUp(self):
        super().setUp()
        self.nova = self.useFixture(nova_api.NovaApi())
        self.nova.aggregate(
            'par-01',
            ['par-1', 'par-2'],
            edge__site='par-01',
            edge__tier='far-edge',
            edge__latitude='48.85',
            edge__longitude='2.35',
            edge__prefixes='192.0.2.0/24,2001:db8:75::/48',
            edge__rtt__paris='4.1 jitter=0.3 loss=0 n=20 '
            f'at={nova_api.ago(240)} by=icmp',
            edge__rtt__lyon=f'9.7 at={nova_api.ago(7200)} by=icmp',
            **{'edge__host_rtt__par-2__lyon': '8'},
        )
        self.nova.aggregate(
            'lyon-zone',
            ['lyo-1'],
            availability_zone='lyon',
            edge__site='lyo-01',
            edge__tier='near-edge',
            edge__status='draining',
            edge__rtt__lyon='2.3',
            edge__rtt__paris=f'- loss=100 n=20 at={nova_api.ago(180)} by=icmp',
            edge__rtt_default='>50',
            edge__color='blue',
        )
        self.nova.aggregate('far', edge__site='far-01')
        self.nova.aggregate('bare-zone', availability_zone='bare')
        self.nova.hypervisor('par-1', vcpus_used=3, memory_mb_used=4096)
        self.nova.hypervisor('par-2', vcpus_used=8, memory_mb_used=8192)
        self.nova.hypervisor('lyo-1', vcpus_used=1, status='disabled')
        self.nova.hypervisor('new-1')

    def run_command(self, words, *args):
        """Give a command; return what it writes.

        :param words: its words, after ``openstack edge``
        """
        path = entry_points('openstack.edge.v1')[
            'edge_' + words.replace(' ', '_')
        ]
        module, _, name = path.partition(':')
        # What it has written is there even if it fails.
        self.stdout = stdout = io.StringIO()
        self.stderr = io.StringIO()
        manager = types.SimpleNamespace(
            sdk_connection=self.nova.connect(), setup_auth=lambda: None
        )
        manager.edge = plugin.make_client(manager)
        app = types.SimpleNamespace(
            stdout=stdout, stderr=self.stderr, client_manager=manager
        )
        command = getattr(importlib.import_module(module), name)(app, None)
        self.status = command.run(command.get_parser(words).parse_args(args))
        return stdout.getvalue()

    def json(self, words, *args):
        """Give a command; return what it says to a machine."""
        return json.loads(self.run_command(words, '-f', 'json', *args))

    def error(self, kind, words, *args):
        """Return the text of the error that a command raises."""
        return str(self.assertRaises(kind, self.run_command, words, *args))
