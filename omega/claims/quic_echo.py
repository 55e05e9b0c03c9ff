"""A server process of the claims about QUIC: `python -m omega.claims.quic_echo door|bare FOLDER FD WORKER WORKERS`.

Both answer whatever comes at a bound UDP socket with the same bytes, by the certificate in the folder, on uvloop and
aioquic: `door` as a shard's transport does, `bare` as the shortest server that gives tickets and takes each once.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer as AioquicServer
from aioquic.quic.events import StreamDataReceived

from omega.claims.http_echo import Echo
from omega_plugins.transports.quic.envelope import Head, headed
from omega_plugins.transports.quic.server import QuicServer, configured
from omega_plugins.transports.quic.tickets import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioquic.quic.events import QuicEvent
    from aioquic.tls import SessionTicket

REPLY_BYTES = 450
ANSWER = headed(Head(200, REPLY_BYTES, REPLY_BYTES)) + bytes(REPLY_BYTES)


class BareEcho(QuicConnectionProtocol):
    """Answers every stream once it is whole."""

    def quic_event_received(self, event: QuicEvent) -> None:
        """Answer; aioquic sends it with what it has to say itself."""
        if isinstance(event, StreamDataReceived) and event.end_stream:
            self._quic.send_stream_data(event.stream_id, ANSWER, end_stream=True)


def counting() -> type[BareEcho]:
    """Return a protocol of its own that counts in `asked`, over all connections."""

    class Counting(BareEcho):
        asked = 0

        def quic_event_received(self, event: QuicEvent) -> None:
            """Count, and answer."""
            type(self).asked += isinstance(event, StreamDataReceived) and event.end_stream
            super().quic_event_received(event)

    return Counting


async def bare_server(
    folder: Path, bound: socket.socket, protocol: type[QuicConnectionProtocol], *, once: bool
) -> AioquicServer:
    """Serve with aioquic alone; `once`: each ticket is taken once, as it should be."""
    tickets: dict[bytes, SessionTicket] = {}

    def keep(ticket: SessionTicket) -> None:
        tickets[ticket.ticket] = ticket

    find: Callable[[bytes], SessionTicket | None] = (lambda name: tickets.pop(name, None)) if once else tickets.get
    configuration = configured(folder / "server.pem", folder / "server.key")
    _, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: AioquicServer(
            configuration=configuration,
            create_protocol=protocol,
            session_ticket_fetcher=find,
            session_ticket_handler=keep,
        ),
        sock=bound,
    )
    return server


async def serve(which: str, folder: Path, bound: socket.socket, worker: int, workers: int) -> None:
    """Serve until SIGTERM."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    if which == "bare":
        server = await bare_server(folder, bound, BareEcho, once=True)
        await told.wait()
        server.close()
        return
    pair = folder / "server.pem", folder / "server.key"
    key = bytes(KEY_BYTES)
    app = Echo(REPLY_BYTES)
    async with QuicServer(app, bound, certificate=pair, ticket_key=key, worker=worker, workers=workers):
        await told.wait()


if __name__ == "__main__":
    given = socket.socket(fileno=int(sys.argv[3]))
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2]), given, int(sys.argv[4]), int(sys.argv[5])))
