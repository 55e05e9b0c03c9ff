"""Servers for the tests: ours with its limits, and rogues that say what a test scripts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from omega.core.testing.transport_contract import TOKEN
from omega_plugins.transports.http import HttpTransport
from omega_plugins.transports.http.server import HttpServer, bind

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from omega.core.ports import SyncApp, TransportClient
    from omega_plugins.transports.http.limits import Limits


@asynccontextmanager
async def serving(
    app: SyncApp, limits: Limits | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[HttpServer, int]]:
    """Serve the app in the running loop; give the server and its port."""
    bound, server = bind("127.0.0.1", 0), HttpServer(app, limits=limits, context=context)
    port, task = bound.getsockname()[1], asyncio.create_task(server.serve(bound))
    try:
        yield server, port
    finally:
        server.stop()
        await task


@asynccontextmanager
async def rogue(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Let `talk` have each connection; give the port."""

    talks: set[asyncio.Task[None]] = set()

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(told(reader, writer)))

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks)
        await asyncio.sleep(0)  # closed transports leave with the loop's next turn


def client(port: int, ca: Path | None = None, *, host: str = "127.0.0.1", timeout_s: float = 10) -> TransportClient:
    """Return a client of a local port; https with a `ca`."""
    url = f"{'https' if ca else 'http'}://{host}:{port}"
    return HttpTransport.connect(url, token=lambda: TOKEN, ca=ca, timeout_s=timeout_s)


async def said(port: int, *parts: bytes, pause_s: float = 0, quiet_s: float = 0.3) -> bytes:
    """Send parts to a port with pauses between them, and return all that comes until the server closes or is quiet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = asyncio.create_task(_all_of(reader, quiet_s))
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
            if heard.done():
                break
    answer = await heard
    writer.close()
    return answer


async def _all_of(reader: asyncio.StreamReader, quiet_s: float) -> bytes:
    """Read to the end, or until nothing has come for a while after something had."""
    found = b""
    with suppress(ConnectionError, TimeoutError):
        while True:
            async with asyncio.timeout(quiet_s if found else 8):
                part = await reader.read(65_536)
            if not part:
                break
            found += part
    return found


def statuses(answer: bytes) -> list[int]:
    """Return the status codes in a connection's bytes."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def post(body: bytes, *, token: str = TOKEN, extra: str = "") -> bytes:
    """Return a whole request."""
    head = f"POST /v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{extra}Content-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body
