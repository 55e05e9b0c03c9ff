"""Shards, and those who speak to them: one process, real stores, real frames, and a clock that is set."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from omega.core.identity.device_key import DeviceKey
from omega.core.identity.ed25519 import SEED_BYTES
from omega.core.identity.keyring import KeyRing
from omega.core.identity.vouchers import Maker
from omega.core.shard_records import DAY_S, TASTE_SPACE
from omega.core.shard_sums import Facts, ShardSums
from omega.core.wire import space_code
from omega.fleet.redteam.speaker import Speaker
from omega.shard.app import ShardApp
from omega.shard.intake import KEY_BYTES
from omega.shard.pacing import Pace, Service
from omega.shard.shard import Shard
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from random import Random
    from typing import Self

    from omega.core.catalog import Catalog
    from omega.core.ports import ShardStore
    from omega.core.shard_sums import Columns
    from omega.core.wire import Header, Row
    from omega.shard.boards import Merged

SHARDS = 8
SPACE = space_code(TASTE_SPACE)
_SERVICE = Service(tick_s=0.002, pull_s=86_400, pace=Pace(burst=1_000_000))  # simulated days pass in milliseconds
_HONEST_QUOTA = 1_000_000


@dataclass(frozen=True)
class Place:
    """What a town keeps from one of its lives to the next: a folder, secrets, and who makes its devices."""

    folder: Path
    catalog: Catalog
    ring: KeyRing
    tag_key: bytes
    maker: DeviceKey
    """Makes the TVs that people buy."""
    stolen: DeviceKey
    """A maker's key that an attacker has."""
    quota: int = 0
    """So many devices are admitted on its word, at each shard."""

    @classmethod
    def new(cls, folder: Path, catalog: Catalog, now: float, random: Random) -> Self:
        """Draw the secrets."""
        maker, stolen = (DeviceKey(random.randbytes(SEED_BYTES)) for _ in range(2))
        return cls(folder, catalog, KeyRing.fresh(now), random.randbytes(KEY_BYTES), maker, stolen)

    def copied(self, folder: Path, quota: int) -> Place:
        """Copy all stores into a new folder, for another life from here on."""
        shutil.copytree(self.folder, folder)
        return Place(folder, self.catalog, self.ring, self.tag_key, self.maker, self.stolen, quota)

    @property
    def makers(self) -> list[Maker]:
        """Whose word the shards take."""
        return [
            Maker("honest", self.maker.public_key, quota=_HONEST_QUOTA),
            Maker("stolen", self.stolen.public_key, quota=self.quota),
        ]


@dataclass
class Town:
    """Its shards while they run; use it within one event loop, as `async with`."""

    place: Place
    now: float
    """By all clocks, Unix seconds."""
    shards: list[Shard] = field(default_factory=list)
    apps: list[ShardApp] = field(default_factory=list)
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        for number in range(SHARDS):
            store = SqliteShardStore.open(self.place.folder / f"shard-{number}.db")
            shard = Shard(store, self.place.catalog, self.place.tag_key, space=SPACE, service=_SERVICE, now=self._clock)
            app = ShardApp(shard, number, self.place.ring, makers=self.place.makers, now=self._clock)
            await app.start()
            self._opened.push_async_callback(shard.close)
            self.shards.append(shard)
            self.apps.append(app)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._opened.aclose()

    @property
    def header(self) -> Header:
        """What frames of devices with the shards' catalog begin with."""
        return self.shards[0].header

    async def enrol(self, devices: Sequence[Speaker], maker: DeviceKey) -> list[Speaker]:
        """Return those that are admitted on a maker's word."""
        admitted = await asyncio.gather(*(one.enrol(self.apps[one.shard], maker) for one in devices))
        return [one for one, may in zip(devices, admitted, strict=True) if may]

    async def tell(self, told: Iterable[tuple[Speaker, Sequence[Row], Sequence[Row]]]) -> None:
        """Let devices tell at once what they contribute and take back."""
        await asyncio.gather(*(one.tell(self.apps[one.shard], self.header, *rows) for one, *rows in told))

    async def sums(self) -> list[bytes]:
        """Return each shard's file of sums."""
        return [await self._sums(number) for number in range(SHARDS)]

    async def counted(self, device: Speaker) -> int:
        """Return how many samples and retractions of a device its shard has counted; 0 of a stranger."""
        row = await self.shards[device.shard].ask(lambda store: store.find(device.key.id))
        return row.contributed + row.retracted if row else 0

    async def show(self, merged: Merged | None) -> None:
        """Let every shard tell what all of them say together."""
        for shard in self.shards:
            await shard.set_merged(merged)

    async def _sums(self, number: int) -> bytes:
        catalog, day = self.place.catalog, int(self.now // DAY_S)
        facts = Facts(
            shard=number,
            region="",
            lineage=catalog.lineage,
            epoch=catalog.epoch,
            titles=len(catalog),
            space=SPACE,
            day=day,
            made_at=int(self.now),
        )
        return ShardSums(facts, await self.shards[number].ask(partial(_columns, len(catalog), day))).encode()

    def _clock(self) -> float:
        return self.now


def speakers(count: int, random: Random, *, shard: int | None = None) -> list[Speaker]:
    """Return devices with new keys, at all shards in turn, or at one."""
    keys = (DeviceKey(random.randbytes(SEED_BYTES)) for _ in range(count))
    return [Speaker(key, number % SHARDS if shard is None else shard) for number, key in enumerate(keys)]


def _columns(titles: int, day: int, store: ShardStore) -> Columns:
    store.fold({})  # sums are read as of the last fold
    return store.sums(range(titles), day)
