# SPDX-License-Identifier: Apache-2.0
"""WHEN DOES A PACKET ARRIVE, AND DOES IT? A process between TUN devices.

It is started by ``lab.py``, and told everything in lines of JSON on its
standard input. The first names the places; each later one is how a pair of
them is joined from now on. Each is answered with a line: ``ok``, or what went
wrong. At the end of its input it ends, and its devices with it.

Each packet is held for half of the RTT of its pair. Jitter and loss are spread
over the two directions so that they are those of the round trip:

- The two holds of a round trip add up to between ``rtt_ms - jitter_ms`` and
  ``rtt_ms + jitter_ms``, ``rtt_ms`` being the most likely (a triangular
  distribution, whose mean deviation is a third of ``jitter_ms``). Each packet
  is held for itself: with jitter they overtake each other, without they never
  do.
- ``loss_pct`` of the round trips lack one packet or both.

Pairs that nothing was said of are not joined: their packets are lost.
"""

import contextlib
import dataclasses
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

from tests.network import namespace

_LONGEST_PACKET = 65536
_SET_DEVICE = 0x400454CA  # TUNSETIFF
_TUN = 0x0001  # IFF_TUN
_NO_HEADER = 0x1000  # IFF_NO_PI


@dataclasses.dataclass
class Way:
    """One direction between two places.

    :ivar chance: where its random numbers come from
    :ivar hold_ms: how long a packet is held
    :ivar spread_ms: how much longer or shorter at most
    :ivar lost: the share of the packets that are lost
    """

    chance: random.Random
    hold_ms: float = 0.0
    spread_ms: float = 0.0
    lost: float = 1.0

    def set(self, rtt_ms, jitter_ms, loss_pct):
        """Make it half of a round trip."""
        self.hold_ms = rtt_ms / 2
        self.spread_ms = jitter_ms / 2
        self.lost = 1 - (1 - loss_pct / 100) ** 0.5

    def draw(self):
        """Return how long the next packet is held, in ms; None: it is lost."""
        if self.chance.random() < self.lost:
            return None
        if not self.spread_ms:
            return self.hold_ms
        return self.hold_ms + self.chance.uniform(-1, 1) * self.spread_ms


def addresses_of(packet):
    """Return who sent an IP packet to whom, as bytes."""
    if packet[0] >> 4 == 4:
        return packet[12:16], packet[16:20]
    return packet[8:24], packet[24:40]


class Forwarder:
    """Moves packets between the devices of places.

    :param places: their names and addresses, by namespace
    :param seed: what chance begins with
    """

    def __init__(self, places, seed):
        self._ways = {}
        # From whom to whom, as packets have it: the way, and the device.
        self._routes = {}
        self._held = []
        self._count = 0
        self._devices = {
            name: _open_device(place['namespace'])
            for name, place in places.items()
        }
        for source, sender in places.items():
            for target, receiver in places.items():
                way = Way(random.Random(f'{seed} {source} {target}'))
                self._ways[source, target] = way
                for pair in zip(
                    map(bytes.fromhex, sender['addresses']),
                    map(bytes.fromhex, receiver['addresses']),
                    strict=True,
                ):
                    self._routes[pair] = way, self._devices[target]

    def join(self, places, **how):
        """Join two places as ``Way.set`` says."""
        one, other = places
        self._ways[one, other].set(**how)
        self._ways[other, one].set(**how)

    def run(self):
        """Forward until the end of the input."""
        sources = [sys.stdin, *self._devices.values()]
        while True:
            for source in select.select(sources, [], [], self._pause_s())[0]:
                if source is not sys.stdin:
                    self._take(os.read(source, _LONGEST_PACKET))
                # Whoever writes waits for the answer: there is one line.
                elif line := sys.stdin.readline():
                    self.join(**json.loads(line))
                    print('ok', flush=True)
                else:
                    return
            self._let_go()

    def _pause_s(self):
        if self._held:
            return max(0, self._held[0][0] - time.monotonic())
        return None

    def _take(self, packet):
        now_s = time.monotonic()
        # Others are for all neighbours, and of no use here.
        if route := self._routes.get(addresses_of(packet)):
            way, device = route
            hold_ms = way.draw()
            if hold_ms is not None:
                self._count += 1
                due_s = now_s + hold_ms / 1000
                heapq.heappush(
                    self._held, (due_s, self._count, device, packet)
                )

    def _let_go(self):
        while self._held and self._held[0][0] <= time.monotonic():
            _, _, device, packet = heapq.heappop(self._held)
            # A device that is down loses what it is given.
            with contextlib.suppress(OSError):
                os.write(device, packet)


def _open_device(name):
    """Return the descriptor of a new TUN device in a namespace."""
    with namespace.inside(name):
        device = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        flags = _TUN | _NO_HEADER
        request = struct.pack('16sH22x', namespace.DEVICE.encode(), flags)
        fcntl.ioctl(device, _SET_DEVICE, request)
    return device


def _be_on_time():
    """Have the kernel wake this process when it is time, not when it suits.

    Without the right to it packets come later where the machine is busy.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def main():
    """Be the process."""
    _be_on_time()
    try:
        forwarder = Forwarder(**json.loads(sys.stdin.readline()))
    except OSError as error:
        print(error, flush=True)
        return
    print('ok', flush=True)
    forwarder.run()


if __name__ == '__main__':
    main()
