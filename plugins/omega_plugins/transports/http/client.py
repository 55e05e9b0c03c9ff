"""The TV's side: asks over kept connections, and says of every failure what it is worth to ask again."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING

from omega.core.errors import InputError, TransportError, on_one_line
from omega.core.ports import MAX_FRAME_BYTES, MAX_REPLY_BYTES, Fetched, TransportClient
from omega_plugins.transports.answers import OK, PART, UNCHANGED, refused, too_long
from omega_plugins.transports.http.address import parsed, trust
from omega_plugins.transports.http.connection import (
    Answer,
    BrokenAnswerError,
    Connection,
    TooLongError,
    UnansweredError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONNECTIONS = 8
"""How many questions of one client are on their way at once; more wait for their turn."""
SLOWEST_BYTES_S = 16_384
"""A file that comes slower than this is given up, and asked for again in parts."""
_REQUEST_TIMEOUT = 408


class HttpClient(TransportClient):
    """A shard behind HTTP/1.1."""

    def __init__(self, url: str, *, token: Callable[[], str], ca: Path | None, timeout_s: float) -> None:
        """Take the address apart and load the authorities; connect later. Raises InputError."""
        self._address = parsed(url)
        self._context = trust(self._address, ca)
        self._token = token
        if not 0 < timeout_s <= 3600:
            raise InputError(f"timeout_s is {timeout_s}, allowed: more than 0, up to 3,600")
        self._timeout_s = timeout_s
        self._idle: list[Connection] = []
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._closed = False

    async def exchange(self, frame: bytes) -> bytes:
        """Carry a frame there and its answer back; raises TransportError."""
        if len(frame) > MAX_FRAME_BYTES:
            raise too_long("frame", len(frame), MAX_FRAME_BYTES)
        headers = [f"Content-Length: {len(frame)}"]
        if token := self._token():
            if not (token.isascii() and token.isprintable() and " " not in token):
                raise TransportError("the token has other characters than a token may: enrol again", permanent=True)
            headers.append(f"Authorization: Bearer {token}")
        answer = await self._asked("POST", "/v1/sync", headers, frame, MAX_REPLY_BYTES, self._timeout_s)
        if answer.status != OK:
            raise refused(self._address.origin, answer.status, answer.headers, answer.body)
        return answer.body

    async def get(self, path: str, *, max_bytes: int, etag: str | None = None, part: range | None = None) -> Fetched:
        """Fetch what stands at a path; slower than 16 KB/s it is given up. Raises TransportError."""
        if not (path.startswith("/") and path.isascii() and path.isprintable() and " " not in path):
            raise InputError(f"path is {path[:100]!r}, allowed: printable ASCII that begins with /")
        headers = [f"If-None-Match: {etag}"] if etag else []
        if part is not None:
            headers.append(f"Range: bytes={part.start}-{part.stop - 1}")
        timeout_s = self._timeout_s + max_bytes / SLOWEST_BYTES_S
        answer = await self._asked("GET", path, headers, b"", max_bytes, timeout_s)
        if answer.status == UNCHANGED and etag:
            return Fetched(None, None, etag)
        if answer.status != (PART if part is not None else OK):
            raise refused(self._address.origin + path, answer.status, answer.headers, answer.body)
        whole = answer.headers.get("content-range", "").rpartition("/")[2] if part is not None else ""
        size_bytes = int(whole) if whole.isdecimal() and len(whole) < 19 else len(answer.body)
        return Fetched(answer.body, size_bytes, answer.headers.get("etag"))

    async def close(self) -> None:
        """Close every connection that waits for a question; those on their way close when they are answered."""
        self._closed = True
        waiting, self._idle = self._idle, []
        await asyncio.gather(*(connection.close() for connection in waiting))

    async def _asked(
        self, method: str, path: str, headers: list[str], body: bytes, max_bytes: int, timeout_s: float
    ) -> Answer:
        lines = [f"{method} {self._address.prefix}{path} HTTP/1.1", f"Host: {self._address.authority}", *headers]
        request = "\r\n".join([*lines, "\r\n"]).encode("ascii") + body
        where = self._address.origin
        try:
            async with asyncio.timeout(timeout_s), self._turns:
                return await self._answered(request, max_bytes)
        except TooLongError as error:
            raise too_long(f"the answer of {where}", error.args[0], max_bytes) from error
        except TimeoutError as error:
            raise TransportError(f"{where} gave no answer within {timeout_s:g} s: ask later") from error
        except UnansweredError as error:
            raise TransportError(f"{where} closed the connection without an answer: ask later") from error
        except BrokenAnswerError as error:
            raise TransportError(f"the answer of {where} is broken, {error}: ask again") from error
        except OSError as error:
            raise _unreachable(where, self._address.host, error) from error

    async def _answered(self, request: bytes, max_bytes: int) -> Answer:
        """Ask over a kept connection; when that turns out to be closed, over a new one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.usable():
                connection.abort()
                continue
            try:
                answer = await self._over(connection, request, max_bytes)
            except UnansweredError:
                break
            if answer.status != _REQUEST_TIMEOUT:  # else the server had given up before it saw the question
                return answer
        return await self._over(await Connection.open(self._address, self._context), request, max_bytes)

    async def _over(self, connection: Connection, request: bytes, max_bytes: int) -> Answer:
        try:
            answer, keep = await connection.ask(request, max_bytes)
        except BaseException:
            connection.abort()
            raise
        if keep and not self._closed:
            self._idle.append(connection)
        else:
            await connection.close()
        return answer


def _unreachable(where: str, host: str, error: OSError) -> TransportError:
    """Return what is told of a connection that didn't come about, or broke."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = on_one_line(error.verify_message)
        told = f"the certificate of {where} is refused ({reason}), allowed: a valid one for {host} of a trusted CA"
        return TransportError(f"{told}: renew it, or name its CA", permanent=True)
    if isinstance(error, ssl.SSLError):
        return TransportError(f"{where} speaks no TLS that is taken ({error.reason or error}): check its port")
    if isinstance(error, socket.gaierror):
        return TransportError(f"{where} has no address ({error.strerror}): check the name and the network")
    reason = os.strerror(error.errno) if error.errno else on_one_line(str(error))
    return TransportError(f"{where} can't be reached ({reason}): ask later")
