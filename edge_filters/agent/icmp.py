# SPDX-License-Identifier: Apache-2.0
"""HOW LONG DOES A PING TAKE? Round trips by ICMP echo, through icmplib.

icmplib opens the sockets, writes the requests and sends them. The answers are
read beside it, because the kernel says when each arrived: what else this
process and its host do then makes no RTT longer.
"""

import collections.abc
import math
import secrets
import socket
import struct
import time
import typing

import icmplib
from oslo_log import log as logging

from edge_filters import ratelimit
from edge_filters.agent import beacons
from edge_filters.agent import pacing

LOG = logging.getLogger(__name__)

# How far the clock may be from where it was a tick ago; else it was set.
_CLOCK_STEP_S = 0.001

# A bound on what is read in a tick, whatever arrives.
_READ_AT_ONCE = 10000

# Room for answers until they are read, in bytes. The kernel doubles it, and
# takes 768 for a small one: that is 2700, and 10000 a second are 500 a tick.
_ROOM = 1 << 20

# Of Linux, and not named in the socket module: the time at which a packet
# arrived, more room than sysctl net.core.rmem_max has for all, and which types
# of ICMP a raw socket does not want.
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_SOL_RAW = 255
_ICMP_FILTER = 1
_ICMP6_FILTER = 1

_ECHO_REPLY = {4: 0, 6: 129}
_HEADER = struct.Struct('!BBHHH')
_TIME = struct.Struct('@ll')
_MAX_PACKET = 512
_ANCILLARY = socket.CMSG_SPACE(_TIME.size)

_WARNINGS = ratelimit.RateLimit()

# The address that it was sent to, and its sequence number.
_Key = tuple[str, int]

_Socket: typing.TypeAlias = icmplib.ICMPv4Socket | icmplib.ICMPv6Socket


class Icmp(pacing.Paced):
    """Measures beacons by ICMP echo, IPv4 and IPv6."""

    def __init__(self, *args: typing.Any) -> None:
        super().__init__(*args)
        # What answers to others do not have.
        self._id = secrets.randbelow(1 << 16)
        self._payload = secrets.token_bytes(8)
        self._sequences: dict[str, int] = {}
        # By version of IP; None: it cannot be opened, in this measurement.
        self._sockets: dict[int, _Socket | None] = {}
        # When each request was sent, in seconds since the epoch; NaN: the
        # clock was set meanwhile.
        self._sent_at: dict[_Key, float] = {}
        self._clock_offset_s = 0.0

    def _begin(self, targets: collections.abc.Iterable[str]) -> None:
        self._clock_offset_s = _clock_offset_s()
        # A tick before the first is sent: the kernel takes a moment to note
        # times, unless it does so anyway.
        for version in {_version(it) for it in targets}:
            self._socket(version)

    def _socket(self, version: int) -> _Socket | None:
        """Return a socket, opened unless it is open; None: it cannot be."""
        if version not in self._sockets:
            failure: Exception | None = None
            try:
                self._sockets[version] = _open(version)
            except (icmplib.ICMPLibError, OSError) as error:
                self._sockets[version] = None
                failure = error
            self._warn(version, failure)
        return self._sockets[version]

    def _send(self, beacon: beacons.Beacon, address: str) -> _Key | None:
        sender = self._socket(_version(address))
        # The next to this address, so that it is long until it is used again.
        sequence = self._sequences.get(address, secrets.randbelow(1 << 16))
        key = address, sequence
        if sender is None or key in self._sent_at:
            return None
        self._sequences[address] = (sequence + 1) % (1 << 16)
        request = icmplib.ICMPRequest(
            address, self._id, sequence, payload=self._payload
        )
        try:
            sender.send(request)
        except icmplib.ICMPLibError as error:
            raise _cause(error) from error
        self._sent_at[key] = request.time
        return key

    def _answers(self) -> collections.abc.Iterator[tuple[_Key, float]]:
        self._watch_clock()
        for version, receiver in [*self._sockets.items()]:
            if receiver is None:
                continue
            failure: OSError | None = None
            try:
                for _ in range(_READ_AT_ONCE):
                    packet, notes, _flags, source = receiver.sock.recvmsg(
                        _MAX_PACKET, _ANCILLARY
                    )
                    sequence = self._sequence(version, receiver, packet)
                    key = source[0], sequence
                    sent_at = self._sent_at.get(key)
                    if sent_at is not None:
                        yield key, (_arrived_at(notes) - sent_at) * 1000
            except BlockingIOError:
                pass
            except OSError as error:
                # The next request opens another.
                receiver.close()
                del self._sockets[version]
                failure = error
            self._warn(version, failure)

    def _sequence(self, version: int, receiver: _Socket, packet: bytes) -> int:
        """Return the sequence number of an answer to us; -1: it is none."""
        start = 0
        if version == 4 and receiver.is_privileged and packet:
            # The header of IP is there, too; the length is in words.
            start = (packet[0] & 0x0F) * 4
        if len(packet) < start + _HEADER.size:
            return -1
        kind, _code, _sum, number, sequence = _HEADER.unpack_from(
            packet, start
        )
        is_ours = (
            kind == _ECHO_REPLY[version]
            # The kernel puts its own number into those of others.
            and (number == self._id or not receiver.is_privileged)
            and packet[start + _HEADER.size :] == self._payload
        )
        return sequence if is_ours else -1

    def _watch_clock(self) -> None:
        """Find out whether the clock was set: nobody knows the RTTs then."""
        offset_s = _clock_offset_s()
        if abs(offset_s - self._clock_offset_s) > _CLOCK_STEP_S:
            self._sent_at = dict.fromkeys(self._sent_at, math.nan)
        self._clock_offset_s = offset_s

    def _drop(self, key: collections.abc.Hashable) -> None:
        del self._sent_at[key]  # type: ignore[arg-type]

    def _end(self) -> None:
        for it in self._sockets.values():
            if it is not None:
                it.close()
        self._sockets.clear()

    def _warn(self, version: int, error: Exception | None) -> None:
        """Say why a version of IP is not measured, not too often.

        It is not called while the error is handled, nor is the like of it in
        other modules: oslo.log would say it twice.

        :param error: why; None: it is measured
        """
        if error is None or not _WARNINGS.is_due(version):
            return
        if isinstance(error, icmplib.SocketPermissionError):
            LOG.warning(
                'No beacon is measured by ICMP over IPv%d, as this process '
                'may not: give it the capability CAP_NET_RAW, or put its '
                'group into the sysctl net.ipv4.ping_group_range.',
                version,
            )
        else:
            LOG.warning(
                'Beacons are not measured by ICMP over IPv%(version)d: '
                '%(why)s; see whether this host has IPv%(version)d.',
                {'version': version, 'why': _cause(error).strerror or error},
            )


def _open(version: int) -> _Socket:
    """Return a socket: a raw one where that is allowed.

    :raises icmplib.ICMPLibError, OSError: if it cannot be opened
    """
    kind = icmplib.ICMPv4Socket if version == 4 else icmplib.ICMPv6Socket
    try:
        opened = kind(privileged=True)
    except icmplib.SocketPermissionError:
        opened = kind(privileged=False)
    if opened.is_privileged:
        # Everything that comes to this host would come here, too.
        _want_only(opened.sock, version, _ECHO_REPLY[version])
    opened.sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    _make_room(opened.sock)
    opened.blocking = False
    return opened


def _want_only(raw: socket.socket, version: int, kind: int) -> None:
    """Have the kernel pass over all other types of ICMP."""
    unwanted = [0xFFFFFFFF] * (1 if version == 4 else 8)
    unwanted[kind // 32] ^= 1 << kind % 32
    mask = struct.pack(f'@{len(unwanted)}I', *unwanted)
    if version == 4:
        raw.setsockopt(_SOL_RAW, _ICMP_FILTER, mask)
    else:
        raw.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, mask)


def _make_room(opened: socket.socket) -> None:
    """Have a socket keep answers until they are read."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    except PermissionError:
        # As much as there is for all: 550 by default, which will do.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)


def _version(address: str) -> int:
    return 6 if ':' in address else 4


def _cause(error: Exception) -> OSError:
    """Return what the kernel said; icmplib has words of its own for it."""
    for it in (error, error.__context__):
        if isinstance(it, OSError):
            return it
    return OSError(str(error))


def _arrived_at(notes: list[tuple[int, int, bytes]]) -> float:
    """Return when a packet arrived, in seconds since the epoch, or NaN."""
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIME.unpack(data)
            return float(seconds + nanoseconds / 1e9)
    return math.nan


def _clock_offset_s() -> float:
    """Return how far the clock is from one that only grows, in seconds."""
    while True:
        start = time.monotonic()
        now = time.time()
        # Else others ran in between.
        if time.monotonic() - start < _CLOCK_STEP_S / 4:
            return now - start
