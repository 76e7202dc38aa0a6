# SPDX-License-Identifier: Apache-2.0

import contextlib
import errno
import math
import os
import selectors
import socket
import struct
import threading
from unittest import mock

import fixtures

from edge_filters import ratelimit
from edge_filters.agent import beacons
from edge_filters.agent import pacing
from edge_filters.agent import tcp
from tests.unit import base
from tests.unit.agent import settings


class TcpTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.useFixture(fixtures.MockPatchObject(pacing, 'TICK_S', 0.005))
        for module in (tcp, pacing):
            self.useFixture(
                fixtures.MockPatchObject(
                    module, '_WARNINGS', ratelimit.RateLimit()
                )
            )
        self.stop = threading.Event()

    def listen(self, host='127.0.0.1', backlog=64):
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        server = socket.create_server(
            (host, 0), family=family, backlog=backlog
        )
        self.addCleanup(server.close)
        return server.getsockname()[1]

    def driver(self, *written, **changed):
        settled = settings.make(
            origin=('paris ' + ' '.join(written),),
            **{
                'probes': 3,
                'probe_timeout_s': 0.1,
                'max_probes_per_second': 10000.0,
                **changed,
            },
        )
        found, problems = beacons.parse(settled, ('tcp',))
        self.assertEqual([], problems)
        return tcp.Tcp(settled, found)

    def measure(self, *written, **changed):
        files = os.listdir('/proc/self/fd')
        readings = list(
            self.driver(*written, **changed).measure(0.0, self.stop)
        )
        self.assertEqual(files, os.listdir('/proc/self/fd'))
        return [echoes for _path, echoes in readings]

    def test_round_trip(self):
        """The RTT is that of the handshake, of each version of IP."""
        for echoes in self.measure(
            f'tcp://127.0.0.1:{self.listen()}',
            f'tcp://[::1]:{self.listen("::1")}',
        ):
            self.assertEqual(3, echoes.sent)
            self.assertEqual(3, len(echoes.rtts_ms))
            for rtt_ms in echoes.rtts_ms:
                # It is of loopback, though it was looked at a tick later.
                self.assertGreater(rtt_ms, 0)
                self.assertLess(rtt_ms, pacing.TICK_S * 1000)
        self.assertEqual('', self.log.output)

    def test_refused(self):
        """Who refuses is not near: the probe is lost, with one warning."""
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        for _ in range(2):
            (echoes,) = self.measure(f'tcp://127.0.0.1:{port}')
            self.assertEqual(((), 3), echoes[:2])
        self.assertEqual(
            f'Probes to the beacon tcp://127.0.0.1:{port} at 127.0.0.1 are '
            'lost: Connection refused; see to the route to it, and that it '
            'answers.\n',
            self.log.output,
        )

    def test_lost(self):
        """Who does not answer in time loses the probe; others go on."""
        full = self.listen(backlog=0)
        with contextlib.ExitStack() as waiting:
            # More than it takes: the SYN of the next is dropped.
            for _ in range(4):
                other = waiting.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(('127.0.0.1', full))
            lost, answered = self.measure(
                f'tcp://127.0.0.1:{full}',
                f'tcp://127.0.0.1:{self.listen()}',
            )
        self.assertEqual(((), 3), lost[:2])
        self.assertEqual(3, len(answered.rtts_ms))

    def test_lost_here(self):
        """What this host does not send is not lost: it is unmeasured."""
        port = self.listen()
        for number in (
            errno.EACCES,
            errno.EADDRNOTAVAIL,
            errno.ENOBUFS,
            errno.ENOMEM,
            errno.EPERM,
        ):
            with mock.patch.object(
                socket.socket, 'connect_ex', return_value=number
            ):
                for _ in range(2):
                    self.assertEqual([], self.measure(f'tcp://[::1]:{port}'))
            said = self.log.output.splitlines()[-1]
            self.assertEqual(
                f'Probes, such as to the beacon tcp://[::1]:{port} at ::1, do '
                'not count, as they say nothing of the path: '
                f'{os.strerror(number)}; see to the firewall, ports, open '
                'files and memory of this host.',
                said,
            )
            self.assertEqual(1, self.log.output.count(said))

    def test_lost_there(self):
        """What the network says of the path is a loss, at once or later."""
        beacon = f'tcp://127.0.0.1:{self.listen()}'
        for number in (
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.EHOSTUNREACH,
            errno.ENETUNREACH,
            errno.ETIMEDOUT,
        ):
            refused = OSError(number, os.strerror(number))
            for patch in (
                mock.patch.object(
                    socket.socket, 'connect_ex', return_value=number
                ),
                mock.patch.object(tcp, '_outcome', return_value=refused),
            ):
                with patch:
                    (echoes,) = self.measure(beacon)
                self.assertEqual(((), 3), echoes[:2])
            self.assertIn(f'are lost: {refused.strerror};', self.log.output)
        with mock.patch.object(
            tcp, '_outcome', return_value=OSError(errno.EACCES, 'not here')
        ):
            self.assertEqual([], self.measure(beacon))

    def test_slow(self):
        """A path may take as long as probe_timeout says."""
        driver = self.driver('tcp://127.0.0.1:1', probe_timeout_s=30.0)
        self.assertEqual(30.0, driver.timeout_s)

    def test_second_syn(self):
        """Lost is lost, and what nobody knows of is neither."""
        beacon = f'tcp://127.0.0.1:{self.listen()}'
        for outcomes, expected in (
            ([math.inf] * 3, [((), 3)]),
            ([math.inf, 12.5, math.nan], [((12.5,), 2)]),
            ([math.nan] * 3, []),
        ):
            with mock.patch.object(tcp, '_outcome', side_effect=outcomes):
                measured = self.measure(beacon)
            self.assertEqual(expected, [it[:2] for it in measured])
        self.assertEqual('', self.log.output)

    def test_too_many_files(self):
        """What this host cannot send is not lost: it is unmeasured."""
        driver = self.driver(f'tcp://127.0.0.1:{self.listen()}')
        refused = OSError(errno.EMFILE, 'Too many open files')
        with (
            mock.patch.object(socket, 'socket', side_effect=refused),
            mock.patch.object(
                selectors, 'DefaultSelector', side_effect=refused
            ),
        ):
            self.assertEqual([], list(driver.measure(0.0, self.stop)))
        self.assertEqual(
            'Beacons are not measured by TCP over IPv4: Too many open files; '
            'see whether this host has it, and how many files this process '
            'may have open.\n',
            self.log.output,
        )

    def test_bounded(self):
        """However few answer, files are left for the rest of the agent."""
        driver = self.driver('tcp://127.0.0.1:1', probes=20)
        self.assertLess(driver.MAX_FLIGHTS, 1000)
        driver.MAX_FLIGHTS = 5
        open_now = []
        silent = mock.Mock(
            wraps=lambda: open_now.append(len(driver._flights)) or []
        )
        with (
            mock.patch.object(driver, '_answers', silent),
            mock.patch.object(driver, '_send', lambda *_: object()),
            mock.patch.object(driver, '_drop'),
        ):
            driver.timeout_s = 0.01
            ((_path, echoes),) = driver.measure(0.0, self.stop)
        self.assertEqual(20, echoes.sent)
        self.assertEqual(5, max(open_now))

    def test_outcome(self):
        """An RTT that the kernel does not tell is unknown, never zero.

        A probe of which only the second SYN was answered is lost, though not
        where the first may have been on its way still.
        """
        for info, expected in (
            (struct.pack('@68xI28xI', 12345, 0), 12.345),
            (struct.pack('@68xI28xI', 999999, 0), 999.999),
            (struct.pack('@68xI28xI', 999999, 1), math.inf),
            (struct.pack('@68xI28xI', 1200000, 1), 1200.0),
            (struct.pack('@68xI28xI', 0, 1), None),
            (struct.pack('@68xI28xI', 0, 0), None),
            (struct.pack('@68xI', 12345), None),
            (b'', None),
        ):
            connection = mock.Mock()
            connection.getsockopt.side_effect = (
                lambda _level, option, *_size, info=info: (
                    info if option == socket.TCP_INFO else 0
                )
            )
            outcome = tcp._outcome(connection)
            if expected is None:
                self.assertNotEqual(outcome, outcome)
            else:
                self.assertEqual(expected, outcome)
