"""The grpc transport keeps the contract over real sockets, in plain and with TLS."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from omega.core.testing.transport_contract import Place, TransportContract
from omega_plugins.transports.grpc import GrpcTransport
from omega_plugins.transports.grpc.server import GrpcServer, address_of, tls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omega.core.ports import SyncApp
    from omega_plugins.transports.certificates import Certificates


class TestPlain(TransportContract):
    transport = GrpcTransport

    @asynccontextmanager
    async def served(self, app: SyncApp) -> AsyncIterator[Place]:
        async with GrpcServer(app, address_of("127.0.0.1", 0)) as server:
            yield Place(f"grpc://127.0.0.1:{server.port}")


class TestTls(TransportContract):
    transport = GrpcTransport

    @pytest.fixture(autouse=True)
    def _certified(self, certificates: Certificates) -> None:
        self.certificates = certificates

    @asynccontextmanager
    async def served(self, app: SyncApp) -> AsyncIterator[Place]:
        credentials = tls(self.certificates.certificate, self.certificates.key)
        async with GrpcServer(app, address_of("127.0.0.1", 0), credentials=credentials) as server:
            yield Place(f"grpcs://localhost:{server.port}", self.certificates.ca)
