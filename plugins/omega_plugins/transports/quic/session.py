"""The server's side of one connection: questions that are whole go to the door, answers go back in parts."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.connection import QuicConnectionState
from aioquic.quic.events import HandshakeCompleted, StopSendingReceived, StreamDataReceived, StreamReset

from omega.core.errors import InputError
from omega_plugins.transports.answers import refusal
from omega_plugins.transports.quic.envelope import MAX_QUESTION_BYTES, Sync, opened

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aioquic.quic.events import QuicEvent

    from omega.core.ports import Reply
    from omega_plugins.transports.quic.connection import Connection
    from omega_plugins.transports.quic.envelope import Question

    Answer = AsyncGenerator[bytes, None]

NO_ERROR, TOO_SLOW, GONE = 0, 1, 2
"""Codes of a connection's or a stream's end, besides QUIC's own."""
HIGH_WATER_BYTES = 262_144
"""So much of an answer may wait to be acknowledged before more of it is read."""


class Door(Protocol):
    """What answers a question."""

    write_s: float

    def answered(self, question: Question) -> Answer:
        """Yield the bytes of an answer, head first; an error ends the stream as broken."""

    def refused(self, reply: Reply) -> bytes:
        """Return a refusal's bytes."""


class Session(QuicConnectionProtocol):
    """One client's connection."""

    _quic: Connection

    def __init__(self, quic: Connection, door: Door, since_s: float) -> None:
        """`since_s` is now by the loop's clock."""
        super().__init__(quic)
        self.ids = {quic.original_destination_connection_id, quic.host_cid}
        """What its packets are addressed to."""
        self.shaken = False
        """Whether the handshake is done: then the client is at its address, and these aren't bytes of another day."""
        self.since_s = since_s
        self._door = door
        self._parts: dict[int, tuple[float, bytearray]] = {}
        self._early: list[tuple[int, Question]] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._room: dict[int, asyncio.Event] = {}

    @property
    def busy(self) -> bool:
        """Whether a question has begun, or is being answered."""
        return bool(self._parts or self._tasks or self._early)

    @property
    def waiting(self) -> bool:
        """Whether the client hasn't acknowledged all that it was told."""
        return bool(self._quic._streams)  # noqa: SLF001  (aioquic has no public view of them)

    @property
    def ended(self) -> bool:
        """Whether nobody came, or somebody said farewell, after which aioquic holds on for three timeouts."""
        nobody = self._quic._state is QuicConnectionState.FIRSTFLIGHT  # noqa: SLF001
        return nobody or self._quic._close_event is not None  # noqa: SLF001

    def overdue(self, since_s: float) -> bool:
        """Say whether a question began before then and hasn't ended."""
        return any(began_s < since_s for began_s, _ in self._parts.values())

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        """Take a packet, and let answers go on that waited for one."""
        super().datagram_received(data, addr)
        for stream_id, room in self._room.items():
            if self._held_bytes(stream_id) < HIGH_WATER_BYTES:
                room.set()

    def quic_event_received(self, event: QuicEvent) -> None:
        """Gather questions, answer those that are whole."""
        if isinstance(event, StreamDataReceived):
            self._heard(event.stream_id, event.data, end=event.end_stream)
        elif isinstance(event, HandshakeCompleted):
            self.shaken = True
            early, self._early = self._early, []
            for stream_id, question in early:
                self._answer(stream_id, question)
        elif isinstance(event, (StopSendingReceived, StreamReset)):
            self._leave(event.stream_id)

    def forget(self) -> None:
        """Stop all that is under way; nothing is sent any more."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks.values():
            task.cancel()
        self._parts.clear()
        self._early.clear()

    def _heard(self, stream_id: int, data: bytes, *, end: bool) -> None:
        if stream_id in self._tasks:
            return
        began_s, held = self._parts.get(stream_id) or (self._loop.time(), bytearray())
        held += data
        if len(held) > MAX_QUESTION_BYTES:
            self._parts.pop(stream_id, None)
            self._quic.stop_stream(stream_id, GONE)
            self._refuse(stream_id, 413, f"the question is longer than {MAX_QUESTION_BYTES:,} B: send less")
        elif not end:
            self._parts[stream_id] = began_s, held
        else:
            self._parts.pop(stream_id, None)
            self._asked(stream_id, bytes(held))

    def _asked(self, stream_id: int, data: bytes) -> None:
        """Answer a question; in early data, which somebody may send again, only one that may come twice."""
        try:
            question = opened(data)
        except InputError as error:
            self._refuse(stream_id, 400, str(error))
            return
        if self.shaken or (isinstance(question, Sync) and question.token):
            self._answer(stream_id, question)
        else:
            self._early.append((stream_id, question))

    def _answer(self, stream_id: int, question: Question) -> None:
        task = self._loop.create_task(self._answered(stream_id, self._door.answered(question)))
        self._tasks[stream_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(stream_id, None))

    async def _answered(self, stream_id: int, answer: Answer) -> None:
        """Send an answer, one part behind, so that its last bytes and its end go together."""
        held = b""
        try:
            async with aclosing(answer):
                async for part in answer:
                    if held:
                        self._quic.send_stream_data(stream_id, held)
                        self.transmit()
                        await self._room_for(stream_id)
                    held = part
        except Exception:  # noqa: BLE001  (the door has said it in the log)
            self._quic.reset_stream(stream_id, GONE)
        else:
            self._quic.send_stream_data(stream_id, held, end_stream=True)
        self.transmit()

    async def _room_for(self, stream_id: int) -> None:
        """Wait until the client has taken enough. Raises TimeoutError."""
        while self._held_bytes(stream_id) >= HIGH_WATER_BYTES:
            room = self._room[stream_id] = asyncio.Event()
            try:
                async with asyncio.timeout(self._door.write_s):
                    await room.wait()
            finally:
                self._room.pop(stream_id, None)

    def _held_bytes(self, stream_id: int) -> int:
        stream = self._quic._streams.get(stream_id)  # noqa: SLF001  (aioquic takes all that it is given, at once)
        return len(stream.sender._buffer) if stream else 0  # noqa: SLF001

    def _refuse(self, stream_id: int, status: int, reason: str) -> None:
        self._quic.send_stream_data(stream_id, self._door.refused(refusal(status, reason)), end_stream=True)

    def _leave(self, stream_id: int) -> None:
        """Take no more trouble over a question that its client has given up."""
        self._parts.pop(stream_id, None)
        self._early = [held for held in self._early if held[0] != stream_id]
        if task := self._tasks.pop(stream_id, None):
            task.cancel()
            self._quic.reset_stream(stream_id, GONE)
