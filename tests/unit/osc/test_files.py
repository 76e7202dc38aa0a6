# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import time

import fixtures
import hypothesis
from hypothesis import strategies as st
from osc_lib import exceptions

from edge_filters import cloud
from edge_filters.latency import sample
from edge_filters.latency import sample_format
from edge_filters.origins import map_file
from edge_filters.osc import check_maps
from edge_filters.osc import export
from edge_filters.osc import figure_table
from edge_filters.osc import files
from edge_filters.osc import lookup
from edge_filters.osc import nova_conf
from edge_filters.osc import site_table
from edge_filters.osc import table
from tests.unit import base

SITES = 'site,host,latitude,longitude,tier,prefixes\n'
FIGURES = 'origin,site,host,rtt_ms,jitter_ms,loss_pct,probes,at,source\n'
MAP = '{"projects": {"p": ["paris"]}}'

_NAMES = st.text('abz019-_:.', min_size=1, max_size=6)
_HOSTS = st.text('abZ019-_.', min_size=1, max_size=6)
_AGGREGATES = st.text(
    st.one_of(
        st.sampled_from('\'"=+-@,;'), st.characters(categories=('L', 'N'))
    ),
    min_size=1,
    max_size=8,
).filter(str.isprintable)
# Smaller ones cannot be read again, whoever wrote them.
_NUMBERS = st.one_of(st.just(0.0), st.floats(1e-90, 1e9))
_DEGREES = st.floats(-90, 90).filter(lambda it: it == 0 or abs(it) > 1e-90)


@st.composite
def _figures(draw, may_be_bound=False):
    """A figure as metadata has it."""
    loss_pct = draw(st.none() | st.floats(0.001, 100))
    kind = sample.Kind.FIGURE
    if may_be_bound and draw(st.booleans()):
        kind, loss_pct = sample.Kind.BOUND, None
    return sample_format.format_sample(
        sample.Sample(
            None if loss_pct == 100 else draw(_NUMBERS),
            draw(st.none() | _NUMBERS),
            loss_pct,
            draw(st.none() | st.integers(0, 10**9)),
            draw(st.none() | st.integers(0, 4 * 10**9)),
            draw(st.none() | st.text('aZ0-_.', min_size=1, max_size=8)),
            kind,
        )
    )


@st.composite
def _aggregates(draw):
    """Aggregates whose metadata is as edge-filters writes it."""
    names = draw(st.lists(_AGGREGATES, max_size=4, unique=True))
    found = []
    for number, name in enumerate(sorted(names), 1):
        hosts = sorted(draw(st.lists(_HOSTS, max_size=3, unique_by=str.lower)))
        has = {'edge:site': draw(_NAMES)}
        optional = {
            'edge:tier': _NAMES,
            'edge:status': st.sampled_from(['active', 'draining', 'inactive']),
            'edge:prefixes': st.sampled_from(
                ['192.0.2.0/24', '2001:db8::/48,192.0.2.7']
            ),
            'edge:rtt_default': _figures(True),
            'edge_latency_weight_multiplier': st.sampled_from(['0', '1.5']),
        }
        for key, values in optional.items():
            if draw(st.booleans()):
                has[key] = draw(values)
        if draw(st.booleans()):
            has['edge:latitude'] = str(draw(_DEGREES))
            has['edge:longitude'] = str(draw(_DEGREES))
        for kind in ('rtt', 'site_rtt', *(f'host_rtt:{it}' for it in hosts)):
            for other in draw(st.lists(_NAMES, max_size=2)):
                has[f'edge:{kind.lower()}:{other}'] = draw(_figures())
        found.append(cloud.Aggregate(number, name, None, tuple(hosts), has))
    return found


class FilesTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def read(self, *contents):
        """Read files of some contents."""
        paths = []
        for number, content in enumerate(contents):
            path = self.directory / str(number)
            if isinstance(content, str):
                content = content.encode()
            path.write_bytes(content)
            paths.append(str(path))
        return files.read(paths)

    def error(self, *contents):
        """Return what is wrong with files, without their directory."""
        raised = self.assertRaises(
            exceptions.CommandError,
            lambda: [
                (it.aggregates, it.maps) for it in [self.read(*contents)]
            ],
        )
        return str(raised).replace(f'{self.directory}/', '')


class ReadTest(FilesTestCase):
    def test_kinds(self):
        """What a file is its content tells, not its name."""
        found = self.read(
            FIGURES + 'paris,par-01,,4.1\n', MAP, SITES + 'par-01,par-1\n'
        )
        (aggregate,) = found.aggregates
        self.assertEqual(
            cloud.Aggregate(
                1,
                'par-01',
                None,
                ('par-1',),
                {'edge:site': 'par-01', 'edge:rtt:paris': '4.1'},
            ),
            aggregate,
        )
        self.assertEqual({'p': ('paris',)}, found.maps.projects)

    def test_spreadsheets(self):
        """Spreadsheets write BOMs, CRLF, semicolons, and empty lines."""
        text = (
            '\ufeffSite;host;lat;lon;Tier;prefixes;\r\n\r\n'
            'PAR-01;par-1;48.85;"2.35";far-edge;192.0.2.0/24,192.0.2.7;\r\n'
            ';;;;;;\r\n'
            'par-01;par-2\r\n'
            'par-01;par-2\r\n'
            'lyo-01;;;;;;\r\n'
        )
        lyo, par = self.read(text).aggregates
        self.assertEqual(((), ('par-1', 'par-2')), (lyo.hosts, par.hosts))
        self.assertEqual(
            {
                'edge:site': 'par-01',
                'edge:latitude': '48.85',
                'edge:longitude': '2.35',
                'edge:tier': 'far-edge',
                'edge:prefixes': '192.0.2.0/24,192.0.2.7',
            },
            par.metadata,
        )

    def test_figures(self):
        """A figure is from an origin, from all others, or from a site."""
        text = (
            FIGURES.replace('\n', ',from_site\n')
            + 'Paris,par-01,,4.1,0.3,0,20,2026-11-23T10:00:00Z,icmp\n'
            'paris,par-01,PAR-1,4,,,,,\n'
            'lyon,par-01,,-,,100,20,,\n'
            '*,par-01,,>100,,,,,\n'
            ',par-01,,7,,,,,,lyo-01\n'
        )
        (par,) = self.read(text, SITES + 'par-01,par-1').aggregates
        self.assertEqual(
            {
                'edge:site': 'par-01',
                'edge:rtt:paris': '4.1 jitter=0.3 loss=0 n=20 '
                'at=2026-11-23T10:00:00Z by=icmp',
                'edge:host_rtt:par-1:paris': '4',
                'edge:rtt:lyon': '- loss=100 n=20',
                'edge:rtt_default': '>100',
                'edge:site_rtt:lyo-01': '7',
            },
            par.metadata,
        )

    def test_aggregates(self):
        """A row without an aggregate is of the one that others name."""
        (found,) = self.read('site,host,aggregate\na,b,\na,c,x\n').aggregates
        self.assertEqual(('x', {'b', 'c'}), (found.name, set(found.hosts)))

    def test_wrong(self):
        """What cannot be read is named with its file, line, and a remedy."""
        for contents, text in (
            (['name\nx\n'], '0: it is no map file, which begins'),
            ([''], '0: it is no map file, which begins'),
            (['[]1'], 'Map file 0 is not JSON: Extra data at line 1'),
            (['site\n\xe9'.encode('latin-1')], '0, line 2: it is not UTF-8;'),
            (['site,x\n'], "0: there is no such column as 'x'; leave it out"),
            (['site,SITE\n'], "0, line 1: there is more than one column"),
            (['site\na,b\n'], '0, line 2: there are 2 cells under 1 columns;'),
            (['site\n"a\n'], '0, line 2: it is no CSV: unexpected end'),
            (['rtt_ms\n1\n'], '0: there is no column site; add it'),
            (['site,tier\n,x\n'], '0, line 2: there is no site; name it'),
            (['site\n\na/b\n'], "0, line 3: site 'a/b' is not a name: use"),
            (['site,host\na,b c\n'], "0, line 2: host 'b c' is not the name"),
            (['site,lat\na,1\n'], '0, line 2: a position is latitude and'),
            (['site,lat,lon\na,91,1\n'], "0, line 2: latitude '91' is not a"),
            (['site,status\na,up\n'], "0, line 2: status 'up' is none of"),
            (['site,prefixes\na,1\n'], "0, line 2: prefixes '1' has '1',"),
            (['site,aggregate\na,"b\tc"\n'], "aggregate 'b\\tc' is not"),
            (['site,rtt_ms\na,1\n'], '0, line 2: a figure is from an origin'),
            (
                [FIGURES + 'paris,a,,"4,1"\n'],
                "0, line 2: '4,1' is no figure: the RTT '4,1' is not a number "
                'of 0 or more, such as 12.5',
            ),
            ([FIGURES + 'paris,a,,4 n=1\n'], 'has a space inside of a cell'),
            ([FIGURES + 'paris,a,,>4\n'], "'>4' is no figure"),
            ([FIGURES + 'paris,a,,9e99,9' + '0' * 19 + 'e99\n'], 'no figure'),
            ([FIGURES + '*,a,b,4\n'], 'leave host empty'),
            ([FIGURES + f'p,a,{"h" * 250},4\n'], 'put it into a map file'),
            (
                ['site,tier\na,b\na,\na,c\n'],
                "0, line 4: edge:tier of a is 'c', but 'b' at 0, line 2; make",
            ),
            (
                ['site,aggregate\na,x\n', 'site,aggregate\nb,x\n'],
                "1, line 2: the site is 'b', but 'a' at 0, line 2; make",
            ),
            (
                [FIGURES + 'p,a,,1\n', FIGURES + 'p,a,,1\np,a,,2\n'],
                "1, line 3: edge:rtt:p of a is '2', but '1' at 0, line 2;",
            ),
            (
                [
                    'site,aggregate,rtt_ms,origin\na,x,1,p\na,,2,p\n',
                    'site,aggregate\na,x\n',
                ],
                "0, line 3: edge:rtt:p of a is '2', but '1' at 0, line 2;",
            ),
            (
                ['site,aggregate\na,x\na,y\na,\n'],
                'Site a is several aggregates (x, y); name one in the column',
            ),
        ):
            error = self.error(*contents)
            self.assertIn(text, error)
            self.assertNotIn('\n', error)

    def test_missing(self):
        """A file that is not there is named."""
        for path in (str(self.directory / 'x'), '', '\0'):
            error = self.assertRaises(
                exceptions.CommandError, files.read, [path]
            )
            self.assertIn('cannot be read: ', str(error))

    def test_endless(self):
        """What may never end, or is too large, is not read."""
        fifo = str(self.directory / 'fifo')
        os.mkfifo(fifo)
        large = self.directory / 'large'
        large.touch()
        os.truncate(large, files.MAX_BYTES + 1)
        for path, why in (
            (fifo, 'it is no regular file'),
            ('/dev/zero', 'it is no regular file'),
            (str(self.directory), 'it is no regular file'),
            (str(large), 'it has more than 256 MiB'),
        ):
            text = f'{path} cannot be read: {why}; give '
            error = self.assertRaises(
                exceptions.CommandError, files.read, [path]
            )
            self.assertIn(text, str(error))
            error = self.assertRaises(
                exceptions.CommandError, nova_conf.read, [path]
            )
            self.assertIn(text, str(error))
            _, (found,) = check_maps.read([path])
            self.assertIn(why, found.what)
            self.assertEqual('map-file-broken', found.check)

    def test_large(self):
        """A map file may be as large as Nova reads it; a table, larger."""
        small = '{"projects": {}}'
        self.patch(map_file, 'MAX_BYTES', len(small))
        self.assertEqual((), self.read(small, SITES).maps.problems)
        _, found = check_maps.read([str(self.directory / '0')])
        self.assertEqual([], found)
        self.assertEqual(
            'Map file 0 has more than 0 MiB', self.error(small + ' ')
        )
        _, (found,) = check_maps.read([str(self.directory / '0')])
        self.assertEqual('map-file-broken', found.check)

    def test_many_columns(self):
        """Each column takes the same time, however many there are."""
        columns = ','.join(map(str, range(15000)))
        start = time.process_time()
        table.parse('x', columns.encode())
        self.assertLess(time.process_time() - start, 1)

    def test_too_long(self):
        """Prefixes that are more than Nova keeps belong into a map file."""
        prefixes = ' '.join(f'198.51.100.{it}' for it in range(20))
        error = self.error(f'site,prefixes\na,{prefixes}\n')
        self.assertIn('Nova keeps 255; put them into a map file', error)

    @hypothesis.given(st.binary(max_size=60) | st.text(max_size=60))
    @hypothesis.settings(deadline=None, max_examples=50)
    @hypothesis.example('site\n\0')
    @hypothesis.example('site;' + 'x' * 200000)
    def test_hostile(self, content):
        """Whatever a file has, what is wrong is said in one line."""
        for header in ('', 'site,host,lat,prefixes\n', FIGURES):
            if isinstance(content, bytes):
                header = header.encode()
            try:
                self.assertIsNotNone(self.read(header + content).aggregates)
            except exceptions.CommandError as error:
                self.assertNotIn('\n', str(error))


class RoundTripTest(FilesTestCase):
    @hypothesis.given(_aggregates())
    @hypothesis.settings(
        deadline=None,
        max_examples=50,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    def test_round_trip(self, aggregates):
        """What is exported is read as the very same aggregates."""
        world = lookup.World(cloud.read_sites(aggregates))
        sites = table.text(site_table.COLUMNS, export.site_rows(world))
        figures = table.text(figure_table.COLUMNS, export.figure_rows(world))
        self.assertEqual(aggregates, self.read(figures, sites).aggregates)

    @hypothesis.given(st.text(st.sampled_from("'=+-@\t1 a"), max_size=8))
    def test_formulas(self, cell):
        """No cell is a formula to a spreadsheet; all are read as they were."""
        cell = cell.strip()
        text = table.text(['a', 'b'], [{'a': 'x', 'b': cell}])
        _, _, written = text.splitlines()[1].partition(',')
        if not written.strip('+-.0123456789') == '':
            self.assertNotIn(written.strip('"')[:1], set('=+-@'))
        (row,) = table.parse('x', text.encode()).rows
        self.assertEqual(cell, row.cells.get('b', ''))
