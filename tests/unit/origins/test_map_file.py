# SPDX-License-Identifier: Apache-2.0

import json
import math

import hypothesis
from hypothesis import strategies as st

from edge_filters.latency import figures
from edge_filters.latency import sample
from edge_filters.origins import map_file
from tests.unit import base


def cost_map(costs, metric='delay-rt', mode='numerical'):
    """A cost map as an ALTO server has it."""
    return {
        'meta': {
            'dependent-vtags': [{'resource-id': 'net', 'tag': '3ee2cb7e8d63'}],
            'cost-type': {'cost-mode': mode, 'cost-metric': metric},
        },
        'cost-map': costs,
    }


def parse(*files):
    """Read JSON values or text, each in a file of its own."""
    return map_file.parse(
        (
            f'{number}.json',
            (file if isinstance(file, str) else json.dumps(file)).encode(),
        )
        for number, file in enumerate(files, 1)
    )


class MapFileTest(base.TestCase):
    def assertSkipped(self, expected, *files):
        """Read files of which something has to be skipped, and say what."""
        maps = parse(*files)
        self.assertEqual(expected, [str(problem) for problem in maps.problems])
        return maps

    def assertBroken(self, expected, content):
        if isinstance(content, str):
            content = content.encode()
        error = self.assertRaises(
            map_file.Broken, map_file.parse, [('maps.json', content)]
        )
        self.assertEqual('maps.json', error.file)
        self.assertEqual(f'maps.json {error.why}', str(error))
        self.assertIn(expected, error.why)


class FormTest(MapFileTest):
    def test_object_or_list(self):
        """A file is one object, or a list of them, with any of the maps."""
        networks = {'network-map': {'paris': {'ipv4': ['192.0.2.0/24']}}}
        costs = cost_map({'paris': {'par-01': 4000}})
        projects = {'projects': {'1f2e': ['paris']}}
        together = [networks, costs, projects]
        expected = parse(together)
        for files in (
            [{**networks, **costs, **projects}],
            [networks, [costs, projects]],
            together,
        ):
            maps = parse(*files)
            self.assertEqual(expected.samples, maps.samples)
            self.assertEqual(expected.projects, maps.projects)
            self.assertEqual(1, len(maps.prefix_table))
            self.assertEqual((), maps.problems)

    def test_nothing(self):
        """An empty list is a map file that says nothing; so is no file."""
        for maps in (parse('[]'), parse()):
            self.assertEqual({}, maps.samples)
            self.assertEqual((), maps.problems)
            self.assertEqual(frozenset(), maps.origins)

    def test_byte_order_mark(self):
        """A byte order mark, as some editors write it, is passed over."""
        maps = parse('\ufeff{"projects": {"1f2e": ["paris"]}}')
        self.assertEqual({'1f2e': ('paris',)}, maps.projects)

    def test_broken(self):
        """What is no map file is refused as a whole, with the place."""
        costs = {'cost-map': {}}
        for expected, content in (
            ('is not JSON: Expecting value at line 1, column 1', ''),
            ('at line 2, column 8', '{"projects":\n {"a": }}'),
            ('is not UTF-8: it has invalid start byte at byte 2', b'{"\xff"}'),
            ('is not UTF-8', '{}'.encode('utf-16')),
            ('it is 5, not an object', '5'),
            ('it is null, not an object', 'null'),
            ('it is true, not an object', 'true'),
            ("it is 'x', not an object", '"x"'),
            ('it has none of network-map, cost-map, projects', '{}'),
            ('object 2 has none of', '[{"projects": {}}, {"networkmap": {}}]'),
            ('object 2 is a list, not an object', '[{"projects": {}}, []]'),
            ('has as projects a list, not an object', '{"projects": []}'),
            ('objects without end', '[' * 100000),
            ('objects without end', '{"projects":' * 100000),
            ('no cost-type in meta', json.dumps(costs)),
            ('no cost-type in meta', json.dumps({**costs, 'meta': []})),
            (
                'no cost-type in meta',
                json.dumps({**costs, 'meta': {'cost-type': 'delay-rt'}}),
            ),
        ):
            self.assertBroken(expected, content)

    def test_other_metrics(self):
        """Ranks, and metrics that are none of ours, are refused by name."""
        for metric, mode, expected in (
            ('delay-rt', 'ordinal', "has cost-mode 'ordinal', not numerical"),
            ('delay-rt', None, 'has cost-mode null, not numerical'),
            ('routingcost', 'numerical', "has cost-metric 'routingcost', not"),
            ('delay-ow', 'numerical', "has cost-metric 'delay-ow', not"),
            ('Delay-RT', 'numerical', "has cost-metric 'Delay-RT', not"),
            (None, 'numerical', 'has cost-metric null, not delay-rt, '),
            ('delay-rt:stddev', 'numerical', 'has cost-metric'),
            ('delay-rt:stdvar', 'numerical', 'has cost-metric'),
            ('delay-rt:', 'numerical', 'has cost-metric'),
            ('delay-rt:p', 'numerical', 'has cost-metric'),
            ('delay-rt:p100.1', 'numerical', 'has cost-metric'),
            ('delay-rt:p9\u0665', 'numerical', 'has cost-metric'),
        ):
            self.assertBroken(expected, json.dumps(cost_map({}, metric, mode)))

    def test_unknown_member(self):
        """A member that is not known is named, and costs nothing else."""
        maps = self.assertSkipped(
            [
                "1.json: 'network_map' is skipped: it is none of network-map, "
                'cost-map, projects'
            ],
            {'projects': {'1f2e': ['paris']}, 'network_map': {}},
        )
        self.assertEqual({'1f2e': ('paris',)}, maps.projects)

    def test_same_key_twice(self):
        """Of a key that an object has twice the last counts, and it is said.

        JSON leaves open what it means.
        """
        maps = self.assertSkipped(
            [
                "1.json: '1f2e' is there twice in one object; the last one "
                "counts"
            ],
            '{"projects": {"1f2e": ["paris"], "1f2e": ["lyon"]}}',
        )
        self.assertEqual({'1f2e': ('lyon',)}, maps.projects)

    def test_many_problems(self):
        """However much is wrong, a few problems are kept, the rest counted."""
        maps = parse(cost_map({'paris': {f's{i}': -1 for i in range(99)}}))
        self.assertEqual(map_file.MAX_PROBLEMS, len(maps.problems))
        self.assertEqual(99, len(maps.problems) + maps.more_problems)


class NetworkMapTest(MapFileTest):
    def test_prefixes(self):
        """A network map has the prefixes of origins, IPv4 and IPv6."""
        maps = parse(
            {
                'meta': {'vtag': {'resource-id': 'net', 'tag': '1266506139'}},
                'network-map': {
                    'Paris': {
                        'ipv4': ['192.0.2.0/24', ' 198.51.100.7 '],
                        'ipv6': ['2001:db8::/32'],
                    },
                    'default': {'ipv4': ['0.0.0.0/0'], 'ipv6': ['::/0']},
                    'empty': {},
                },
            }
        )
        self.assertEqual((), maps.problems)
        self.assertEqual(
            [
                '0.0.0.0/0 of default (1.json)',
                '192.0.2.0/24 of paris (1.json)',
                '198.51.100.7/32 of paris (1.json)',
                '2001:db8::/32 of paris (1.json)',
                '::/0 of default (1.json)',
            ],
            sorted(map(str, maps.prefix_table)),
        )
        self.assertEqual({'paris', 'default', 'empty'}, maps.origins)

    def test_two_files(self):
        """Of two files that give a prefix to two origins the first counts."""
        files = [
            {'network-map': {name: {'ipv4': ['192.0.2.0/24']}}}
            for name in ('paris', 'lyon')
        ]
        table = parse(*files).prefix_table
        self.assertEqual('192.0.2.0/24 of paris (1.json)', *map(str, table))
        self.assertEqual('lyon', table.conflicts[0].loser.origin)

    def test_skipped(self):
        """A prefix, or an origin, that cannot be read is skipped by name."""
        maps = self.assertSkipped(
            [
                f'1.json: {problem}'
                for problem in (
                    "'a b' is skipped: it is not a name: use 1 to 64 of the "
                    'letters a-z, digits and -_:.',
                    "'lyon' is skipped: it has null, not an object",
                    "'paris' '192.0.2.1/24' is skipped: it is no prefix such "
                    'as 192.0.2.0/24',
                    "'paris' '2001:db8::/32' is skipped: it is no prefix such "
                    'as 192.0.2.0/24',
                    "'paris' 5 is skipped: it is no prefix such as "
                    '192.0.2.0/24',
                    "'paris' null is skipped: it is no prefix such as "
                    '192.0.2.0/24',
                    "'paris' 'fe80::%eth0/64' is skipped: it is no prefix "
                    'such as 2001:db8::/32',
                    "'paris' 'mac' is skipped: it is no list of ipv4 or ipv6",
                    "'nice' 'ipv4' is skipped: it is no list of ipv4 or ipv6",
                )
            ],
            {
                'network-map': {
                    'a b': {'ipv4': ['192.0.2.0/24']},
                    'lyon': None,
                    'paris': {
                        'ipv4': [
                            '192.0.2.1/24',
                            '2001:db8::/32',
                            5,
                            None,
                            '198.51.100.0/24',
                        ],
                        'ipv6': ['fe80::%eth0/64'],
                        'mac': ['00-00-5e-00-53-00'],
                    },
                    'nice': {'ipv4': '192.0.2.0/24'},
                }
            },
        )
        self.assertEqual(
            ['198.51.100.0/24 of paris (1.json)'],
            list(map(str, maps.prefix_table)),
        )


class CostMapTest(MapFileTest):
    def test_units(self):
        """Delays are in microseconds, the loss in percent (RFC 9439, 4.2-4.4).

        What is in a file has no age and no count.
        """
        maps = parse(
            cost_map({'paris': {'par-01': 4100}}),
            cost_map({'paris': {'par-01': 800.5}}, 'delay-variation'),
            cost_map({'paris': {'par-01': 0.5}}, 'lossrate'),
        )
        self.assertEqual(
            {'par-01': {'paris': sample.Sample(4.1, 0.8005, 0.5)}},
            maps.samples,
        )
        self.assertEqual((), maps.problems)
        self.assertEqual({'paris'}, maps.origins)

    def test_names(self):
        """Names are folded; a destination host:NAME is a host."""
        maps = parse(
            cost_map({'Paris': {' PAR-01': 1, 'host:C1.Example': 2}}),
            cost_map({'PARIS': {'Host: c2': 3}}),
        )
        self.assertEqual(
            {'par-01': {'paris': sample.Sample(0.001)}}, maps.samples
        )
        self.assertEqual(
            {
                'c1.example': {'paris': sample.Sample(0.002)},
                'c2': {'paris': sample.Sample(0.003)},
            },
            maps.host_samples,
        )

    def test_statistics(self):
        """Any statistic of a metric is it; of several the worse counts."""
        for statistic in (
            'cur',
            'min',
            'max',
            'median',
            'mean',
            'p0',
            'p95',
            'p99.9',
            'p100',
            'p100.0',
        ):
            maps = parse(cost_map({'o': {'s': 5000}}, f'delay-rt:{statistic}'))
            self.assertEqual({'s': {'o': sample.Sample(5.0)}}, maps.samples)
        one = cost_map({'o': {'s': 5000}})
        other = cost_map({'o': {'s': 9000}}, 'delay-rt:p95')
        for files in ((one, other), (other, one), ([one, other],)):
            self.assertEqual(
                {'s': {'o': sample.Sample(9.0)}}, parse(*files).samples
            )

    def test_no_rtt(self):
        """Without an RTT there is no figure, and never one of zero."""
        maps = self.assertSkipped(
            [
                "map files: 'o' 's' is skipped: it has no delay-rt",
                "map files: 'o' 'host:c1' is skipped: it has no delay-rt",
            ],
            cost_map({'o': {'s': 1}}, 'delay-variation'),
            cost_map({'o': {'s': 0, 'host:c1': 99.9}}, 'lossrate'),
        )
        self.assertEqual({}, maps.samples)
        self.assertEqual({}, maps.host_samples)

    def test_unreachable(self):
        """Where all is lost there is no RTT, whatever the other files say."""
        unreachable = sample.Sample(None, None, 100.0)
        lost = cost_map({'o': {'s': 100}}, 'lossrate')
        for files in (
            [lost],
            [lost, cost_map({'o': {'s': 5000}})],
            [cost_map({'o': {'s': 5000}}), lost],
        ):
            maps = parse(*files)
            self.assertEqual({'s': {'o': unreachable}}, maps.samples)
            self.assertTrue(maps.samples['s']['o'].is_unreachable)
            self.assertEqual((), maps.problems)

    def test_zero(self):
        """A zero that is written is a zero, and has no sign."""
        maps = parse(cost_map({'o': {'s': -0.0, 't': 0}}))
        for by_origin in maps.samples.values():
            self.assertEqual('0.0', repr(by_origin['o'].rtt_ms))

    def test_no_numbers(self):
        """What is no number, or out of range, is skipped by name."""
        for text, shown in (
            ('-1', '-1'),
            ('-1e-9', '-1e-09'),
            ('NaN', 'nan'),
            ('Infinity', 'inf'),
            ('-Infinity', '-inf'),
            ('1e999', 'inf'),
            ('9' * 5000, 'inf'),
            ('true', 'true'),
            ('false', 'false'),
            ('null', 'null'),
            ('"5"', "'5'"),
            ('[5]', 'a list'),
            ('{}', 'an object'),
        ):
            content = json.dumps(cost_map({'o': {'s': 'HERE', 't': 7}}))
            maps = self.assertSkipped(
                [
                    f"1.json: 'o' 's' {shown} is skipped: delay-rt is a "
                    'number from 0 up'
                ],
                content.replace('"HERE"', text),
            )
            self.assertEqual({'t': {'o': sample.Sample(0.007)}}, maps.samples)
        self.assertSkipped(
            [
                "1.json: 'o' 's' 100.1 is skipped: lossrate is a number from "
                '0 to 100'
            ],
            cost_map({'o': {'s': 100.1}}, 'lossrate'),
        )

    def test_skipped(self):
        """A row or a destination that cannot be read is skipped by name."""
        maps = self.assertSkipped(
            [
                "1.json: 'lyon' is skipped: it has 5, not an object",
                "1.json: 'paris' 'a b' is skipped: it is not a name: use 1 to "
                '64 of the letters a-z, digits and -_:.',
                "1.json: 'paris' 'host:' is skipped: it names no host",
            ],
            cost_map(
                {'lyon': 5, 'paris': {'a b': 1, 'host:': 2, 'par-01': 1000}}
            ),
        )
        self.assertEqual(
            {'par-01': {'paris': sample.Sample(1.0)}}, maps.samples
        )
        self.assertEqual({'paris'}, maps.origins)

    def test_compact(self):
        """However many figures a matrix has, they take little memory."""
        maps = parse(cost_map({'a': {'s': 5, 'host:c1': 5}}))
        for by_origin in (maps.samples['s'], maps.host_samples['c1']):
            self.assertIsInstance(by_origin, figures.Figures)
            self.assertEqual({'a': sample.Sample(0.005)}, by_origin)


class ProjectTest(MapFileTest):
    def test_projects(self):
        """A project has one or more origins, each once, under its own ID."""
        maps = parse({'projects': {'1F2e': ['Paris', 'lyon', 'PARIS']}})
        self.assertEqual({'1F2e': ('paris', 'lyon')}, maps.projects)
        self.assertEqual((), maps.problems)

    def test_no_origins_of_their_own(self):
        """To serve an origin does not make it one that is known."""
        maps = parse({'projects': {'1f2e': ['pariss']}})
        self.assertEqual(frozenset(), maps.origins)

    def test_two_files(self):
        """Of two files that speak of a project the first counts."""
        one, other = ({'projects': {'p': [it]}} for it in ('paris', 'lyon'))
        maps = self.assertSkipped(
            ["2.json: 'p' is there again with other origins; the first count"],
            one,
            other,
        )
        self.assertEqual({'p': ('paris',)}, maps.projects)
        self.assertSkipped([], one, one)

    def test_skipped(self):
        """What is no list of names is skipped by name."""
        what = 'is skipped: a project has an ID and a list of origins'
        maps = self.assertSkipped(
            [
                f"1.json: 'a' {what}",
                f"1.json: 'b' {what}",
                "1.json: 'c' 5 is skipped: it is no name of an origin",
                "1.json: 'c' 'x y' is skipped: it is not a name: use 1 to 64 "
                'of the letters a-z, digits and -_:.',
                f"1.json: ' ' {what}",
                "1.json: 'd' has more than 16 origins, the most that count",
            ],
            {
                'projects': {
                    'a': 'paris',
                    'b': [],
                    'c': [5, 'x y', 'paris'],
                    ' ': ['paris'],
                    'd': [f'o{i}' for i in range(17)],
                }
            },
        )
        self.assertEqual({'c', 'd'}, set(maps.projects))
        self.assertEqual(('paris',), maps.projects['c'])
        self.assertEqual(16, len(maps.projects['d']))


_LEAVES = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=9)
    | st.sampled_from(
        ('paris', 'host:c1', '192.0.2.0/24', '::/0', 'lossrate', 'numerical')
    )
)
_KEYS = st.text(max_size=9) | st.sampled_from(
    (
        'network-map',
        'cost-map',
        'meta',
        'projects',
        'cost-type',
        'cost-mode',
        'cost-metric',
        'ipv4',
        'ipv6',
        'paris',
        'host:c1',
    )
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)
_OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        'network-map': _JSON
        | st.dictionaries(
            _KEYS,
            st.dictionaries(
                st.sampled_from(('ipv4', 'ipv6')),
                st.lists(_LEAVES, max_size=4),
            ),
        ),
        'projects': _JSON | st.dictionaries(_KEYS, st.lists(_LEAVES)),
        'cost-map': _JSON
        | st.dictionaries(_KEYS, st.dictionaries(_KEYS, _LEAVES)),
        'meta': _JSON
        | st.builds(
            lambda metric: cost_map({}, metric)['meta'],
            st.sampled_from(('delay-rt', 'delay-variation', 'lossrate')),
        ),
    },
)


class NeverRaisesTest(base.TestCase):
    """No file whatsoever raises anything but ValueError."""

    def check(self, *contents):
        try:
            maps = map_file.parse(
                (f'{i}.json', content) for i, content in enumerate(contents)
            )
        except ValueError as error:
            self.assertIsInstance(error, map_file.Broken)
            self.assertNotIn('\n', str(error))
            return
        for problem in maps.problems:
            self.assertNotIn('\n', str(problem))
        for places in (maps.samples, maps.host_samples):
            for by_origin in places.values():
                for figure in by_origin.values():
                    if figure.is_unreachable:
                        self.assertEqual(100, figure.loss_pct)
                    else:
                        self.assertTrue(0 <= figure.rtt_ms < math.inf)

    @hypothesis.given(
        st.binary(max_size=99)
        | st.text(max_size=99).map(
            lambda text: text.encode('utf-8', 'surrogatepass')
        )
    )
    def test_bytes(self, content):
        self.check(content)

    @hypothesis.given(st.lists(_JSON | _OBJECTS, max_size=3))
    def test_json(self, values):
        self.check(*(json.dumps(value).encode() for value in values))
