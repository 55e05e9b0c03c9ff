"""A TV's QUIC connection: questions go out as streams, answers come back to who asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from aioquic.quic.packet import QuicPacketType
from aioquic.tls import Epoch

from omega_plugins.transports.answers import UNCHANGED
from omega_plugins.transports.quic.envelope import head_of

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import QuicEvent

    from omega_plugins.transports.quic.envelope import Head

T = TypeVar("T")
_REFUSAL_BYTES = 4_096
_GIVEN_UP = 3
"""The code of a stream that nobody waits for any more."""


class UnheardError(Exception):
    """Nothing ever came from there; its argument is why."""


class EndedError(Exception):
    """The connection ended; `event` says how."""

    def __init__(self, event: ConnectionTerminated | None) -> None:
        super().__init__()
        self.event = event


class BrokenAnswerError(Exception):
    """What came is no answer of this protocol."""


class TooLongError(Exception):
    """The answer is longer than allowed; its argument is how long."""


class Waiting:
    """An answer that is on its way."""

    def __init__(self, max_bytes: int) -> None:
        self.done: asyncio.Future[tuple[Head, bytes]] = asyncio.get_running_loop().create_future()
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._head: Head | None = None

    def feed(self, data: bytes, *, end: bool) -> None:
        """Take bytes of it; what is too long isn't held."""
        if self.done.done():
            return
        self._data += data
        if self._head is None and (found := head_of(self._data)):
            self._head = found[0]
            del self._data[: found[1]]
        head, size_bytes = self._head, len(self._data)
        if head is None:
            if end:
                self.fail(BrokenAnswerError("it ends in its head"))
            return
        refuses = head.status >= 300 and head.status != UNCHANGED
        if head.coming_bytes > (_REFUSAL_BYTES if refuses else self._max_bytes):
            self.fail(TooLongError(head.coming_bytes))
        elif size_bytes > head.coming_bytes or (end and size_bytes < head.coming_bytes):
            self.fail(BrokenAnswerError(f"{size_bytes:,} B of {head.coming_bytes:,} B came"))
        elif end:
            self.done.set_result((head, bytes(self._data)))

    def fail(self, error: Exception) -> None:
        """End it without an answer."""
        if not self.done.done():
            self.done.set_exception(error)


class Line(QuicConnectionProtocol):
    """One connection; it ends by itself when it is idle."""

    def __init__(self, quic: QuicConnection, *, early: bool) -> None:
        """`early`: it has a ticket, so that questions may leave before the handshake."""
        super().__init__(quic)
        self.early = early
        self.heard: asyncio.Future[None] = self._loop.create_future()
        """Done with the first packet from the server, or with the end."""
        self.shaken: asyncio.Future[HandshakeCompleted] = self._loop.create_future()
        self.ticketed = asyncio.Event()
        """Set when the server gave a ticket, or never will."""
        self.ended: Exception | None = None
        self._waiting: dict[int, Waiting] = {}
        self.heard.add_done_callback(_retrieve)
        self.shaken.add_done_callback(_retrieve)

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way."""
        return bool(self._waiting)

    async def ask(self, question: bytes, max_bytes: int) -> tuple[Head, bytes]:
        """Send a question, and return the answer. Raises this module's errors."""
        if self.ended:
            raise self.ended
        waiting, stream_id = Waiting(max_bytes), self._quic.get_next_available_stream_id()
        self._waiting[stream_id] = waiting
        self._quic.send_stream_data(stream_id, question, end_stream=True)
        self.transmit()
        try:
            return await waiting.done
        except BaseException:
            self._give_up(stream_id)
            raise
        finally:
            self._waiting.pop(stream_id, None)

    def hang_up(self) -> None:
        """Tell the server, and close the socket; it isn't waited for anything."""
        if not self.ended:
            self.close()
            self._end(EndedError(None))

    def lose_patience(self) -> None:
        """End it if nothing has come by now."""
        if not self.heard.done():
            self._end(TimeoutError())

    def transmit(self) -> None:
        """Send what waits, unless the line has ended."""
        if not self.ended:
            super().transmit()

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        """Take a packet; a server's farewell ends the line at once, and not after QUIC's pause."""
        if self.ended:
            return
        super().datagram_received(data, addr)
        if not self.heard.done():
            self.heard.set_result(None)
        farewell = self._quic._close_event  # noqa: SLF001  (aioquic tells it three timeouts later)
        if farewell:
            self._end(EndedError(farewell))

    def error_received(self, exc: Exception) -> None:
        """Take it that nobody is there, or nobody any more, if that is what the network says."""
        self._end(EndedError(None) if self.heard.done() else exc)

    def quic_event_received(self, event: QuicEvent) -> None:
        """Bring answers to who asked."""
        if isinstance(event, StreamDataReceived):
            if waiting := self._waiting.get(event.stream_id):
                waiting.feed(event.data, end=event.end_stream)
        elif isinstance(event, (StreamReset, StopSendingReceived)):
            if isinstance(event, StreamReset) and (waiting := self._waiting.get(event.stream_id)):
                waiting.fail(BrokenAnswerError("the shard gave it up"))
        elif isinstance(event, HandshakeCompleted):
            self._shake(event)
        elif isinstance(event, ConnectionTerminated):
            self._end(EndedError(event))

    def _shake(self, event: HandshakeCompleted) -> None:
        if self.early and not event.early_data_accepted:
            self._send_again()
        if not self.shaken.done():
            self.shaken.set_result(event)

    def _send_again(self) -> None:
        """Send what the server didn't take as early data at once; aioquic would wait until it seems lost."""
        recovery = self._quic._loss  # noqa: SLF001
        space = self._quic._spaces[Epoch.ONE_RTT]  # noqa: SLF001
        refused = tuple(p for p in space.sent_packets.values() if p.packet_type is QuicPacketType.ZERO_RTT)
        if refused:
            recovery._on_packets_lost(congestion_event=False, now=self._loop.time(), packets=refused, space=space)  # noqa: SLF001

    def _give_up(self, stream_id: int) -> None:
        """Let the server know that nobody waits for this answer."""
        if not self.ended:
            with suppress(ValueError):  # both ends are done with it already
                self._quic.reset_stream(stream_id, _GIVEN_UP)
                self._quic.stop_stream(stream_id, _GIVEN_UP)
            self.transmit()

    def _end(self, error: Exception) -> None:
        if self.ended:
            return
        if not self.heard.done():
            error = UnheardError(error)
            self.heard.set_exception(error)
        self.ended = error
        if not self.shaken.done():
            self.shaken.set_exception(error)
        self.ticketed.set()
        for waiting in self._waiting.values():
            waiting.fail(error)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()


def _retrieve(future: asyncio.Future[T]) -> None:
    """Look at an error that perhaps nobody waits for, so that asyncio doesn't report it."""
    if not future.cancelled():
        future.exception()
