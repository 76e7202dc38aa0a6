# SPDX-License-Identifier: Apache-2.0

import functools
import http.server
import pathlib
import re
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.request

from oslotest import base

from tests.network import lab
from tests.network import namespace

SITES = ('site-1', 'site-2', 'site-3')
ORIGINS = ('city-1', 'city-2', 'city-3', 'city-4')
TCP_PORT = 443
BODY = bytes(range(256)) * 4096

# Begins a lab with something that runs in it, and waits to be killed.
DOOMED = """
import time
from tests.network import lab
doomed = lab.Lab(['site-1'], ['city-1'])
doomed.setUp()
sleep = doomed.run('site-1', ['sleep', '60'])
print(doomed.namespace('site-1'), sleep.pid, doomed._forwarder.pid, flush=True)
time.sleep(60)
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *arguments):
        pass


def is_running(pid):
    try:
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # What is only waited for does not run.
    return 'State:\tZ' not in status


class TestCase(base.BaseTestCase):
    """A test whose docstring is the rule it holds."""

    def setUp(self):
        super().setUp()
        self.lab = self.useFixture(lab.Lab(SITES, ORIGINS))

    def ping(self, place, target, version=4, count=10, interval_s=0.02):
        """Start to ping from one place to another."""
        return self.lab.run(
            place,
            [
                *('ping', '-n', f'-{version}', '-W', '0.3'),
                *('-c', str(count), '-i', str(interval_s)),
                self.lab.address(target, version),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )

    def rtts_ms(self, ping):
        """Return the RTTs that a ping has seen, when it is done."""
        output, _ = ping.communicate(timeout=30)
        return [
            float(text) for text in re.findall(r'time=([\d.]+) ms', output)
        ]

    def seen_ms(self, *path, **how):
        return statistics.median(self.rtts_ms(self.ping(*path, **how)))

    def assertNear(self, expected_ms, seen_ms, message=None):
        """The figure is within 10 % or 1 ms."""
        most_ms = max(1, expected_ms / 10)
        self.assertAlmostEqual(
            expected_ms, seen_ms, delta=most_ms, msg=message
        )


class LinkTest(TestCase):
    def join_all(self):
        """Join each site to each origin; return the RTTs in ms by pair."""
        rtts_ms = {
            (site, origin): 2 + 5 * number
            for number, (site, origin) in enumerate(
                (site, origin) for site in SITES for origin in ORIGINS
            )
        }
        for pair, rtt_ms in rtts_ms.items():
            self.lab.set_link(*pair, rtt_ms=rtt_ms)
        return rtts_ms

    def test_ping(self):
        """Each site sees the RTT set to each origin, over IPv4 and IPv6."""
        pings = {
            (pair, version): (rtt_ms, self.ping(*pair, version))
            for pair, rtt_ms in self.join_all().items()
            for version in (4, 6)
        }
        for path, (rtt_ms, ping) in pings.items():
            seen_ms = self.rtts_ms(ping)
            self.assertEqual(10, len(seen_ms), path)
            self.assertNear(rtt_ms, statistics.median(seen_ms), path)

    def test_tcp(self):
        """So does a TCP handshake."""
        for origin in ORIGINS:
            self.lab.serve_tcp(origin, TCP_PORT)
        for (site, origin), rtt_ms in self.join_all().items():
            for version in (4, 6):
                address = self.lab.address(origin, version), TCP_PORT
                seen_ms = self.handshake_ms(site, address)
                self.assertNear(rtt_ms, seen_ms, (site, address))

    def handshake_ms(self, site, address):
        """Return what the kernel takes for the RTT of a new connection.

        It is not late where the machine is busy.
        """
        connect = functools.partial(socket.create_connection, address, 5)
        with self.lab.make_at(site, connect) as made:
            answer = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72)
        # The field tcpi_rtt, in microseconds.
        return struct.unpack_from('I', answer, 68)[0] / 1000

    def test_udp(self):
        """A datagram takes half of an RTT, and comes from who sent it."""
        self.lab.set_link('site-1', 'city-1', rtt_ms=40)
        for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            here, there = (
                (self.lab.address(place, version), 5005)
                for place in ('site-1', 'city-1')
            )
            bind = functools.partial(self.bind, family)
            source = self.lab.make_at('site-1', functools.partial(bind, here))
            target = self.lab.make_at('city-1', functools.partial(bind, there))
            seen_ms = []
            for _ in range(5):
                began_s = time.monotonic()
                source.sendto(b'hello', there)
                data, sender = target.recvfrom(9)
                seen_ms.append((time.monotonic() - began_s) * 1000)
                self.assertEqual((b'hello', here), (data, sender[:2]))
            self.assertGreaterEqual(min(seen_ms), 20)
            # It is timed here, and the machine may be busy.
            self.assertLess(min(seen_ms), 30)

    def bind(self, family, address):
        made = socket.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.settimeout(5)
        made.bind(address)
        return made

    def test_places(self):
        """Sites are joined to each other too; who is not joined is away."""
        self.lab.set_link('site-1', 'site-2', rtt_ms=20)
        self.lab.set_link('city-1', 'city-2', rtt_ms=10)
        self.assertNear(20, self.seen_ms('site-1', 'site-2', version=6))
        self.assertNear(20, self.seen_ms('site-2', 'site-1'))
        self.assertNear(10, self.seen_ms('city-2', 'city-1'))
        for path in (('site-1', 'city-1'), ('site-2', 'site-3')):
            self.assertEqual([], self.rtts_ms(self.ping(*path)), path)

    def test_change(self):
        """Delays change at run time, links are cut and mended; one each."""
        self.lab.set_link('site-1', 'city-1', rtt_ms=10)
        self.lab.set_link('site-1', 'city-2', rtt_ms=5)
        for rtt_ms in (10, 30):
            self.lab.set_link('site-1', 'city-1', rtt_ms=rtt_ms)
            self.assertNear(rtt_ms, self.seen_ms('site-1', 'city-1'))
        self.lab.cut('city-1', 'site-1')
        for version in (4, 6):
            cut = self.ping('site-1', 'city-1', version)
            self.assertEqual([], self.rtts_ms(cut))
        self.assertNear(5, self.seen_ms('site-1', 'city-2'))
        self.lab.set_link('city-1', 'site-1', rtt_ms=15)
        self.assertNear(15, self.seen_ms('site-1', 'city-1'))

    def test_loss(self):
        """The loss set is that of round trips, within 10 points."""
        pings = []
        for site, version in (('site-1', 4), ('site-2', 6)):
            self.lab.set_link(site, 'city-1', rtt_ms=5, loss_pct=30)
            pings.append(
                self.ping(site, 'city-1', version, 500, interval_s=0.01)
            )
        for ping in pings:
            lost_pct = 100 - len(self.rtts_ms(ping)) / 5
            self.assertAlmostEqual(30, lost_pct, delta=10)

    def test_jitter(self):
        """RTTs are within the jitter set, and as far apart as documented."""
        self.lab.set_link('site-1', 'city-1', rtt_ms=40, jitter_ms=30)
        ping = self.ping('site-1', 'city-1', count=400, interval_s=0.01)
        seen_ms = self.rtts_ms(ping)
        self.assertEqual(400, len(seen_ms))
        self.assertGreaterEqual(min(seen_ms), 10)
        # The machine may be busy.
        self.assertLess(sorted(seen_ms)[-5], 72)
        mean_ms = statistics.mean(seen_ms)
        self.assertNear(40, mean_ms)
        deviation_ms = statistics.mean(abs(it - mean_ms) for it in seen_ms)
        self.assertAlmostEqual(10, deviation_ms, delta=2)


class PassageTest(TestCase):
    def serve_page(self, listener):
        """Serve a page from a listening socket; return its port."""
        address = listener.getsockname()
        server = http.server.ThreadingHTTPServer(
            address, Page, bind_and_activate=False
        )
        server.socket.close()
        server.socket = listener
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return address[1]

    def read(self, port):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f'http://127.0.0.1:{port}', timeout=10) as page:
            return page.read()

    def test_doorway(self):
        """A doorway of a site leads to the same port of the machine."""
        port = self.serve_page(socket.create_server(('127.0.0.1', 0)))
        read = functools.partial(self.read, port)
        for site in ('site-1', 'site-2'):
            doorway = self.lab.doorway(site, port)
            self.assertEqual(BODY, self.lab.make_at(site, read))
        doorway.close()
        # One that was closed, and one that never was.
        for site in ('site-2', 'site-3'):
            self.assertRaises(OSError, self.lab.make_at, site, read)
        self.lab.doorway('site-2', port)
        self.assertEqual(BODY, self.lab.make_at('site-2', read))

    def test_window(self):
        """A window of the machine leads to a port of a site."""
        listen = functools.partial(socket.create_server, ('127.0.0.1', 0))
        port = self.serve_page(self.lab.make_at('site-1', listen))
        window = self.lab.window('site-1', port)
        self.assertEqual(BODY, self.read(window))
        # As its port is a number of another network, nobody is here.
        self.assertRaises(OSError, self.read, self.lab.window('site-2', port))

    def test_open(self):
        """What hangs on an open connection ends with the lab."""
        with lab.Lab(['site-1'], ['city-1']) as short:
            listen = functools.partial(socket.create_server, ('127.0.0.1', 0))
            silent = self.kept(short.make_at('site-1', listen))
            window = short.window('site-1', silent.getsockname()[1])
            address = '127.0.0.1', window
            client = self.kept(socket.create_connection(address, 5))
            client.sendall(b'hello')
            server = self.kept(silent.accept()[0])
            self.assertEqual(b'hello', server.recv(9))
        self.assertEqual(b'', client.recv(9))

    def kept(self, made):
        self.addCleanup(made.close)
        return made


class CleanupTest(base.BaseTestCase):
    def test_nothing_is_left(self):
        """A lab leaves no namespace, process or device, whatever happens."""

        class Broken(Exception):
            pass

        def use():
            with lab.Lab(['site-1'], ['city-1']) as short:
                names.extend(map(short.namespace, ('site-1', 'city-1')))
                short.serve_tcp('city-1', TCP_PORT)
                short.run('site-1', ['sh', '-c', 'sleep 60 & sleep 60'])
                # Out of its process group.
                leaver = ['setsid', '--fork', 'sleep', '60']
                short.run('site-1', leaver).wait()
                while len(self.pids(names[0])) < 4:
                    time.sleep(0.01)
                pids.extend(self.pids(names[0]))
                pids.append(short._forwarder.pid)
                raise Broken

        names, pids = [], []
        self.assertRaises(Broken, use)
        for name in names:
            self.assertNotIn(name, namespace.ip('netns', 'list'))
        for pid in pids:
            self.assertFalse(is_running(pid), pid)
        self.assertNotIn(namespace.DEVICE, namespace.ip('link'))

    def pids(self, name):
        return namespace.ip('netns', 'pids', name).split()

    def test_killed(self):
        """What a killed run left behind is removed by the next."""
        doomed = subprocess.Popen(
            [sys.executable, '-c', DOOMED],
            stdout=subprocess.PIPE,
            text=True,
            cwd=pathlib.Path(__file__).parents[2],
        )
        self.addCleanup(doomed.communicate)
        self.addCleanup(doomed.kill)
        name, *pids = doomed.stdout.readline().split()
        self.assertIn(name, namespace.ip('netns', 'list'))
        # A run that is not killed is left alone.
        self.useFixture(lab.Lab(['site-1'], []))
        self.assertIn(name, namespace.ip('netns', 'list'))
        doomed.kill()
        doomed.wait()
        self.useFixture(lab.Lab(['site-1'], []))
        self.assertNotIn(name, namespace.ip('netns', 'list'))
        deadline_s = time.monotonic() + 5
        while any(map(is_running, pids)):
            self.assertLess(time.monotonic(), deadline_s, pids)
            time.sleep(0.01)
