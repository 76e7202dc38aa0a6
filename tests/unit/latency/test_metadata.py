# SPDX-License-Identifier: Apache-2.0

import ipaddress

import hypothesis
from hypothesis import strategies as st

from edge_filters.latency import estimate
from edge_filters.latency import figures
from edge_filters.latency import metadata
from edge_filters.latency import sample
from tests.unit import base
from tests.unit.latency import test_sample_format

KEYS = st.builds(
    lambda prefix, rest: prefix + rest,
    st.sampled_from(
        (
            'edge:site',
            'Edge:Site',
            'edge:tier',
            'edge:status',
            'edge:latitude',
            'edge:longitude',
            'edge:rtt:',
            'edge:host_rtt:',
            'edge:host_rtt:c1:',
            'edge:rtt_default',
            'edge:site_rtt:',
            'edge:prefixes',
            'edge:',
            '',
        )
    ),
    st.just('') | st.sampled_from(('paris', ':')) | st.text(max_size=99),
)


def parse(hosts=(), **keys):
    """Read a site; a key's colons are written as double underscores."""
    written = {'edge:site': 'par'} | {
        'edge:' + key.replace('__', ':'): value for key, value in keys.items()
    }
    return metadata.parse_site(written, hosts)


class KeyTest(base.TestCase):
    """Each key, written as the operators' documentation has it."""

    def test_site(self):
        """edge:site makes an aggregate a site, under its folded name."""
        record, problems = metadata.parse_site(
            {'availability_zone': 'fr', 'edge:site': ' Par-01 '}, ['C1', 'c2']
        )
        self.assertEqual([], problems)
        self.assertEqual('par-01', record.site)
        self.assertEqual({'c1', 'c2'}, record.hosts)

    def test_no_site(self):
        """An aggregate without edge:site is ignored, without a word."""
        self.assertEqual(
            (None, []), metadata.parse_site({'edge:rtt:paris': 'x'}, ['a'])
        )

    def test_bad_site(self):
        """A site whose name cannot be is ignored as a whole, and said."""
        record, problems = metadata.parse_site(
            {'edge:site': 'par/01', 'edge:rtt:paris': '4.1'}, ['a']
        )
        self.assertIsNone(record)
        self.assertIn("edge:site='par/01' is not a name", str(problems[0]))

    def test_two_site_keys(self):
        """Of keys that differ in case the lower one counts; both are named."""
        record, problems = metadata.parse_site(
            {'Edge:Site': 'evil', 'edge:site': 'par'}, []
        )
        self.assertEqual('par', record.site)
        self.assertIn("Edge:Site='evil' is skipped", str(problems[0]))

    def test_key_in_another_case(self):
        """Keys are read whatever their case, as MySQL compares them."""
        record, problems = metadata.parse_site(
            {'Edge:Site': 'par', 'EDGE:RTT:Paris': '4'}, []
        )
        self.assertEqual([], problems)
        self.assertEqual({'paris'}, record.samples.keys())

    def test_tier(self):
        """edge:tier is a free word."""
        record, problems = parse(tier='Far-Edge')
        self.assertEqual(('far-edge', []), (record.tier, problems))
        self.assertIsNone(parse()[0].tier)
        record, problems = parse(tier='far edge')
        self.assertIsNone(record.tier)
        self.assertIn("edge:tier='far edge' is skipped", str(problems[0]))

    def test_status(self):
        """edge:status is active, draining or inactive, active by default."""
        for value, status in (
            ('active', metadata.Status.ACTIVE),
            ('Draining ', metadata.Status.DRAINING),
            ('inactive', metadata.Status.INACTIVE),
        ):
            self.assertEqual(status, parse(status=value)[0].status)
        self.assertEqual(metadata.Status.ACTIVE, parse()[0].status)
        record, problems = parse(status='drained')
        self.assertEqual(metadata.Status.ACTIVE, record.status)
        self.assertEqual(
            "site par: edge:status='drained' is skipped: it is none of "
            'active, draining and inactive',
            str(problems[0]),
        )

    def test_position(self):
        """edge:latitude and edge:longitude are of use together."""
        record, problems = parse(latitude='48.85', longitude='-2.35')
        self.assertEqual([], problems)
        self.assertEqual(estimate.Position(48.85, -2.35), record.position)
        for keys in (
            {'latitude': '48.85'},
            {'latitude': '48.85', 'longitude': '181'},
            {'latitude': '90.1', 'longitude': '2.35'},
            {'latitude': '48.85N', 'longitude': '2.35'},
        ):
            record, problems = parse(**keys)
            self.assertIsNone(record.position)
            self.assertNotEqual([], problems)

    def test_rtt(self):
        """edge:rtt:ORIGIN is a figure; an origin may have colons."""
        record, problems = parse(rtt__Paris='4.1', rtt__isp__lyon='9.8 n=20')
        self.assertEqual([], problems)
        self.assertEqual(
            {
                'paris': sample.Sample(4.1),
                'isp:lyon': sample.Sample(9.8, probes=20),
            },
            record.samples,
        )

    def test_host_rtt(self):
        """edge:host_rtt:HOST:ORIGIN is a figure of one host of the site."""
        record, problems = metadata.parse_site(
            {'edge:site': 'par', 'edge:host_rtt:C1.example:paris': '6.5'},
            ['c1.Example'],
        )
        self.assertEqual([], problems)
        self.assertEqual(
            {'c1.example': {'paris': sample.Sample(6.5)}}, record.host_samples
        )

    def test_host_rtt_of_others(self):
        """Nobody speaks for a host that is not in the aggregate, or none."""
        for key in ('host_rtt__c2__paris', 'host_rtt____paris'):
            record, _ = parse(['c1'], **{key: '1'})
            self.assertEqual({}, record.host_samples)

    def test_rtt_default(self):
        """edge:rtt_default is a figure or a bound."""
        self.assertEqual(
            sample.Sample(80.0), parse(rtt_default='80')[0].default
        )
        record, problems = parse(rtt_default='>100')
        self.assertEqual([], problems)
        self.assertEqual(
            sample.Sample(100.0, kind=sample.Kind.BOUND), record.default
        )
        self.assertIsNone(parse(rtt_default='<100')[0].default)

    def test_site_rtt(self):
        """edge:site_rtt:SITE is a figure to another site."""
        record, problems = parse(site_rtt__Lyo='9 n=20')
        self.assertEqual([], problems)
        self.assertEqual(
            {'lyo': sample.Sample(9.0, probes=20)}, record.site_samples
        )

    def test_compact(self):
        """However many figures a site has, they take little memory."""
        record, _ = parse(
            ['c1'], rtt__paris='4', host_rtt__c1__paris='5', site_rtt__lyo='9'
        )
        for by_name in (
            record.samples,
            record.host_samples['c1'],
            record.site_samples,
        ):
            self.assertIsInstance(by_name, figures.Figures)
            self.assertEqual(1, len(by_name))

    def test_prefixes(self):
        """edge:prefixes are CIDRs; one that cannot be costs itself alone."""
        record, problems = parse(
            prefixes='192.0.2.0/24, 2001:db8::/32,192.0.2.1/24,x'
        )
        self.assertEqual(
            (
                ipaddress.ip_network('192.0.2.0/24'),
                ipaddress.ip_network('2001:db8::/32'),
            ),
            record.prefixes,
        )
        self.assertEqual(
            ['192.0.2.1/24', 'x'], [problem.value for problem in problems]
        )


class BadInputTest(base.TestCase):
    def test_bad_figure(self):
        """A figure that cannot be read costs that figure, and is named."""
        record, problems = metadata.parse_site(
            {
                'edge:site': 'par-01',
                'edge:rtt:paris': '12,4',
                'edge:rtt:lyon': '9.8',
                'edge:rtt:': '1',
                'edge:host_rtt:c1': '1',
                'edge:host_rtt::paris': '1',
                'edge:rrt:nice': '1',
            },
            ['c1'],
        )
        self.assertEqual({'lyon': sample.Sample(9.8)}, record.samples)
        self.assertEqual({}, record.host_samples)
        self.assertEqual(
            'edge:host_rtt::paris edge:host_rtt:c1 edge:rrt:nice edge:rtt: '
            'edge:rtt:paris',
            ' '.join(problem.key for problem in problems),
        )
        self.assertEqual(
            "site par-01: edge:rtt:paris='12,4' is skipped: the RTT '12,4' is "
            'not a number of 0 or more, such as 12.5',
            str(problems[-1]),
        )

    def test_same_origin_twice(self):
        """Of two keys that differ in case the larger RTT counts."""
        for one, other in (('5', '9'), ('9', '5')):
            record, _ = metadata.parse_site(
                {
                    'edge:site': 'p',
                    'edge:rtt:Paris': one,
                    'edge:rtt:paris': other,
                    'edge:host_rtt:C1:paris': one,
                    'edge:host_rtt:c1:paris': other,
                },
                ['c1'],
            )
            self.assertEqual({'paris': sample.Sample(9.0)}, record.samples)
            self.assertEqual(
                {'c1': {'paris': sample.Sample(9.0)}}, record.host_samples
            )

    def test_same_key_twice(self):
        """Of two keys that differ in case the stricter or worse counts."""
        for one, other in ((0, 1), (1, 0)):
            record, _ = metadata.parse_site(
                {
                    'edge:site': 'p',
                    'Edge:Status': ('active', 'inactive')[one],
                    'edge:status': ('active', 'inactive')[other],
                    'Edge:rtt_default': ('80', '>90')[one],
                    'edge:rtt_default': ('80', '>90')[other],
                    'Edge:prefixes': '192.0.2.0/24',
                    'edge:prefixes': '2001:db8::/32',
                },
                [],
            )
            self.assertEqual(metadata.Status.INACTIVE, record.status)
            self.assertEqual(90, record.default.rtt_ms)
            self.assertEqual(2, len(record.prefixes))

    def test_many_keys(self):
        """More keys than Nova bears well are read, with a warning."""
        keys = {f'edge:rtt:o{i}': '1' for i in range(63)}
        keys['edge:site'] = 'p'
        self.assertEqual([], metadata.parse_site(keys, [])[1])
        keys['edge:rtt:one_more'] = '1'
        record, problems = metadata.parse_site(keys, [])
        self.assertEqual(64, len(record.samples))
        self.assertIn('65', str(problems[0]))

    @hypothesis.given(
        st.dictionaries(KEYS, test_sample_format.JUNK, max_size=8),
        st.lists(st.text(max_size=9) | st.just('c1')),
        st.sampled_from(('p', 'P', 'p p', '')) | st.text(max_size=70),
    )
    def test_never_raises(self, keys, hosts, site):
        """No metadata whatsoever raises, and every figure is a number."""
        record, problems = metadata.parse_site(
            {'edge:site': site, **keys}, hosts
        )
        for problem in problems:
            self.assertNotIn('\n', str(problem))
        if record is None:
            return
        for by_name in (
            record.samples,
            record.site_samples,
            *record.host_samples.values(),
        ):
            for figure in by_name.values():
                self.assertTrue(figure.is_unreachable or figure.rtt_ms >= 0)
