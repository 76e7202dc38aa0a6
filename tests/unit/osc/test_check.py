# SPDX-License-Identifier: Apache-2.0

import pathlib
import re
import string
import tempfile

import hypothesis
from hypothesis import strategies as st
from osc_lib import exceptions

from edge_filters import cloud
from edge_filters.latency import metadata
from edge_filters.osc import check
from edge_filters.osc import check_config
from edge_filters.osc import finding
from edge_filters.osc import lookup
from edge_filters.osc import nova_conf
from edge_filters.osc import placement
from tests.unit import base as unit_base
from tests.unit.osc import base
from tests.unit.osc import test_check_config

PAGE = base.ROOT / 'doc' / 'source' / 'admin' / 'check.rst'

NAMES = st.sampled_from(['par', 'Lyo', 'h', 'a b', '', '\x1b[2J', '\ud800'])
TEXTS = st.one_of(
    NAMES,
    st.text(max_size=20),
    st.sampled_from(
        [
            '5',
            '-',
            '>9',
            '1e99',
            '- loss=100 n=9',
            '4 at=2026-11-23T10:00:00Z',
            '192.0.2.0/24',
            '192.0.2.0/24,::/0',
            '4 at=2999-01-01T00:00:00Z',
        ]
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        [
            metadata.SITE,
            metadata.TIER,
            metadata.STATUS,
            metadata.LATITUDE,
            metadata.LONGITUDE,
            metadata.RTT_DEFAULT,
            metadata.PREFIXES,
            metadata.MULTIPLIER,
            'EDGE:SITE',
            'edge:site_rtt:par',
        ]
    ),
    st.builds(
        str.__add__,
        st.sampled_from([metadata.RTT, metadata.HOST_RTT, metadata.SITE_RTT]),
        st.one_of(NAMES, st.just('h:paris'), st.text(max_size=9)),
    ),
    st.text(max_size=9),
)
HOSTS = st.lists(NAMES, max_size=3).map(tuple)
AGGREGATES = st.lists(
    st.builds(
        cloud.Aggregate,
        st.integers(1, 5),
        st.text(max_size=9),
        st.sampled_from([None, 'uuid-1', 'uuid-2']),
        HOSTS,
        st.dictionaries(KEYS, TEXTS, max_size=8),
    ),
    max_size=5,
)
GROUPS = st.dictionaries(NAMES, st.frozensets(NAMES, max_size=3), max_size=3)
VALUES = st.one_of(
    st.text(string.printable.replace('\n', ''), max_size=9),
    st.sampled_from(
        [
            '0',
            '-1',
            'nan',
            'true',
            '$state_path/x',
            'edge_filters.all_filters',
            'EdgeSiteFilter,EdgeLatencyFilter,X',
            'edge_filters.all_weighers',
        ]
    ),
)
OPTIONS = st.dictionaries(
    st.sampled_from(
        [
            (group, name)
            for group in nova_conf.GROUPS
            for name in nova_conf.read()[group]
        ]
    ),
    VALUES,
)


class CheckTest(base.CommandTestCase):
    """openstack edge check"""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        """Return the path of a file with a text."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def checks(self, *args):
        """Return which findings there are."""
        return [it['Check'] for it in self.json('check', *args)]

    def mend(self):
        """Mend what is wrong with the sites."""
        par, lyo, far, _ = self.nova.aggregates.values()
        del self.nova.aggregates[far['id']]
        del par['metadata']['edge:rtt:lyon']
        del lyo['metadata']['edge:color']
        lyo['metadata'] |= {'edge:latitude': '45.8', 'edge:longitude': '4.8'}

    def test_check(self):
        """The worst comes first, each with how to mend it."""
        rows = self.json('check')
        self.assertEqual(
            [
                ('warning', 'figures-stale', 'par-01'),
                ('warning', 'key-skipped', 'lyon-zone'),
                ('warning', 'site-without-hosts', 'far-01'),
                ('note', 'config-not-checked', 'nova.conf'),
                ('note', 'site-without-position', 'far-01, lyo-01'),
            ],
            [(it['Severity'], it['Check'], it['Subject']) for it in rows],
        )
        self.assertEqual(
            'openstack edge site set --host <host> <site>', rows[2]['Remedy']
        )
        self.assertEqual(3, self.status)

    def test_mended(self):
        """Where nothing is wrong nothing is said, and the status is 0."""
        self.mend()
        path = self.write(
            'nova.conf', test_check_config.readme().replace('observe', 'off')
        )
        self.assertEqual(
            ['mode-not-enforce'], self.checks('--config-file', path)
        )
        self.assertEqual(0, self.status)
        path = self.write('nova.conf', '[edge_filters]\nmode = on\nx = 1')
        checks = self.checks('--config-file', path)
        self.assertIn('option-invalid', checks)
        self.assertIn('option-unknown', checks)
        self.assertEqual(3, self.status)

    def test_max_age(self):
        """How old a figure may be is what nova.conf says."""
        path = self.write('nova.conf', '[edge_filters]\nmax_age = 9000\n')
        self.assertNotIn('figures-stale', self.checks('--config-file', path))

    def test_many(self):
        """Many findings of one check do not drown the others."""
        for number in range(7):
            self.nova.aggregate(
                f'a-{number}', edge__site=f's-{number}', edge__oops='1'
            )
            metadata = self.nova.aggregates[number + 5]['metadata']
            metadata[f'edge:{number}'] = '1'
        rows = self.json('check')
        subjects = {}
        for it in rows:
            subjects.setdefault(it['Check'], []).append(it['Subject'])
        self.assertEqual(
            ['far-01, lyo-01, s-0, s-1, s-2, 4 more'],
            subjects['site-without-position'],
        )
        self.assertEqual(6, len(subjects['key-skipped']))
        self.assertEqual(
            (
                'a-4, a-5, a-6, lyon-zone',
                '4 more like those above',
            ),
            next(
                (it['Subject'], it['Finding'])
                for it in rows
                if 'more like' in it['Finding']
            ),
        )
        rows = self.json('check', '--all')
        self.assertEqual(15, [it['Check'] for it in rows].count('key-skipped'))

    def test_maps(self):
        """The map files of nova.conf are read where they are, and told."""
        self.mend()
        good = self.write('good', '{"projects": {"p": ["paris"]}}')
        path = self.write(
            'nova.conf',
            test_check_config.readme()
            + f'map_files = {good},{self.folder}/none,{self.folder}',
        )
        self.assertEqual(
            ['map-file-broken', 'map-file-not-checked', 'mode-not-enforce'],
            self.checks('--config-file', path),
        )
        skipped = self.write('skipped', '{"projects": {"p": [7]}, "x": {}}')
        broken = self.write('broken', '{')
        args = ('--map-file', skipped, '--map-file', broken)
        self.assertEqual(
            [
                'map-file-broken',
                *['map-file-skipped'] * 3,
                'mode-not-enforce',
            ],
            self.checks('--config-file', path, *args),
        )
        self.assertEqual(
            f'Map file {self.folder}/none cannot be read: No such file or '
            'directory; give --map-file a file of this machine',
            self.error(
                exceptions.CommandError,
                'check',
                '--map-file',
                f'{self.folder}/none',
            ),
        )

    def test_many_map_problems(self):
        """Of many problems of a map file the rest is counted."""
        names = ', '.join(f'"{number}": []' for number in range(30))
        path = self.write('maps', f'{{"projects": {{{names}}}}}')
        rows = self.json('check', '--all', '--map-file', path)
        whats = {it['Subject']: it['Finding'] for it in rows}
        self.assertEqual('have 10 more problems', whats['map files'])

    def test_mirror(self):
        """Hosts that Placement does not have at their site are told."""
        self.nova.unmirrored = {'par-2'}
        (found,) = (
            it
            for it in self.json('check')
            if it['Check'] == 'mirror-incomplete'
        )
        self.assertEqual(
            ('error', 'par-01'), (found['Severity'], found['Subject'])
        )

    def test_no_placement(self):
        """Who does not have Placement asked is told so, and no call made."""
        self.assertIn('not-asked', self.checks('--no-placement'))
        paths = [path for path, _ in self.nova.calls('GET')]
        self.assertEqual(['/os-aggregates', '/os-hypervisors/detail'], paths)

    def test_forbidden(self):
        """What may not be asked is told with the policy; the rest is made."""
        for policy, check_id, words in (
            (
                'resource_providers:list',
                'placement-not-checked',
                'policy placement:resource_providers:list does not',
            ),
            (
                'list-detail',
                'hosts-not-checked',
                'policy os_compute_api:os-hypervisors:list-detail does not',
            ),
        ):
            self.nova.forbidden = {policy}
            found = {it['Check']: it for it in self.json('check')}
            self.assertIn(words, found[check_id]['Finding'])
            self.assertIn('site-without-hosts', found)
        self.nova.forbidden = {'index'}
        error = self.error(cloud.CloudError, 'check')
        self.assertIn('os_compute_api:os-aggregates:index', error)

    def test_control_characters(self):
        """What somebody else wrote does nothing to a terminal."""
        self.nova.aggregate('\x1b[2J\n', edge__tier='far')
        table = self.run_command('check')
        self.assertIn(r'\x1b[2J\n', table)
        self.assertNotIn('\x1b', table)

    def test_unreadable(self):
        """A nova.conf that is none is one sentence."""
        error = self.error(
            exceptions.CommandError, 'check', '--config-file', '/no/file'
        )
        self.assertIn('/no/file cannot be read', error)


class EveryCheckTest(unit_base.TestCase):
    def test_page(self):
        """The page has every check with its severity, and no other."""
        page = PAGE.read_text()
        rows = re.findall(r'\* - ``([a-z-]+)``\n +- ([a-z]+)\n', page)
        self.assertEqual(
            {it: severity.name.lower() for it, severity in checks()},
            dict(rows),
        )
        self.assertEqual(len(rows), len(dict(rows)))

    def test_tested(self):
        """Every check has a test."""
        folder = pathlib.Path(__file__).parent
        tests = ''.join(
            path.read_text() for path in folder.glob('test_check*.py')
        )
        for name, _ in checks():
            self.assertIn(f"'{name}'", tests)

    @hypothesis.given(
        AGGREGATES,
        OPTIONS,
        st.none() | GROUPS,
        st.none() | st.builds(placement.Mirror, GROUPS, GROUPS),
        st.floats(-1e12, 1e12),
    )
    @hypothesis.settings(max_examples=100)
    def test_hostile(self, aggregates, values, nodes, mirror, now):
        """Whatever aggregates and nova.conf have, it is told in words."""
        with tempfile.NamedTemporaryFile('w') as file:
            for group, name in values:
                value = values[group, name].replace('\r', '')
                file.write(f'[{group}]\n{name} = {value}\n')
            file.flush()
            try:
                options = nova_conf.read([file.name])
            except exceptions.CommandError:
                return
        wrong = check_config.mended(options)
        facts = check.Facts(
            lookup.World(cloud.read_sites(aggregates)),
            options,
            True,
            nodes,
            mirror,
        )
        found = finding.in_order([*wrong, *check.findings(facts, now)])
        for it in (*found, *finding.folded(found)):
            self.assertIn(it.severity, finding.Severity)
            self.assertTrue(it.what and it.remedy)


def checks():
    """Return the checks that there are."""
    return finding.CHECKS.items()
