"""One connection: writes a request, reads its answer within bounds.

Parsed by httptools: 1.3 us an answer and 0.3 MB of memory, where h11 takes 41 us and 1.3 MB.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httptools
import msgspec

if TYPE_CHECKING:
    import ssl

    from omega_plugins.transports.http.address import Address

MAX_HEAD_BYTES = 16_384
IDLE_S = 240.0
"""How long a kept connection is believed in; routers on the way forget one after five minutes."""
_READ_BYTES = 65_536


class Answer(msgspec.Struct):
    """One HTTP response."""

    status: int = 0
    headers: dict[str, str] = {}
    """Lower-case names; of several with one name the last."""
    body: bytes = b""


class UnansweredError(Exception):
    """The connection ended before the first byte of an answer: on a kept one, the server had closed it meanwhile."""


class BrokenAnswerError(Exception):
    """What came is no whole HTTP response."""


class TooLongError(Exception):
    """The answer's body is longer than allowed; the argument is its length, as far as it is known."""


class Connection:
    """A connection to one server, for one question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over both streams."""
        self._reader, self._writer = reader, writer
        self._used_s = _now()

    @classmethod
    async def open(cls, address: Address, context: ssl.SSLContext | None) -> Connection:
        """Connect; raises OSError."""
        name = address.host if context else None
        return cls(*await asyncio.open_connection(address.host, address.port, ssl=context, server_hostname=name))

    def usable(self) -> bool:
        """Say whether an answer can be hoped for."""
        return not (self._reader.at_eof() or self._writer.is_closing()) and _now() - self._used_s < IDLE_S

    async def ask(self, request: bytes, max_bytes: int) -> tuple[Answer, bool]:
        """Send a request, return its answer and whether the connection can be kept.

        Raises OSError and the errors above, after which it can't.
        """
        incoming = _Incoming(max_bytes)
        try:
            self._writer.write(request)
            while not incoming.complete:
                data = await self._reader.read(_READ_BYTES)
                if not data:
                    break
                incoming.feed(data)
        except ConnectionError as error:
            if incoming.begun:
                raise
            raise UnansweredError from error
        if not incoming.begun:
            raise UnansweredError
        if not incoming.complete:
            raise BrokenAnswerError("it ends in the middle")
        self._used_s = _now()
        return incoming.answer, incoming.keep

    def abort(self) -> None:
        """Drop it at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close it, without waiting for a server that doesn't care."""
        self._writer.close()
        try:
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()


class _Incoming:
    """An answer as far as it has come; httptools calls the methods named on_*."""

    def __init__(self, max_bytes: int) -> None:
        self.answer = Answer(headers={})
        self.begun = self.complete = self.keep = False
        self._max_bytes = max_bytes
        self._head_bytes = self._headers_bytes = 0
        self._in_body = self._beyond = False
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take what came; raises BrokenAnswerError, TooLongError."""
        self.begun = True
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BrokenAnswerError(f"it is no HTTP ({type(error).__name__})") from error
        if max(self._headers_bytes, 0 if self._in_body else self._head_bytes) > MAX_HEAD_BYTES:
            raise BrokenAnswerError(f"its head is longer than {MAX_HEAD_BYTES:,} B")
        if self._size_bytes > self._max_bytes:
            raise TooLongError(self._size_bytes)

    def on_message_begin(self) -> None:
        self._beyond = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_bytes += len(name) + len(value)
        if not self.complete:
            self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._beyond or self._parser.get_status_code() < 200:
            return
        self._in_body = True
        self.answer.status = self._parser.get_status_code()
        self.keep = self._parser.should_keep_alive()
        length = self.answer.headers.get("content-length", "")
        if self.answer.status not in (204, 304) and length.isdigit():
            self._size_bytes = int(length[:18])  # refused at once if it is too long, before any of it is read

    def on_body(self, part: bytes) -> None:
        if "content-length" not in self.answer.headers:
            self._size_bytes += len(part)
        if not self._beyond and self._size_bytes <= self._max_bytes:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        if self._beyond:
            self.keep = False
        elif self._in_body:
            self.answer.body = b"".join(self._parts)
            self.complete = True
        else:  # 100 and its like: the answer is still to come
            self.answer.headers.clear()


def _now() -> float:
    """Return seconds that go on while the machine sleeps: a connection doesn't outlive that."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
