"""The TV's side: asks over a connection that is open for a moment, and says of every failure what to do."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from omega.core.errors import InputError, TransportError
from omega.core.ports import MAX_FRAME_BYTES, MAX_REPLY_BYTES, Fetched, TransportClient
from omega_plugins.transports.answers import OK, PART, RETRY_AFTER, UNCHANGED, refused, too_long
from omega_plugins.transports.quic.address import ALPN
from omega_plugins.transports.quic.book import kept_of
from omega_plugins.transports.quic.envelope import Get, Sync, sealed
from omega_plugins.transports.quic.failures import UnreachedError, told_of, unreached
from omega_plugins.transports.quic.line import BrokenAnswerError, EndedError, Line, TooLongError, UnheardError
from omega_plugins.transports.quic.trust import digest, roots

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aioquic.quic.events import HandshakeCompleted
    from aioquic.tls import SessionTicket

    from omega_plugins.transports.quic.address import Address
    from omega_plugins.transports.quic.book import Book, Kept
    from omega_plugins.transports.quic.envelope import Head, Question

    Where: TypeAlias = tuple[socket.AddressFamily, tuple[str, int]]

QUESTIONS = 64
"""How many of one client are on their way at once, half of what a server takes; more wait for their turn."""
SLOWEST_BYTES_S = 16_384
"""A file that comes slower than this is given up, and asked for again in parts."""
LINGER_S = 2.0
"""How long a connection is kept for another question."""
_IDLE_S = 10
_TICKET_S = 1.0
"""How long a connection that is to end waits for the ticket that makes the next one quick."""
_MOST_ADDRESSES = 4


class Met(msgspec.Struct):
    """How connections began, in figures."""

    connections: int = 0
    resumed: int = 0
    early: int = 0
    """Whose first questions the server took from the first flight."""


class QuicClient(TransportClient):
    """A shard behind QUIC."""

    def __init__(
        self,
        address: Address,
        *,
        token: Callable[[], str],
        ca: Path | None,
        timeout_s: float,
        patience_s: float,
        book: Book,
    ) -> None:
        """Load the authorities; connect later. Raises InputError.

        After `patience_s` without a packet nobody is taken to be there.
        """
        if not 0 < timeout_s <= 3600:
            raise InputError(f"timeout_s is {timeout_s}, allowed: more than 0, up to 3,600")
        self._address, self._token, self._book = address, token, book
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._roots = roots(ca)
        self._key = f"{address.origin} {digest(ca)}"
        self._turns = asyncio.Semaphore(QUESTIONS)
        self._opening = asyncio.Lock()
        self._line: Line | None = None
        self._lines: set[Line] = set()
        self._lingering: asyncio.TimerHandle | None = None
        self.met = Met()
        """What a claim looks at."""

    async def exchange(self, frame: bytes) -> bytes:
        """Carry a frame there and its answer back; with a token in the first flight. Raises TransportError."""
        if len(frame) > MAX_FRAME_BYTES:
            raise too_long("frame", len(frame), MAX_FRAME_BYTES)
        token = self._token()
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise TransportError("the token has other characters than a token may: enrol again", permanent=True)
        question = Sync(token, frame)
        head, body = await self._asked(question, MAX_REPLY_BYTES, self._timeout_s, early=bool(token))
        if head.status != OK:
            raise refused(self._address.origin, head.status, _headers(head), body)
        return body

    async def get(self, path: str, *, max_bytes: int, etag: str | None = None, part: range | None = None) -> Fetched:
        """Fetch what stands at a path; slower than 16 KB/s it is given up. Raises TransportError."""
        if not (path.startswith("/") and path.isascii() and path.isprintable() and " " not in path):
            raise InputError(f"path is {path[:100]!r}, allowed: printable ASCII that begins with /")
        timeout_s = self._timeout_s + max_bytes / SLOWEST_BYTES_S
        head, body = await self._asked(Get(path, etag or "", part), max_bytes, timeout_s, early=False)
        if head.status == UNCHANGED and etag:
            return Fetched(None, None, etag)
        if head.status not in (OK, PART):
            raise refused(self._address.origin + path, head.status, _headers(head), body)
        return Fetched(body, head.size_bytes, head.etag or None)

    async def close(self) -> None:
        """Close every connection once what is on its way is answered and the ticket for the next one is there."""
        if self._lingering:
            self._lingering.cancel()
        while any(line.busy for line in self._lines):  # noqa: ASYNC110  (once)
            await asyncio.sleep(0.01)
        self._line = None
        for line in list(self._lines):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICKET_S):
                    await line.ticketed.wait()
            line.hang_up()
        self._lines.clear()

    async def _asked(self, question: Question, max_bytes: int, timeout_s: float, *, early: bool) -> tuple[Head, bytes]:
        data, where = sealed(question), self._address.origin
        try:
            async with asyncio.timeout(timeout_s), self._turns:
                line = await self._open(early=early)
                return await line.ask(data, max_bytes)
        except TooLongError as error:
            raise too_long(f"the answer of {where}", error.args[0], max_bytes) from error
        except TimeoutError as error:
            self._leave()  # a connection that died in silence would hold up the next question as well
            raise TransportError(f"{where} gave no answer within {timeout_s:g} s: ask later") from error
        except BrokenAnswerError as error:
            raise TransportError(f"the answer of {where} is broken, {error}: ask again") from error
        except UnheardError as error:
            raise unreached(where, error.args[0]) from error
        except EndedError as error:
            raise told_of(where, self._address.host, error) from error
        finally:
            self._linger()

    async def _open(self, *, early: bool) -> Line:
        """Return the open line, or a new one; raises what a line does."""
        async with self._opening:
            if self._line is None or self._line.ended:
                self._line = await self._fresh()
            line = self._line
        if not (early and line.early):
            await asyncio.shield(line.shaken)
        return line

    async def _fresh(self) -> Line:
        """Return a new line to the first of the shard's addresses from which anything comes."""
        kept = self._book.take(self._key)
        found = await _addresses(self._address)
        if kept and (known := [where for where in found if where[1][0] == kept.host]):
            found = known
        for where in found[:-1]:
            line = await self._begun(where, kept)
            line.transmit()
            with suppress(UnheardError):
                await asyncio.shield(line.heard)
                return line
        return await self._begun(found[-1], kept)

    async def _begun(self, where: Where, kept: Kept | None) -> Line:
        """Return a line whose first packets wait for the first question, so that it leaves with them."""
        host = where[1][0]

        def given(session: SessionTicket) -> None:
            self._book.keep(self._key, kept_of(session, host))
            line.ticketed.set()

        configuration = QuicConfiguration(
            alpn_protocols=[ALPN],
            server_name=self._address.host,
            idle_timeout=_IDLE_S,
            session_ticket=kept.session() if kept else None,
            cafile=self._roots[0],
            capath=self._roots[1],
        )
        quic = QuicConnection(configuration=configuration, session_ticket_handler=given)
        loop = asyncio.get_running_loop()
        early = kept is not None and kept.early_bytes is not None
        try:
            transport, line = await loop.create_datagram_endpoint(
                lambda: Line(quic, early=early), family=where[0], remote_addr=where[1]
            )
        except OSError as error:
            raise UnheardError(error) from error
        self._lines = {held for held in self._lines if not held.ended} | {line}
        self.met.connections += 1
        line.shaken.add_done_callback(self._count)
        line.connect(transport.get_extra_info("peername"), transmit=False)
        loop.call_soon(line.transmit)
        loop.call_later(self._patience_s, line.lose_patience)
        return line

    def _count(self, shaken: asyncio.Future[HandshakeCompleted]) -> None:
        if not (shaken.cancelled() or shaken.exception()):
            self.met.resumed += shaken.result().session_resumed
            self.met.early += shaken.result().early_data_accepted

    def _linger(self) -> None:
        """Close the line when nothing was asked for a moment."""
        if self._lingering:
            self._lingering.cancel()
        self._lingering = asyncio.get_running_loop().call_later(LINGER_S, self._rest)

    def _rest(self) -> None:
        if self._line and not self._line.busy:
            self._line.hang_up()
            self._line = None

    def _leave(self) -> None:
        """Let the next question make a new connection; others may still be answered on this one."""
        self._line = None


async def _addresses(address: Address) -> list[Where]:
    """Return where a name leads to. Raises TransportError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        told = f"{address.origin} has no address ({error.strerror}): check the name and the network"
        raise UnreachedError(told) from error
    return [(family, (str(place[0]), address.port)) for family, _, _, _, place in found[:_MOST_ADDRESSES]]


def _headers(head: Head) -> dict[str, str]:
    return {} if head.retry_after_s is None else {RETRY_AFTER: str(head.retry_after_s)}
