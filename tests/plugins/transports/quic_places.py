"""QUIC servers and clients for the tests, over real UDP sockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from omega.core.testing.transport_contract import TOKEN
from omega_plugins.transports.quic.address import Address
from omega_plugins.transports.quic.book import Book
from omega_plugins.transports.quic.client import QuicClient
from omega_plugins.transports.quic.routing import bind
from omega_plugins.transports.quic.server import QuicServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from omega.core.ports import SyncApp
    from omega_plugins.transports.certificates import Certificates
    from omega_plugins.transports.quic.limits import Limits

KEY = bytes(range(32))
WAIT_S = 30


@asynccontextmanager
async def serving(
    app: SyncApp, certificates: Certificates, limits: Limits | None = None, *, port: int = 0, key: bytes = KEY
) -> AsyncIterator[QuicServer]:
    """Serve the app in the running loop."""
    (bound,) = bind("127.0.0.1", port)
    pair = (certificates.certificate, certificates.key)
    async with QuicServer(app, bound, certificate=pair, ticket_key=key, limits=limits) as server:
        yield server


def client(
    port: int,
    certificates: Certificates,
    *,
    book: Book | None = None,
    token: Callable[[], str] = lambda: TOKEN,
    host: str = "127.0.0.1",
    timeout_s: float = 30,
    patience_s: float = 30,
) -> QuicClient:
    """Return a client of a local port."""
    return QuicClient(
        Address(host, port),
        token=token,
        ca=certificates.ca,
        timeout_s=timeout_s,
        patience_s=patience_s,
        book=book or Book(),
    )


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
