"""uvicorn's HTTP/1.1 protocol with the bounds that it lacks: a head's length, and deadlines for head, body and answer.

The deadlines cost no timer a request: every connection notes when a phase began, and one look a quarter of a second
over all connections closes what is late.
"""

from __future__ import annotations

import logging
import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from omega_plugins.transports.http.door import TurnedAway

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from omega_plugins.transports.http.limits import Limits

log = logging.getLogger(__name__)
log.setLevel(logging.ERROR)  # a line for all that strangers send would fill the disk; an app's bug is told
_END_OF_HEAD = b"\r\n\r\n"


class Phase(Enum):
    """What of a request is awaited."""

    FIRST = auto()
    """The first byte of the connection's first head."""
    HEAD = auto()
    BODY = auto()
    NEXT = auto()
    """The first byte of another head; how long, uvicorn's keep-alive timer says."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: Config, state: ServerState, limits: Limits) -> None:
        """Share `config`, `state` and `limits` with the server's other connections."""
        super().__init__(config, state, {})
        self.logger = log
        self._limits = limits
        self._phase = Phase.FIRST
        self._since_s = 0.0
        self._stuck_s: float | None = None
        self._head_bytes = 0
        self._ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many already."""
        super().connection_made(transport)
        self._since_s = time.monotonic()
        if len(self.connections) > 2 * self._limits.connections:
            transport.abort()
        elif len(self.connections) > self._limits.connections:
            self.app = TurnedAway(self._limits.retry_after_s)

    def data_received(self, data: bytes) -> None:
        """Parse, unless the head is too long."""
        if self.transport.is_closing():
            return
        if self._phase is not Phase.BODY:
            if self._phase is not Phase.HEAD:
                self._begin_head()
            allowed = self._limits.head_bytes - self._head_bytes
            self._head_bytes += len(data)
            if len(data) > allowed and _END_OF_HEAD not in data[: max(0, allowed)]:
                self._refuse(431, "the head is longer than allowed")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a head, perhaps in the bytes that ended the message before."""
        if self._phase is not Phase.HEAD:
            self._begin_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        self._phase, self._since_s = Phase.BODY, time.monotonic()
        super().on_headers_complete()
        if self._ending:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Await another head."""
        self._phase = Phase.NEXT
        super().on_message_complete()

    def look(self, now_s: float) -> None:
        """Close the connection if its client is late."""
        waited_s = now_s - self._since_s
        if self.flow.write_paused:
            self._stuck_s = self._stuck_s or now_s
            if now_s - self._stuck_s > self._limits.write_s:
                self.transport.abort()
            return
        self._stuck_s = None
        if self._phase is Phase.FIRST and waited_s > self._limits.head_s:
            self.transport.close()
        elif self._phase is Phase.HEAD and waited_s > self._limits.head_s:
            self._refuse(408, "the head took too long")
        elif self._phase is Phase.BODY and waited_s > self._limits.body_s and not self.pipeline:
            self._refuse(408, "the body took too long")

    def shutdown(self) -> None:
        """End after the request that is on its way, if one is."""
        self._ending = True
        if self._phase in (Phase.FIRST, Phase.NEXT):
            super().shutdown()
        elif self._phase is Phase.BODY:
            self.cycle.keep_alive = False

    def _begin_head(self) -> None:
        self._phase, self._since_s, self._head_bytes = Phase.HEAD, time.monotonic(), 0

    def _refuse(self, status: int, reason: str) -> None:
        """Say why, if no answer has begun, and close; what the app would still say goes nowhere."""
        cycle = self.cycle
        answering = cycle is not None and not cycle.response_complete
        if not (answering and cycle.response_started):
            head = f"HTTP/1.1 {status} {reason}\r\ncontent-length: {len(reason)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + reason).encode("ascii"))
        if answering:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()


def look_at(connections: set[Any]) -> None:
    """Close every connection whose client is late."""
    now_s = time.monotonic()
    for connection in list(connections):
        if not connection.transport.is_closing():
            connection.look(now_s)
