# SPDX-License-Identifier: Apache-2.0

import ipaddress
import time

from edge_filters.api import forwarded
from tests.unit import base
from tests.unit.api import base as api_base
from tests.unit.api import fuzz


def caller(*chain):
    """Who called, as text."""
    found = forwarded.caller(forwarded.Chain(*chain), api_base.PROXIES)
    return found and str(found)


class CallerTest(base.TestCase):
    def test_without_proxies(self):
        """Who is no proxy of ours is the caller, whatever it writes."""
        for headers in ((), ('10.0.0.1',), ('192.0.2.9', 'for=192.0.2.9')):
            self.assertEqual('203.0.113.1', caller('203.0.113.1', *headers))
            self.assertEqual('2001:db8::1', caller('2001:db8::1', *headers))

    def test_nearest_first(self):
        """Only what proxies of ours have written is believed."""
        for header in (
            '192.0.2.1',
            '203.0.113.9, 192.0.2.1',
            '203.0.113.9,192.0.2.1,10.0.0.2',
            'junk, 10.0.0.7, 192.0.2.1 , 198.51.100.1,\tfd00::5',
            '10.0.0.9, 192.0.2.1:4711, [fd00::1]:80',
        ):
            self.assertEqual('192.0.2.1', caller('10.0.0.1', header))

    def test_unreadable(self):
        """What cannot be read ends the chain: nothing before it counts."""
        for hop in (
            'unknown',
            '_hidden',
            '',
            'nova.example.org',
            '010.0.0.1',
            '10.0.0.01',
            '10.1',
            '167772161',
            '10.0.0.1.',
            '192.0.2.1/32',
            '192.0.2.1:',
            '192.0.2.1:http',
            '192.0.2.1:123456',
            '[192.0.2.1]',
            '[2001:db8::1',
            '2001:db8::1]',
            '2001:db8::1::',
            'fe80::1%',
            'for=192.0.2.1',
            '"192.0.2.1"',
            '192.0.2.1 192.0.2.2',
            '１92.0.2.1',
        ):
            self.assertIsNone(forwarded.parse_node(hop), hop)
            self.assertIsNone(caller('10.0.0.1', f'192.0.2.1, {hop}'), hop)
            self.assertIsNone(
                caller('10.0.0.1', f'192.0.2.1, {hop}, 10.0.0.2'), hop
            )

    def test_nobody_calls_from(self):
        """Nobody calls from an address that is nobody's or everybody's."""
        for hop in ('0.0.0.0', '::', '224.0.0.1', 'ff02::1', '::ffff:0.0.0.0'):
            self.assertIsNone(forwarded.parse_node(hop))
        self.assertIsNone(forwarded.parse_node('255.255.255.255'))
        self.assertIsNone(caller('0.0.0.0'))

    def test_nodes(self):
        """A port and a zone are left out; IPv4 in IPv6 is IPv4."""
        for text, address in (
            ('192.0.2.1:4711', '192.0.2.1'),
            (' 192.0.2.1\t', '192.0.2.1'),
            ('[2001:db8::1]', '2001:db8::1'),
            ('[2001:DB8:0::1]:4711', '2001:db8::1'),
            ('[2001:db8::1]:_port', '2001:db8::1'),
            ('::ffff:192.0.2.1', '192.0.2.1'),
            ('[::ffff:192.0.2.1]:1', '192.0.2.1'),
            ('fe80::1%eth0', 'fe80::1'),
            ('[fe80::1%25eth0]:1', 'fe80::1'),
            ('127.0.0.1', '127.0.0.1'),
        ):
            self.assertEqual(
                ipaddress.ip_address(address), forwarded.parse_node(text)
            )

    def test_mapped_proxy(self):
        """A proxy is known by its IPv4 address however that is written."""
        self.assertEqual('192.0.2.1', caller('::ffff:10.0.0.1', '192.0.2.1'))

    def test_no_peer(self):
        """Behind a socket without addresses nobody knows who called."""
        for peer in (None, '', 'unix:', '@'):
            self.assertIsNone(caller(peer, '192.0.2.1'))

    def test_only_proxies(self):
        """A proxy is never taken for the user of a server."""
        for headers in (
            (),
            ('', ''),
            ('10.0.0.2',),
            ('fd00::1, 10.0.0.2',),
            (None, 'for=10.0.0.2'),
        ):
            self.assertIsNone(caller('10.0.0.1', *headers))

    def test_rfc_7239(self):
        """Forwarded is read with quotes, ports and whatever is with it."""
        for header in (
            'for=192.0.2.1',
            'For=192.0.2.1:4711',
            'for="192.0.2.1:4711"',
            'for=192.0.2.43, for=192.0.2.1',
            'for=unknown,for=192.0.2.1;proto=http;by=_x',
            'by="a,b;c\\"";for=192.0.2.1 , proto=https; FOR="10.0.0.2"',
            'for="192.0.2.1", for="[fd00::1]:4711";host="a:1"',
            'for="\\1\\92.0.2.1"',
        ):
            self.assertEqual('192.0.2.1', caller('10.0.0.1', None, header))
        for header in ('for="[2001:db8::1]:4711"', 'for=[2001:db8::1]:4711'):
            self.assertEqual('2001:db8::1', caller('10.0.0.1', None, header))

    def test_malformed(self):
        """A malformed Forwarded says nothing, nor does a hidden hop."""
        for header in (
            'for=192.0.2.1, for=unknown',
            'for=192.0.2.1, for="_gazonk"',
            'for=192.0.2.1, proto=http',
            'for=192.0.2.1,',
            'for=192.0.2.1, ,for=10.0.0.2',
            'for=192.0.2.1;for=192.0.2.1',
            'for=',
            'for',
            'for = 192.0.2.1',
            'for="192.0.2.1',
            'for="192.0.2.1"x',
            '"for"=192.0.2.1',
            'for=192.0.2.1 x',
            'for="192.0.2.1" "192.0.2.1"',
        ):
            self.assertIsNone(caller('10.0.0.1', None, header), header)

    def test_open_quote(self):
        """A client cannot swallow what the proxy appends."""
        for start in ('for="', 'for=192.0.2.9;x="', 'for=192.0.2.9;x="\\'):
            for end in (
                'for=192.0.2.1',
                'for="192.0.2.1"',
                'for="[2001:db8::1]:1";host="a:1"',
            ):
                header = f'{start}, {end}'
                self.assertIsNone(caller('10.0.0.1', None, header), header)

    def test_both_headers(self):
        """Of two headers that disagree, one is the client's: none counts."""
        self.assertEqual(
            '192.0.2.1', caller('10.0.0.1', '192.0.2.1', 'for=192.0.2.1')
        )
        for forwarded_for, header in (
            ('192.0.2.1', 'for=192.0.2.9'),
            ('192.0.2.9', 'for=192.0.2.1'),
            ('192.0.2.1', 'for=10.0.0.2'),
            ('192.0.2.1', 'for=unknown'),
            ('192.0.2.1', 'x'),
            ('x', 'for=192.0.2.1'),
        ):
            self.assertIsNone(caller('10.0.0.1', forwarded_for, header))
        for empty in ('', ' '):
            self.assertEqual(
                '192.0.2.1', caller('10.0.0.1', empty, 'for=192.0.2.1')
            )
            self.assertEqual('192.0.2.1', caller('10.0.0.1', '192.0.2.1', ''))

    def test_replaced_by_oslo(self):
        """Where oslo.middleware put a header in REMOTE_ADDR, none counts."""
        for chain in (
            ('192.0.2.1', '192.0.2.1'),
            ('192.0.2.1, 10.0.0.1', '192.0.2.1, 10.0.0.1'),
            ('192.0.2.1', None, 'for=192.0.2.1'),
            ('192.0.2.1', '192.0.2.2', 'proto=http; For = 192.0.2.1 ,for=x'),
            ('"[2001:db8::1]:1"', None, 'for="[2001:db8::1]:1"'),
        ):
            self.assertIsNone(caller(*chain))
            self.assertTrue(forwarded.is_replaced(forwarded.Chain(*chain)))

    def test_kept_peer(self):
        """An address that was kept before oslo.middleware counts."""
        self.assertEqual(
            '192.0.2.1', caller('192.0.2.1', '192.0.2.1', None, '10.0.0.1')
        )
        self.assertEqual(
            '203.0.113.1',
            caller('192.0.2.1', '192.0.2.1', None, '203.0.113.1'),
        )
        self.assertIsNone(caller('192.0.2.1', '192.0.2.1', None, ''))

    def test_kept_too_late(self):
        """An address that was kept behind oslo.middleware does not."""
        self.assertIsNone(caller('192.0.2.1', '192.0.2.1', None, '192.0.2.1'))

    def test_huge(self):
        """However much is sent, it is read in no time, or not at all."""
        started = time.process_time()
        many = ', '.join(['10.0.0.2'] * 8000)
        self.assertIsNone(caller('10.0.0.1', many))
        self.assertIsNone(caller('10.0.0.1', '1' * 65536))
        self.assertEqual('192.0.2.1', caller('10.0.0.1', f'{many},192.0.2.1'))
        for text in ('for=10.0.0.2, ', 'for="\\"', '; ', ' \t', 'a', 'a=b;"'):
            self.assertIsNone(
                caller('10.0.0.1', None, text * (65536 // len(text)))
            )
            self.assertIsNone(
                caller('10.0.0.1', None, text * (8000 // len(text)))
            )
        header = 'for=192.0.2.1;x="{}"'
        self.assertEqual(
            '192.0.2.1', caller('10.0.0.1', None, header.format('a' * 8000))
        )
        self.assertIsNone(caller('10.0.0.1', None, header.format('a' * 9000)))
        self.assertLess(time.process_time() - started, 0.5)

    def test_many_hops(self):
        """A chain longer than any cloud's is not followed to its end."""
        for header, each in (((), '{}'), ((None,), 'for={}')):
            hops = [each.format('192.0.2.1')]
            hops += [each.format('10.0.0.2')] * (forwarded.MAX_HOPS - 1)
            self.assertEqual(
                '192.0.2.1', caller('10.0.0.1', *header, ','.join(hops))
            )
            hops.insert(0, each.format('192.0.2.9'))
            hops += [each.format('10.0.0.2')] * 99
            self.assertIsNone(caller('10.0.0.1', *header, ','.join(hops)))

    def test_any_chain(self):
        """The caller is who really called, or nobody."""
        fuzz.check_chains()

    def test_any_header(self):
        """No header raises."""
        fuzz.check_headers()

    def test_any_hop(self):
        """Only what is an address that can call is read as one."""
        fuzz.check_nodes()

    def test_any_rfc_7239(self):
        """Every hop of RFC 7239 is read."""
        fuzz.check_forwarded()
