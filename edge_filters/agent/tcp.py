# SPDX-License-Identifier: Apache-2.0
"""HOW LONG DOES A TCP HANDSHAKE TAKE? From the SYN to the SYN-ACK.

The kernel measures that of each connection; it is asked for what it measured.
"""

import collections.abc
import errno
import math
import os
import selectors
import socket
import struct
import typing

from oslo_log import log as logging

from edge_filters import ratelimit
from edge_filters.agent import beacons
from edge_filters.agent import pacing

LOG = logging.getLogger(__name__)

# So long after it sent a SYN the kernel sends another.
_SYN_AGAIN_S = 1.0

# Into tcp_info of linux/tcp.h: tcpi_rtt in microseconds; tcpi_total_retrans.
_INFO = struct.Struct('@68xI28xI')

_WARNINGS = ratelimit.RateLimit()


class Tcp(pacing.Paced):
    """Measures beacons by TCP handshakes, IPv4 and IPv6."""

    # Each is an open file, of which a process may have about 1000.
    MAX_FLIGHTS = 512

    def _begin(self, targets: collections.abc.Iterable[str]) -> None:
        # It is no open file itself, of which there may be none left.
        self._selector = selectors.PollSelector()

    def _send(
        self, beacon: beacons.Beacon, address: str
    ) -> socket.socket | None:
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        failure: OSError | None = None
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            failure = error
        if failure is not None:
            self._warn(family, failure)
            return None
        connection.setblocking(False)
        number = connection.connect_ex((address, beacon.port))
        if number not in (0, errno.EINPROGRESS):
            connection.close()
            raise OSError(number, os.strerror(number))
        self._selector.register(connection, selectors.EVENT_WRITE)
        return connection

    def _answers(
        self,
    ) -> collections.abc.Iterator[tuple[socket.socket, float | OSError]]:
        for key, _events in self._selector.select(0):
            connection = typing.cast(socket.socket, key.fileobj)
            yield connection, _outcome(connection)

    def _drop(self, key: collections.abc.Hashable) -> None:
        connection = typing.cast(socket.socket, key)
        self._selector.unregister(connection)
        connection.close()

    def _end(self) -> None:
        self._selector.close()

    def _warn(self, family: int, error: OSError) -> None:
        if _WARNINGS.is_due((family, error.errno)):
            LOG.warning(
                'Beacons are not measured by TCP over IPv%(version)d: '
                '%(why)s; see whether this host has it, and how many files '
                'this process may have open.',
                {
                    'version': 6 if family == socket.AF_INET6 else 4,
                    'why': error.strerror,
                },
            )


def _outcome(connection: socket.socket) -> float | OSError:
    """Return the RTT in milliseconds; infinity: lost; NaN: nobody knows."""
    number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        # A middlebox that refuses is nearer than what it refuses for.
        return OSError(number, os.strerror(number))
    info = connection.getsockopt(
        socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size
    )
    if len(info) < _INFO.size:
        return math.nan
    rtt_us, syns_again = _INFO.unpack(info)
    if not rtt_us:
        # Without timestamps in the answer the kernel does not know to which
        # SYN it is: the path may be slow, or the first was lost.
        return math.nan
    if syns_again and rtt_us < _SYN_AGAIN_S * 1e6:
        # An answer to the first would have been here before the second.
        return math.inf
    return float(rtt_us / 1000)
