"""The shard's side: one worker's socket in the running loop, beside whatever else is served there."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from aioquic.asyncio.server import QuicServer as AioquicServer
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.packet import QuicHeader, QuicPacketType, pull_quic_header
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from omega.core.errors import InputError
from omega_plugins.transports.http.server import tls as checked_tls
from omega_plugins.transports.quic.address import ALPN
from omega_plugins.transports.quic.connection import STREAM_BYTES, Connection
from omega_plugins.transports.quic.door import Door
from omega_plugins.transports.quic.limits import Limits
from omega_plugins.transports.quic.refusing import full, other_version
from omega_plugins.transports.quic.routing import Route
from omega_plugins.transports.quic.session import NO_ERROR, TOO_SLOW, Session
from omega_plugins.transports.quic.tickets import Tickets

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from omega.core.ports import SyncApp

    Peer: TypeAlias = tuple[str, int]

log = logging.getLogger(__name__)
_LOOK_S = 0.25
_HEARD_S = 0.5
"""How long a stopping server waits to learn that its last answers came: a client that is gone never says so."""
_ID_BYTES = 8


def configured(certificate: Path, key: Path, idle_s: float = Limits().idle_s) -> QuicConfiguration:
    """Return what every connection of a server begins with, from PEM files. Raises InputError."""
    checked_tls(certificate, key)
    made = QuicConfiguration(
        is_client=False,
        alpn_protocols=[ALPN],
        connection_id_length=_ID_BYTES,
        idle_timeout=idle_s,
        max_stream_data=STREAM_BYTES,
    )
    made.load_cert_chain(certificate, key)
    held = made.private_key
    fits = isinstance(held, (RSAPrivateKey, Ed25519PrivateKey)) or (
        isinstance(held, EllipticCurvePrivateKey) and isinstance(held.curve, (SECP256R1, SECP384R1))
    )
    if not fits:
        raise InputError(f"{key} is of a kind that QUIC can't use, allowed: EC P-256 or P-384, Ed25519, RSA")
    return made


class Dispatcher(AioquicServer):
    """Hands packets to their connections; the end of one costs nothing that grows with the others' number."""

    _protocols: dict[bytes, Session]  # type: ignore[assignment]

    def __init__(
        self, configuration: QuicConfiguration, door: Door, route: Route, tickets: Tickets, limits: Limits
    ) -> None:
        super().__init__(configuration=configuration)
        self.sessions: set[Session] = set()
        self.ending = False
        """Whether nobody new is taken."""
        self._door, self._route, self._tickets, self._limits = door, route, tickets, limits

    def datagram_received(self, data: bytes | str, addr: Peer) -> None:
        """Take a packet; what is none, or nobody's, is passed over."""
        data = data if isinstance(data, bytes) else data.encode()
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=_ID_BYTES)
        except ValueError:
            return
        session = self._protocols.get(header.destination_cid) or self._met(header, len(data), addr)
        if session is None:
            return
        try:
            session.datagram_received(data, addr)
        except Exception as error:  # noqa: BLE001  (a peer's packet must not end more than its own connection)
            log.warning("a connection broke (%s: %s)", type(error).__name__, error)
            self._connection_terminated(session)
        if session.ended:
            self._connection_terminated(session)

    def look(self) -> None:
        """Close connections that are late."""
        now_s = self._loop.time()
        for session in list(self.sessions):
            unshaken = not session.shaken and session.since_s < now_s - self._limits.handshake_s
            if unshaken or session.overdue(now_s - self._limits.question_s):
                session.close(TOO_SLOW, "too slow")
                self._connection_terminated(session)

    def close(self) -> None:
        """Close every connection, and stop listening."""
        for session in list(self.sessions):
            session.close(NO_ERROR)
            self._connection_terminated(session)
        super().close()

    def _met(self, header: QuicHeader, size_bytes: int, addr: Peer) -> Session | None:
        """Return the session of a client that comes for the first time; None for what is no such thing."""
        fresh = size_bytes >= SMALLEST_MAX_DATAGRAM_SIZE and not self.ending
        if header.version is None or header.packet_type == QuicPacketType.VERSION_NEGOTIATION or not fresh:
            return None
        if header.version not in self._versions:
            self._send(other_version(header, self._versions), addr)
            return None
        if header.packet_type != QuicPacketType.INITIAL or len(header.destination_cid) < _ID_BYTES:
            return None
        if len(self.sessions) >= self._limits.connections:
            self._send(full(header, header.version), addr)
            return None
        connection = Connection(
            self._configuration, header.destination_cid, self._route, self._tickets, self._limits.streams
        )
        session = Session(connection, self._door, self._loop.time())
        if self._transport is not None:
            session.connection_made(self._transport)
        session._connection_id_issued_handler = partial(self._connection_id_issued, protocol=session)  # noqa: SLF001
        session._connection_id_retired_handler = partial(self._connection_id_retired, protocol=session)  # noqa: SLF001
        session._connection_terminated_handler = partial(self._connection_terminated, protocol=session)  # noqa: SLF001
        self.sessions.add(session)
        self._protocols |= dict.fromkeys(session.ids, session)
        return session

    @property
    def _versions(self) -> list[int]:
        return self._configuration.supported_versions

    def _send(self, data: bytes, addr: Peer) -> None:
        if self._transport is not None:
            self._transport.sendto(data, addr)

    def _connection_id_issued(self, cid: bytes, protocol: Session) -> None:  # type: ignore[override]
        protocol.ids.add(cid)
        self._protocols[cid] = protocol

    def _connection_id_retired(self, cid: bytes, protocol: Session) -> None:  # type: ignore[override]
        protocol.ids.discard(cid)
        self._protocols.pop(cid, None)

    def _connection_terminated(self, protocol: Session) -> None:  # type: ignore[override]
        """Let a connection's own ids go; aioquic looks through those of all connections."""
        for cid in protocol.ids:
            self._protocols.pop(cid, None)
        protocol.ids.clear()
        protocol.forget()
        self.sessions.discard(protocol)


class QuicServer:
    """Serves one app at one worker's socket inside an `async with`, whose end drains it."""

    def __init__(
        self,
        app: SyncApp,
        bound: socket.socket,
        *,
        certificate: tuple[Path, Path],
        ticket_key: bytes,
        worker: int = 0,
        workers: int = 1,
        limits: Limits | None = None,
    ) -> None:
        """Serve at this worker's socket of `routing.bind`, which is closed at the end, with a chain and its key.

        `ticket_key` is a secret of 32 bytes or more that all workers share. Raises InputError.
        """
        self._limits = limits or Limits()
        self._configuration = configured(*certificate, self._limits.idle_s)
        self._route, self._door = Route(worker, workers), Door(app, self._limits)
        self._tickets = Tickets(ticket_key, limit=self._limits.tickets)
        self._bound = bound
        self._dispatcher: Dispatcher | None = None
        self._looking: asyncio.Task[None] | None = None
        self.port: int = bound.getsockname()[1]

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._dispatcher.sessions) if self._dispatcher else 0

    async def __aenter__(self) -> Self:
        """Begin."""

        def made() -> Dispatcher:
            return Dispatcher(self._configuration, self._door, self._route, self._tickets, self._limits)

        _, self._dispatcher = await asyncio.get_running_loop().create_datagram_endpoint(made, sock=self._bound)
        self._looking = asyncio.create_task(self._look(self._dispatcher))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take nobody any more, answer what has begun, and close every connection."""
        if self._dispatcher is None or self._looking is None:
            return
        self._dispatcher.ending = True
        await self._until(self._limits.drain_s, lambda sessions: not any(session.busy for session in sessions))
        await self._until(_HEARD_S, lambda sessions: not any(session.waiting for session in sessions))
        self._looking.cancel()
        self._dispatcher.close()
        await asyncio.sleep(0)  # the socket closes with the loop's next turn

    async def _until(self, seconds: float, holds: Callable[[set[Session]], bool]) -> None:
        """Wait until something holds of the sessions, but no longer than so."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while self._dispatcher and not holds(self._dispatcher.sessions) and loop.time() < until_s:  # noqa: ASYNC110  (once)
            await asyncio.sleep(0.01)

    async def _look(self, dispatcher: Dispatcher) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            dispatcher.look()
