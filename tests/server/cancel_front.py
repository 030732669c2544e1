"""A TCP front that passes all bytes on at once, but keeps CancelRequests back until it is told to let them go.

With several servers behind it, it gives each connection to the next, as a load balancer does.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nlsql_gateway.wire.messages import CANCEL_REQUEST


class CancelFront:
    def __init__(self, *upstreams: tuple[str, int]) -> None:
        self._upstreams = itertools.cycle(upstreams)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.arrived = threading.Event()
        "A CancelRequest is here."
        self.let_go = threading.Event()
        self.count = 0
        "CancelRequests that came in clear."
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(next(self._upstreams))
                self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._copy, args=pair)
                    self._threads.append(thread)
                    thread.start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if data[4:8] == struct.pack("!i", CANCEL_REQUEST):
                    self.count += 1
                    self.arrived.set()
                    self.let_go.wait(30)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.let_go.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._open:
            one.close()


@contextmanager
def cancel_front(*upstreams: tuple[str, int]) -> Iterator[CancelFront]:
    front = CancelFront(*upstreams)
    try:
        yield front
    finally:
        front.close()
