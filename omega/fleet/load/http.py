"""HTTP/1.1 on pooled connections, as a balancer keeps them to a shard: 12 us a request, where aiohttp takes 90.

A connection carries one question at a time. Answers are read for what the shard's own server writes: a status, a
content-length, perhaps retry-after; whatever else comes is a broken answer, and ends its connection.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections import deque
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from omega.core.ports import MAX_REPLY_BYTES
from omega.fleet.load.carrying import TIMEOUT_S
from omega.fleet.load.tls import ResumingContext

if TYPE_CHECKING:
    from omega.fleet.load.carrying import Ends, Visit
    from omega_plugins.transports.http.address import Address

_MAX_HEAD_BYTES = 16_384
_END_OF_HEAD = b"\r\n\r\n"
_SWEEP_S = 0.1


class HttpCarrier:
    """A pool of connections to one server."""

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext | None,
        ends: Ends,
        *,
        most: int,
        fresh: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Open up to `most` connections as they are needed; with `fresh` each carries one sync only."""
        self._address, self._context, self.ends = address, context, ends
        self._most, self._fresh, self._timeout_s = most, fresh, timeout_s
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._queue: deque[Visit] = deque()
        self._deadlines: deque[tuple[float, Visit]] = deque()
        """All that aren't over, and some that are."""
        self._head = f"POST {address.prefix}/v1/sync HTTP/1.1\r\nHost: {address.authority}\r\nAuthorization: Bearer "
        self._opened = self._most_open = 0
        self._loop = asyncio.get_running_loop()
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return len(self._queue)

    @property
    def figures(self) -> dict[str, int]:
        """How many connections there were, and how many at once."""
        resumed = self._context.resumed if isinstance(self._context, ResumingContext) else 0
        return {"connections": self._opened, "most_at_once": self._most_open, "resumed": resumed}

    def send(self, visit: Visit) -> bool:
        """Send it over an idle connection, over a new one, or as soon as one is free."""
        self._deadlines.append((time.perf_counter() + self._timeout_s, visit))
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                connection.ask(visit)
                return True
        self._queue.append(visit)
        self._open_more()
        return False

    async def close(self) -> None:
        """Drop every connection."""
        self._sweeping.cancel()
        self._queue.clear()
        for opening in list(self._opening):
            opening.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for _, visit in self._deadlines:
            self.lost(visit, "no answer by the end")
        for connection in list(self._open):
            connection.transport.abort()
        await asyncio.sleep(0)

    def request(self, visit: Visit) -> bytes:
        """Return the bytes of a visit."""
        frame = visit.told.frame
        return f"{self._head}{visit.token}\r\nContent-Length: {len(frame)}\r\n\r\n".encode("ascii") + frame

    # --- what connections tell ---

    def connected(self, connection: _Connection) -> None:
        """Take a new connection into the pool."""
        self._open.add(connection)
        self._opened += 1
        self._most_open = max(self._most_open, len(self._open))

    def answered(self, visit: Visit, status: int, body: bytes, retry_after_s: float) -> None:
        """Tell of an answer, unless it comes after the visit was given up."""
        if not visit.over:
            visit.over = True
            self.ends.answered(visit, status, body, retry_after_s)

    def lost(self, visit: Visit, reason: str) -> None:
        """Tell that no answer comes, unless that was told."""
        if not visit.over:
            visit.over = True
            self.ends.lost(visit, reason)

    def free(self, connection: _Connection) -> None:
        """Give a connection that has its answer the next visit, or let it wait for one."""
        if self._fresh:
            if isinstance(self._context, ResumingContext):
                self._context.answered(connection.transport.get_extra_info("ssl_object"))
            connection.transport.close()
        else:
            self._use(connection)

    def ended(self, connection: _Connection, visit: Visit | None, *, heard: bool) -> None:
        """Forget a connection; a visit over a kept one that was closed before a byte came is asked again, once."""
        self._open.discard(connection)
        if visit is not None and not visit.over:
            if connection.used and not heard:
                self._queue.appendleft(visit)
            else:
                self.lost(visit, "connection closed without an answer")
        if self._queue:
            self._open_more()

    # --- connections ---

    def _open_more(self) -> None:
        if len(self._opening) < len(self._queue) and len(self._open) + len(self._opening) < self._most:
            opening = self._loop.create_task(self._connect())
            self._opening.add(opening)
            opening.add_done_callback(self._opened_or_not)

    def _opened_or_not(self, opening: asyncio.Task[None]) -> None:
        """Go on with whoever still waits: a connection that failed takes one of them along."""
        self._opening.discard(opening)
        if self._queue and not opening.cancelled():
            self._open_more()

    async def _connect(self) -> None:
        """Open one connection for whoever waits longest; if that fails, that one is lost."""
        address, name = self._address, self._address.host if self._context else None
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await self._loop.create_connection(
                    partial(_Connection, self), address.host, address.port, ssl=self._context, server_hostname=name
                )
        except (OSError, TimeoutError) as error:
            while self._queue:
                visit = self._queue.popleft()
                if not visit.over:
                    self.lost(visit, _reason(error))
                    break
            return
        self._use(connection)

    def _use(self, connection: _Connection) -> None:
        """Give a connection the visit that waits longest; without one it waits itself."""
        while self._queue:
            visit = self._queue.popleft()
            if not visit.over:
                connection.ask(visit)
                return
        self._idle.append(connection)

    def _sweep(self) -> None:
        """Give up whoever waited for too long."""
        now_s = time.perf_counter()
        while self._deadlines and (self._deadlines[0][1].over or self._deadlines[0][0] <= now_s):
            _, visit = self._deadlines.popleft()
            self.lost(visit, f"no answer within {self._timeout_s:g} s")
            line = visit.line
            if isinstance(line, _Connection) and line.visit is visit:
                line.transport.abort()
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)


class _Connection(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, pool: HttpCarrier) -> None:
        self._pool = pool
        self._data = bytearray()
        self._head: tuple[int, int, float] | None = None
        self.visit: Visit | None = None
        self.used = False
        """Whether it had an answer before."""

    @property
    def usable(self) -> bool:
        return not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # create_connection makes no other kind
        self._pool.connected(self)

    def ask(self, visit: Visit) -> None:
        self.visit, visit.line = visit, self
        request = self._pool.request(visit)
        visit.sent_s = time.perf_counter()
        if visit.pause_s:
            half = len(request) - len(visit.told.frame) // 2
            self.transport.write(request[:half])
            asyncio.get_running_loop().call_later(visit.pause_s, self._go_on, visit, request[half:])
        else:
            self.transport.write(request)

    def _go_on(self, visit: Visit, rest: bytes) -> None:
        if self.visit is visit and self.usable:
            self.transport.write(rest)

    def data_received(self, data: bytes) -> None:
        if self.visit is None:
            self.transport.abort()  # nobody asked
            return
        if self._head is None and not self._data and self._took(data):
            return
        self._data += data
        if self._head is None and not self._read_head():
            return
        if self._head is not None and len(self._data) >= self._head[1]:
            self._end(*self._head)

    def _took(self, data: bytes) -> bool:
        """Take an answer that came in one piece, as nearly all do."""
        at = data.find(_END_OF_HEAD)
        try:
            status, length, retry_after_s = _read(data[: max(at, 0)])
        except ValueError:
            return False
        body = data[at + len(_END_OF_HEAD) :]
        if len(body) != length:
            return False
        self._tell(status, body, retry_after_s)
        return True

    def _read_head(self) -> bool:
        """Say whether the head has come; a broken one ends the connection."""
        at = self._data.find(_END_OF_HEAD)
        if at < 0:
            if len(self._data) > _MAX_HEAD_BYTES:
                self._break()
            return False
        try:
            self._head = _read(bytes(self._data[:at]))
        except ValueError:
            self._break()
            return False
        del self._data[: at + len(_END_OF_HEAD)]
        return True

    def _break(self) -> None:
        visit, self.visit = self.visit, None
        self.transport.abort()
        if visit is not None:
            self._pool.lost(visit, "broken answer (no HTTP)")

    def _end(self, status: int, length: int, retry_after_s: float) -> None:
        body, extra = bytes(self._data[:length]), len(self._data) > length
        self._data.clear()
        self._head = None
        self._tell(status, body, retry_after_s, extra=extra)

    def _tell(self, status: int, body: bytes, retry_after_s: float, *, extra: bool = False) -> None:
        visit, self.visit, self.used = self.visit, None, True
        if visit is not None:
            self._pool.answered(visit, status, body, retry_after_s)
        if extra or self.transport.is_closing():
            self.transport.abort()
        else:
            self._pool.free(self)

    def connection_lost(self, _error: Exception | None) -> None:
        visit, self.visit = self.visit, None
        self._pool.ended(self, visit, heard=bool(self._data) or self._head is not None)


@lru_cache(256)
def _read(head: bytes) -> tuple[int, int, float]:
    """Return status, length and retry-after of a head; a server's answers mostly have the same. Raises ValueError."""
    status_line, *lines = head.lower().split(b"\r\n")
    if not status_line.startswith(b"http/1.1 "):
        raise ValueError(status_line)
    fields = dict(line.split(b": ", 1) for line in lines)
    length = int(fields[b"content-length"]) if b"content-length" in fields else -1
    if not 0 <= length <= MAX_REPLY_BYTES:
        raise ValueError(length)
    return int(status_line[9:12]), length, float(fields.get(b"retry-after", b"0"))


def _reason(error: OSError | TimeoutError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS ({error.reason or 'handshake failed'})"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return f"no connection ({os.strerror(error.errno) if error.errno else type(error).__name__})"
