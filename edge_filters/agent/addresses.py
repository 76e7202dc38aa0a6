# SPDX-License-Identifier: Apache-2.0
"""WHERE IS A BEACON? The addresses of names, looked up meanwhile."""

import collections
import collections.abc
import dataclasses
import ipaddress
import socket
import threading
import time

from oslo_log import log as logging

from edge_filters import ratelimit
from edge_filters.agent import beacons

LOG = logging.getLogger(__name__)

# How long an address counts before its name is looked up again.
KEPT_S = 300.0

# How long a name that has no address yet is waited for, once.
PATIENCE_S = 5.0

# How many names are looked up at once; a slow resolver takes half a minute.
MAX_THREADS = 8

_WAIT_S = 0.05

LookUp = collections.abc.Callable[[str], list[str]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a name.

    :param address: None: it never had one
    :param why: why it has none now; empty: it has
    :param until: until when that counts, on the clock
    """

    address: str | None
    why: str
    until: float


class Addresses:
    """Finds addresses of names, and keeps them where a resolver fails.

    :param look_up: returns the addresses of a name, the best first, or
        raises OSError
    :param clock: seconds that only grow
    """

    def __init__(
        self,
        look_up: LookUp | None = None,
        clock: collections.abc.Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up or _look_up
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._warnings = ratelimit.RateLimit(clock)
        # The names that are looked up, or wait for it, and who does it.
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._waiting: collections.deque[str] = collections.deque()
        self._threads = 0

    def find(
        self, hosts: collections.abc.Iterable[str], stop: threading.Event
    ) -> dict[str, str]:
        """Return the addresses of hosts, of those that have one.

        Only names that were never looked up are waited for, and not long;
        what is found later counts the next time.

        :param hosts: addresses and names
        :param stop: set when it has to return soon
        """
        names = []
        found = {}
        for host in dict.fromkeys(hosts):
            if _is_address(host):
                found[host] = host
            else:
                names.append(host)
        new = {name for name in names if name not in self._known}
        now = self._clock()
        for name in names:
            if name in new or self._known[name].until <= now:
                self._ask(name)
        end = now + PATIENCE_S
        while not new <= self._known.keys() and self._clock() < end:
            if stop.wait(_WAIT_S):
                break
        for name in names:
            address = self._known_address(name)
            if address is not None:
                found[name] = address
        return found

    def _known_address(self, name: str) -> str | None:
        known = self._known.get(name)
        why = known.why if known else 'the resolver has not answered yet'
        address = known.address if known else None
        if why and self._warnings.is_due((name, address)):
            if address is None:
                LOG.warning(
                    'The beacon %(name)s is not measured, as its name does '
                    'not resolve: %(why)s; correct the name or the DNS.',
                    {'name': name, 'why': why},
                )
            else:
                LOG.warning(
                    'The beacon %(name)s is measured at %(address)s, where '
                    'it was, as its name does not resolve any more: %(why)s; '
                    'correct the name or the DNS.',
                    {'name': name, 'address': address, 'why': why},
                )
        return address

    def _ask(self, name: str) -> None:
        """Have a name looked up, unless it is being looked up."""
        with self._lock:
            if name in self._asked:
                return
            self._asked.add(name)
            self._waiting.append(name)
            if self._threads == MAX_THREADS:
                return
            self._threads += 1
        try:
            # A resolver that hangs does not keep the agent from stopping.
            threading.Thread(
                target=self._work, name='edge-addresses', daemon=True
            ).start()
        except RuntimeError:
            # Whichever thread there is does it, or the next that starts.
            with self._lock:
                self._threads -= 1

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                name = self._waiting.popleft()
            known = self._look(name)
            with self._lock:
                self._known[name] = known
                self._asked.discard(name)

    def _look(self, name: str) -> _Known:
        last = self._known.get(name)
        address = last.address if last else None
        now = self._clock()
        try:
            addresses = self._look_up(name)
        except Exception as error:
            # Whatever it is, this thread has other names to look up.
            why = getattr(error, 'strerror', None) or str(error)
            return _Known(address, why or type(error).__name__, now)
        usable = [it for it in addresses if _leads_elsewhere(it)]
        if not usable:
            # So resolvers answer that block a name.
            return _Known(address, 'it leads to this host, or to none', now)
        if address not in usable:
            address = usable[0]
        return _Known(address, '', now + KEPT_S)


def _look_up(name: str) -> list[str]:
    return [
        str(it[4][0])
        for it in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    ]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _leads_elsewhere(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        # To the kernel it is that one.
        address = address.ipv4_mapped
    return beacons.may_answer(address) and not address.is_loopback


#: Those of this process: kept when its configuration is read again.
ADDRESSES = Addresses()
