"""The shard's side: uvicorn's protocol on uvloop and httptools, under a loop of our own that knows how to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import time
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from omega.core.errors import InputError, TransportError
from omega.core.ports import SyncApp
from omega_plugins.transports.http.door import Door
from omega_plugins.transports.http.limits import Limits
from omega_plugins.transports.http.protocol import Protocol, look_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from pathlib import Path

    Asgi = Callable[[Any, Any, Any], Awaitable[None]]

log = logging.getLogger(__name__)
PORT = 8443
_BACKLOG = 2048
_LOOK_S = 0.25


def bind(host: str, port: int, *, shared: bool = False, listening: bool = True) -> socket.socket:
    """Return a listening socket; with `shared` other sockets may be bound to the port and share its connections.

    One that isn't `listening` keeps the port, and gets none. Port 0 takes a free one. Raises InputError for a port that
    is none, TransportError.
    """
    if not 0 <= port <= 65_535:  # the C library takes 70,000 for 4,464
        raise InputError(f"port is {port}, allowed: 0..65,535")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # Without the protocol's number asyncio takes it for no TCP and leaves Nagle on: 46 ms an answer.
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise TransportError(f"{host}:{port} is no address to serve at ({error})", permanent=True) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        if listening:
            bound.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        told = f"{host}:{port} can't be served at ({error}): end what holds it, or choose another port"
        raise TransportError(told, permanent=True) from error
    return bound


def tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what makes a server's connections https, from PEM files; raises InputError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # else OpenSSL asks on the terminal
    except (OSError, ValueError) as error:
        told = f"certificate {certificate} and key {key} can't be used together ({error}), allowed: a PEM file each"
        raise InputError(f"{told}: make a pair with omega shard cert") from error
    return context


class HttpServer:
    """Serves one app on one bound socket; a loop may run several."""

    def __init__(
        self, app: SyncApp | Asgi, *, limits: Limits | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        """With a `context` (see `tls`) it speaks https. An ASGI application sees to the length of bodies itself."""
        self._limits = limits or Limits()
        self._context = context
        door = Door(app, body_bytes=self._limits.body_bytes) if isinstance(app, SyncApp) else app
        self._config = Config(
            door,
            http=Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=self._limits.idle_s,
        )
        self._config.load()
        self._state = ServerState()
        self._stopped = asyncio.Event()

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._state.connections)

    def stop(self) -> None:
        """Let `serve` end once what has begun is answered; for the loop's own thread, and for signals."""
        self._stopped.set()

    async def serve(self, bound: socket.socket, ready: Callable[[], None] = lambda: None) -> None:
        """Serve on a socket of `bind` until `stop`, then drain and close it; `ready` is called when it begins."""
        self._date()
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Protocol(self._config, self._state, self._limits),
            sock=bound,
            backlog=_BACKLOG,
            ssl=self._context,
            ssl_handshake_timeout=self._limits.head_s if self._context else None,
            ssl_shutdown_timeout=1 if self._context else None,
        )
        looking = asyncio.create_task(self._look())
        try:
            ready()
            await self._stopped.wait()
            log.info("stopping, %d connections", self.connections)
            listener.close()
            await self._drain()
        finally:
            listener.close()
            looking.cancel()
            self._abort()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self._date()
            look_at(self._state.connections)

    def _date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]

    async def _drain(self) -> None:
        """Answer what had come in, also what the kernel still holds, and let every connection end."""
        for _ in range(3):  # accepting, reading and answering take a turn of the loop each
            await asyncio.sleep(0)
        for connection in list(self._state.connections):
            connection.shutdown()
        until_s = time.monotonic() + self._limits.drain_s
        while (self._state.connections or self._state.tasks) and time.monotonic() < until_s:  # noqa: ASYNC110  (once)
            await asyncio.sleep(0.01)

    def _abort(self) -> None:
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()


@asynccontextmanager
async def serving(server: HttpServer, bound: socket.socket) -> AsyncIterator[None]:
    """Serve within the block on a socket of `bind`, which is closed at its end, beside whatever else the loop does."""
    task = asyncio.create_task(server.serve(bound))
    try:
        yield
    finally:
        server.stop()
        await task


async def serve_until_told(
    app: SyncApp,
    bound: socket.socket,
    *,
    limits: Limits | None = None,
    context: ssl.SSLContext | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; for a process's main thread."""
    server = HttpServer(app, limits=limits, context=context)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve(bound, ready)


def run(served: Coroutine[Any, Any, None]) -> None:
    """Run what serves on uvloop."""
    with suppress(KeyboardInterrupt):
        uvloop.run(served)
