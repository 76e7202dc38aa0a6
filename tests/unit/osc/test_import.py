# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import json
import os
import pathlib
import stat
import time

import fixtures
from osc_lib import exceptions

from edge_filters.latency import sample
from edge_filters.origins import map_file
from edge_filters.osc import map_writer
from tests.unit import nova_api
from tests.unit.osc import base

SITES = (
    'site,host,tier,prefixes\n'
    'new-01,new-1,core,198.51.100.0/24\n'
    'new-02,,,\n'
    'par-01,new-1,near-edge,\n'
)
FIGURES = (
    'origin,site,host,rtt_ms,loss_pct,probes\n'
    'nice,new-01,,12.5,0,20\n'
    'nice,new-01,new-1,11,,\n'
    'nice,par-01,,30,,\n'
    'lyon,par-01,PAR-2,7,,\n'
)
MAPS = [
    {
        'meta': {
            'cost-type': {
                'cost-mode': 'numerical',
                'cost-metric': 'delay-rt',
            }
        },
        'cost-map': {
            'nice': {'far-01': 20500, 'par-01': 1, 'host:PAR-2': 9000},
            'lyon': {'gone-01': 1, 'host:gone-1': 1},
        },
    },
    {
        'network-map': {
            'far-01': {'ipv4': ['203.0.113.0/24']},
            'nice': {'ipv6': ['2001:db8::/48', '2001:db8:1::/48']},
        },
        'projects': {'7f3c': ['nice']},
    },
]


class ImportTestCase(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def file(self, name, content):
        """Write a file; return its name."""
        path = self.directory / name
        path.write_text(
            content if isinstance(content, str) else json.dumps(content)
        )
        return str(path)

    def import_(self, content, *args):
        """Import a content; return the rows."""
        rows = self.json('import', self.file('file', content), *args)
        return [tuple(row.values()) for row in rows]

    def failed(self, content, *args):
        """Import what fails; return the rows and what is said then."""
        error = self.error(
            exceptions.CommandError,
            'import',
            '-f',
            'json',
            self.file('file', content),
            *args,
        )
        return [
            tuple(row.values()) for row in json.loads(self.stdout.getvalue())
        ], error


class ImportTest(ImportTestCase):
    """openstack edge import, into aggregates"""

    def paths(self):
        return self.file('sites', SITES), self.file('figures', FIGURES)

    def test_import(self):
        """Sites are made and completed: metadata in one call, then hosts."""
        rows = self.json('import', *self.paths())
        self.assertEqual(
            [
                ('new-01', 'create'),
                ('new-01', 'set 5 keys'),
                ('new-01', 'add host new-1'),
                ('new-02', 'create'),
                ('new-02', 'set 1 key'),
                ('par-01', 'set 3 keys'),
                ('par-01', 'add host new-1'),
            ],
            [(row['Aggregate'], row['Change']) for row in rows],
        )
        self.assertEqual({'done'}, {row['Result'] for row in rows})
        self.assertEqual(
            {
                'edge:site': 'new-01',
                'edge:tier': 'core',
                'edge:prefixes': '198.51.100.0/24',
                'edge:rtt:nice': '12.5 loss=0 n=20',
                'edge:host_rtt:new-1:nice': '11',
            },
            self.nova.aggregates[5]['metadata'],
        )
        self.assertEqual(
            'aggregate set_metadata add_host '
            'aggregate set_metadata '
            'set_metadata add_host',
            ' '.join(next(iter(body)) for _, body in self.nova.changes()),
        )
        self.assertEqual(1, len(self.nova.calls('GET')))

    def test_again(self):
        """What is there already is neither listed nor sent again."""
        self.json('import', *self.paths())
        sent = len(self.nova.changes())
        self.assertEqual([], self.json('import', *self.paths()))
        self.assertEqual(sent, len(self.nova.changes()))

    def test_nothing_is_deleted(self):
        """What the files do not name stays as it is."""
        before = self.nova.aggregates[1]['metadata']
        before['edge:site'] = 'PAR-01'
        before = dict(before)
        self.import_('site,host,tier\npar-01,,\npar-01,par-1,\n')
        self.assertEqual([], self.nova.changes())
        self.import_(FIGURES)
        self.assertEqual(
            {
                **before,
                'edge:rtt:nice': '30',
                'edge:host_rtt:par-2:lyon': '7',
            },
            self.nova.aggregates[1]['metadata'],
        )

    def test_dry_run(self):
        """--dry-run lists the same changes, and makes none."""
        dry = self.json('import', '--dry-run', *self.paths())
        self.assertEqual([], self.nova.changes())
        self.assertEqual({'would be done'}, {it.pop('Result') for it in dry})
        wet = self.json('import', *self.paths())
        self.assertEqual({'done'}, {it.pop('Result') for it in wet})
        self.assertEqual(wet, dry)

    def test_adopt(self):
        """An aggregate becomes a site only if the file names it as one."""
        rows, error = self.failed('site,tier\nbare-zone,core\nfar-01,core\n')
        self.assertEqual(
            [
                (
                    'bare-zone',
                    'bare-zone',
                    'none',
                    'There is an aggregate bare-zone already; make it the '
                    'site with its name in the column aggregate',
                ),
                ('far', 'far-01', 'set 1 key', 'done'),
            ],
            rows,
        )
        self.assertIn('1 of 2 aggregates failed; mend', error)
        self.import_('site,aggregate\nbare-01,bare-zone\n')
        self.assertEqual(
            {'availability_zone': 'bare', 'edge:site': 'bare-01'},
            self.nova.aggregates[4]['metadata'],
        )

    def test_other_site(self):
        """An aggregate that is another site stays that."""
        rows, _ = self.failed(
            'site,aggregate\nlyo-02,lyon-zone\n', '--dry-run'
        )
        self.assertIn('is the site lyo-01 already; name another', rows[0][3])

    def test_several_aggregates(self):
        """Of a site of several aggregates it has to be told which is meant."""
        self.nova.aggregate(
            'far-b', ['far-1'], edge__site='far-01', edge__rtt__nice='3'
        )
        rows, _ = self.failed('site,tier\nfar-01,core\n')
        self.assertIn('several aggregates (far, far-b); name', rows[0][3])
        # It takes the place of the one that is there, else it is the first's.
        self.import_(
            'site,host,origin,rtt_ms\nfar-01,,nice,4\nfar-01,,lyon,5\n'
        )
        self.import_('site,host,origin,rtt_ms\nfar-01,far-1,nice,6\n')
        self.assertEqual(
            {'edge:site': 'far-01', 'edge:rtt:lyon': '5'},
            self.nova.aggregates[3]['metadata'],
        )
        self.assertEqual(
            ('4', '6'),
            tuple(
                self.nova.aggregates[5]['metadata'][key]
                for key in ('edge:rtt:nice', 'edge:host_rtt:far-1:nice')
            ),
        )

    def test_unknown_places(self):
        """Figures of what is not there are left out, and are counted."""
        rows = self.import_(
            'origin,site,host,rtt_ms,aggregate\n'
            'nice,gone-01,,1,\nnice,far-01,,1,other\nnice,far-01,par-1,1,\n'
            'nice,far-01,,2,far\n'
        )
        self.assertEqual([('far', 'far-01', 'set 1 key', 'done')], rows)
        self.assertIn(
            'Figures left out, as their sites are not there: 2 (far-01, '
            'gone-01); import the sites too',
            self.log.output,
        )
        self.assertIn(
            'Figures left out, as their hosts are not there: 1 (par-1); add',
            self.log.output,
        )

    def test_maps(self):
        """Of map files aggregates take what they have a place for."""
        self.import_(MAPS)
        self.assertEqual(
            {
                'edge:site': 'far-01',
                'edge:rtt:nice': '20.5',
                'edge:prefixes': '203.0.113.0/24',
            },
            self.nova.aggregates[3]['metadata'],
        )
        par = self.nova.aggregates[1]['metadata']
        self.assertEqual('9', par['edge:host_rtt:par-2:nice'])
        self.assertEqual('0.001', par['edge:rtt:nice'])
        for text in (
            'Figures left out, as their sites are not there: 1 (gone-01)',
            'Figures left out, as their hosts are not there: 1 (gone-1)',
            'Prefixes left out, as they are more than an aggregate keeps, or '
            'of origins that are no sites: 2 (nice); keep their file',
            'Projects left out, as no aggregate has their origins: 1; keep',
        ):
            self.assertIn(text, self.log.output)

    def test_maps_without_times(self):
        """No figure of a map file takes the place of one that has a time."""
        maps = json.loads(json.dumps(MAPS[:1]))
        maps[0]['cost-map'] = {
            'paris': {'par-01': 1000, 'lyo-01': 1000},
            'lyon': {'host:par-2': 1000},
        }
        before = dict(self.nova.aggregates[1]['metadata'])
        rows = self.import_(maps)
        self.assertEqual([('par-01', 'par-01', 'set 1 key', 'done')], rows)
        self.assertEqual(
            {**before, 'edge:host_rtt:par-2:lyon': '1'},
            self.nova.aggregates[1]['metadata'],
        )
        self.assertIn(
            'Figures of map files left out, as those that are there have a '
            'time: 2 (lyo-01, par-01); import figures with times, as CSV',
            self.log.output,
        )

    def test_unreadable_numbers(self):
        """No number is written that nobody would read."""
        maps = json.loads(json.dumps(MAPS[:1]))
        maps[0]['cost-map'] = {
            'a': {'far-01': 1e308, 'lyo-01': 1e104, 'par-01': 1e-200},
            'b': {'far-01': 1e90, 'host:par-1': 1e200},
        }
        rows = self.import_(maps)
        self.assertEqual([('far', 'far-01', 'set 1 key', 'done')], rows)
        self.assertEqual(
            {'edge:site': 'far-01', 'edge:rtt:b': '1e+87'},
            self.nova.aggregates[3]['metadata'],
        )
        self.assertIn(
            'Figures left out, as their numbers are too large or too small to '
            'be read again: 4 (far-01, lyo-01, par-01); mend the map files',
            self.log.output,
        )

    def test_prefixes_of_another_aggregate(self):
        """A prefix that the site has in another aggregate is not added."""
        self.nova.aggregate(
            'far-b', edge__site='far-01', edge__prefixes='203.0.113.0/24'
        )
        self.import_([MAPS[1]])
        self.assertEqual([], self.nova.changes())

    def test_progress(self):
        """A terminal has a progress bar; what is no terminal has none."""
        for is_terminal in (True, False):
            stderr = io.StringIO()
            stderr.isatty = lambda: is_terminal  # noqa: B023
            with contextlib.redirect_stderr(stderr):
                self.json('import', '--dry-run', *self.paths())
            self.assertEqual(is_terminal, '0/3' in stderr.getvalue())

    def test_tables_before_maps(self):
        """A figure of a table counts where a map file has another."""
        maps = self.file('maps', MAPS)
        self.json('import', maps, *self.paths())
        self.assertEqual(
            '30', self.nova.aggregates[1]['metadata']['edge:rtt:nice']
        )

    def test_many_keys(self):
        """Aggregates that Nova would load slowly are named."""
        self.import_(
            'origin,site,rtt_ms\n'
            + ''.join(f'o{it},far-01,1\n' for it in range(64))
        )
        self.assertIn(
            'Aggregates of more than 64 keys, which makes Nova slow: 1 (far); '
            'put the figures into a map file with --to',
            self.log.output,
        )
        self.assertEqual(1, len(self.nova.changes()))

    def test_one_fails(self):
        """What fails at one aggregate does not keep others from being done."""
        rows, error = self.failed(
            'site,host\na,gone-1\na,new-1\nb,new-1\n',
        )
        self.assertEqual(
            ['done', 'done', 'done', 'done', 'done', 'done'],
            [result for *_, what, result in rows if what != 'add host gone-1'],
        )
        self.assertIn('Compute host gone-1 could not be found; the', str(rows))
        self.assertEqual(
            '1 of 2 aggregates failed; mend what the table says of them, and '
            'give the command again.',
            error,
        )

    def test_no_host_without_a_status(self):
        """Where the keys of a site are refused, no host comes to it."""
        self.nova.mock.post(
            nova_api.URL + '/os-aggregates/5/action',
            status_code=400,
            json={'badRequest': {'message': 'Invalid input'}},
        )
        rows, _ = self.failed('site,host,status\na,new-1,draining\n')
        self.assertEqual(
            ['done', 'Could not set', 'not done'],
            [row[3][:13] for row in rows],
        )
        self.assertEqual([], self.nova.aggregates[5]['hosts'])
        self.assertEqual(2, len(self.nova.changes()))

    def test_conflict(self):
        """A host of another availability zone stays there; others are done."""
        self.nova.hypervisor('lyo-1')
        rows, error = self.failed(
            'site,aggregate,host\nb,bare-zone,lyo-1\nb,bare-zone,new-1\n'
        )
        self.assertIn('already in availability zone(s)', rows[1][3])
        self.assertEqual(['new-1'], self.nova.aggregates[4]['hosts'])
        self.assertIn('1 of 1 aggregates failed', error)

    def test_all_would_fail(self):
        """What all would meet stops it; given again it goes on from there."""
        content = 'site,host,tier\na,new-1,core\nb,new-1,core\nc,,\n'
        self.nova.mock.post(
            nova_api.URL + '/os-aggregates/6/action',
            [
                {'status_code': 503, 'json': {'x': {'message': 'Busy'}}},
                {'json': self.nova._act},
            ],
        )
        rows, error = self.failed(content)
        self.assertEqual(
            ['done'] * 4 + ['Could not set'] + ['not done'] * 3,
            [row[3][:13] for row in rows],
        )
        self.assertIn(
            '1 of 3 aggregates are done; give the command again to go on '
            'with the rest.',
            error,
        )
        rows = self.import_(content)
        self.assertEqual(
            ['b set 2 keys', 'b add host new-1', 'c create', 'c set 1 key'],
            [f'{row[0]} {row[2]}' for row in rows],
        )

    def test_forbidden(self):
        """A right that is missing stops it, and the policy is named."""
        self.nova.forbidden = {'set_metadata'}
        rows, error = self.failed('site,tier\nfar-01,core\npar-01,core\n')
        self.assertIn('os-aggregates:set_metadata does not allow it', error)
        self.assertIn('0 of 2 aggregates are done', error)
        self.assertEqual('not done', rows[1][3])


class ToMapFileTest(ImportTestCase):
    """openstack edge import --to, into a map file"""

    def setUp(self):
        super().setUp()
        self.map_file = self.directory / 'maps.json'

    def to(self, content, *args):
        return self.import_(content, *args, '--to', str(self.map_file))

    def maps(self):
        """Return what the map file says."""
        return map_file.parse([('maps', self.map_file.read_bytes())])

    def test_too_large(self):
        """What Nova would not read is not written."""
        self.to(SITES)
        before = self.map_file.read_bytes()
        self.patch(map_file, 'MAX_BYTES', max(len(before), len(FIGURES)))
        error = self.assertRaises(exceptions.CommandError, self.to, FIGURES)
        self.assertIn(
            'would have more than 0 MiB, and not be read', str(error)
        )
        self.assertEqual(before, self.map_file.read_bytes())

    def test_as_large_as_may_be(self):
        """Nothing is wrong with a file that says all of it already."""
        self.to(FIGURES)
        compact = json.dumps(json.loads(self.map_file.read_bytes()))
        self.map_file.write_text(compact)
        self.patch(map_file, 'MAX_BYTES', len(compact))
        self.assertEqual([], self.to(FIGURES))
        self.assertEqual(compact, self.map_file.read_text())

    def test_new(self):
        """Figures and prefixes make a map file; no cloud is asked."""
        rows = self.to(FIGURES)
        self.assertEqual(
            [
                ('', 'new-01', 'set 1 figure', 'done'),
                ('', 'par-01', 'set 1 figure', 'done'),
                ('', 'host:new-1', 'set 1 figure', 'done'),
                ('', 'host:par-2', 'set 1 figure', 'done'),
            ],
            sorted(rows, key=lambda it: it[1].startswith('host:')),
        )
        self.to(SITES)
        maps = self.maps()
        figure = maps.samples['new-01']['nice']
        self.assertEqual((12.5, 0), (figure.rtt_ms, figure.loss_pct))
        self.assertEqual(7, maps.host_samples['par-2']['lyon'].rtt_ms)
        self.assertEqual(
            ['198.51.100.0/24 of new-01 (maps)'],
            [str(it) for it in maps.prefix_table],
        )
        self.assertEqual([], self.nova.mock.request_history)
        for text in (
            'no place for time, probes and source of 1 figures',
            'no place for what sites have besides prefixes',
        ):
            self.assertIn(text, self.log.output)

    def test_merge(self):
        """What the file has besides stays, and what is named is replaced."""
        self.map_file.write_text(
            json.dumps(
                [
                    {
                        'vendor': {'x': 12345678901234567890},
                        'network-map': {
                            'Nice': {'ipv6': ['2001:DB8::/48']},
                            'far-01': {'ipv6': ['2001:db8:1::/48']},
                        },
                        'projects': {'7f3c': ['lyon'], '9a': ['lyon']},
                    },
                    {
                        'meta': {
                            'cost-type': {
                                'cost-mode': 'numerical',
                                'cost-metric': 'delay-rt:p95',
                            },
                            'tag': 'kept',
                        },
                        'cost-map': {'NICE': {'FAR-01': 1, 'x': 2}},
                    },
                    {
                        'meta': {
                            'cost-type': {
                                'cost-mode': 'numerical',
                                'cost-metric': 'delay-variation',
                            }
                        },
                        'cost-map': {'nice': {'far-01': 3}},
                    },
                ]
            )
        )
        self.to(MAPS)
        maps = self.maps()
        far = maps.samples['far-01']['nice']
        # The jitter was that of the figure that was there.
        self.assertEqual((20.5, None), (far.rtt_ms, far.jitter_ms))
        self.assertEqual(0.002, maps.samples['x']['nice'].rtt_ms)
        self.assertEqual(
            {'7f3c': ('nice',), '9a': ('lyon',)}, dict(maps.projects)
        )
        self.assertEqual(
            ['far-01', 'nice', 'nice'],
            [it.origin for it in maps.prefix_table],
        )
        self.assertEqual([], self.to(MAPS))
        first, second, *_ = json.loads(self.map_file.read_text())
        self.assertEqual({'x': 12345678901234567890}, first['vendor'])
        self.assertEqual('kept', second['meta']['tag'])

    def test_again(self):
        """What the file says already is not written again."""
        both = SITES.replace('\n', ',\n')
        for content in (FIGURES, MAPS, both, 'origin,site,rtt_ms\na,b,0.1\n'):
            self.assertNotEqual([], self.to(content))
            inode = self.map_file.stat().st_ino
            self.assertEqual([], self.to(content))
            self.assertEqual(inode, self.map_file.stat().st_ino)

    def test_disagreement(self):
        """Of two origins of a prefix a table's counts, again and again."""
        maps = self.file(
            'maps', {'network-map': {'nice': {'ipv4': ['192.0.2.0/24']}}}
        )
        content = 'site,prefixes\nfar-01,192.0.2.0/24\n'
        self.assertEqual(1, len(self.to(content, maps)))
        self.assertEqual([], self.to(content, maps))
        (entry,) = self.maps().prefix_table
        self.assertEqual('far-01', entry.origin)

    def test_dry_run(self):
        """--dry-run writes nothing."""
        rows = self.to(FIGURES, '--dry-run')
        self.assertEqual({'would be done'}, {row[3] for row in rows})
        self.assertFalse(self.map_file.exists())

    def test_unreachable(self):
        """What cannot be reached loses everything, and has no RTT."""
        self.to('origin,site,rtt_ms\nnice,far-01,1.001\n')
        self.assertIn('"far-01": 1001\n', self.map_file.read_text())
        self.to('origin,site,rtt_ms,loss_pct\nnice,far-01,-,100\n')
        self.assertTrue(self.maps().samples['far-01']['nice'].is_unreachable)
        costs = json.loads(self.map_file.read_text())
        self.assertEqual({'nice': {}}, costs[0]['cost-map'])

    def test_several_aggregates(self):
        """Of the figures of several aggregates of a site the worst counts."""
        self.to(
            'origin,site,aggregate,rtt_ms\n'
            'nice,a,x,1\nnice,a,y,3\nnice,a,z,2\n'
        )
        self.assertEqual(3, self.maps().samples['a']['nice'].rtt_ms)

    def test_rights(self):
        """The file keeps its rights and its name, and nothing is left."""
        real = self.directory / 'real.json'
        real.write_text('{"projects": {}}')
        real.chmod(0o640)
        self.map_file.symlink_to(real)
        self.to(FIGURES)
        self.assertTrue(self.map_file.is_symlink())
        self.assertEqual(0o640, stat.S_IMODE(real.stat().st_mode))
        self.assertEqual(
            ['file', 'maps.json', 'real.json'],
            sorted(it.name for it in self.directory.iterdir()),
        )

    def test_spellings(self):
        """What is there in another spelling is replaced, whatever it is."""
        self.map_file.write_text(
            json.dumps(
                {
                    'meta': MAPS[0]['meta'],
                    'cost-map': {'Nice ': {'host: PAR-1': 9, 'HOST:par-1': 8}},
                }
            )
        )
        content = 'origin,site,host,rtt_ms\nnice,par-01,par-1,0.001\n'
        self.assertEqual(1, len(self.to(content)))
        self.assertEqual(
            {'Nice ': {'host:par-1': 1}},
            json.loads(self.map_file.read_text())['cost-map'],
        )
        self.assertEqual([], self.to(content))

    def test_odd(self):
        """What cannot be read of the file is not written over."""
        for there, text in (
            ({'far-01': {'ipv6': 'x'}}, 'as ipv6 of far-01 something that is'),
            ({'far-01': ['x']}, 'as far-01 something that is no object, and'),
        ):
            self.map_file.write_text(json.dumps({'network-map': there}))
            error = self.error(
                exceptions.CommandError,
                'import',
                self.file('sites', 'site,prefixes\nfar-01,2001:db8::/48\n'),
                '--to',
                str(self.map_file),
            )
            self.assertIn(text, error)
            self.assertEqual(
                {'network-map': there}, json.loads(self.map_file.read_text())
            )

    def test_meanwhile(self):
        """What another writes while the file is changed is not lost."""
        path = self.file('figures', FIGURES)
        text = map_writer.text
        for before in ('not there', 'there'):

            def written(file, objects):
                os.replace(
                    self.file('other', '{"projects": {"a": ["b"]}}'),
                    self.map_file,
                )
                return text(file, objects)

            self.useFixture(
                fixtures.MonkeyPatch(
                    'edge_filters.osc.map_writer.text', written
                )
            )
            error = self.error(
                exceptions.CommandError,
                'import',
                path,
                '--to',
                str(self.map_file),
            )
            self.assertIn('was written by another meanwhile; give', error)
            self.assertEqual({'a': ('b',)}, self.maps().projects, before)
        self.assertEqual(
            ['figures', 'maps.json'], sorted(os.listdir(self.directory))
        )

    def test_many(self):
        """Each figure takes the same time, however many there are."""
        figures = {
            'par-01': {
                f'o{it}': sample.Sample(float(it)) for it in range(6000)
            }
        }
        objects = []
        map_writer.put_figures(objects, figures)
        # Again, each in a spelling that is not ours.
        (costs,) = (it['cost-map'] for it in objects)
        objects[0]['cost-map'] = {it.upper(): costs[it] for it in costs}
        start = time.process_time()
        changed = map_writer.put_figures(
            objects, {'lyo-01': figures['par-01']}
        )
        self.assertEqual(6000, changed['lyo-01'])
        self.assertLess(time.process_time() - start, 1)

    def test_broken(self):
        """A map file that cannot be read, or written, stays as it is."""
        self.map_file.write_text('{"projects": {"a": [], "a": []}}')
        path = self.file('figures', FIGURES)
        for to, text in (
            (self.map_file, "has 'a' twice in one object; leave one"),
            (path, 'is not JSON'),
            (self.directory / 'no' / 'x', 'cannot be written: No such file'),
            ('/dev/null', 'cannot be read: it is no regular file; give a'),
            ('', '(no name) cannot be written: '),
        ):
            error = self.error(
                exceptions.CommandError, 'import', path, '--to', str(to)
            )
            self.assertIn(text, error)
