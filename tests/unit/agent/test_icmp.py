# SPDX-License-Identifier: Apache-2.0

import errno
import socket
import struct
import threading
import time
from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies
import icmplib

from edge_filters import ratelimit
from edge_filters.agent import beacons
from edge_filters.agent import icmp
from edge_filters.agent import pacing
from edge_filters.conf import agent as agent_conf
from tests.unit import base
from tests.unit.agent import settings

TIMEOUT_S = 0.05


class Wire:
    """Stands in for a socket of icmplib, and for what answers."""

    def __init__(self, version, answer):
        self.version = version
        self.answer = answer
        self.is_privileged = True
        self.sock = self
        self.is_closed = False
        self.arrived = []

    def send(self, request):
        # As icmplib does.
        request._time = time.time()
        try:
            self.arrived += self.answer(request)
        except OSError as error:
            raise icmplib.ICMPSocketError(str(error))  # noqa: B904

    def recvmsg(self, _size, _ancillary):
        if not self.arrived:
            raise BlockingIOError
        arrived = self.arrived.pop(0)
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def close(self):
        self.is_closed = True


def reply(request, rtt_s=0.01, packet=None, **other):
    """Return what arrives: an answer, or one with something else in it."""
    number = other.get('number', request.id)
    kind = other.get('kind', 129 if ':' in request.destination else 0)
    if packet is None:
        packet = struct.pack(
            '!BBHHH',
            kind,
            0,
            0,
            number,
            other.get('sequence', request.sequence),
        ) + other.get('payload', request.payload)
        if ':' not in request.destination:
            packet = other.get('header', b'\x45' + b'\0' * 19) + packet
    at_ns = int(request.time * 1e9 + rtt_s * 1e9)
    stamp = struct.pack('@ll', *divmod(at_ns, 10**9))
    source = other.get('source', request.destination)
    return packet, [(1, 35, stamp)], 0, (source, 0)


class IcmpTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.wires = []
        self.patch(pacing, 'TICK_S', 0.001)
        for module in (icmp, pacing):
            self.patch(module, '_WARNINGS', ratelimit.RateLimit())
        self.patch(icmp, '_open', self.open)
        self.stop = threading.Event()
        self.opened_with = None

    def patch(self, *args):
        self.useFixture(fixtures.MockPatchObject(*args))

    def open(self, version):
        if self.opened_with:
            raise self.opened_with
        self.wires.append(Wire(version, self.answer))
        return self.wires[-1]

    def answer(self, request):
        raise NotImplementedError

    def measure(self, answer, *origins, probes=4, after=None, rate=10000.0):
        """Return what is measured, in the order of the beacons."""
        self.answer = answer
        settled = settings.make(
            origin=origins or ('paris 192.0.2.1',),
            probes=probes,
            probe_timeout_s=TIMEOUT_S,
            max_probes_per_second=rate,
        )
        found, problems = beacons.parse(settled, ('icmp',))
        self.assertEqual([], problems)
        self.driver = driver = icmp.Icmp(settled, found)
        if after:
            after(driver)
        readings = list(driver.measure(0.0, self.stop))
        self.assertEqual({}, driver._sent_at)
        self.assertTrue(all(it.is_closed for it in self.wires))
        return [
            ([round(it, 1) for it in echoes.rtts_ms], echoes.sent)
            for _path, echoes in readings
        ]

    def test_round_trip(self):
        """An RTT is what the kernel saw, of each version of IP."""
        before = time.time()
        settled = settings.make(
            origin=('paris 192.0.2.1 2001:db8::1',),
            probes=3,
            max_probes_per_second=10000.0,
        )
        found, _ = beacons.parse(settled, ('icmp',))
        count = iter(range(6))
        self.answer = lambda it: [reply(it, (next(count) + 1) / 1000)]
        readings = list(icmp.Icmp(settled, found).measure(0.0, self.stop))
        self.assertEqual([it.path for it in found], [it[0] for it in readings])
        first, second = (echoes for _path, echoes in readings)
        # Sent in turns.
        for echoes, expected in ((first, (1, 3, 5)), (second, (2, 4, 6))):
            for rtt_ms, rounded in zip(echoes.rtts_ms, expected, strict=True):
                self.assertAlmostEqual(rounded, rtt_ms, places=2)
            self.assertEqual(3, echoes.sent)
            self.assertLessEqual(before, echoes.at)
            self.assertLessEqual(echoes.at, time.time())
        self.assertEqual({4, 6}, {it.version for it in self.wires})
        self.assertEqual('', self.log.output)

    def test_lost(self):
        """What is not answered is lost, and so is what is answered late."""
        self.assertEqual([([], 4)], self.measure(lambda it: []))
        self.assertEqual(
            [([], 4)], self.measure(lambda it: [reply(it, TIMEOUT_S + 0.01)])
        )

    def test_order(self):
        """RTTs are in the order in which their probes were sent."""
        held = []

        def answer(request):
            held.append(reply(request, (len(held) + 1) / 1000))
            return reversed(held) if len(held) == 4 else []

        self.assertEqual([([1.0, 2.0, 3.0, 4.0], 4)], self.measure(answer))

    def test_twice(self):
        """An answer that comes twice counts once."""
        self.assertEqual(
            [([10.0] * 4, 4)],
            self.measure(lambda it: [reply(it), reply(it, 0.02)]),
        )

    def test_foreign(self):
        """What answers something else, or somebody else, is passed over."""
        for other in (
            {'number': 1},
            {'sequence': 1},
            {'payload': b'another!'},
            {'payload': b''},
            {'kind': 3},
            {'kind': 8},
            {'source': '192.0.2.2'},
        ):

            def answer(request, other=other):
                if other.get('number') == request.id:
                    other['number'] = 2
                if other.get('sequence') == request.sequence:
                    other['sequence'] = 60000
                return [reply(request, 0.001, **other), reply(request)]

            self.assertEqual([([10.0] * 4, 4)], self.measure(answer), other)

    @hypothesis.settings(max_examples=50)
    @hypothesis.given(strategies.lists(strategies.binary(max_size=60)))
    def test_whatever_arrives(self, packets):
        """No packet is an answer that is none, and none breaks anything."""
        self.assertEqual(
            [([10.0], 1)],
            self.measure(
                lambda it: (
                    [reply(it, 0.001, packet) for packet in packets]
                    + [reply(it)]
                ),
                probes=1,
            ),
        )

    def test_options(self):
        """A header of IP that has options is as long as it says."""
        self.assertEqual(
            [([10.0] * 4, 4)],
            self.measure(lambda it: [reply(it, header=b'\x46' + b'\0' * 23)]),
        )

    def test_unprivileged(self):
        """A datagram socket has no header of IP, and a number of its own."""

        def answer(request):
            self.wires[-1].is_privileged = False
            return [reply(request, header=b'', number=7)]

        self.assertEqual([([10.0] * 4, 4)], self.measure(answer))

    def test_one_address(self):
        """Two in flight to one address are told apart, past 65535, too."""
        count = iter(range(1, 100))
        held = []

        def answer(request):
            held.append(reply(request, next(count) / 1000))
            return held if len(held) == 8 else []

        def after(driver):
            driver._sequences['192.0.2.1'] = 65534

        self.assertEqual(
            [([1.0, 3.0, 5.0, 7.0], 4), ([2.0, 4.0, 6.0, 8.0], 4)],
            self.measure(
                answer, 'paris 192.0.2.1', 'lyon 192.0.2.1', after=after
            ),
        )

    def test_number_in_flight(self):
        """Where all numbers are in flight no probe is sent, nor counted."""
        sent = []

        def answer(request):
            sent.append(request.sequence)
            # As if it was next again.
            self.driver._sequences['192.0.2.1'] = request.sequence
            return [] if len(sent) == 1 else [reply(request)]

        self.assertEqual([([], 1)], self.measure(answer))
        self.assertEqual(1, len(sent))

    def test_cannot_be_sent(self):
        """What cannot be sent to a beacon is lost; others are measured."""

        def answer(request):
            if request.destination == '192.0.2.1':
                raise OSError(errno.ENETUNREACH, 'Network is unreachable')
            return [reply(request)]

        for _ in range(2):
            self.assertEqual(
                [([], 4), ([10.0] * 4, 4)],
                self.measure(answer, 'paris 192.0.2.1 192.0.2.2'),
            )
        self.assertEqual(
            'Probes to the beacon 192.0.2.1 at 192.0.2.1 are lost: Network '
            'is unreachable; see to the route to it, and that it answers.\n',
            self.log.output,
        )

    def test_lost_here(self):
        """What this host does not send is not lost: it is unmeasured."""
        for number in (
            errno.EACCES,
            errno.EADDRNOTAVAIL,
            errno.EMFILE,
            errno.ENOBUFS,
            errno.ENOMEM,
            errno.EPERM,
        ):
            refused = OSError(number, f'Failure {number}')

            def answer(request, refused=refused):
                if request.destination == '192.0.2.1':
                    raise refused
                return [reply(request)]

            for _ in range(2):
                self.assertEqual(
                    [([10.0] * 4, 4)],
                    self.measure(answer, 'paris 192.0.2.1 192.0.2.2'),
                )
            said = self.log.output.splitlines()[-1]
            self.assertEqual(
                'Probes, such as to the beacon 192.0.2.1 at 192.0.2.1, do not '
                f'count, as they say nothing of the path: Failure {number}; '
                'see to the firewall, ports, open files and memory of this '
                'host.',
                said,
            )
            self.assertEqual(1, self.log.output.count(said))

    def test_lost_here_once(self):
        """What fails now and then takes nothing from the other probes."""
        count = iter(range(4))

        def answer(request):
            if next(count) == 1:
                raise OSError(errno.ENOBUFS, 'No buffer space available')
            return [reply(request)]

        self.assertEqual([([10.0] * 3, 3)], self.measure(answer))

    def test_not_allowed(self):
        """Without the right to send, nothing is lost: it is unmeasured."""
        self.opened_with = icmplib.SocketPermissionError(False)
        for _ in range(2):
            self.assertEqual([], self.measure(self.answer))
        self.assertEqual(
            'No beacon is measured by ICMP over IPv4, as this process may '
            'not: give it the capability CAP_NET_RAW, or put its group into '
            'the sysctl net.ipv4.ping_group_range.\n',
            self.log.output,
        )

    def test_no_ipv6(self):
        """A host without IPv6 measures what has IPv4."""

        def refuse(version):
            if version == 6:
                raise OSError(errno.EAFNOSUPPORT, 'not supported')
            return self.open(version)

        self.patch(icmp, '_open', refuse)
        self.assertEqual(
            [([10.0] * 4, 4)],
            self.measure(
                lambda it: [reply(it)], 'paris 192.0.2.1 2001:db8::1'
            ),
        )
        self.assertEqual(
            'Beacons are not measured by ICMP over IPv6: not supported; see '
            'whether this host has IPv6.\n',
            self.log.output,
        )

    def test_broken(self):
        """A socket that breaks is opened again."""
        count = iter(range(4))

        def answer(request):
            if next(count) == 1:
                return [OSError(errno.ENETDOWN, 'Network is down')]
            return [reply(request)]

        # One at a time.
        ((rtts_ms, sent),) = self.measure(answer, rate=200.0)
        self.assertEqual(([10.0] * 3, 4), (rtts_ms, sent))
        self.assertEqual(2, len(self.wires))
        self.assertIn('Network is down', self.log.output)

    def test_clock_set(self):
        """An RTT during which the clock was set is not known."""
        held = []
        self.patch(icmp, '_clock_offset_s', lambda: 3600.0 * (len(held) > 1))

        def answer(request):
            held.append(request)
            # An hour later, says the clock; or it never arrives.
            return [reply(request, 3600.0)] if len(held) == 2 else []

        # The first is lost, whatever the clock.
        self.assertEqual([([], 1)], self.measure(answer, probes=2))
        held.clear()
        # What is sent after that is measured.
        self.assertEqual(
            [([10.0] * 8, 9)],
            self.measure(
                lambda it: answer(it) if len(held) < 2 else [reply(it)],
                probes=10,
                rate=500.0,
            ),
        )

    def test_never_zero(self):
        """What came back before it was sent is neither near nor lost."""
        for rtt_s in (0.0, -0.01, -3600.0):
            self.assertEqual(
                [], self.measure(lambda it, at=rtt_s: [reply(it, at)])
            )
        self.assertEqual(
            [],
            self.measure(lambda it: [(*reply(it)[:1], [], *reply(it)[2:])]),
        )

    def test_stop(self):
        """An agent that stops counts what came back, and loses nothing."""
        sent = []

        def answer(request):
            sent.append(request)
            if len(sent) == 3:
                self.stop.set()
            return [] if len(sent) == 2 else [reply(request)]

        self.assertEqual(
            [([10.0] * 2, 2)],
            self.measure(answer, 'paris 192.0.2.1', probes=1000, rate=500.0),
        )
        self.assertEqual(3, len(sent))

    def test_too_many(self):
        """It is said where the probes do not fit into the interval."""
        settled = settings.make(probes=10, interval_s=1.0)
        driver = icmp.Icmp(settled, beacons.parse(settled, ('icmp',))[0])
        driver._schedule(10, 0.5)
        self.assertEqual('', self.log.output)
        for _ in range(2):
            driver._schedule(1000, 0.5)
        self.assertEqual(
            '1000 probes take 5 s, which is longer than interval, as 200 are '
            'sent in a second; raise max_probes_per_second or interval, or '
            'lower probes.\n',
            self.log.output,
        )


class OpenTest(base.TestCase):
    """How a socket is opened; whether it may be is not asked."""

    def opened(self, privileges):
        made = []

        def make(privileged):
            if privileged not in privileges:
                raise icmplib.SocketPermissionError(privileged)
            made.append(mock.Mock(is_privileged=privileged))
            return made[-1]

        for name in ('ICMPv4Socket', 'ICMPv6Socket'):
            self.useFixture(fixtures.MonkeyPatch(f'icmplib.{name}', make))
        return [icmp._open(version) for version in (4, 6)]

    def test_raw(self):
        """A raw socket hears nothing but answers."""
        for version, opened in zip((4, 6), self.opened((True, False)),
                                   strict=True):  # fmt: skip
            filtering, *_others = opened.sock.setsockopt.call_args_list
            mask = int.from_bytes(filtering.args[2], 'little')
            wanted = [
                it
                for it in range(len(filtering.args[2]) * 8)
                if not mask >> it & 1
            ]
            self.assertEqual([0] if version == 4 else [129], wanted)
            self.assertFalse(opened.blocking)

    def test_datagram(self):
        """Where no raw socket is allowed, a datagram socket will do."""
        for opened in self.opened((False,)):
            self.assertEqual(
                [mock.call(1, 35, 1), mock.call(1, 33, icmp._ROOM)],
                opened.sock.setsockopt.call_args_list,
            )

    def test_room(self):
        """All answers of a tick are kept, at the highest rate there is."""
        (rate,) = (
            it.type.max
            for it in agent_conf.OPTIONS
            if it.name == 'max_probes_per_second'
        )
        count = int(rate * pacing.TICK_S)
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            icmp._make_room(receiver)
            receiver.bind(('127.0.0.1', 0))
            receiver.setblocking(False)
            for _ in range(count):
                sender.sendto(b'12345678', receiver.getsockname())
            for _ in range(count):
                receiver.recv(8)

    def test_room_for_all(self):
        """Who may not have more room than others has as much."""
        opened = mock.Mock()
        opened.setsockopt.side_effect = [PermissionError, None]
        icmp._make_room(opened)
        self.assertEqual(
            [mock.call(1, 33, icmp._ROOM), mock.call(1, 8, icmp._ROOM)],
            opened.setsockopt.call_args_list,
        )

    def test_neither(self):
        """Where none is allowed, it is the library that says so."""
        self.assertRaises(icmplib.SocketPermissionError, self.opened, ())
