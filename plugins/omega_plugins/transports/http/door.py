"""A SyncApp as a bare ASGI application: three paths, bounded bodies. It runs under any ASGI server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from omega.core.errors import OmegaError
from omega.core.ports import Reply
from omega_plugins.transports.answers import Stretch, answer, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from omega.core.ports import SyncApp

    Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
    Send: TypeAlias = Callable[[Any], Awaitable[None]]
    RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

SYNC = "/v1/sync"
_BEARER = b"bearer "
_PART_BYTES = 262_144


class Door:
    """Answers POST /v1/sync, GET /v1/artifacts/{name} and GET /v1/health."""

    def __init__(self, app: SyncApp, *, body_bytes: int) -> None:
        """Refuse a body longer than `body_bytes` as soon as that is known."""
        self.app = app
        self._body_bytes = body_bytes

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise OmegaError(f"the ASGI scope is {scope['type']}, allowed: http")
        if scope["path"] == SYNC:
            if scope["method"] != "POST":
                await _say(send, _not_allowed("POST"))
                return
            reply = await self._sync(scope["headers"], receive)
            if reply:
                await _say(send, reply)
        elif scope["method"] == "GET":
            headers = dict(scope["headers"])
            told = {name: headers.get(name, b"").decode("latin-1") for name in (b"if-none-match", b"range")}
            found = answer(self.app, scope["path"], if_none_match=told[b"if-none-match"], asked=told[b"range"])
            await (_say(send, found) if isinstance(found, Reply) else _send_stretch(send, found))
        else:
            await _say(send, _not_allowed("GET"))

    async def _sync(self, headers: RawHeaders, receive: Receive) -> Reply | None:
        """Return the app's reply, or a refusal; None when the client left."""
        token, declared = token_and_length(headers)
        if declared > self._body_bytes:
            return self._too_long(declared)
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body", False) and len(body) <= self._body_bytes:
            message = await receive()
            body += message.get("body", b"")
        if len(body) > self._body_bytes:
            return self._too_long(len(body))
        if message["type"] == "http.disconnect":
            return None
        return await self.app.sync(token, body)

    def _too_long(self, size_bytes: int) -> Reply:
        return refusal(413, f"body is {size_bytes:,} B or more, allowed: {self._body_bytes:,} B: send less")


def token_and_length(headers: RawHeaders) -> tuple[str, int]:
    """Return the bearer token, empty without one, and how long the body is said to be.

    0 where that isn't said, -1 where it comes in chunks.
    """
    token, declared = "", 0
    for name, value in headers:
        if name == b"authorization":
            token = value[len(_BEARER) :].strip().decode("latin-1") if value[:7].lower() == _BEARER else ""
        elif name == b"content-length":
            declared = int(value)  # the server's parser let nothing but a number through
        elif name == b"transfer-encoding":
            declared = -1
    return token, declared


class TurnedAway:
    """Answers everything with 503: what a client beyond the limit of connections meets."""

    def __init__(self, retry_after_s: int) -> None:
        """Ask to be left alone for so long."""
        self._reply = refusal(
            503, "there are too many connections", (("retry-after", str(retry_after_s)), ("connection", "close"))
        )

    async def __call__(self, _scope: Mapping[str, Any], _receive: Receive, send: Send) -> None:
        """Refuse one request."""
        await _say(send, self._reply)


def _not_allowed(method: str) -> Reply:
    return refusal(405, f"allowed here: {method}", (("allow", method),))


def _start(reply: Reply, size_bytes: int) -> dict[str, Any]:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if reply.status != 304:
        headers.append((b"content-length", b"%d" % size_bytes))
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def _say(send: Send, reply: Reply) -> None:
    await send(_start(reply, len(reply.body)))
    await send({"type": "http.response.body", "body": reply.body})


async def _send_stretch(send: Send, stretch: Stretch) -> None:
    """Send a file's bytes in parts; those that the file has lost meanwhile end the connection, and never pass."""
    await send(_start(stretch.reply, stretch.stop - stretch.start))
    with stretch.file.open("rb") as file:
        file.seek(stretch.start)
        left = stretch.stop - stretch.start
        while left:
            part = await asyncio.to_thread(file.read, min(left, _PART_BYTES))
            if not part:
                raise OmegaError(f"{stretch.file} became shorter while it was sent: artifacts must not change")
            left -= len(part)
            await send({"type": "http.response.body", "body": part, "more_body": bool(left)})
        if stretch.start == stretch.stop:
            await send({"type": "http.response.body", "body": b""})
