"""A transport without a network: client and shard in one process, and faults in the order in which a test wants them.

with loopback.serving(app) as wire:
    wire.order(LOSE_REPLY, Fault(delay_s=3), DUPLICATE)   # of the next three questions; then all goes well again
    async with LoopbackTransport.connect(wire.url, token=lambda: "t") as client: ...
"""

from __future__ import annotations

import itertools
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import msgspec

from omega.core.errors import InputError, TransportError, shown
from omega.core.hooks import hookimpl
from omega.core.ports import MAX_FRAME_BYTES, MAX_REPLY_BYTES, Fetched, Reply, Transport, TransportClient
from omega_plugins.transports.answers import OK, UNCHANGED, Stretch, answer, refused, too_long

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from omega.core.ports import SyncApp

    Sleep = Callable[[float], Awaitable[object]]

_SCHEME = "loopback"
_numbers = itertools.count(1)


class Fault(msgspec.Struct, frozen=True):
    """What befalls one question on its way; all at once, if so ordered."""

    delay_s: float = 0
    """Before it arrives."""
    lose_request: bool = False
    duplicates: int = 0
    """How many times more it arrives; the last answer is the one that goes back."""
    lose_reply: bool = False


NO_FAULT = Fault()
LOSE_REQUEST = Fault(lose_request=True)
LOSE_REPLY = Fault(lose_reply=True)
DUPLICATE = Fault(duplicates=1)


class Wire:
    """The way to one served app, and what is on it."""

    def __init__(self, app: SyncApp, sleep: Sleep | None) -> None:
        """`sleep` waits in place of asyncio's, for a clock that is turned by hand."""
        self.app = app
        self.url = f"{_SCHEME}://{next(_numbers)}"
        self.questions = 0
        """How many were asked, lost ones included."""
        self.sent: list[tuple[bytes, bytes | None]] = []
        """Every frame that arrived and what came back, None for what was lost; a test looks at these."""
        self._sleep = sleep
        self._faults: deque[Fault] = deque()

    def order(self, *faults: Fault) -> None:
        """Let these befall the next questions, one each, after those that are ordered already."""
        self._faults += faults

    async def carry(self, token: str, frame: bytes, where: str) -> Reply:
        """Carry a frame to the app, whatever befalls it; raises TransportError when something is lost."""
        self.questions += 1
        fault = self._faults.popleft() if self._faults else NO_FAULT
        if fault.delay_s:
            await self._wait(fault.delay_s)
        if fault.lose_request:
            raise TransportError(f"{where} gave no answer, the question was lost: ask later")
        for _ in range(fault.duplicates):
            self.sent.append((frame, (await self.app.sync(token, frame)).body))
        reply = await self.app.sync(token, frame)
        self.sent.append((frame, None if fault.lose_reply else reply.body))
        if fault.lose_reply:
            raise TransportError(f"{where} gave no answer, it was lost: ask later")
        return reply

    async def _wait(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415  (25 ms that a listing of plugins doesn't need)

        await (self._sleep or asyncio.sleep)(seconds)


_served: dict[str, Wire] = {}


@contextmanager
def serving(app: SyncApp, *, sleep: Sleep | None = None) -> Iterator[Wire]:
    """Serve an app inside the block, at the wire's `url`."""
    wire = Wire(app, sleep)
    _served[wire.url] = wire
    try:
        yield wire
    finally:
        del _served[wire.url]


class LoopbackTransport(Transport):
    """Client and shard in one process, with faults that are ordered; for tests."""

    NAME = "loopback"
    SCHEMES: ClassVar[tuple[str, ...]] = (_SCHEME,)

    @classmethod
    def connect(
        cls, url: str, *, token: Callable[[], str], ca: Path | None = None, timeout_s: float = 10
    ) -> TransportClient:
        """Return a client of the app that is served at `url`; there is nobody to check, so no `ca` is taken."""
        if ca or not url.startswith(f"{_SCHEME}://"):
            raise InputError(f"URL is {shown(url)}, ca is {ca}, allowed: {_SCHEME}://N of a wire, without a ca")
        return _LoopbackClient(url, token, timeout_s)


class _LoopbackClient(TransportClient):
    def __init__(self, url: str, token: Callable[[], str], timeout_s: float) -> None:
        self._url, self._token, self._timeout_s = url, token, timeout_s

    async def exchange(self, frame: bytes) -> bytes:
        import asyncio  # noqa: PLC0415

        if len(frame) > MAX_FRAME_BYTES:
            raise too_long("frame", len(frame), MAX_FRAME_BYTES)
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._wire().carry(self._token(), frame, self._url)
        except TimeoutError as error:
            raise TransportError(f"{self._url} gave no answer within {self._timeout_s:g} s: ask later") from error
        if reply.status != OK:
            raise refused(self._url, reply.status, dict(reply.headers), reply.body)
        return _within(self._url, reply.body, MAX_REPLY_BYTES)

    async def get(self, path: str, *, max_bytes: int, etag: str | None = None, part: range | None = None) -> Fetched:
        asked = f"bytes={part.start}-{part.stop - 1}" if part is not None else ""
        found = answer(self._wire().app, path, if_none_match=etag or "", asked=asked)
        reply = found if isinstance(found, Reply) else found.reply
        headers = dict(reply.headers)
        if reply.status == UNCHANGED:
            return Fetched(None, None, etag)
        if reply.status >= 300:
            raise refused(self._url + path, reply.status, headers, reply.body)
        if not isinstance(found, Stretch):
            return Fetched(_within(self._url, reply.body, max_bytes), len(reply.body), None)
        if found.stop - found.start > max_bytes:
            raise too_long(f"the answer of {self._url}", found.stop - found.start, max_bytes)
        with found.file.open("rb") as file:
            file.seek(found.start)
            data = file.read(found.stop - found.start)
            return Fetched(data, file.seek(0, 2), headers["etag"])

    async def close(self) -> None:
        """Hold nothing, let go of nothing."""

    def _wire(self) -> Wire:
        if self._url not in _served:
            raise TransportError(f"{self._url} can't be reached, nobody serves it: ask later")
        return _served[self._url]


def _within(url: str, body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise too_long(f"the answer of {url}", len(body), max_bytes)
    return body


@hookimpl
def omega_transports() -> list[type[Transport]]:
    """Offer LoopbackTransport."""
    return [LoopbackTransport]
