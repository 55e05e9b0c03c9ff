"""QUIC where it gets through, HTTPS where UDP is blocked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from omega.core.ports import TransportClient
from omega_plugins.transports.http import HttpTransport
from omega_plugins.transports.quic.book import book_of
from omega_plugins.transports.quic.client import QuicClient
from omega_plugins.transports.quic.failures import FullError, UnreachedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from omega.core.ports import Fetched
    from omega_plugins.transports.quic.address import Address
    from omega_plugins.transports.quic.book import Book

T = TypeVar("T")
PATIENCE_S = 2.0
"""How long a packet from the shard is waited for before HTTPS is tried."""
BLOCKED_S = 3_600.0
"""How long UDP isn't tried after HTTPS got through where it didn't."""


class FallbackClient(TransportClient):
    """A shard behind both; what QUIC doesn't reach at all is asked over HTTPS."""

    def __init__(self, first: TransportClient, second: TransportClient, book: Book, key: str) -> None:
        """`key` is what the book knows the network's verdict by."""
        self._first, self._second = first, second
        self._book, self._key = book, key

    async def exchange(self, frame: bytes) -> bytes:
        """Carry a frame there and its answer back. Raises TransportError."""
        return await self._tried(lambda client: client.exchange(frame))

    async def get(self, path: str, *, max_bytes: int, etag: str | None = None, part: range | None = None) -> Fetched:
        """Fetch what stands at a path. Raises TransportError."""
        return await self._tried(lambda client: client.get(path, max_bytes=max_bytes, etag=etag, part=part))

    async def close(self) -> None:
        """Close both."""
        await self._first.close()
        await self._second.close()

    async def _tried(self, ask: Callable[[TransportClient], Awaitable[T]]) -> T:
        if not self._book.is_blocked(self._key):
            try:
                return await ask(self._first)
            except UnreachedError:
                answer = await ask(self._second)
            except FullError:
                return await ask(self._second)
            self._book.block(self._key, BLOCKED_S)  # not where both fail: then the shard is gone, or the network
            return answer
        return await ask(self._second)


def opened(
    address: Address, *, token: Callable[[], str], ca: Path | None, timeout_s: float, kept: Path | None
) -> TransportClient:
    """Return a client of an address, with its fallback if it names one. Raises InputError."""
    book = book_of(kept)
    patience_s = min(PATIENCE_S, timeout_s / 3) if address.fallback else timeout_s
    first = QuicClient(address, token=token, ca=ca, timeout_s=timeout_s, patience_s=patience_s, book=book)
    if not address.fallback:
        return first
    second = HttpTransport.connect(address.fallback, token=token, ca=ca, timeout_s=timeout_s - patience_s)
    return FallbackClient(first, second, book, address.origin)
