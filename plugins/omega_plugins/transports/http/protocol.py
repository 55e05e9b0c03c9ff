"""uvicorn's HTTP/1.1 protocol with the bounds that it lacks: a head's length, and deadlines for head, body and answer.

The deadlines cost no timer a request: every connection notes when a phase began, and one look a quarter of a second
over all connections closes what is late.
"""

from __future__ import annotations

import logging
import time
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from omega_plugins.transports.answers import refusal
from omega_plugins.transports.http.door import SYNC, Door, TurnedAway, token_and_length
from omega_plugins.transports.http.shortcut import SyncCycle, head, whole

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from omega.core.ports import Reply
    from omega_plugins.transports.http.limits import Limits

log = logging.getLogger(__name__)
log.setLevel(logging.ERROR)  # a line for all that strangers send would fill the disk; an app's bug is told
_END_OF_HEAD = b"\r\n\r\n"
_SYNC = SYNC.encode()


class Phase(Enum):
    """What of a request is awaited."""

    FIRST = auto()
    """The first byte of the connection's first head."""
    HEAD = auto()
    BODY = auto()
    NEXT = auto()
    """The first byte of another head."""


_BETWEEN = Phase.FIRST, Phase.NEXT


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
        if self.transport.is_closing() or self._took(data):
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
        self.url, self.headers, self.expect_100_continue = b"", [], False  # the scope is made when ASGI gets it

    def on_headers_complete(self) -> None:
        """Go on to the body: of a sync by the short way, of all else by ASGI."""
        self._phase, self._since_s = Phase.BODY, time.monotonic()
        if self.url == _SYNC and (token := self._plain_token()) is not None:
            self.cycle = SyncCycle(token, keep_alive=self.parser.should_keep_alive())  # type: ignore[assignment]
        else:
            self._make_scope()
            super().on_headers_complete()
        if self._ending:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Await another head."""
        self._phase = Phase.NEXT
        super().on_message_complete()
        cycle: Any = self.cycle
        if type(cycle) is SyncCycle and not (cycle.response_complete or cycle.disconnected):
            self._hand_in(cycle, bytes(cycle.body))

    def on_response_complete(self) -> None:
        """Go on with what has come meanwhile, or wait."""
        super().on_response_complete()
        if self._phase is Phase.NEXT:
            self._since_s = time.monotonic()

    def look(self, now_s: float) -> None:
        """Close the connection if its client is late."""
        waited_s = now_s - self._since_s
        if self.flow.write_paused:
            self._stuck_s = self._stuck_s or now_s
            if now_s - self._stuck_s > self._limits.write_s:
                self.transport.abort()
            return
        self._stuck_s = None
        if self._phase is Phase.FIRST and waited_s > (self._limits.last_s if self._ending else self._limits.head_s):
            self.transport.close()
        elif self._phase is Phase.HEAD and waited_s > self._limits.head_s:
            self._refuse(408, "the head took too long")
        elif self._phase is Phase.BODY and waited_s > self._limits.body_s and not self.pipeline:
            self._refuse(408, "the body took too long")
        elif self._phase is Phase.NEXT and waited_s > self._limits.idle_s and self.cycle.response_complete:
            self.transport.close()

    def shutdown(self) -> None:
        """End after the request that is on its way, if one is; who has just come may still ask."""
        self._ending = True
        if self._phase is Phase.NEXT:
            super().shutdown()
        elif self._phase is Phase.BODY:
            self.cycle.keep_alive = False

    def _plain_token(self) -> str | None:
        """Return the token of a sync that can take the short way; None for what is unusual, which is left to ASGI."""
        parser = self.parser
        if self.expect_100_continue or self._is_busy():
            return None
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or parser.should_upgrade():
            return None
        token, declared = token_and_length(self.headers)
        return token if 0 <= declared <= self._limits.body_bytes else None

    def _took(self, data: bytes) -> bool:
        """Take a sync that came in one piece and in the usual form, and say whether these bytes were one."""
        if self._phase not in _BETWEEN or self._is_busy() or self._ending:
            return False
        found = whole(data, self._limits.head_bytes, self._limits.body_bytes)
        if found is None:
            return False
        self._unset_keepalive_if_required()
        self._phase = Phase.NEXT
        self.cycle = cycle = SyncCycle(found.token, keep_alive=True)  # type: ignore[assignment]
        self._hand_in(cycle, found.body)
        return True

    def _is_busy(self) -> bool:
        """Say whether a sync must go by ASGI, behind what goes before it or to who turns it away."""
        waits = self.pipeline or not (self.cycle is None or self.cycle.response_complete)
        return bool(waits or self.flow.write_paused or not isinstance(self.app, Door))

    def _hand_in(self, cycle: SyncCycle, body: bytes) -> None:
        """Have a sync answered whose body has come; by a task only if the app needs one."""
        door: Door = self.app
        try:
            taken = door.app.hand_in(cycle.token, body, partial(self._answer, cycle))
        except Exception:  # what an app fails at is its own affair, and said in the log
            self.logger.exception("Exception in the app")
            self._fail(cycle)
            return
        if not taken:
            task = self.loop.create_task(self._sync(door, cycle, body))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    async def _sync(self, door: Door, cycle: SyncCycle, body: bytes) -> None:
        try:
            reply = await door.app.sync(cycle.token, body)
        except Exception:
            self.logger.exception("Exception in the app")
            self._fail(cycle)
        else:
            self._answer(cycle, reply)

    def _fail(self, cycle: SyncCycle) -> None:
        cycle.keep_alive = False
        self._answer(cycle, refusal(500, "the shard failed"))

    def _answer(self, cycle: SyncCycle, reply: Reply) -> None:
        """Send it, unless the client has gone; what a slow one doesn't read, the next sync's way by ASGI waits for."""
        if cycle.disconnected or cycle.response_complete:
            return
        cycle.response_started = cycle.response_complete = True
        keep_alive = cycle.keep_alive
        self.transport.write(head(reply, self.server_state.default_headers, keep_alive=keep_alive) + reply.body)
        if not keep_alive:
            self.transport.close()
        if self.pipeline:
            self.on_response_complete()
        else:  # what uvicorn does then costs a timer; `look` does without
            self.server_state.total_requests += 1
            self._since_s = time.monotonic()

    def _make_scope(self) -> None:
        """Do what uvicorn does when a message begins."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers

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
