# SPDX-License-Identifier: Apache-2.0

import ipaddress
import threading

import hypothesis
from hypothesis import strategies as st

from edge_filters.origins import prefixes
from tests.unit import base


def entry(text, origin, source='maps.json'):
    return prefixes.Entry(ipaddress.ip_network(text), origin, source)


def table(*given, over=None):
    return prefixes.PrefixTable([entry(*each) for each in given], over)


def find(among, text):
    parse = ipaddress.ip_network if '/' in text else ipaddress.ip_address
    return among.find(parse(text))


def origin(among, text):
    found = find(among, text)
    return found and found.origin


class FindTest(base.TestCase):
    def test_longest(self):
        """Of the prefixes an address lies in, the longest counts."""
        among = table(
            ('0.0.0.0/0', 'default'),
            ('192.0.2.0/24', 'paris'),
            ('192.0.2.128/25', 'lyon'),
            ('192.0.2.192/32', 'one'),
            ('2001:db8::/32', 'paris'),
            ('2001:db8:1::/48', 'lyon'),
        )
        for text, expected in (
            ('192.0.1.255', 'default'),
            ('192.0.2.0', 'paris'),
            ('192.0.2.127', 'paris'),
            ('192.0.2.128', 'lyon'),
            ('192.0.2.192', 'one'),
            ('192.0.2.193', 'lyon'),
            ('192.0.3.0', 'default'),
            ('2001:db8::1', 'paris'),
            ('2001:db8:1::1', 'lyon'),
            ('2001:db9::', None),
        ):
            self.assertEqual(expected, origin(among, text), text)

    def test_who_says_so(self):
        """What is found tells the prefix, the origin, and who says so."""
        among = table(('192.0.2.0/24', 'par-01', 'site par-01'))
        self.assertEqual(
            '192.0.2.0/24 of par-01 (site par-01)',
            str(find(among, '192.0.2.7')),
        )

    def test_empty(self):
        """Without prefixes nothing is found."""
        self.assertIsNone(find(table(), '192.0.2.1'))
        self.assertIsNone(find(table(), '::/0'))

    def test_within_one(self):
        """A prefix lies within an origin if no address of it is another's."""
        among = table(
            ('10.0.0.0/8', 'paris'),
            ('10.1.0.0/16', 'paris'),
            ('10.2.0.0/16', 'lyon'),
        )
        for text in ('10.0.0.0/16', '10.1.0.0/16', '10.0.0.0/15'):
            self.assertEqual('paris', origin(among, text), text)
        self.assertEqual('lyon', origin(among, '10.2.0.0/16'))
        self.assertEqual('lyon', origin(among, '10.2.3.0/24'))

    def test_within_several(self):
        """A prefix with addresses of several origins is refused by name."""
        among = table(('10.0.0.0/8', 'paris'), ('10.2.0.0/16', 'lyon'))
        for text in ('10.0.0.0/8', '10.2.0.0/15'):
            error = self.assertRaises(prefixes.Ambiguous, find, among, text)
            self.assertEqual(('paris', 'lyon'), error.origins)
            self.assertEqual(ipaddress.ip_network(text), error.where)
            self.assertEqual(
                'has addresses of paris and lyon: give a prefix that lies '
                'within one origin',
                str(error),
            )

    def test_within_none(self):
        """A prefix wider than any that is known lies in no origin."""
        among = table(('10.2.0.0/16', 'lyon'), ('10.3.0.0/16', 'paris'))
        self.assertIsNone(find(among, '10.2.0.0/15'))
        self.assertIsNone(find(among, '0.0.0.0/0'))

    def test_mapped(self):
        """An IPv4 address in the form of IPv6 is the IPv4 address."""
        among = table(('192.0.2.0/24', 'paris'), ('::/0', 'six'))
        for text in (
            '::ffff:192.0.2.1',
            '::ffff:192.0.2.0/120',
            '::ffff:192.0.2.0/128',
        ):
            self.assertEqual('paris', origin(among, text), text)
        self.assertIsNone(find(among, '::ffff:198.51.100.1'))
        self.assertEqual('six', origin(among, '::192.0.2.1'))
        among = table(('::ffff:192.0.2.0/120', 'paris'))
        self.assertEqual('paris', origin(among, '192.0.2.1'))
        self.assertEqual('192.0.2.0/24', str(find(among, '192.0.2.1').prefix))

    def test_zone(self):
        """An address in a zone of some machine is in no prefix of ours."""
        among = table(('fe80::/10', 'paris'), ('::/0', 'six'))
        self.assertEqual('paris', origin(among, 'fe80::1'))
        self.assertIsNone(find(among, 'fe80::1%eth0'))
        among = table(('fe80::%eth0/64', 'paris'))
        self.assertIsNone(find(among, 'fe80::1'))
        self.assertIsNone(find(among, 'fe80::1%eth0'))

    def test_threads(self):
        """Threads read at the same time without a lock."""
        among = table(
            *((f'10.{i}.0.0/16', f'o{i}') for i in range(256)),
            ('10.0.0.0/8', 'all'),
        )
        wrong = []

        def read():
            for i in range(256):
                if origin(among, f'10.{i}.9.9') != f'o{i}':
                    wrong.append(i)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)


class ConflictTest(base.TestCase):
    def test_same(self):
        """Of two origins with the same prefix the first has it."""
        among = table(
            ('192.0.2.0/24', 'par-01', 'site par-01'),
            ('192.0.2.0/24', 'lyon', 'maps.json'),
        )
        self.assertEqual('par-01', origin(among, '192.0.2.1'))
        self.assertEqual({'par-01', 'lyon'}, among.origins)
        (conflict,) = among.conflicts
        self.assertFalse(conflict.is_overlap)
        self.assertEqual(
            '192.0.2.0/24 of par-01 (site par-01) is also 192.0.2.0/24 of '
            'lyon (maps.json): par-01 has it, because it comes first',
            str(conflict),
        )

    def test_overlap(self):
        """Of two origins with a prefix inside another the longer has it."""
        among = table(
            ('192.0.2.0/24', 'lyon'),
            ('192.0.2.64/26', 'par-01', 'site par-01'),
        )
        (conflict,) = among.conflicts
        self.assertTrue(conflict.is_overlap)
        self.assertEqual(
            '192.0.2.64/26 of par-01 (site par-01) is inside 192.0.2.0/24 of '
            'lyon (maps.json): par-01 has it, because it is the longer',
            str(conflict),
        )

    def test_no_conflict(self):
        """One origin may say things twice, and a default is no conflict."""
        among = table(
            ('192.0.2.0/24', 'paris'),
            ('192.0.2.0/24', 'paris', 'more.json'),
            ('192.0.2.0/25', 'paris'),
            ('0.0.0.0/0', 'default'),
            ('::/0', 'other'),
            ('2001:db8::/32', 'paris'),
        )
        self.assertEqual((), among.conflicts)
        self.assertEqual(0, among.more_conflicts)

    def test_many(self):
        """However many conflicts there are, a few are named, the rest counted.

        Prefixes given twice are named before those inside others.
        """
        among = table(
            ('10.0.0.0/8', 'paris'),
            *((f'10.{i}.0.0/16', 'lyon') for i in range(99)),
            ('10.3.0.0/16', 'nice'),
        )
        self.assertEqual(prefixes.MAX_CONFLICTS, len(among.conflicts))
        self.assertEqual(100, len(among.conflicts) + among.more_conflicts)
        self.assertEqual('nice', among.conflicts[0].loser.origin)


class BaseTest(base.TestCase):
    """A table laid over another, such as aggregates over files."""

    def test_find(self):
        """The longer prefix counts, of equal ones the upper table's."""
        below = table(
            ('10.0.0.0/8', 'file'),
            ('10.1.0.0/16', 'file-16'),
            ('10.2.0.0/24', 'file-24'),
        )
        among = table(
            ('10.1.0.0/16', 'site'), ('10.2.0.0/16', 'site'), over=below
        )
        for text, expected in (
            ('10.0.0.1', 'file'),
            ('10.1.0.1', 'site'),
            ('10.2.0.1', 'file-24'),
            ('10.2.1.1', 'site'),
        ):
            self.assertEqual(expected, origin(among, text), text)
        self.assertEqual({'file', 'file-16', 'file-24', 'site'}, among.origins)
        self.assertEqual(4, len(among))
        self.assertEqual(
            among.find(entry('10.1.0.0/16', '').prefix), next(iter(among))
        )

    def test_within(self):
        """What the upper table has itself does not make a prefix ambiguous."""
        below = table(('10.1.0.0/16', 'b'), ('10.3.0.0/16', 'b'))
        among = table(('10.0.0.0/15', 'a'), ('10.1.0.0/16', 'a'), over=below)
        self.assertEqual('a', origin(among, '10.0.0.0/15'))
        among = table(('10.0.0.0/14', 'a'), ('10.1.0.0/16', 'a'), over=below)
        self.assertRaises(prefixes.Ambiguous, find, among, '10.0.0.0/14')

    def test_conflicts(self):
        """Conflicts between the tables are told, the lower one's own not."""
        below = table(
            ('10.0.0.0/8', 'wide'),
            ('10.1.0.0/16', 'same'),
            ('10.2.3.0/24', 'narrow'),
        )
        among = table(
            ('10.1.0.0/16', 'site'), ('10.2.0.0/16', 'site'), over=below
        )
        self.assertEqual(
            [
                ('site', 'same'),
                ('site', 'wide'),
                ('site', 'wide'),
                ('narrow', 'site'),
            ],
            [(it.winner.origin, it.loser.origin) for it in among.conflicts],
        )
        self.assertEqual((), table(over=below).conflicts)


def _networks(text, *lengths):
    """Every network of these lengths that has an address among a few."""
    for address in ipaddress.ip_network(text):
        for length in lengths:
            yield ipaddress.ip_network(f'{address}/{length}', strict=False)


# Few enough that they meet, of every version and width.
_NETWORKS = st.sampled_from(
    sorted(
        {
            *_networks('192.0.2.0/29', 0, 1, 27, 28, 29, 30, 31, 32),
            *_networks('::ffff:192.0.2.0/126', 95, 96, 97, 125, 126, 128),
            *_networks('2001:db8::/126', 0, 1, 63, 64, 65, 126, 127, 128),
            *_networks('255.255.255.252/30', 0, 30, 31, 32),
        },
        key=str,
    )
)
_ENTRIES = st.lists(
    st.builds(prefixes.Entry, _NETWORKS, st.sampled_from('abc'), st.just('f')),
    max_size=12,
)


def _unmapped(network):
    mapped = ipaddress.ip_network('::ffff:0:0/96')
    if network.version == 6 and network.subnet_of(mapped):
        first = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((first, network.prefixlen - 96))
    return network


def _counting(entries):
    """What counts, by prefix."""
    counting = {}
    for each in entries:
        prefix = _unmapped(each.prefix)
        counting.setdefault(prefix, each._replace(prefix=prefix))
    return counting


def _within(network, other):
    return network.version == other.version and network.subnet_of(other)


def _around(counting, network):
    """The prefixes that a network lies in, the longest first."""
    return sorted(
        (it for it in counting.values() if _within(network, it.prefix)),
        key=lambda each: -each.prefix.prefixlen,
    )


class NaiveTest(base.TestCase):
    """The table does what a walk through all prefixes does."""

    @hypothesis.given(_ENTRIES, _ENTRIES, _NETWORKS)
    def test_find(self, upper, lower, where):
        """An entry is found by longest prefix, whatever the tables."""
        counting = _counting([*upper, *lower])
        network = _unmapped(where)
        around = _around(counting, network)
        inside = {
            each.origin
            for each in counting.values()
            if each.prefix != network and _within(each.prefix, network)
        }
        for among in (
            prefixes.PrefixTable([*upper, *lower]),
            prefixes.PrefixTable(upper, prefixes.PrefixTable(lower)),
        ):
            self.assertEqual(
                sorted(map(str, counting.values())), sorted(map(str, among))
            )
            self.assertEqual(len(counting), len(among))
            if not around:
                self.assertIsNone(among.find(where))
            elif inside <= {around[0].origin}:
                self.assertEqual(around[0], among.find(where))
            else:
                error = self.assertRaises(
                    prefixes.Ambiguous, among.find, where
                )
                self.assertEqual(around[0].origin, error.origins[0])
                self.assertIn(error.origins[1], inside - {around[0].origin})

    @hypothesis.given(_ENTRIES, _NETWORKS)
    def test_find_address(self, entries, where):
        """So is every address of a prefix, the first and the last."""
        counting = _counting(entries)
        among = prefixes.PrefixTable(entries)
        for address in (where.network_address, where.broadcast_address):
            around = _around(
                counting, _unmapped(ipaddress.ip_network(address))
            )
            found = among.find(address)
            self.assertEqual(around[0] if around else None, found)

    @hypothesis.given(_ENTRIES)
    def test_conflicts(self, entries):
        """A conflict is a prefix given twice, or inside another's."""
        counting = _counting(entries)
        expected = []
        for each in entries:
            each = each._replace(prefix=_unmapped(each.prefix))
            first = counting[each.prefix]
            if first.origin != each.origin:
                expected.append((first, each))
        for each in counting.values():
            outer = _around(counting, each.prefix)[1:2]
            if outer and outer[0].origin != each.origin:
                if outer[0].prefix.prefixlen:
                    expected.append((each, outer[0]))
        among = prefixes.PrefixTable(entries)
        found = [(it.winner, it.loser) for it in among.conflicts]
        self.assertEqual(sorted(expected, key=str), sorted(found, key=str))
        self.assertEqual(0, among.more_conflicts)
