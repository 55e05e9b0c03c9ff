"""TVs, a shard and its Postgres on networks that break: every TV syncs again by itself, and the sums are the truth."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack, closing
from random import Random
from typing import TYPE_CHECKING

import pytest

from omega.compose import MEMBERSHIPS_FILE, device_key
from omega.core.identity.vouchers import new_code
from omega.core.testing.shard_contract import sums_of
from omega.device.sync.entry import Passport, ShardLine
from omega.device.sync.memberships import Memberships
from omega.device.sync.pacing import Moment
from omega.device.sync.runtime import Syncer
from omega.shards import open_shard_store
from omega_plugins.transports.http.client import HttpClient
from tests.integration.networks import Cable, Relay, places
from tests.integration.test_failure_recovery import health, until_health
from tests.integration.test_full_sync_cycle import household, sums_of_ledgers
from tests.shard.serving import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from omega.device.sync.report import Report
    from tests.integration.networks import Place
    from tests.postgres_server import Databases

TRIES, DAY_S = 12, 86_400


class Tv:
    """A household's TV, whose time passes when it is told to."""

    def __init__(
        self, opened: ExitStack, home: Path, number: int, url: str, code: str | None = None, *, timeout_s: float = 2
    ) -> None:
        self.household = household(opened, home, f"tv{number}", url)
        settings, self._now = self.household.settings, Moment(0, time.time())
        passport = Passport(device_key(settings), Memberships(settings.store / MEMBERSHIPS_FILE), code=code)

        def connected(to: str, token: Callable[[], str]) -> HttpClient:
            return HttpClient(to, token=token, ca=None, timeout_s=timeout_s)

        line = ShardLine(url, passport, connected)
        self.syncer = Syncer(self.household.brain, line, random=Random(number), now=lambda: self._now)

    async def by_itself(self) -> Report:
        """Let the time pass until it syncs, and return what came of it."""
        self.live(self.syncer._pacing.due_in_s(self._now))
        return await self.syncer.sync()

    def live(self, seconds: float) -> None:
        self._now = Moment(self._now.monotonic_s + seconds, self._now.wall_s + seconds)

    async def until_told(self) -> int:
        """Sync as often as it takes, and return how often that was."""
        for tried in range(1, TRIES + 1):
            report = await self.by_itself()
            if report.error is None:
                return tried
            assert report.next_s <= 2 * 3_600 * 1.25
        raise AssertionError(report.error)

    @property
    def elapsed_s(self) -> float:
        return self._now.monotonic_s


async def none_is_heard(tvs: Iterable[Tv]) -> None:
    """Let TVs try twice; the next time is due within what a failure allows."""
    for most_s in (15, 30):
        for report in await asyncio.gather(*(tv.by_itself() for tv in tvs)):
            assert report.error
            assert 1 <= report.next_s <= most_s


async def all_are_heard(tvs: Iterable[Tv]) -> None:
    await asyncio.gather(*(tv.until_told() for tv in tvs))


def play(tvs: Iterable[Tv], playing: Coroutine[Any, Any, None]) -> None:
    """Let TVs play, and close them."""

    async def played() -> None:
        try:
            await playing
        finally:
            await asyncio.gather(*(tv.syncer.close() for tv in tvs))

    asyncio.run(asyncio.wait_for(played(), 300))


def told_truly(store: str, tvs: Iterable[Tv]) -> None:
    """The shard that has ended counted what the TVs' ledgers say."""
    with closing(open_shard_store(store)) as opened:
        found = {key: (samples, success) for key, (samples, success, _) in sums_of(opened).items() if key[1] < 8}
    assert found == sums_of_ledgers([tv.household for tv in tvs])
    assert found


def versions(databases: Databases, store: str) -> int:
    """Return how many pushes were counted."""
    [(count,)] = databases.run("SELECT coalesce(sum(version), 0)::integer FROM device", store)
    return int(count)


@pytest.fixture
def store(databases: Databases, tmp_path: Path) -> str:
    return databases.url(tmp_path)


@pytest.fixture
def street() -> Iterator[tuple[Place, Place, Cable]]:
    """Where TVs are, where the shard is, and the cable between them."""
    with places("street", "center") as (here, there):
        yield here, there, Cable(0, here, there)


def a_code(store: str) -> str:
    """Return what admits TVs at a shard that isn't on loopback."""
    text, code = new_code(int(time.time()), uses=10, lifetime_s=3_600)
    with closing(open_shard_store(store)) as opened:
        opened.add_code(code, int(time.time()))
    return text


@pytest.mark.parametrize("trouble", ["cable", "answers"])
def test_a_network_that_breaks_in_the_midst_of_syncs(
    databases: Databases, store: str, street: tuple[Place, Place, Cable], tmp_path: Path, trouble: str
) -> None:
    here, there, cable = street
    code = a_code(store)
    breaks, mends = (cable.pull, cable.plug) if trouble == "cable" else (cable.lose_answers, cable.bring_answers)

    async def playing(tvs: list[Tv]) -> None:
        for tv in tvs:
            tv.household.watch(1)
        await all_are_heard(tvs)
        counted = versions(databases, store)
        for number, tv in enumerate(tvs):
            tv.household.watch(2 + number, 20)
        breaks()
        await none_is_heard(tvs)
        unheard = versions(databases, store) - counted
        assert unheard == (0 if trouble == "cable" else len(tvs)), "a push is counted though no TV hears of it"
        mends()
        await all_are_heard(tvs)

    options = "--store", store, "--host", cable.addresses[1]
    with ExitStack() as opened, there.entered():
        served = opened.enter_context(Served(tmp_path / "shard", *options, enrol="vouched"))
        tvs = [Tv(opened, tmp_path, number, served.url, code) for number in range(3)]
        with here.entered():
            play(tvs, playing(tvs))
        served.stop()
        told_truly(store, tvs)


def test_a_tv_that_was_cut_off_for_weeks(store: str, street: tuple[Place, Place, Cable], tmp_path: Path) -> None:
    here, there, cable = street
    code = a_code(store)

    async def playing(tv: Tv) -> None:
        await tv.until_told()
        cable.pull()
        tries, began_s = 0, tv.elapsed_s
        for week in range(3):
            tv.household.watch(week, 300)
            while tv.elapsed_s - began_s < (week + 1) * 7 * DAY_S:
                assert (await tv.by_itself()).error
                tries += 1
        assert 21 * 12 <= tries <= 21 * 24 + 10, "a probe every one or two hours"
        cable.plug()
        broken_s = tv.elapsed_s
        while tv.syncer._waits():
            assert tv.elapsed_s - broken_s < DAY_S
            await tv.until_told()
        assert tv.syncer.report.contributed > 0

    options = "--store", store, "--host", cable.addresses[1]
    with ExitStack() as opened, there.entered():
        served = opened.enter_context(Served(tmp_path / "shard", *options, enrol="vouched"))
        tv = Tv(opened, tmp_path, 0, served.url, code)
        with here.entered():
            play([tv], playing(tv))
        served.stop()
        told_truly(store, [tv])


def test_a_network_without_udp(store: str, street: tuple[Place, Place, Cable], tmp_path: Path) -> None:
    here, there, cable = street
    code = a_code(store)
    if error := cable.block_udp():
        pytest.skip(f"this kernel routes UDP as all else: {error.strip()}")
    options = "--store", store, "--host", cable.addresses[1]
    with ExitStack() as opened, there.entered():
        served = opened.enter_context(Served(tmp_path / "shard", *options, enrol="vouched"))
        tv = Tv(opened, tmp_path, 0, served.url, code)
        tv.household.watch(1)
        with here.entered():
            with socket.socket(type=socket.SOCK_DGRAM) as datagrams, pytest.raises(OSError):
                datagrams.sendto(b"?", (cable.addresses[1], 53))

            async def playing() -> None:
                await tv.until_told()
                assert tv.syncer.report.contributed > 0

            play([tv], playing())
        served.stop()
        told_truly(store, [tv])


def test_a_shard_cut_off_from_its_postgres_but_not_from_its_tvs(
    databases: Databases, store: str, tmp_path: Path
) -> None:
    with ExitStack() as opened:
        center, vault = opened.enter_context(places("center", "vault"))
        cable = Cable(1, center, vault)
        door = f"{databases.server.folder}/data/.s.PGSQL.5432"
        front = opened.enter_context(Relay(door, at=cable.addresses[1], within=vault.entered))
        far = store.replace("@/", f"@{cable.addresses[1]}:{front.port}/")
        far = far.replace(f"host={door.rpartition('/')[0]}&", "")
        options = "--store", f"{far}&tcp_user_timeout=800&connect_timeout=2"

        async def playing(tvs: list[Tv]) -> None:
            for tv in tvs:
                tv.household.watch(1)
            await all_are_heard(tvs)
            ways = (cable.pull, cable.plug), (cable.lose_answers, cable.bring_answers)
            for those, (break_it, mend_it) in zip((tvs[:3], tvs[3:]), ways, strict=True):
                for tv in those:
                    tv.household.watch(round(tv.elapsed_s), 10)
                break_it()
                await until_health(served.url, 200)
                for report in await asyncio.gather(*(tv.by_itself() for tv in those)):
                    assert report.error
                await until_health(served.url, 503)
                mend_it()
                await until_health(served.url, 200)
                await all_are_heard(those)

        with center.entered():
            served = opened.enter_context(Served(tmp_path / "shard", *options))
            tvs = [Tv(opened, tmp_path, number, served.url) for number in range(6)]
            play(tvs, playing(tvs))
            log = served.stop().splitlines()
        told_truly(store, tvs)
        assert sum("the store failed" in line for line in log) == 2, log
        assert len(log) < 16, log


def test_a_network_that_delays_and_loses(store: str, tmp_path: Path) -> None:
    """A relay stands in for netem: 200 ms each way, and every tenth piece is lost with its connection."""
    with ExitStack() as opened:
        served = opened.enter_context(Served(tmp_path / "shard", "--store", store))
        relay = opened.enter_context(Relay(("127.0.0.1", served.port), delay_s=0.2, loss=0.1))
        tvs = [Tv(opened, tmp_path, number, f"http://127.0.0.1:{relay.port}", timeout_s=10) for number in range(8)]

        async def playing() -> None:
            for turn in range(2):  # a shard hears a TV five times at once: some of these are heard and lost
                for number, tv in enumerate(tvs):
                    tv.household.watch(10 * turn + number, 15)
                await all_are_heard(tvs)

        play(tvs, playing())
        assert relay.lost > 0
        assert health(served.url) == 200
        served.stop()
        told_truly(store, tvs)
