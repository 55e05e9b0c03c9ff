"""A TCP relay that keeps what passes: what travels is counted where it travels, not where it is said to."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_READ_BYTES = 65_536
_END_S = 5.0


class Carried:
    """All bytes of one connection, without what TCP adds."""

    def __init__(self) -> None:
        """Nothing has passed."""
        self.up = bytearray()
        self.down = bytearray()

    @property
    def size_bytes(self) -> int:
        """Both ways together."""
        return len(self.up) + len(self.down)


class Relay:
    """Listens on a port of its own, within the block, and carries every connection to another port of this machine.

    A byte is counted before it goes on: who has an answer finds it and its question in `connections`.
    """

    def __init__(self, port: int) -> None:
        """Carry to `port`."""
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads = [Thread(target=self._accept, daemon=True)]
        self.connections: list[Carried] = []
        """In the order in which they came."""

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Begin."""
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection."""
        _hang_up(self._listener)
        self._threads[0].join(_END_S)  # what it was about to carry is in the list now
        _hang_up(*self._sockets)
        for thread in self._threads[1:]:
            thread.join(_END_S)
        for end in (self._listener, *self._sockets):
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # nobody listens there: the client is to see that too
                    client.close()
                else:
                    self._sockets += [client, server]
                    self._carry(client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        carried = Carried()
        self.connections.append(carried)
        for ends in ((client, server, carried.up), (server, client, carried.down)):
            self._threads.append(Thread(target=_pump, args=ends, daemon=True))
            self._threads[-1].start()


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(_READ_BYTES):
            kept += data
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
