# SPDX-License-Identifier: Apache-2.0

import threading

import fixtures
import hypothesis
from hypothesis import strategies

from edge_filters.agent import addresses
from edge_filters.agent import beacons
from edge_filters.agent import reading
from tests.unit import base
from tests.unit.agent import settings

SCHEMES = ('icmp', 'tcp', 'quic')


def parse(*origins, to_site=(), site='here'):
    return beacons.parse(
        settings.make(site=site, origin=origins, to_site=to_site), SCHEMES
    )


def texts(*origins, **others):
    """What is measured of each line, as it is written, and what is wrong."""
    found, problems = parse(*origins, **others)
    return [f'{it.path.target} {it}' for it in found], problems


class BeaconsTest(base.TestCase):
    def test_forms(self):
        """A beacon is an address, a name, or either with scheme and port."""
        found, problems = parse(
            'Paris 192.0.2.1 2001:DB8:0::1 Beacon.Example. '
            'icmp://192.0.2.2 ICMP://2001:db8::2 tcp://192.0.2.3:443 '
            'tcp://[2001:db8::3]:65535 tcp://a-b.example:1 '
            'quic://beacon.example quic://[2001:db8::4]:7',
            to_site=['lyon 192.0.2.9'],
        )
        self.assertEqual([], problems)
        path = reading.Path('here', 'paris')
        self.assertEqual(
            [
                (path, 'icmp', '192.0.2.1', None),
                (path, 'icmp', '2001:db8::1', None),
                (path, 'icmp', 'beacon.example.', None),
                (path, 'icmp', '192.0.2.2', None),
                (path, 'icmp', '2001:db8::2', None),
                (path, 'tcp', '192.0.2.3', 443),
                (path, 'tcp', '2001:db8::3', 65535),
                (path, 'tcp', 'a-b.example', 1),
                (path, 'quic', 'beacon.example', None),
                (path, 'quic', '2001:db8::4', 7),
                (reading.Path('here', 'lyon', True), 'icmp', '192.0.2.9',
                 None),
            ],
            found,
        )  # fmt: skip

    def test_once(self):
        """A beacon that an origin has twice is measured once."""
        self.assertEqual(
            (['a 192.0.2.1', 'b 192.0.2.1'], []),
            texts('a 192.0.2.1 icmp://192.0.2.1 ::ffff:192.0.2.1',
                  'b 192.0.2.1'),
        )  # fmt: skip

    def test_two_lines(self):
        """Of two lines of one origin the first counts, and that is said."""
        found, (problem,) = texts(
            'paris 192.0.2.1', 'Paris 192.0.2.2', to_site=['paris 192.0.2.3']
        )
        self.assertEqual(['paris 192.0.2.1', 'paris 192.0.2.3'], found)
        self.assertEqual(
            "origin = 'Paris 192.0.2.2': paris has a line before, which "
            'alone counts; write all its beacons into one line.',
            problem,
        )

    def test_bad_beacon(self):
        """A beacon that cannot be is said, and the others are measured."""
        for text, words in (
            ('192.0.2.256', 'is not an address'),
            ('192.0.2.0/24', 'is not an address'),
            ('127.1', 'is not an address'),
            ('0x7f000001', 'is not an address'),
            ('a..example', 'is not an address'),
            ('-a.example', 'is not an address'),
            ('exämple', 'is not an address'),
            ('a' * 64, 'is not an address'),
            ('a.' * 127 + 'example', 'is not an address'),
            ('tcp://host:1/path', 'a port that is not 1 to 65535'),
            ('fe80::1%eth0', 'is not an address'),
            ('0.0.0.0', 'no single host'),
            ('::', 'no single host'),
            ('224.0.0.1', 'no single host'),
            ('ff02::1', 'no single host'),
            ('255.255.255.255', 'no single host'),
            ('tcp://192.0.2.1', 'has no port'),
            ('tcp://2001:db8::1:443', 'has no port'),
            ('tcp://192.0.2.1:0', 'not 1 to 65535'),
            ('tcp://192.0.2.1:65536', 'not 1 to 65535'),
            ('tcp://192.0.2.1:', 'not 1 to 65535'),
            ('tcp://192.0.2.1:٤٤', 'not 1 to 65535'),
            ('tcp://[2001:db8::1]', 'has brackets'),
            ('[2001:db8::1]', 'has brackets'),
            ('tcp://[192.0.2.1]:443', 'has brackets'),
            ('tcp://[2001:db8::1:443', 'has brackets'),
            ('192.0.2.1:80', 'has a port, which pings have not'),
            ('ftp://192.0.2.1', 'has the scheme ftp, which no driver'),
            ('://192.0.2.1', 'is not an address'),
        ):
            found, problems = texts(f'paris {text} 192.0.2.9')
            self.assertEqual(['paris 192.0.2.9'], found, text)
            (problem,) = problems
            self.assertIn(words, problem, text)
            self.assertIn('; ', problem, text)

    def test_bad_line(self):
        """A line that cannot be is said, and the others are measured."""
        for line, words in (
            ('', 'is not a name'),
            ('pa/ris 192.0.2.1', 'is not a name'),
            ('lyon', 'lyon has no beacon, and is not measured'),
        ):
            found, problems = texts(line, 'paris 192.0.2.9')
            self.assertEqual(['paris 192.0.2.9'], found, line)
            self.assertIn(words, problems[0], line)
        found, problems = texts('a 192.0.2.1', to_site=['here 192.0.2.2'])
        self.assertEqual(['a 192.0.2.1'], found)
        self.assertIn('here is the site of this agent', problems[0])

    @hypothesis.settings(max_examples=100)
    @hypothesis.given(
        strategies.lists(
            strategies.text()
            | strategies.lists(
                strategies.sampled_from(
                    ('paris', 'tcp://', '[', ']', ':', '::', '1', '443',
                     '192.0.2.1', '2001:db8::1', ' ', 'quic://', '.', '\x1b')
                )
            ).map(''.join),
            max_size=4,
        )
    )  # fmt: skip
    def test_whatever_is_written(self, lines):
        """What is measured is read again as it is shown; else it is said."""
        found, problems = parse(*lines)
        for it in found:
            again, wrong = parse(f'{it.path.target} {it}')
            self.assertEqual(([it], []), (again, wrong))
        for it in problems:
            self.assertTrue(it.isprintable(), it)
            self.assertTrue(it.endswith('.'), it)
        if not problems:
            self.assertEqual(len(lines), len({it.path for it in found}))


class AddressesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.now = 0.0
        self.stop = threading.Event()
        self.answers = {}
        self.asked = []
        self.addresses = addresses.Addresses(self.look_up, lambda: self.now)

    def look_up(self, name):
        self.asked.append(name)
        answer = self.answers[name]
        if isinstance(answer, threading.Event):
            answer.wait(10)
            raise OSError('too late')
        if isinstance(answer, Exception):
            raise answer
        return answer

    def find(self, *hosts):
        # Nobody waits for a name that has been asked for before.
        found = self.addresses.find(hosts, self.stop)
        while self.addresses._threads > self.hanging():
            pass
        return found

    def hanging(self):
        return sum(
            isinstance(it, threading.Event) and not it.is_set()
            for it in self.answers.values()
        )

    def test_literal(self):
        """An address is where it is; nobody is asked."""
        self.assertEqual(
            {'192.0.2.1': '192.0.2.1', '2001:db8::1': '2001:db8::1'},
            self.find('192.0.2.1', '2001:db8::1'),
        )
        self.assertEqual([], self.asked)

    def test_stays(self):
        """A name stays at its address as long as it has it, then moves."""
        self.answers = {'a.example': ['2001:db8::1', '192.0.2.1']}
        self.assertEqual({'a.example': '2001:db8::1'}, self.find('a.example'))
        self.answers = {'a.example': ['192.0.2.1', '2001:db8::1']}
        for _ in range(3):
            self.now += addresses.KEPT_S
            self.assertEqual(
                {'a.example': '2001:db8::1'}, self.find('a.example')
            )
        self.answers = {'a.example': ['192.0.2.1']}
        self.now += addresses.KEPT_S
        self.find('a.example')
        self.assertEqual({'a.example': '192.0.2.1'}, self.find('a.example'))
        self.assertEqual(5, len(self.asked))
        self.assertEqual('', self.log.output)

    def test_no_more(self):
        """A name that does not resolve any more stays, with one warning."""
        self.answers = {'a.example': ['192.0.2.1']}
        self.find('a.example')
        self.answers = {'a.example': OSError(-2, 'Name not known')}
        self.now += addresses.KEPT_S
        for _ in range(4):
            self.assertEqual(
                {'a.example': '192.0.2.1'}, self.find('a.example')
            )
        self.assertEqual(
            'The beacon a.example is measured at 192.0.2.1, where it was, as '
            'its name does not resolve any more: Name not known; correct the '
            'name or the DNS.\n',
            self.log.output,
        )

    def test_never(self):
        """A name that never resolved is not measured, with one warning."""
        self.answers = {
            'a.example': UnicodeError('label too long'),
            'b.example': ['192.0.2.1'],
        }
        for _ in range(2):
            self.assertEqual(
                {'b.example': '192.0.2.1'}, self.find('a.example', 'b.example')
            )
        self.assertEqual(
            'The beacon a.example is not measured, as its name does not '
            'resolve: label too long; correct the name or the DNS.\n',
            self.log.output,
        )
        # It may resolve later.
        self.answers['a.example'] = ['192.0.2.2']
        self.find('a.example')
        self.assertEqual({'a.example': '192.0.2.2'}, self.find('a.example'))

    def test_leads_here(self):
        """A blocked name, which leads to this host, is not near."""
        self.answers = {
            'a.example': [
                '0.0.0.0',
                '127.0.0.1',
                '::',
                '::1',
                '224.0.0.1',
                '::ffff:127.0.0.1',
                '::ffff:0.0.0.0',
            ]
        }
        self.assertEqual({}, self.find('a.example'))
        self.assertIn('it leads to this host, or to none', self.log.output)

    def test_slow(self):
        """A resolver that hangs holds up neither others nor the agent."""
        release = threading.Event()
        self.addCleanup(release.set)
        self.answers = {
            'slow.example': release,
            'a.example': ['192.0.2.1'],
        }
        self.useFixture(fixtures.MockPatchObject(addresses, 'PATIENCE_S', 0.5))

        def clock():
            self.now += 0.01
            return self.now

        self.addresses = addresses.Addresses(self.look_up, clock)
        self.useFixture(fixtures.MockPatchObject(addresses, '_WAIT_S', 0.001))
        for _ in range(3):
            self.assertEqual(
                {'a.example': '192.0.2.1'},
                self.find('slow.example', 'a.example'),
            )
        self.assertEqual(['slow.example', 'a.example'], self.asked)
        self.assertIn('the resolver has not answered yet', self.log.output)

    def test_stop(self):
        """An agent that stops waits for no resolver."""
        release = threading.Event()
        self.addCleanup(release.set)
        self.answers = {'slow.example': release}
        self.stop.set()
        self.assertEqual({}, self.find('slow.example'))

    def test_bounded(self):
        """However many names hang, there are not as many threads."""
        release = threading.Event()
        self.addCleanup(release.set)
        names = [f'{it}.example' for it in range(100)]
        self.answers = dict.fromkeys(names, release)
        self.stop.set()
        before = threading.active_count()
        self.addresses.find(names, self.stop)
        self.assertLessEqual(
            threading.active_count() - before, addresses.MAX_THREADS
        )
