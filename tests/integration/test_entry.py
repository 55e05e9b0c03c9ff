"""The way from a TV to its shard: tokens that outlive a process, and frames that go to no other shard than is meant."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import InputError, TransportError
from omega.core.identity.device_key import DeviceKey
from omega.core.identity.keyring import TOKEN_S, KeyRing
from omega.core.wire import encode
from omega.device.sync.entry import Passport, ShardLine
from omega.device.sync.memberships import MOST, Membership, Memberships
from omega.shard.app import ShardApp
from omega.shard.shard import Shard
from omega_plugins.transports.loopback import LoopbackTransport, serving
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.playing import CATALOG, EAGER, KEY, SPACE, a_push, a_row, summed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from omega.core.ports import TransportClient
    from omega_plugins.transports.loopback import Wire

DAY = int(time.time()) // 86_400


class Street:
    """Shards on wires, one TV, and a clock that is turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ahead_s = folder, 0.0
        self.stores: dict[int, SqliteShardStore] = {}
        self.wires: dict[int, Wire] = {}

    def now(self) -> float:
        return time.time() + self.ahead_s

    def app(self, shard_id: int) -> ShardApp:
        store = self.stores[shard_id] = SqliteShardStore.open(self.folder / f"{shard_id}.db")
        shard = Shard(store, CATALOG, KEY, space=SPACE, service=EAGER, now=self.now)
        self.shards.append(shard)
        return ShardApp(shard, shard_id, KeyRing.fresh(self.now() - 10), everybody=True, now=self.now)

    @asynccontextmanager
    async def open(self, *shard_ids: int) -> AsyncIterator[None]:
        self.shards: list[Shard] = []
        with ExitStack() as served:
            for shard_id in shard_ids:
                app = self.app(shard_id)
                await app.start()
                self.wires[shard_id] = served.enter_context(serving(app))
            try:
                yield
            finally:
                for shard in self.shards:
                    await shard.close()

    async def summed(self, shard_id: int) -> dict[tuple[int, int], tuple[int, int, int]]:
        return await summed(self.shards[list(self.stores).index(shard_id)])

    def line(self, shard_id: int) -> ShardLine:
        """Return the way there, as a process that has just started has it."""

        def opened(url: str, token: Callable[[], str]) -> TransportClient:
            return LoopbackTransport.connect(url, token=token)

        memberships = Memberships(self.folder / "shards.json")
        passport = Passport(DeviceKey.open(self.folder / "device.key"), memberships, now=self.now)
        return ShardLine(self.wires[shard_id].url, passport, opened)

    async def told(self, shard_id: int, version: int) -> str:
        """Tell one sample in a process of its own, and return the shard's name."""
        line = self.line(shard_id)
        name = await line.enter()
        entry = line.connect(name)
        await entry.exchange(encode(a_push(version, a_row(day=DAY))))
        await entry.close()
        return name


def test_a_token_outlives_the_process_that_got_it(tmp_path: Path) -> None:
    async def play() -> None:
        street = Street(tmp_path)
        async with street.open(7):
            assert street.line(7).shard is None
            assert await street.told(7, 1) == street.line(7).shard == "shard-7"
            assert street.wires[7].questions == 3, "a challenge, an answer, a frame"
            await street.told(7, 2)
            assert street.wires[7].questions == 4
            street.ahead_s = TOKEN_S - 3_000
            await street.told(7, 3)
            assert street.wires[7].questions == 7, "a token is replaced an hour before it ends"
            assert (await street.summed(7))[7, 4] == (3, 3000, 1)

    asyncio.run(play())


def test_a_token_that_is_taken_no_longer_is_replaced_on_the_way(tmp_path: Path) -> None:
    async def play() -> None:
        street = Street(tmp_path)
        async with street.open(7):
            await street.told(7, 1)
            entry = street.line(7).connect("shard-7")
            memberships = Memberships(tmp_path / "shards.json")
            held = memberships.at(street.wires[7].url)
            assert held
            memberships.keep(street.wires[7].url, Membership(7, "x" * 40, held.ends_at))
            entry = street.line(7).connect("shard-7")
            await entry.exchange(encode(a_push(2, a_row(day=DAY))))
            assert street.wires[7].questions == 3 + 4
            assert (await street.summed(7))[7, 4] == (2, 2000, 1)

    asyncio.run(play())


def test_frames_for_one_shard_go_to_no_other_at_its_address(tmp_path: Path) -> None:
    """Shard 8 takes over the address: what is bound to versions of shard 7 must not be counted there."""

    async def play() -> None:
        street = Street(tmp_path)
        async with street.open(7, 8):
            await street.told(7, 1)
            entry = street.line(7).connect("shard-7")
            street.wires[7].app = street.wires[8].app
            with pytest.raises(TransportError, match="shard-8 answers at loopback://"):
                await entry.exchange(encode(a_push(2, a_row(day=DAY))))
            assert (await street.summed(8)) == {}
            assert await street.told(7, 1) == "shard-8"
            assert (await street.summed(8))[7, 4] == (1, 1000, 1)
            with pytest.raises(TransportError, match="shard-7 is at no address"):
                street.line(7).connect("shard-7")

    asyncio.run(play())


def test_a_shard_that_was_left_is_found_at_its_address(tmp_path: Path) -> None:
    async def play() -> None:
        street = Street(tmp_path)
        async with street.open(7, 8):
            await street.told(7, 1)
            await street.told(8, 1)
            entry = street.line(8).connect("shard-7")
            await entry.exchange(encode(a_push(2, a_row(day=DAY))))
            assert (await street.summed(7))[7, 4][0] == 2

    asyncio.run(play())


def test_who_is_shut_out_meanwhile_hears_it_and_keeps_what_waits(tmp_path: Path) -> None:
    async def play() -> None:
        street = Street(tmp_path)
        async with street.open(7):
            await street.told(7, 1)
            street.stores[7].revoke(DeviceKey.open(tmp_path / "device.key").id)
            app = street.wires[7].app
            assert isinstance(app, ShardApp)
            await app.entrance.look()
            with pytest.raises(TransportError, match="doesn't admit this TV") as refused:
                await street.told(7, 2)
            assert refused.value.permanent
            assert (await street.summed(7))[7, 4][0] == 1

    asyncio.run(play())


def test_a_damaged_file_of_memberships_costs_an_enrolment_and_one_open_to_others_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "shards.json"
    memberships = Memberships(file)
    memberships.keep("http://a", Membership(1, "t", 5.0))
    assert oct(file.stat().st_mode)[-3:] == "600"
    assert memberships.at("http://a") == Membership(1, "t", 5.0)
    for damage in (b"", b"\xff", b"[1]", b'{"http://a":{"shard":-1,"token":"t","ends_at":1}}'):
        file.write_bytes(damage)
        assert memberships.at("http://a") is None
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        memberships.at("http://a")


def test_the_oldest_address_is_given_up(tmp_path: Path) -> None:
    memberships = Memberships(tmp_path / "shards.json")
    for at in range(MOST + 1):
        memberships.keep(f"http://{at}", Membership(at % 3, "t", float(at)))
    assert memberships.at("http://0") is None
    assert memberships.at("http://1")
    assert memberships.address("shard-1") == "http://31"
    assert memberships.address("shard-9") is None
