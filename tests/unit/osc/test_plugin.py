# SPDX-License-Identifier: Apache-2.0

import contextlib
import importlib
import io
import json
import pathlib

import fixtures
from openstackclient import shell

from tests.unit import nova_api
from tests.unit.osc import base


class PluginTest(base.CommandTestCase):
    """The commands as operators give them."""

    def shell(self, *args):
        """Run openstack; return its exit status and what it wrote."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = shell.main(list(args))
        return status, out.getvalue(), err.getvalue()

    def openstack(self, *args):
        """Run openstack with a cloud."""
        return self.shell(
            '--os-auth-type',
            'admin_token',
            '--os-token',
            'token',
            '--os-endpoint',
            nova_api.URL,
            *args,
        )

    def test_shell(self):
        """openstack finds the commands, and writes what they say."""
        status, out, err = self.openstack(
            'edge', 'site', 'list', '-f', 'json', '-c', 'Name'
        )
        self.assertEqual((0, ''), (status, err))
        self.assertEqual(
            ['far-01', 'lyo-01', 'par-01'],
            [row['Name'] for row in json.loads(out)],
        )

    def test_shell_offline(self):
        """What works on files asks for no cloud, and for no password."""
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        sites, figures = folder / 'sites', folder / 'figures'
        sites.write_text('site,host\npar,p1\n')
        figures.write_text('origin,site,rtt_ms\nparis,par,4\n')
        read = ['--file', str(sites), '--file', str(figures)]
        for args in (
            ['explain', '--origin', 'paris', *read],
            ['check', *read],
            ['import', str(figures), '--to', str(folder / 'maps')],
        ):
            status, out, err = self.shell('edge', *args)
            self.assertEqual(0, status, err)
            self.assertIn('par', out)
        self.assertEqual([], self.nova.mock.request_history)

    def test_shell_error(self):
        """What is wrong is one line, without a traceback."""
        self.nova.forbidden = {'set_metadata'}
        for args in (
            ['site', 'show', 'nowhere'],
            ['site', 'set', 'par-01', '--tier', 'core'],
        ):
            status, out, err = self.openstack('edge', *args)
            self.assertEqual((1, ''), (status, out))
            self.assertEqual(1, err.count('\n'), err)

    def test_entry_points(self):
        """Every command there is has a name, and every name a command."""
        points = base.entry_points('openstack.edge.v1')
        for name, path in points.items():
            module, _, cls = path.partition(':')
            command = getattr(importlib.import_module(module), cls)
            _, *words = name.split('_')
            self.assertEqual(
                ''.join(map(str.title, reversed(words))), command.__name__
            )
