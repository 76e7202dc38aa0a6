# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import stat

import fixtures
from osc_lib import exceptions

from edge_filters.origins import map_file
from tests.unit.osc import base


class ExportTest(base.CommandTestCase):
    """openstack edge export"""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def file(self, name):
        return self.directory / name

    def export(self, kind, name, *args):
        """Export into a file; return what it has."""
        path = self.file(name)
        self.run_command('export', f'--{kind}', str(path), *args)
        return path.read_text()

    def test_sites(self):
        """A host is a row, and so is a site without hosts."""
        self.assertEqual(
            'site,host,latitude,longitude,tier,prefixes,aggregate,status,'
            'weight_multiplier\n'
            'far-01,,,,,,far,,\n'
            'lyo-01,lyo-1,,,near-edge,,lyon-zone,draining,\n'
            'par-01,par-1,48.85,2.35,far-edge,192.0.2.0/24 2001:db8:75::/48,'
            'par-01,,\n'
            'par-01,par-2,48.85,2.35,far-edge,192.0.2.0/24 2001:db8:75::/48,'
            'par-01,,\n',
            self.run_command('export', '--sites', '-'),
        )
        self.assertIn("edge:color='blue' is skipped", self.log.output)

    def test_status(self):
        """A status is exported if somebody has set it, and it can be read."""
        far = self.nova.aggregates[3]['metadata']
        for there, status in (
            ({}, ''),
            ({'edge:status': 'drainning'}, ''),
            ({'edge:status': ' Active'}, 'active'),
            ({'edge:status': 'inactive', 'Edge:Status': 'x'}, 'inactive'),
        ):
            far.clear()
            far.update({'edge:site': 'far-01', **there})
            self.assertIn(
                f'\nfar-01,,,,,,far,{status},\n',
                self.run_command('export', '--sites', '-'),
            )

    def test_many_problems(self):
        """Of many problems the first are told, and how many more there are."""
        far = self.nova.aggregates[3]['metadata']
        far.update((f'edge:x{it:03}', '') for it in range(60))
        self.run_command('export', '--sites', '-')
        self.assertEqual(20, self.log.output.count('is skipped: no such key'))
        self.assertIn(
            '41 more problems are in the metadata; see them with: openstack '
            'edge check --all',
            self.log.output,
        )

    def test_unreadable_numbers(self):
        """No number is written that import would not read."""
        maps = self.file('maps')
        metric = {'cost-mode': 'numerical', 'cost-metric': 'delay-rt'}
        maps.write_text(
            json.dumps(
                {
                    'meta': {'cost-type': metric},
                    'cost-map': {'nice': {'far-01': 1e308}},
                }
            )
        )
        path = self.file('x.csv')
        written = self.export('figures', path.name, '--map-file', str(maps))
        self.assertNotIn(',far-01,', written)
        self.assertIn(
            'Figures left out, as their numbers are too large or too small to '
            'be read again: 1; mend them where they are',
            self.log.output,
        )
        self.assertEqual([], self.json('import', str(path)))

    def test_import_of_export(self):
        """Imported into an empty cloud it is the same cloud, as to sites."""
        for number in (1, 2, 3):
            self.nova.aggregates[number]['metadata'].pop('edge:color', None)
            metadata = self.nova.aggregates[number]['metadata']
            metadata.pop('availability_zone', None)
        self.nova.hypervisor('lyo-1')
        before = {
            it['name']: (it['hosts'], it['metadata'])
            for it in self.nova.aggregates.values()
            if it['metadata'].get('edge:site')
        }
        paths = [str(self.file('sites')), str(self.file('figures'))]
        self.run_command('export', '--sites', paths[0], '--figures', paths[1])
        self.assertEqual([], self.json('import', *paths))
        self.nova.aggregates.clear()
        self.json('import', *paths)
        self.assertEqual(
            before,
            {
                it['name']: (it['hosts'], it['metadata'])
                for it in self.nova.aggregates.values()
            },
        )

    def test_map_file(self):
        """Figures of map files are exported where no aggregate has one."""
        maps = self.file('maps.json')
        meta = {
            'cost-type': {
                'cost-mode': 'numerical',
                'cost-metric': 'delay-rt',
            }
        }
        costs = {'lyon': {'lyo-01': 1, 'far-01': 44000, 'host:par-1': 7000}}
        maps.write_text(
            json.dumps(
                {
                    'meta': meta,
                    'cost-map': costs,
                    'network-map': {'lyon': {'ipv4': ['203.0.113.0/24']}},
                    'projects': {'7f3c': ['lyon']},
                }
            )
        )
        args = ('--map-file', str(maps))
        table = self.export('figures', 'x.csv', *args)
        self.assertIn('\nlyon,lyo-01,,2.3,,,,,,lyon-zone,\n', table)
        self.assertEqual(1, table.count('\nlyon,lyo-01,'))
        self.assertIn('\nlyon,far-01,,44,,,,,,,\n', table)
        self.assertIn('\nlyon,par-01,par-1,7,,,,,,,\n', table)
        document = self.export('figures', 'x.json', *args)
        found = map_file.parse([('x', document.encode())])
        self.assertEqual((), found.problems)
        self.assertEqual(44, found.samples['far-01']['lyon'].rtt_ms)
        self.assertEqual(2.3, found.samples['lyo-01']['lyon'].rtt_ms)
        self.assertEqual(7, found.host_samples['par-1']['lyon'].rtt_ms)
        paris = found.samples['par-01']['paris']
        self.assertEqual(
            (4.1, 0.3, 0), (paris.rtt_ms, paris.jitter_ms, paris.loss_pct)
        )
        self.assertTrue(found.samples['lyo-01']['paris'].is_unreachable)
        self.assertEqual({'7f3c': ('lyon',)}, found.projects)
        self.assertEqual(
            {
                ('203.0.113.0/24', 'lyon'),
                ('192.0.2.0/24', 'par-01'),
                ('2001:db8:75::/48', 'par-01'),
            },
            {(str(it.prefix), it.origin) for it in found.prefix_table},
        )
        self.assertIn(
            'A map file has no place for time, probes and source of 3 '
            'figures, which never go stale there and 1 figures between sites '
            'or of the origin *',
            self.log.output,
        )

    def test_large_map_file(self):
        """What Nova would not read is not written over what it reads."""
        before = self.export('figures', 'x.json')
        self.patch(map_file, 'MAX_BYTES', len(before) - 1)
        compact = self.export('figures', 'x.json')
        self.assertEqual(json.loads(before), json.loads(compact))
        self.patch(map_file, 'MAX_BYTES', len(compact) - 1)
        path = str(self.file('x.json'))
        self.assertEqual(
            f'{path} would have more than 0 MiB, and not be read; put some of '
            'it into another file, or figures into CSV',
            self.error(exceptions.CommandError, 'export', '--figures', path),
        )
        self.assertEqual(compact, self.file('x.json').read_text())
        self.export('figures', 'x.csv')

    def test_several_aggregates(self):
        """A table has the figures of all; a map file has the worst."""
        for number, rtt in enumerate(('1', '3', '2')):
            self.nova.aggregate(
                f'far-{number}', edge__site='far-01', edge__rtt__nice=rtt
            )
        table = self.export('figures', 'x.csv')
        self.assertEqual(3, table.count('\nnice,far-01,'))
        document = self.export('figures', 'x.json')
        found = map_file.parse([('x', document.encode())])
        self.assertEqual(3, found.samples['far-01']['nice'].rtt_ms)

    def test_overwrite(self):
        """A file that is there is replaced, and keeps its rights."""
        path = self.file('sites')
        path.write_text('x' * 10000)
        path.chmod(0o600)
        self.assertTrue(self.export('sites', 'sites').startswith('site,'))
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        self.assertEqual(['sites'], os.listdir(self.directory))

    def test_wrong(self):
        """What cannot be written is said in a sentence, before or after."""
        path = str(self.file('x'))
        for args, text in (
            ([], 'There is nothing to write; give --sites or --figures'),
            (['--sites', path, '--figures', path], 'a file of its own'),
            (['--sites', str(self.directory)], 'it is no regular file'),
            (['--sites', '/dev/null'], 'it is no regular file; give a file'),
            (['--sites', path + '/x'], 'cannot be written: '),
        ):
            error = self.error(exceptions.CommandError, 'export', *args)
            self.assertIn(text, error)
        self.assertEqual([], os.listdir(self.directory))
