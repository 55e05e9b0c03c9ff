"""The quic transport keeps the contract over real UDP sockets, alone and with a fallback that it doesn't need."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from omega.core.testing.transport_contract import Place, TransportContract
from omega_plugins.transports.quic import QuicTransport
from tests.plugins.transports.quic_places import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omega.core.ports import SyncApp
    from omega_plugins.transports.certificates import Certificates


class TestAlone(TransportContract):
    transport = QuicTransport

    @pytest.fixture(autouse=True)
    def _certified(self, certificates: Certificates) -> None:
        self.certificates = certificates

    @asynccontextmanager
    async def served(self, app: SyncApp) -> AsyncIterator[Place]:
        async with serving(app, self.certificates) as server:
            yield Place(f"quic://localhost:{server.port}", self.certificates.ca)


class TestWithFallback(TestAlone):
    @asynccontextmanager
    async def served(self, app: SyncApp) -> AsyncIterator[Place]:
        async with serving(app, self.certificates) as server:
            yield Place(f"quic://localhost:{server.port},https://localhost:1", self.certificates.ca)
