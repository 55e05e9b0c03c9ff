"""The http transport keeps the contract over real sockets, in plain and with TLS."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from omega.core.testing.transport_contract import Place, TransportContract
from omega_plugins.transports.http import HttpTransport
from omega_plugins.transports.http.server import HttpServer, bind, tls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omega.core.ports import SyncApp
    from omega_plugins.transports.certificates import Certificates


class TestPlain(TransportContract):
    transport = HttpTransport

    @asynccontextmanager
    async def served(self, app: SyncApp) -> AsyncIterator[Place]:
        bound, server = bind("127.0.0.1", 0), HttpServer(app)
        port, task = bound.getsockname()[1], asyncio.create_task(server.serve(bound))
        try:
            yield Place(f"http://127.0.0.1:{port}")
        finally:
            server.stop()
            await task


class TestTls(TransportContract):
    transport = HttpTransport

    @pytest.fixture(autouse=True)
    def _certified(self, certificates: Certificates) -> None:
        self.certificates = certificates

    @asynccontextmanager
    async def served(self, app: SyncApp) -> AsyncIterator[Place]:
        context = tls(self.certificates.certificate, self.certificates.key)
        bound, server = bind("127.0.0.1", 0), HttpServer(app, context=context)
        port, task = bound.getsockname()[1], asyncio.create_task(server.serve(bound))
        try:
            yield Place(f"https://localhost:{port}", self.certificates.ca)
        finally:
            server.stop()
            await task
