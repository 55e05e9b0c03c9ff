"""Clocks that disagree: whatever the shard's or a TV's says, who may come in comes in, and sums are right."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from random import Random
from shutil import copy
from typing import TYPE_CHECKING

import pytest

from omega.compose import DEVICE_KEY_FILE, MEMBERSHIPS_FILE, device_key, open_brain, open_catalog
from omega.core.identity.keyring import KeyRing
from omega.core.settings import resolve
from omega.core.shard_records import BUCKET_DAYS
from omega.core.testing.shard_contract import sums_of
from omega.core.wire import space_code
from omega.device.sync.entry import Passport, ShardLine
from omega.device.sync.memberships import Memberships
from omega.device.sync.runtime import Syncer
from omega.shard.app import ShardApp
from omega.shard.shard import Shard
from omega.shards import SHARD_SPACE
from omega_plugins.transports.loopback import LoopbackTransport, serving
from omega_storage.shard_sqlite import SqliteShardStore
from tests.integration.test_full_sync_cycle import Household, sums_of_ledgers
from tests.shard.playing import EAGER, KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from omega.core.ports import TransportClient
    from omega.device.sync.report import Report
    from omega_plugins.transports.loopback import Wire

HOUR_S, DAY_S = 3_600, 86_400
SKEWS_S = [-400 * DAY_S, -3 * DAY_S, -3 * HOUR_S, -5, 5, 3 * HOUR_S, 3 * DAY_S, 400 * DAY_S]


class Tv(Household):
    """A TV whose clock is off."""

    def __init__(self, opened: ExitStack, folder: Path, ahead_s: float = 0, key: Path | None = None) -> None:
        self.ahead_s = ahead_s
        flags = {"home": folder.parent, "store": folder, "embedder": "static"}
        settings = resolve(flags, {}).settings
        brain = opened.enter_context(closing(open_brain(settings, now=self.clock)))
        if key:
            copy(key, folder / DEVICE_KEY_FILE)
        super().__init__(brain, settings, self.clock())

    def clock(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def watch(self, seed: int, events: int = 12, among: int = 60) -> None:
        self._now = self.clock()
        super().watch(seed, events, among)

    async def sync(self, url: str) -> Report:
        """Sync, as a process that has just started does."""

        def opened(to: str, token: Callable[[], str]) -> TransportClient:
            return LoopbackTransport.connect(to, token=token)

        memberships = Memberships(self.settings.store / MEMBERSHIPS_FILE)
        now = lambda: self.clock().timestamp()  # noqa: E731
        line = ShardLine(url, Passport(device_key(self.settings), memberships, now=now), opened)
        syncer = Syncer(self.brain, line, random=Random(1))
        try:
            return await syncer.sync()
        finally:
            await syncer.close()


class Town:
    """A shard whose clock is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ahead_s = folder, 0.0
        self.wire: Wire
        self.shard: Shard

    def now(self) -> float:
        return time.time() + self.ahead_s

    @asynccontextmanager
    async def open(self, ahead_s: float = 0) -> AsyncIterator[None]:
        self.ahead_s = ahead_s
        store = SqliteShardStore.open(self.folder / "shard.db")
        catalog = open_catalog(resolve({"home": self.folder}, {}).settings)
        shard = self.shard = Shard(store, catalog, KEY, space=space_code(SHARD_SPACE), service=EAGER, now=self.now)
        app = ShardApp(shard, 0, KeyRing.fresh(self.now()), everybody=True, now=self.now)
        await app.start()
        try:
            with serving(app) as self.wire:
                yield
        finally:
            await shard.close()

    async def tell(self, tv: Tv, seed: int) -> None:
        """Let a TV watch and sync; it does so at the first try, whatever clocks say."""
        tv.watch(seed)
        report = await tv.sync(self.wire.url)
        assert report.error is None
        assert report.contributed > 0

    def told_truly(self, *tvs: Tv) -> SqliteShardStore:
        """What the closed shard counted is what the TVs' ledgers say; return its store."""
        store = SqliteShardStore.open(self.folder / "shard.db")
        found = {key: (samples, success) for key, (samples, success, _) in sums_of(store).items() if key[1] < 8}
        assert found == sums_of_ledgers(list(tvs))
        return store


@pytest.mark.parametrize("skew_s", SKEWS_S)
def test_a_shard_whose_clock_is_set_ahead_or_back_and_right_again(tmp_path: Path, skew_s: float) -> None:
    """Tokens, keys and devices are then of a time that is past or to come."""

    async def play(town: Town, early: Tv, late: Tv) -> None:
        async with town.open(ahead_s=skew_s):
            await town.tell(early, 1)
            town.ahead_s = 0
            await town.tell(early, 2)
            await town.tell(late, 3)
            town.ahead_s = skew_s
            await town.tell(early, 4)
            await town.tell(late, 5)
            town.ahead_s = 0
            await town.tell(early, 6)
            await town.tell(late, 7)

    with ExitStack() as opened:
        town, early, late = Town(tmp_path), Tv(opened, tmp_path / "early"), Tv(opened, tmp_path / "late")
        asyncio.run(play(town, early, late))
        with closing(town.told_truly(early, late)) as store:
            days = [row.seen_day for slot in range(2) if (row := store.device(slot))]
            assert days == [max(int(town.now()), int(town.now() + skew_s)) // DAY_S] * 2, "a day seen is never unseen"


@pytest.mark.parametrize("skew_s", SKEWS_S)
def test_a_tv_whose_clock_is_set_ahead_or_back_and_right_again(tmp_path: Path, skew_s: float) -> None:
    async def play(town: Town, tv: Tv) -> None:
        async with town.open():
            for ahead_s in (skew_s, 0, skew_s, 0):
                tv.ahead_s = ahead_s
                await town.tell(tv, seed=len(seeds))
                seeds.append(ahead_s)

    seeds: list[float] = []
    with ExitStack() as opened:
        town, tv = Town(tmp_path), Tv(opened, tmp_path / "tv", skew_s)
        asyncio.run(play(town, tv))
        with closing(town.told_truly(tv)) as store:
            today = int(town.now()) // DAY_S
            days = {day for title in range(200) for slot in range(8) for day in store.buckets(title, slot)}
            assert days, "its right days are there"
            assert today - BUCKET_DAYS < min(days) <= max(days) <= today + 1, "its wrong days count in the sums alone"
            trends = [row.now.trends[0] for row in store.aggregates() if row.slot == 8]
            samples = [row.now.samples for row in store.aggregates() if row.slot == 8]
            assert all(trend <= many + 1e-9 for trend, many in zip(trends, samples, strict=True))


@pytest.mark.parametrize("year", [2000, 2150, 2400])
def test_a_tv_without_any_idea_of_the_time(tmp_path: Path, year: int) -> None:
    """A day that has no place on the wire becomes the last one that has."""

    async def play(town: Town, tv: Tv) -> None:
        async with town.open():
            await town.tell(tv, 1)
            tv.ahead_s = 0
            await town.tell(tv, 2)

    with ExitStack() as opened:
        ahead = datetime(year, 2, 20, tzinfo=UTC) - datetime.now(UTC)
        town, tv = Town(tmp_path), Tv(opened, tmp_path / "tv", ahead.total_seconds())
        asyncio.run(play(town, tv))
        town.told_truly(tv).close()


@pytest.mark.parametrize("skew_s", [-40 * DAY_S, -5, 40 * DAY_S])
def test_a_tv_that_is_reset_while_its_clock_is_off(tmp_path: Path, skew_s: float) -> None:
    """Its new life has a greater number than the last one, though its clock says that it was before."""

    async def play(town: Town, tv: Tv, reset: Tv) -> None:
        async with town.open():
            await town.tell(tv, 1)
            await town.tell(reset, 2)
            await town.tell(reset, 3)

    with ExitStack() as opened:
        town, tv = Town(tmp_path), Tv(opened, tmp_path / "tv")
        device_key(tv.settings)
        reset = Tv(opened, tmp_path / "reset", skew_s, key=tv.settings.store / DEVICE_KEY_FILE)
        asyncio.run(play(town, tv, reset))
        with closing(town.told_truly(tv, reset)) as store:
            assert store.device_count() == 1


def test_what_backups_may_lack_is_kept_as_long_as_the_shards_clock_does_not_run_ahead(tmp_path: Path) -> None:
    """A week that the clock skips is a week for the horizon; set back, the horizon stays until the week is over."""

    async def play(town: Town, tv: Tv) -> list[int]:
        horizons = []
        async with town.open():
            for seed, days in enumerate([0, 0, 8, 0, 6, 14, 16]):
                town.ahead_s = days * DAY_S
                await town.tell(tv, seed)
                row = await town.shard._ticks.call(lambda store: store.device(0))
                assert row
                horizons.append(row.horizon)
        return horizons

    with ExitStack() as opened:
        town, tv = Town(tmp_path), Tv(opened, tmp_path / "tv")
        horizons = asyncio.run(play(town, tv))
        assert horizons[:2] == [0, 0]
        assert horizons == sorted(horizons), "it never goes back"
        assert horizons[2] == horizons[3] == horizons[4] == horizons[5], horizons
        assert horizons[6] > horizons[5]
        with closing(SqliteShardStore.open(tmp_path / "shard.db")) as store:
            row = store.device(0)
            assert row
            assert row.horizon < row.version
