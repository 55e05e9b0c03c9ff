"""gRPC servers for the tests: ours with its limits, and rogues that say what a test scripts; and a bare channel."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc

from omega.core.testing.transport_contract import TOKEN
from omega_plugins.transports.grpc import GrpcTransport
from omega_plugins.transports.grpc.server import GrpcServer, address_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from omega.core.ports import SyncApp, TransportClient
    from omega_plugins.transports.grpc.limits import Limits

SERVICE = "/omega.sync.v1.Sync/"


@asynccontextmanager
async def serving(
    app: SyncApp, limits: Limits | None = None, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    """Serve the app in the running loop; give the port."""
    async with GrpcServer(app, address_of("127.0.0.1", 0), limits=limits, credentials=credentials) as server:
        yield server.port


@asynccontextmanager
async def channel(port: int) -> AsyncIterator[grpc.aio.Channel]:
    """A channel of a client that isn't ours, with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as opened:
        yield opened


async def said(
    opened: grpc.aio.Channel, method: str, data: bytes, token: str = TOKEN, timeout_s: float = 10
) -> bytes | grpc.aio.AioRpcError:
    """Send bytes to a method, and return what comes or the status that it ends with."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = opened.unary_unary(method)
    try:
        return await ask(data, metadata=metadata, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        return error


@asynccontextmanager
async def rogue(*answers: bytes) -> AsyncIterator[int]:
    """Answer every question with these bytes, one or a stream; give the port."""

    async def exchange(_data: bytes, _context: object) -> bytes:
        return answers[0]

    async def fetch(_data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        for one in answers:
            await context.write(one)

    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Exchange": grpc.unary_unary_rpc_method_handler(exchange),
        "Fetch": grpc.unary_stream_rpc_method_handler(fetch),
    }
    server = grpc.aio.server(handlers=[grpc.method_handlers_generic_handler("omega.sync.v1.Sync", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


class Relay:
    """A way to a port that can fall silent: what travels then goes nowhere, and no connection ends."""

    def __init__(self, port: int) -> None:
        """Lead to this port."""
        self._to = port
        self.silent = False
        self.met = 0
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Give the port to be asked in its place."""
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in self._writers:
                writer.close()
            await asyncio.sleep(0.05)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        onward, outward = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, outward]
        silenced = self.silent  # connections that are made in the silence, and after it, are heard
        talks = (self._carry(reader, outward, silenced), self._carry(onward, writer, silenced))
        await asyncio.gather(*talks)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silenced: bool) -> None:  # noqa: FBT001
        try:
            while part := await reader.read(65_536):
                if silenced or not self.silent:
                    writer.write(part)
                    await writer.drain()
        except ConnectionError:
            pass
        if silenced or not self.silent:
            writer.close()


def client(port: int, ca: Path | None = None, *, host: str = "127.0.0.1", timeout_s: float = 10) -> TransportClient:
    """Return a client of a local port; grpcs with a `ca`."""
    url = f"{'grpcs' if ca else 'grpc'}://{host}:{port}"
    return GrpcTransport.connect(url, token=lambda: TOKEN, ca=ca, timeout_s=timeout_s)


async def until(holds: Callable[[], bool | Awaitable[bool]], seconds: float = 5) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)
