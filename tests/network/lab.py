# SPDX-License-Identifier: Apache-2.0
"""WHO IS JOINED TO WHOM, AND HOW? Places with real networks between them.

Each place is a network namespace with one TUN device. The other end of all
of them is held by one process, ``forwarder.py``, which is the Internet: it
says when a packet arrives, and whether. All else is the kernel's own: ICMP,
TCP, UDP, IPv4 and IPv6. The queue discipline netem, which not every kernel
has, is not used by any.
"""

import functools
import ipaddress
import itertools
import json
import pathlib
import socket
import subprocess
import sys
import threading

import fixtures

from tests.network import namespace
from tests.network import needs
from tests.network import process
from tests.network import relay

_CHECKOUT = pathlib.Path(__file__).parents[2]
_LOOPBACK = '127.0.0.1'
# Networks that are nobody's: RFC 2544 and RFC 3849.
_NETWORKS = {
    4: ipaddress.ip_network('198.18.0.0/24'),
    6: ipaddress.ip_network('2001:db8:1ab::/64'),
}
_FORWARDER = 'forwarder'
_LAB_NUMBERS = itertools.count(1)


class Lab(fixtures.Fixture):
    """Sites and origins with a network of their own each.

    In the beginning no two of them are joined.

    :param sites: their names
    :param origins: their names, none of which is a site's
    :param seed: what chance begins with; with the same, and the same packets
        between two places, the same packets are lost
    """

    def __init__(self, sites, origins, seed=0):
        super().__init__()
        self.sites = tuple(sites)
        self.origins = tuple(origins)
        self._seed = seed
        self._number = next(_LAB_NUMBERS)
        self._indexes = {
            place: index
            for index, place in enumerate(self.sites + self.origins, 1)
        }
        self._lock = threading.Lock()
        self._run_numbers = itertools.count(1)

    def _setUp(self):
        needs.check_network()
        namespace.remove_stale()
        self._logs = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for place in self._indexes:
            namespace.ip('netns', 'add', self.namespace(place))
            self.addCleanup(namespace.remove, self.namespace(place))
        self._forwarder = self._start(
            _FORWARDER,
            [sys.executable, '-m', 'tests.network.forwarder'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_CHECKOUT,
        )
        self._tell(places=self._places(), seed=self._seed)
        for place in self._indexes:
            self._configure(place)

    def namespace(self, place):
        """Return the name of a place's namespace, for ``ip netns exec``."""
        return namespace.name_of(self._number, place)

    def address(self, place, version=4):
        """Return the address of a place.

        :param version: 4 or 6, of IP
        """
        return str(_NETWORKS[version][self._indexes[place]])

    def set_link(self, one, other, rtt_ms, jitter_ms=0, loss_pct=0):
        """Join two places from now on; what is under way arrives as it was.

        :param rtt_ms: the round-trip time, most of the time
        :param jitter_ms: how much more or less it is at most; at most the RTT
        :param loss_pct: percent of the round trips that are lost
        """
        for place in (one, other):
            if place not in self._indexes:
                raise ValueError(f'{place} is no place of this lab')
        if not 0 <= jitter_ms <= rtt_ms or not 0 <= loss_pct <= 100:
            raise ValueError(f'No link is {rtt_ms=} {jitter_ms=} {loss_pct=}')
        self._tell(
            places=(one, other),
            rtt_ms=rtt_ms,
            jitter_ms=jitter_ms,
            loss_pct=loss_pct,
        )

    def cut(self, one, other):
        """Have nothing arrive between two places, until they are joined."""
        self.set_link(one, other, rtt_ms=0, loss_pct=100)

    def run(self, place, command, **how):
        """Start a command at a place; return its ``subprocess.Popen``.

        It ends with the lab, and so does what it started. What it prints is a
        detail of the test, unless ``how`` says otherwise.

        :param how: more, for ``subprocess.Popen``
        """
        inside = ['ip', 'netns', 'exec', self.namespace(place), *command]
        program = pathlib.Path(command[0]).name
        what = f'{place} {program} {next(self._run_numbers)}'
        return self._start(what, inside, **how)

    def make_at(self, place, make):
        """Return what a function returns that is called at a place.

        A socket that it makes is in the network of the place for good.
        """
        return namespace.made_inside(self.namespace(place), make)

    def serve_tcp(self, place, port):
        """Have a place accept TCP connections, IPv4 and IPv6, and close them.

        :returns: what its ``close()`` ends that with, before the lab does
        """
        listen = functools.partial(
            socket.create_server,
            ('', port),
            family=socket.AF_INET6,
            dualstack_ipv6=True,
        )
        return self._relay(self.make_at(place, listen))

    def doorway(self, place, port):
        """Have 127.0.0.1:PORT of a place be 127.0.0.1:PORT of this machine.

        :returns: what its ``close()`` ends that with, before the lab does
        """
        listen = functools.partial(_listen, port)
        connect = functools.partial(_connect, port)
        return self._relay(self.make_at(place, listen), connect)

    def window(self, place, port):
        """Make a port of this machine's 127.0.0.1 be a port of a place's.

        :returns: the port here
        """
        listener = _listen(0)
        connect = functools.partial(_connect, port)
        self._relay(listener, functools.partial(self.make_at, place, connect))
        return listener.getsockname()[1]

    def _relay(self, *arguments):
        made = relay.Relay(*arguments)
        self.addCleanup(made.close)
        return made

    def _start(self, what, command, **how):
        log = self._logs / f'{what}.log'
        started = process.start(command, log, **how)
        self.addCleanup(process.stop, started)
        self.addDetail(log.name, process.detail(log))
        return started

    def _places(self):
        """Return what the forwarder has to know of the places."""
        return {
            place: {
                'namespace': self.namespace(place),
                'addresses': [
                    network[index].packed.hex()
                    for network in _NETWORKS.values()
                ],
            }
            for place, index in self._indexes.items()
        }

    def _configure(self, place):
        device = f'dev {namespace.DEVICE}'
        addresses = [
            f'address add {self.address(place, version)}/{network.prefixlen} '
            f'{device} {"nodad" if version == 6 else ""}'
            for version, network in _NETWORKS.items()
        ]
        # Nobody is there to be found by what IPv6 sends of its own accord.
        lines = [
            'link set lo up',
            f'link set {device} addrgenmode none',
            f'link set {device} up',
            *addresses,
        ]
        namespace.ip(
            '-netns',
            self.namespace(place),
            '-batch',
            '-',
            text='\n'.join(lines),
        )

    def _tell(self, **what):
        """Tell the forwarder something, and wait until it is so."""
        with self._lock:
            try:
                print(json.dumps(what), file=self._forwarder.stdin, flush=True)
                answer = self._forwarder.stdout.readline().strip()
            except OSError:
                answer = ''
        if answer != 'ok':
            log = self._logs / f'{_FORWARDER}.log'
            raise needs.refused('Forwarding', answer or process.last_line(log))


def _listen(port):
    return socket.create_server((_LOOPBACK, port))


def _connect(port):
    return socket.create_connection((_LOOPBACK, port))
