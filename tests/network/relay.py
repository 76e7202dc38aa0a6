# SPDX-License-Identifier: Apache-2.0
"""HOW DOES A CONNECTION LEAVE ITS NETWORK? Over sockets in two of them."""

import contextlib
import socket
import threading


class Relay:
    """Takes connections, and hands on what is sent over them, both ways.

    :param listener: the listening socket that they come from
    :param connect: returns the socket of a new connection to where they lead;
        None: each is closed as soon as it is taken
    """

    def __init__(self, listener, connect=None):
        self._listener = listener
        self._connect = connect
        self._lock = threading.Lock()
        self._is_closed = False
        self._sockets = set()
        self._threads = []
        self._start(self._listen)

    def close(self):
        """Take no more connections, and end those there are."""
        with self._lock:
            self._is_closed = True
            for each in (self._listener, *self._sockets):
                _shut(each, socket.SHUT_RDWR)
        # As long as one of them runs it may start another.
        while self._threads:
            self._threads.pop().join()
        self._listener.close()

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _listen(self):
        while not self._is_closed:
            # A client may have thought better of it.
            with contextlib.suppress(OSError):
                near, _ = self._listener.accept()
                self._start(self._serve, near)

    def _serve(self, near):
        with self._kept(near):
            if self._connect is None:
                return
            try:
                far = self._connect()
            except OSError:
                return
            with self._kept(far):
                back = threading.Thread(target=_hand_on, args=(far, near))
                back.start()
                _hand_on(near, far)
                back.join()

    @contextlib.contextmanager
    def _kept(self, each):
        """Close a socket in the end, and shut it when all is closed."""
        with each:
            with self._lock:
                self._sockets.add(each)
                if self._is_closed:
                    _shut(each, socket.SHUT_RDWR)
            try:
                yield
            finally:
                with self._lock:
                    self._sockets.remove(each)


def _hand_on(source, target):
    """Hand on what is sent over a connection until it ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _shut(target, socket.SHUT_WR)


def _shut(each, how):
    with contextlib.suppress(OSError):
        each.shutdown(how)
