# SPDX-License-Identifier: Apache-2.0

import json
import pathlib

import fixtures
from osc_lib import exceptions

from tests.unit.osc import base

COSTS = [
    {
        'meta': {
            'cost-type': {
                'cost-mode': 'numerical',
                'cost-metric': 'delay-rt',
            }
        },
        'cost-map': {
            'paris': {'par-01': 7000, 'far-01': 31000, 'host:par-1': 3000},
            'lyon': {'host:par-2': 1000},
        },
    }
]


class ListTest(base.CommandTestCase):
    """openstack edge latency list"""

    def keys(self, *args):
        """Return origin, site, host and RTT of the rows."""
        return [
            tuple(row[key] for key in ('Origin', 'Site', 'Host', 'RTT ms'))
            for row in self.json('latency list', *args)
        ]

    def test_list(self):
        """Every figure is a row; that of a host is one of its own."""
        self.assertEqual(
            [
                ('lyon', 'lyo-01', None, 2.3),
                ('lyon', 'par-01', None, 9.7),
                ('lyon', 'par-01', 'par-2', 8),
                ('paris', 'lyo-01', None, None),
                ('paris', 'par-01', None, 4.1),
            ],
            self.keys(),
        )

    def test_columns(self):
        """A figure is shown with all that is known of it."""
        (row,) = self.json(
            'latency list', '--origin', 'paris', '--site', 'par-01'
        )
        self.assertAlmostEqual(240, row.pop('Age'), delta=60)
        self.assertEqual(
            {
                'Origin': 'paris',
                'Site': 'par-01',
                'Host': None,
                'RTT ms': 4.1,
                'Jitter ms': 0.3,
                'Loss %': 0,
                'Probes': 20,
                'Source': 'icmp',
                'State': 'measured',
            },
            row,
        )

    def test_states(self):
        """Measured, stale and unreachable are told apart."""
        states = [row['State'] for row in self.json('latency list')]
        self.assertEqual(
            ['measured', 'stale', 'measured', 'unreachable', 'measured'],
            states,
        )

    def test_stale(self):
        """--stale leaves what is older than the max_age of nova.conf."""
        self.assertEqual([('lyon', 'par-01', None, 9.7)], self.keys('--stale'))
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'conf')
        path.write_text('[edge_filters]\nmax_age = 30\n')
        keys = self.keys('--stale', '--config-file', str(path))
        self.assertEqual(3, len(keys))

    def test_unknown(self):
        """A name that is not known is said to be, and what there is."""
        for args, text in (
            (['--origin', 'pariz'], "no origin 'pariz'. Is it paris?"),
            (['--site', 'tokyo'], "no site 'tokyo'. All are listed by"),
        ):
            error = self.error(exceptions.CommandError, 'latency list', *args)
            self.assertIn(text, error)

    def test_map_file(self):
        """The figures of a map file fill what the aggregates leave."""
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'map')
        path.write_text(json.dumps(COSTS))
        rows = self.json('latency list', '--map-file', str(path))
        self.assertEqual(
            [
                ('paris', 'far-01', None, 31),
                ('paris', 'par-01', 'par-1', 3),
            ],
            [
                (row['Origin'], row['Site'], row['Host'], row['RTT ms'])
                for row in rows
                if row['Source'] == 'map file'
            ],
        )
        self.assertEqual(7, len(rows))


class SetTest(base.CommandTestCase):
    """openstack edge latency set"""

    def set(self, *args, site='par-01', origin='paris'):
        return self.run_command(
            'latency set', '--origin', origin, '--site', site, *args
        )

    def test_set(self):
        """A figure is written as the scheduler reads it, in one call."""
        self.set(
            '5.50',
            '--jitter',
            '0.8',
            '--loss',
            '0',
            '--probes',
            '20',
            '--at',
            '2026-11-23T11:00:00+01:00',
            '--source',
            'hand',
        )
        value = '5.5 jitter=0.8 loss=0 n=20 at=2026-11-23T10:00:00Z by=hand'
        self.assertEqual(
            [
                (
                    '/os-aggregates/1/action',
                    {'set_metadata': {'metadata': {'edge:rtt:paris': value}}},
                )
            ],
            self.nova.changes(),
        )

    def test_host(self):
        """A figure of a host is written at its site."""
        self.set('3', '--host', 'Par-1', origin='nice')
        par = self.nova.aggregates[1]['metadata']
        self.assertEqual('3', par['edge:host_rtt:par-1:nice'])
        error = self.error(
            exceptions.CommandError,
            'latency set',
            '3',
            '--origin',
            'nice',
            '--site',
            'par-01',
            '--host',
            'par-3',
        )
        self.assertIn("at par-01 of the name 'par-3'. Is it par-", error)

    def test_no_host(self):
        """A host of no name is none, and not the whole site."""
        error = self.error(
            exceptions.CommandError,
            'latency set',
            '3',
            '--origin',
            'nice',
            '--site',
            'par-01',
            '--host',
            '',
        )
        self.assertIn("at par-01 of the name ''.", error)
        self.assertEqual([], self.nova.changes())

    def test_unreachable(self):
        """Unreachable is a dash, with a loss of all."""
        self.set('--loss', '100', '--probes', '20', '--', '-')
        par = self.nova.aggregates[1]['metadata']
        self.assertEqual('- loss=100 n=20', par['edge:rtt:paris'])

    def test_several_aggregates(self):
        """Where several aggregates have the figure, all get the new one."""
        self.nova.aggregate('par-b', edge__site='par-01', edge__rtt__paris='9')
        self.set('4')
        for number in (1, 5):
            metadata = self.nova.aggregates[number]['metadata']
            self.assertEqual('4', metadata['edge:rtt:paris'])
        self.set('6', origin='nice')
        self.assertEqual(3, len(self.nova.changes()))

    def test_bad(self):
        """A figure that the scheduler could not read is not written."""
        for args, text in (
            (['4,1'], "'4,1' is no figure: the RTT '4,1' is not a number"),
            (['4', '--loss', '101'], "loss '101' is more than 100"),
            (['4', '--at', 'noon'], "at='noon' is not a time"),
            (['4', '--at', '0500-06-01T00:00Z'], 'the years 1970 to 9998'),
            (['9' * 20 + 'e99'], 'is more than 1e+99'),
            (['4', '--source', 'a b'], "'b' is not of the form"),
            (['--', '-'], 'without an RTT it has to say loss=100'),
        ):
            error = self.error(
                exceptions.CommandError,
                'latency set',
                '--origin',
                'paris',
                '--site',
                'par-01',
                *args,
            )
            self.assertIn(text, error)
        self.assertEqual([], self.nova.mock.request_history)
