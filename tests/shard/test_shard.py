"""The shard: what may be shown, what is refused, and that nobody is answered before he is counted."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from omega.core.errors import InputError, StoreError
from omega.core.shard_records import ALL_SLOTS, TASTE_BYTES
from omega.core.testing.shard_contract import NOW, TASTE, TODAY, an_id
from omega.core.testing.shard_fake import MemoryShardStore
from omega.core.types import title_key
from omega.core.wire import Ack, Artifact, Reason, Resync, Row
from omega.shard.answers import Refusal, Refused
from omega.shard.pacing import Pace, Service
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.playing import CATALOG, EAGER, FIRST, HEADER, a_push, a_row, on_shard, summed

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import ShardStore
    from omega.core.shard_records import Standing, Tick
    from omega.core.wire import Pull
    from omega.shard.shard import Shard


async def pulled(shard: Shard, slot: int = 40, epoch: int = CATALOG.epoch, known: int = 0) -> Pull | None:
    """Return the pull that a device with nothing to tell gets."""
    answer = await shard.sync(slot, a_push(0, base=0, header=replace(HEADER, epoch=epoch), known_pull=known))
    assert isinstance(answer.receipt, Ack)
    return answer.pull


async def share(shard: Shard, households: range, version: int, *rows: Row) -> None:
    """Let each household push the rows."""
    answers = await asyncio.gather(*(shard.sync(slot, a_push(version, *rows)) for slot in households))
    assert all(isinstance(answer.receipt, Ack) for answer in answers)


@pytest.mark.parametrize(
    ("households", "shown", "success"), [(1, 0, 0), (2, 0, 0), (3, 3, 800), (5, 3, 800), (6, 5, 880), (8, 5, 880)]
)
def test_shows_three_households_and_changes_after_three_more(
    store: ShardStore, households: int, shown: int, success: int
) -> None:
    async def play(shard: Shard) -> None:
        for slot in range(households):
            await share(shard, range(slot, slot + 1), 1, a_row())
            await shard.make_pull()
        pull = await pulled(shard)
        assert pull
        assert [(t.title, t.slot, t.households, t.success) for t in pull.trending] == (
            [(7, None, shown, success)] if shown else []
        )

    on_shard(store, play)


def test_a_pull_says_nothing_that_one_more_household_changed(store: ShardStore) -> None:
    async def play(shard: Shard) -> None:
        await share(shard, range(3), 1, a_row())
        await shard.make_pull()
        before = await pulled(shard)
        assert before
        await share(shard, range(3, 5), 1, a_row(milli=0))
        await share(shard, range(3), 2, a_row(milli=0, day=TODAY - 1))
        await shard.make_pull()
        assert await pulled(shard) == before
        assert await pulled(shard, known=before.pull_id) is None
        await share(shard, range(5, 6), 1, a_row(milli=0))
        await shard.make_pull()
        after = await pulled(shard, known=before.pull_id)
        assert after
        assert after.pull_id != before.pull_id

    on_shard(store, play)


def test_the_pull_is_made_again_by_itself_and_is_one_object_for_all(store: ShardStore) -> None:
    async def play(shard: Shard) -> None:
        first = await pulled(shard)
        assert first
        assert first is await pulled(shard, 41)
        await share(shard, range(3), 1, a_row())
        for _ in range(500):
            await asyncio.sleep(0.01)
            if (later := await pulled(shard, known=first.pull_id)) is not None:
                break
        assert later
        assert [trend.title for trend in later.trending] == [7]

    on_shard(store, play, service=replace(EAGER, pull_s=0.5))


def test_an_older_catalog_gets_the_titles_that_it_knows(store: ShardStore) -> None:
    async def play(shard: Shard) -> None:
        await share(shard, range(4), 1, a_row(35))
        await share(shard, range(3), 2, a_row(5))
        await shard.make_pull()
        new, old, none = [await pulled(shard, epoch=epoch) for epoch in (2, 1, 0)]
        assert new
        assert old
        assert none
        assert [trend.title for trend in new.trending] == [35, 5]
        assert [trend.title for trend in old.trending] == [5]
        assert none.trending == ()
        assert await pulled(shard, epoch=99) == new

    on_shard(store, play)


def test_a_lost_title_is_named_as_removed(store: ShardStore) -> None:
    async def play(shard: Shard) -> None:
        await share(shard, range(3), 1, a_row())
        await shard.make_pull()
        back = await shard.sync(1, a_push(2, retracted=(a_row(),)))
        assert isinstance(back.receipt, Ack)
        await shard.make_pull()
        pull = await pulled(shard)
        assert pull
        assert (pull.trending, pull.removed) == ((), (7,))

    on_shard(store, play)


def test_answers_a_question_once_a_day_with_the_nearest_audience(store: ShardStore) -> None:
    near, far = TASTE, bytes(TASTE_BYTES)

    async def play(shard: Shard) -> None:
        await share(shard, range(3), 1, a_row(1, taste=far), a_row(2, taste=near), a_row(3, milli=600, taste=near))
        await share(shard, range(2), 2, a_row(4, taste=near))
        await shard.make_pull()
        asking = a_push(0, base=0, asks=near, incarnation=1)
        first, second = [await shard.sync(20, asking) for _ in range(2)]
        assert first.pull
        assert second.pull
        assert [(row.title, row.slot, row.households, row.success) for row in first.pull.similar] == [
            (2, 4, 3, 800),
            (1, 4, 3, 800),
        ]
        assert first.pull.similar[0].nearness > first.pull.similar[1].nearness
        assert second.pull.similar == ()
        assert isinstance(first.receipt, Ack)
        assert not first.receipt.similar_allowed
        with pytest.raises(InputError):
            await shard.sync(21, a_push(0, base=0, asks=b"short"))

    on_shard(store, play)


def test_knows_titles_by_hash_and_folds_them(store: ShardStore) -> None:
    new = Row(title_key("t35") >> 23, 4, TODAY, 1000, b"", hashed=True)
    known = Row(title_key("t5") >> 23, 4, TODAY, 1000, b"", hashed=True)

    async def play(shard: Shard) -> None:
        answer = await shard.sync(0, a_push(1, new, known))
        assert isinstance(answer.receipt, Ack)
        assert answer.receipt.resolved == ((known.title, 5),)
        await share(shard, range(1, 3), 1, new)
        await shard.make_pull()
        pull = await pulled(shard, epoch=1)
        assert pull
        assert pull.trending == ()
        ahead = await shard.sync(3, a_push(1, a_row(35)))
        assert isinstance(ahead.receipt, Resync)
        assert (ahead.receipt.reason, ahead.receipt.version) == (Reason.EPOCH, 0)
        await shard.set_catalog(CATALOG)
        await share(shard, range(2), 2, a_row(35))  # the same households: their tags are the same
        assert (await summed(shard))[35, 4] == (5, 5000, 3)
        pull = await pulled(shard)
        assert pull
        assert [trend.title for trend in pull.trending] == [35]

    on_shard(store, play, catalog=FIRST)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"header": replace(HEADER, lineage=1)}, Reason.LINEAGE),
        ({"header": replace(HEADER, space=1), "contributed": (a_row(taste=TASTE),)}, Reason.SPACE),
        ({"header": replace(HEADER, space=1), "asks": TASTE}, Reason.SPACE),
        ({"retracted": (a_row(40),)}, Reason.EPOCH),
        ({"base": 2}, Reason.GAP),
        ({"incarnation": 0, "base": 0, "step": 1}, Reason.GAP),
    ],
)
def test_says_where_it_stands_when_it_cannot_count(
    store: ShardStore, change: dict[str, object], reason: Reason
) -> None:
    async def play(shard: Shard) -> None:
        await shard.sync(1, a_push(1))
        answer = await shard.sync(1, replace(a_push(2, a_row()), **change))
        receipt = Resync(header=HEADER, incarnation=1, version=1, reason=reason)
        assert (answer.receipt, answer.pull) == (receipt, None)
        assert await summed(shard) == {}

    on_shard(store, play)


@pytest.mark.parametrize(
    "bad",
    [
        a_push(1, a_row(slot=8)),
        a_push(1, a_row(milli=1001)),
        a_push(1, a_row(day=-1)),
        a_push(1, a_row(taste=b"z")),
        a_push(1, Row(2**40, 1, 1, 1, b"", hashed=True)),
        a_push(1, a_row(-1)),
        a_push(0, a_row(), base=0),
        a_push(2**63),
        a_push(1, base=2),
        a_push(1, incarnation=2**32),
    ],
)
def test_refuses_what_no_codec_makes_and_troubles_nobody_else(store: ShardStore, bad: object) -> None:
    async def play(shard: Shard) -> None:
        good, refused = await asyncio.gather(
            shard.sync(1, a_push(1, a_row())),
            shard.sync(2, bad),  # type: ignore[arg-type]
            return_exceptions=True,
        )
        assert isinstance(refused, InputError)
        assert not isinstance(good, BaseException)
        assert (await summed(shard))[7, 4] == (1, 1000, 1)

    on_shard(store, play)


def test_two_thousand_at_once_share_few_commits(tmp_path: Path) -> None:
    class Counting(SqliteShardStore):
        ticks = 0

        def commit(self, tick: Tick) -> list[Standing]:
            self.ticks += 1
            return super().commit(tick)

    counting = Counting.open(tmp_path / "s.db")
    counting.enrol([an_id(slot) for slot in range(2_000)], NOW)

    async def play(shard: Shard) -> None:
        pushes = [(slot, a_push(1, a_row(slot % 30), a_row(30))) for slot in range(2_000)]
        answers = await asyncio.gather(*(shard.sync(slot, push) for slot, push in (*pushes, *pushes)))
        assert {(a.receipt.version, a.receipt.horizon) for a in answers if isinstance(a.receipt, Ack)} == {(1, 0)}
        assert counting.ticks <= 3
        sums = await summed(shard)
        assert sums[30, 4][:2] == (2_000, 2_000_000)
        assert sum(sums[title, 4][0] for title in range(30)) == 2_000
        assert 1_000 < sums[30, 4][2] < 4_000

    on_shard(counting, play)


def test_nobody_is_answered_before_he_is_durable(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    first = SqliteShardStore.open(path)
    first.enrol([an_id(0)], NOW)
    seen: list[int] = []

    async def play(shard: Shard) -> None:
        for version in range(1, 20):
            await shard.sync(0, a_push(version, a_row()))
            other = SqliteShardStore.open(path)
            row = other.device(0)
            seen.append(row.version if row else -1)
            other.close()

    on_shard(first, play)
    assert seen == list(range(1, 20))


class Failing(MemoryShardStore):
    """Fails as long as it is told to, with the error that it is given."""

    error: Exception | None = None

    def commit(self, tick: Tick) -> list[Standing]:
        if self.error:
            raise self.error
        return super().commit(tick)


@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError("unforeseen")])
def test_a_store_that_fails_counts_nothing_and_recovers(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    store = Failing()
    store.enrol([an_id(0), an_id(1)], NOW)

    async def play(shard: Shard) -> None:
        store.error = error
        for _ in range(3):
            both = await asyncio.gather(*(shard.sync(slot, a_push(1, a_row())) for slot in range(2)))
            for answer in both:
                assert isinstance(answer.receipt, Refused)
                assert answer.receipt.reason is Refusal.STORE
                assert answer.receipt.retry_after_s >= 15
        assert shard.failing
        store.error = None
        await share(shard, range(2), 1, a_row())
        assert not shard.failing
        assert (await summed(shard))[7, 4] == (2, 2000, 2)

    on_shard(store, play)
    assert [record.levelname for record in caplog.records if record.name == "omega.shard"] == ["ERROR", "WARNING"]


def test_that_a_store_fails_and_works_again_is_found_out_without_anybody(caplog: pytest.LogCaptureFixture) -> None:
    """A balancer sends nobody to a shard that says that it fails."""
    store = Failing()
    store.enrol([an_id(0), an_id(1)], NOW)

    async def until(shard: Shard, *, failing: bool) -> None:
        async with asyncio.timeout(30):
            while shard.failing is not failing:  # noqa: ASYNC110  (nobody is told)
                await asyncio.sleep(0.005)

    async def play(shard: Shard) -> None:
        store.error = StoreError("the disk is full")
        answer = await shard.sync(0, a_push(1, a_row()))
        assert isinstance(answer.receipt, Refused)
        await asyncio.sleep(0.05)
        assert shard.failing
        store.error = None
        await until(shard, failing=False)
        assert (await summed(shard))[7, 4] == (1, 1000, 1), "what was to be stored is"
        await share(shard, range(1), 1, a_row())
        assert (await summed(shard))[7, 4] == (1, 1000, 1), "once"
        store.error = StoreError("gone")
        with pytest.raises(StoreError):
            await shard._ticks.call(refuse)
        await until(shard, failing=True)
        store.error = None
        await until(shard, failing=False)

    on_shard(store, play, service=replace(EAGER, probe_s=0.01))
    said = [record.levelname for record in caplog.records if record.name == "omega.shard"]
    assert said == ["ERROR", "WARNING"] * 2


class Hanging(MemoryShardStore):
    """Commits nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def commit(self, tick: Tick) -> list[Standing]:
        assert self.goes_on.wait(30)
        return super().commit(tick)


def test_a_store_that_takes_too_long_is_one_that_fails_until_it_is_done() -> None:
    store = Hanging()
    store.enrol([an_id(0)], NOW)

    async def play(shard: Shard) -> None:
        syncing = asyncio.create_task(shard.sync(0, a_push(1, a_row())))
        async with asyncio.timeout(30):
            while not shard.failing:  # noqa: ASYNC110  (time alone tells)
                await asyncio.sleep(0.005)
        store.goes_on.set()
        assert isinstance((await syncing).receipt, Ack)
        assert not shard.failing

    on_shard(store, play, service=replace(EAGER, stuck_s=0.05))


def refuse(store: ShardStore) -> None:
    raise StoreError("gone")


def test_sheds_load_and_limits_each_device(store: ShardStore) -> None:
    service = Service(tick_s=0.01, most_waiting=10, pace=Pace(burst=2, refill_s=100))

    async def play(shard: Shard) -> None:
        answers = await asyncio.gather(*(shard.sync(slot, a_push(1, a_row())) for slot in range(15)))
        refused = [a.receipt.reason for a in answers if isinstance(a.receipt, Refused)]
        assert refused == [Refusal.BUSY] * 5
        assert (await summed(shard))[7, 4][0] == 10
        kinds = [(await shard.sync(0, a_push(1, a_row()))).receipt for _ in range(2)]
        assert isinstance(kinds[0], Ack)
        assert isinstance(kinds[1], Refused)
        assert kinds[1].reason is Refusal.TOO_OFTEN
        assert 90 <= kinds[1].retry_after_s <= 100
        assert isinstance((await shard.sync(1, a_push(1))).receipt, Ack)

    on_shard(store, play, service=service)


def test_counts_no_more_of_a_device_than_a_day_may_hold(store: ShardStore) -> None:
    service = replace(EAGER, day_samples=10)
    rows = [a_row(title) for title in range(6)]

    async def play(shard: Shard) -> None:
        assert isinstance((await shard.sync(0, a_push(1, *rows))).receipt, Ack)
        for _ in range(9):
            assert isinstance((await shard.sync(0, a_push(1, *rows[:1]))).receipt, Ack), "a repeat costs nothing"
        refused = (await shard.sync(0, a_push(2, *rows))).receipt
        assert isinstance(refused, Refused)
        assert refused.reason is Refusal.TOO_OFTEN
        assert 1_800 <= refused.retry_after_s <= 5_400
        assert isinstance((await shard.sync(0, a_push(2, *rows[:4]))).receipt, Ack)
        assert isinstance((await shard.sync(1, a_push(1, *rows))).receipt, Ack), "each has its own"
        assert isinstance((await shard.sync(0, a_push(3, retracted=tuple(rows)))).receipt, Ack), "takes back at once"
        assert sum(sums[0] for key, sums in (await summed(shard)).items() if key[1] == ALL_SLOTS) == 6 + 4 + 6 - 6

    on_shard(store, play, service=service)


def test_drains_with_everybody_answered(store: ShardStore) -> None:
    async def play(shard: Shard) -> None:
        syncs = [asyncio.ensure_future(shard.sync(slot, a_push(1, a_row()))) for slot in range(20)]
        await asyncio.sleep(0)
        await shard.drain()
        await asyncio.sleep(0)
        assert all(sync.done() and isinstance(sync.result().receipt, Ack) for sync in syncs)
        late = await shard.sync(21, a_push(1, a_row()))
        assert isinstance(late.receipt, Refused)
        assert late.receipt.reason is Refusal.DRAINING
        assert (await summed(shard))[7, 4][0] == 20

    on_shard(store, play)


def test_who_hangs_up_is_counted_all_the_same(store: ShardStore) -> None:
    async def play(shard: Shard) -> None:
        gone = asyncio.ensure_future(shard.sync(0, a_push(1, a_row())))
        stays = asyncio.ensure_future(shard.sync(1, a_push(1, a_row())))
        await asyncio.sleep(0)
        gone.cancel()
        assert isinstance((await stays).receipt, Ack)
        again = (await shard.sync(0, a_push(1, a_row()))).receipt
        assert isinstance(again, Ack)
        assert (await summed(shard))[7, 4] == (2, 2000, 2)

    on_shard(store, play)


def test_a_stranger_is_told_to_enrol(store: ShardStore) -> None:
    async def play(shard: Shard) -> None:
        answer = await shard.sync(999, a_push(1, a_row()))
        assert isinstance(answer.receipt, Refused)
        assert answer.receipt.reason is Refusal.STRANGER

    on_shard(store, play)


def test_names_artifacts_and_paces(store: ShardStore) -> None:
    file = Artifact(1, 2, bytes(16), 3)

    async def play(shard: Shard) -> None:
        before = await pulled(shard)
        shard.set_artifacts((file,))
        after = await pulled(shard)
        assert before
        assert after
        assert (before.artifacts, after.artifacts) == ((), (file,))
        assert before.pull_id != after.pull_id
        receipts = [(await shard.sync(slot, a_push(1))).receipt for slot in range(40)]
        paces = {receipt.next_sync_s for receipt in receipts if isinstance(receipt, Ack)}
        assert min(paces) >= 240
        assert max(paces) <= 360
        assert len(paces) > 10

    on_shard(store, play, service=EAGER)
