"""A line to shards in dicts: the frames are real, and the line can be cut, slow or full."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from omega.core.errors import TransportError
from omega.device.sync.messages import WireCodec
from omega.device.sync.runtime import Exchanger

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.ports import Fetched
    from tests.device.sync.shards import Shard


class Wires:
    """The way to some shards."""

    def __init__(self, shards: dict[str, Shard], device: str = "tv") -> None:
        self.shards, self.device = shards, device
        self.trouble: dict[str, Exception] = {}
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.exchanges = 0
        self.delay_s = 0.0

    def connect(self, shard: str) -> Exchanger:
        if shard not in self.shards:
            raise TransportError(f"shard {shard} is nowhere", permanent=True)
        self.opened.append(shard)
        return Wire(self, shard)


class Direct:
    """A line to a shard by name, where nobody has to be admitted."""

    codec = WireCodec()

    def __init__(self, shard: str, connect: Callable[[str], Exchanger]) -> None:
        self.shard, self.connect = shard, connect

    async def enter(self) -> str:
        return self.shard


class Wire(Exchanger):
    def __init__(self, wires: Wires, shard: str) -> None:
        self.wires, self.shard = wires, shard

    async def exchange(self, frame: bytes) -> bytes:
        self.wires.exchanges += 1
        await asyncio.sleep(self.wires.delay_s)
        if trouble := self.wires.trouble.get(self.shard):
            raise trouble
        return self.wires.shards[self.shard].answer(self.wires.device, frame)

    async def get(self, path: str, *, max_bytes: int, part: range | None = None) -> Fetched:
        raise TransportError(f"shard {self.shard} has nothing at {path} of {max_bytes} B, {part}", absent=True)

    async def close(self) -> None:
        self.wires.closed.append(self.shard)
