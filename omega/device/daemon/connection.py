"""One client's connection: its bytes cut into lines, each answered in order; dropped when it stalls."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from omega.core.parsing import MAX_JSON_BYTES
from omega.device.daemon.protocol import Answer, Caller, Lines, fault, line_limit, too_long

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.device.daemon.protocol import Methods
    from omega.device.daemon.server import Limits

log = logging.getLogger(__name__)
_HIGH_WATER_BYTES = 4 * MAX_JSON_BYTES
"""With so much unread by its client, a connection isn't served further."""


class Connection(asyncio.Protocol):
    """Serves one client, one request at a time, so that a client with many in flight holds up no other."""

    def __init__(
        self,
        limits: Limits,
        methods: Methods,
        owner_uid: int,
        opened: Callable[[Connection], bool],
        answered: Callable[[bytes, Caller], Answer],
        closed: Callable[[Connection], None],
    ) -> None:
        """Serve when `opened` says that there is room; `answered` does a line's work, `closed` hears of the end."""
        self._limits = limits
        self._opened, self._answered, self._closed = opened, answered, closed
        self._owner_uid = owner_uid
        self._lines = Lines(lambda head: line_limit(head, methods, owner=self._caller.owner))
        self._waiting: deque[bytes | int] = deque()
        self._loop = asyncio.get_running_loop()
        self._line_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._writable = True

    @property
    def busy(self) -> bool:
        """Whether there are requests without an answer, or an answer that its client hasn't taken."""
        return bool(self._waiting) or (not self._transport.is_closing() and self._transport.get_write_buffer_size() > 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is; turn it away when there is no room."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (asyncio's promise for a stream, told to mypy)
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self._caller = _caller(transport.get_extra_info("socket"), self._owner_uid)
        if not self._opened(self):
            self._last(fault("busy", f"there are {self._limits.clients} clients, allowed: no more: try again later"))

    def data_received(self, data: bytes) -> None:
        """Answer what is complete; what isn't must be so in time. Nothing more is read before all is answered."""
        self._waiting.extend(line for line in self._lines.feed(data) if isinstance(line, int) or line.strip())
        if b"\n" in data:
            self._stop_line_timer()
        if self._waiting:
            self._transport.pause_reading()
            self._next()
        else:
            self._await_line()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's form)
        """Do what was received in whole, although nobody waits for the answer."""
        self._writable = True
        self._stop_line_timer()
        self._stop_write_timer()
        if self._waiting:
            self._loop.call_soon(self._next)
        else:
            self._closed(self)

    def pause_writing(self) -> None:
        """Do no more for a client that doesn't read."""
        self._writable = False
        self._watch_writing(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on for a client that read."""
        self._stop_write_timer()
        self._writable = True
        if self._waiting:
            self._loop.call_soon(self._next)

    def stop(self) -> None:
        """Close the connection once its client has what was answered."""
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def _next(self) -> None:
        """Answer one request, then let the others have their turn."""
        if not self._waiting or not self._writable:
            return
        line = self._waiting.popleft()
        reply = too_long(line) if isinstance(line, int) else self._answered(line, self._caller)
        self._write(reply.line)
        if self._waiting:
            if self._writable:
                self._loop.call_soon(self._next)
        elif self._transport.is_closing():
            self._closed(self)
        else:
            self._transport.resume_reading()
            self._await_line()

    def _await_line(self) -> None:
        if self._lines.begun and self._line_timer is None:
            self._line_timer = self._loop.call_later(self._limits.line_s, self._stalled)

    def _stop_line_timer(self) -> None:
        if self._line_timer:
            self._line_timer.cancel()
            self._line_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None

    def _write(self, line: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(line)

    def _last(self, reply: Answer) -> None:
        self._write(reply.line)
        self._transport.close()

    def _stalled(self) -> None:
        log.warning("dropped a client of uid %d: its line didn't end in time", self._caller.uid)
        allowed = f"allowed: {self._limits.line_s:g} s from its first byte to its newline"
        self._last(fault("deadline", f"the line didn't end, {allowed}: send it whole"))

    def _watch_writing(self, before_bytes: int) -> None:
        self._write_timer = self._loop.call_later(self._limits.write_s, self._check_writing, before_bytes)

    def _check_writing(self, before_bytes: int) -> None:
        """Drop a client that took nothing since the last look; one that is only slow gets more time."""
        left_bytes = self._transport.get_write_buffer_size()
        if left_bytes < before_bytes:
            self._watch_writing(left_bytes)
            return
        log.warning("dropped a client of uid %d: it doesn't read its answers", self._caller.uid)
        self._waiting.clear()
        self._transport.abort()


def _caller(connected: socket.socket, owner_uid: int) -> Caller:
    """Ask the kernel who connected; the client can't lie about it."""
    pid, uid, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Caller(uid, pid, owner=uid in (0, owner_uid))
