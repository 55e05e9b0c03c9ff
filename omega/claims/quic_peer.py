"""A client with aioquic alone that can change its port in mid-connection, as behind a router that forgot it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamDataReceived

from omega_plugins.transports.quic.address import ALPN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aioquic.quic.events import QuicEvent

HOST = "127.0.0.1"


class Peer(QuicConnectionProtocol):
    """One connection."""

    def __init__(self, quic: QuicConnection, port: int) -> None:
        """`port` is the server's."""
        super().__init__(quic)
        self.shaken = False
        self.end: ConnectionTerminated | None = None
        self.answers: dict[int, bytes] = {}
        self.whole: set[int] = set()
        """The streams whose answers have come to their end."""
        self._server = (HOST, port)
        self._came = asyncio.Event()

    def quic_event_received(self, event: QuicEvent) -> None:
        """Keep what comes."""
        if isinstance(event, StreamDataReceived):
            self.answers[event.stream_id] = self.answers.get(event.stream_id, b"") + event.data
            self.whole |= {event.stream_id} if event.end_stream else set()
        elif isinstance(event, HandshakeCompleted):
            self.shaken = True
        elif isinstance(event, ConnectionTerminated):
            self.end = event
        self._came.set()

    def say(self, data: bytes, *, end: bool = True) -> int:
        """Send bytes on a stream of their own, and return its number."""
        stream_id = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(stream_id, data, end_stream=end)
        self.transmit()
        return stream_id

    async def ask(self, data: bytes) -> bytes:
        """Say something, and return the whole answer."""
        stream_id = self.say(data)
        while stream_id not in self.whole:
            self._came.clear()
            await self._came.wait()
        return self.answers[stream_id]

    async def open(self) -> None:
        """Speak from a new port, and give the old one up, if there was one."""
        old = self._transport
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, remote_addr=self._server)
        if old:
            old.close()

    async def leave(self) -> None:
        """Say farewell, and close the socket."""
        self.close()
        if self._timer:
            self._timer.cancel()
        if self._transport:
            self._transport.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def met(port: int, ca: Path, alpn: str = ALPN, *, window_bytes: int = 1_048_576) -> AsyncIterator[Peer]:
    """Give a peer that has begun its handshake with a port of this machine."""
    configuration = QuicConfiguration(
        alpn_protocols=[alpn], cafile=str(ca), server_name="localhost", max_stream_data=window_bytes
    )
    peer = Peer(QuicConnection(configuration=configuration), port)
    await peer.open()
    peer.connect((HOST, port))
    try:
        yield peer
    finally:
        await peer.leave()
