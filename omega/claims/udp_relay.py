"""A UDP relay that takes its time, and keeps what clients sent: to count round trips, to send first flights again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

HOST = "127.0.0.1"
_LAST_S = 0.02


class Sent(NamedTuple):
    """A client's packet."""

    client: tuple[str, int]
    data: bytes
    answers: int
    """How many packets of the server had come back to any client by then."""


class UdpRelay:
    """Carries packets between clients and a port of this machine, each `delay_s` later; for one running loop."""

    def __init__(self, port: int, delay_s: float = 0) -> None:
        """Carry to `port`."""
        self.port = 0
        """Where clients go."""
        self.sent: list[Sent] = []
        self.answers = 0
        self.one_flight = False
        """Whether what a client sends once the server has spoken is dropped."""
        self._target, self._delay_s = port, delay_s
        self._front: asyncio.DatagramTransport | None = None
        self._began: dict[tuple[str, int], int] = {}
        self._ways: dict[tuple[str, int], asyncio.Task[asyncio.DatagramTransport]] = {}

    async def __aenter__(self) -> Self:
        """Begin."""
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(lambda: _End(self._up), local_addr=(HOST, 0))
        self.port = self._front.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End, once the last words are through."""
        await asyncio.sleep(self._delay_s + _LAST_S)
        for way in await asyncio.gather(*self._ways.values()):
            way.close()
        if self._front:
            self._front.close()
        await asyncio.sleep(0)

    def first_flight(self) -> list[bytes]:
        """Return what the newest client sent before anything came back."""
        own = [sent for sent in self.sent if sent.client == self.sent[-1].client]
        return [sent.data for sent in own if sent.answers == own[0].answers]

    def _up(self, data: bytes, client: tuple[str, int]) -> None:
        self.sent.append(Sent(client, data, self.answers))
        if client not in self._ways:
            self._ways[client] = asyncio.create_task(self._way(client))
            self._began[client] = self.answers
        if self.one_flight and self.answers > self._began[client]:
            return
        way = self._ways[client]
        asyncio.get_running_loop().call_later(
            self._delay_s, lambda: way.add_done_callback(lambda done: done.result().sendto(data))
        )

    async def _way(self, client: tuple[str, int]) -> asyncio.DatagramTransport:
        """Return a client's own socket to the server."""
        loop = asyncio.get_running_loop()

        def down(data: bytes, _server: tuple[str, int]) -> None:
            self.answers += 1
            if self._front:
                loop.call_later(self._delay_s, self._front.sendto, data, client)

        transport, _ = await loop.create_datagram_endpoint(lambda: _End(down), remote_addr=(HOST, self._target))
        return transport


class _End(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr)
