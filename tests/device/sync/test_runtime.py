"""The loop: one sync over a line with every trouble, and a week of a TV's life in milliseconds."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import InputError, StoreError, TransportError
from omega.core.records import Selection
from omega.core.types import ViewingEvent
from omega.core.wire import Pull, Push, Reason, Resync, Similar, Trend
from omega.device.sync.pacing import Moment, Pace
from omega.device.sync.runtime import Syncer
from omega.device.sync.session import Outcome
from omega_storage.device_memory import MemoryDeviceStore
from tests.device.sync.shards import Shard
from tests.device.sync.wires import Direct, Wires

if TYPE_CHECKING:
    from omega.core.catalog import Catalog
    from omega.core.testing.fakes import Clock
    from omega.device.brain import Brain
    from omega.device.sync.messages import Reply
    from tests.device.conftest import OpenBrain

HEAT = ViewingEvent(content_id="heat-1995", watch_pct=0.9)


class Time:
    """Both clocks, which stand still between two steps."""

    def __init__(self) -> None:
        self.now = Moment(0, 1_800_000_000)

    def __call__(self) -> Moment:
        return self.now

    def run(self, seconds: float) -> None:
        self.now = Moment(self.now.monotonic_s + seconds, self.now.wall_s + seconds)


def a_syncer(brain: Brain, wires: Wires, now: Time, shard: str = "shard-a", pace: Pace | None = None) -> Syncer:
    line = Direct(shard, wires.connect)
    return Syncer(brain, line, random=Random(4), now=now, pace=pace)


@pytest.fixture
def shard(example: Catalog) -> Shard:
    return Shard(example, space="fake-words-1")


@pytest.fixture
def wires(shard: Shard, example: Catalog) -> Wires:
    return Wires({"shard-a": shard, "shard-b": Shard(example, space="fake-words-1")})


def test_one_sync_tells_and_hears_and_says_what_it_took(
    open_brain: OpenBrain, wires: Wires, shard: Shard, example: Catalog
) -> None:
    brain = open_brain()
    brain.observe(HEAT)
    gladiator = example.ordinals["gladiator-2000"]
    before = brain.why("gladiator-2000").rank
    shard.pull = Pull(header=shard.header, pull_id=3, trending=(Trend(gladiator, None, 12, 900, 30),))
    syncer = a_syncer(brain, wires, Time())
    report = asyncio.run(syncer.sync())
    assert (report.number, report.outcome, report.error) == (1, Outcome.COUNTED, None)
    assert (report.contributed, report.retracted, report.pulled, report.round_trips) == (1, 0, True, 1)
    assert min(report.sent_bytes, report.received_bytes) > 20
    assert 300 <= report.next_s <= 900
    after = brain.why("gladiator-2000")
    assert before
    assert (after.rank or 99) < before
    [reason] = [reason for reason in after.recommendation.reasons if reason.kind == "trend"]
    assert reason.text == "12 households watched it lately"
    again = open_brain(brain._store).why("gladiator-2000")
    assert again.recommendation == after.recommendation, "what the others enjoy outlives the process"
    report = asyncio.run(syncer.sync())
    assert (report.number, report.contributed, report.pulled, report.round_trips) == (2, 0, False, 1)
    assert wires.opened == ["shard-a"], "a connection is kept"
    asyncio.run(syncer.close())
    assert wires.closed == ["shard-a"]


def test_households_of_a_like_taste_are_named_as_such(
    open_brain: OpenBrain, wires: Wires, shard: Shard, example: Catalog
) -> None:
    brain = open_brain()
    shard.pull = Pull(
        header=shard.header, pull_id=3, similar=(Similar(example.ordinals["gladiator-2000"], None, 6, 900, 200),)
    )
    asyncio.run(a_syncer(brain, wires, Time()).sync())
    reasons = brain.why("gladiator-2000").recommendation.reasons
    assert "6 households like yours enjoyed it" in [reason.text for reason in reasons]


@pytest.mark.parametrize(
    ("trouble", "least_s", "most_s"),
    [
        (TransportError("no way there"), 0, 15),
        (TransportError("busy", retry_after_s=500), 500, 625),
        (TransportError("no such device", permanent=True), 900, 1800),
        (StoreError("disk full"), 0, 15),
    ],
)
def test_a_failure_is_told_paces_the_next_sync_and_loses_nothing(
    open_brain: OpenBrain, wires: Wires, shard: Shard, trouble: Exception, least_s: float, most_s: float
) -> None:
    brain = open_brain()
    brain.observe(HEAT)
    syncer = a_syncer(brain, wires, Time())
    wires.trouble["shard-a"] = trouble
    report = asyncio.run(syncer.sync())
    assert (report.outcome, report.error) == (None, str(trouble))
    assert least_s <= report.next_s <= most_s
    wires.trouble.clear()
    report = asyncio.run(syncer.sync())
    assert (report.error, report.contributed) == (None, 1)
    assert sum(shard.state.sums.values()) == 1


def test_a_refusal_is_told_with_its_reason(open_brain: OpenBrain, wires: Wires, shard: Shard) -> None:
    shard.space = "another"
    report = asyncio.run(a_syncer(open_brain(), wires, Time()).sync())
    assert (report.outcome, report.reason) == (Outcome.REFUSED, "space")
    assert report.next_s >= 900


class Amnesiac(Shard):
    """Never heard of anybody, whatever it is told."""

    def sync(self, device: str, push: Push) -> list[Reply]:
        return [Resync(header=self.header, incarnation=push.incarnation, version=0, reason=Reason.GAP)]


def test_a_shard_that_never_agrees_gets_16_frames_a_sync(open_brain: OpenBrain, example: Catalog) -> None:
    brain, wires = open_brain(), Wires({"shard-a": Amnesiac(example)})
    brain.observe(HEAT)
    report = asyncio.run(a_syncer(brain, wires, Time()).sync())
    assert wires.exchanges == report.round_trips == 16
    assert brain.status().shared.unacknowledged == 1


def test_debts_to_a_shard_that_was_left_are_settled_there(open_brain: OpenBrain, wires: Wires, shard: Shard) -> None:
    store, now = MemoryDeviceStore(), Time()
    brain = open_brain(store)
    brain.observe(HEAT)
    asyncio.run(a_syncer(brain, wires, now).sync())
    brain.forget(Selection())
    moved = a_syncer(brain, wires, now, "shard-b")
    wires.trouble["shard-a"] = TransportError("it is down")
    report = asyncio.run(moved.sync())
    assert (report.error, report.retracted) == (None, 0), "another shard's trouble is no failure"
    assert brain.debts("shard-b") == ["shard-a"]
    wires.trouble.clear()
    assert asyncio.run(moved.sync()).retracted == 0, "it is left alone for a while"
    now.run(7 * 3600)
    assert asyncio.run(moved.sync()).retracted == 1
    assert sum(shard.state.sums.values()) == 0
    assert brain.debts("shard-b") == []
    assert wires.closed.count("shard-a") == 2


def test_a_week_of_syncs_takes_no_week(open_brain: OpenBrain, wires: Wires, shard: Shard, clock: Clock) -> None:
    """Watching in the evenings, asleep at night, a day without network, a day at the shard's own pace."""
    brain, now, random = open_brain(), Time(), Random(7)
    syncer = a_syncer(brain, wires, now)
    titles = iter(brain._catalog.titles)
    syncs: list[float] = []
    began, elapsed, watched = time.perf_counter(), 0.0, 0

    def live(seconds: float, *, asleep: bool = False) -> None:
        nonlocal elapsed
        elapsed += seconds
        clock.advance(seconds=seconds)
        now.now = Moment(now.now.monotonic_s + (0 if asleep else seconds), now.now.wall_s + seconds)

    while elapsed < 7 * 86_400:
        day, hour = divmod(elapsed / 3600, 24)
        if hour >= 23 or hour < 1:
            live(7 * 3600, asleep=True)
        wires.trouble = {"shard-a": TransportError("no network")} if day == 3 else {}
        shard.next_sync_s = 1200 if day == 5 else 0
        if hour >= 18 and random.random() < 0.02:
            brain.observe(ViewingEvent(content_id=next(titles).id, watch_pct=random.random()))
            watched += 1
        if syncer._waits():
            syncer._pacing.watched(now())
        if syncer._pacing.due_in_s(now()) == 0:
            syncs.append(elapsed)
            asyncio.run(syncer.sync())
        live(30)
    wires.trouble = {}
    asyncio.run(syncer.sync())
    assert watched > 20
    assert sum(shard.state.sums.values()) == watched
    by_day = [sum(day <= at / 86_400 < day + 1 for at in syncs) for day in range(7)]
    assert all(15 <= count <= 160 for count in by_day), by_day
    assert by_day[3] < 40, "an outage opens the circuit"
    assert 30 <= by_day[5] <= 60, "the shard asked for 20 minutes"
    assert time.perf_counter() - began < 20


def test_the_loop_waits_syncs_when_asked_and_ends_cleanly(open_brain: OpenBrain, wires: Wires) -> None:
    brain = open_brain()
    brain.observe(HEAT)

    async def main() -> None:
        syncer = a_syncer(brain, wires, Time())
        running = asyncio.create_task(syncer.run())
        await asyncio.sleep(0.05)
        assert syncer.report.number == 0
        syncer.ask()
        while syncer.report.number == 0:  # noqa: ASYNC110  (the loop under test ends it)
            await asyncio.sleep(0.01)
        assert syncer.report.contributed == 1
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(asyncio.wait_for(main(), 20))
    assert wires.closed == ["shard-a"]


def test_a_brain_that_nothing_syncs_says_what_to_do(open_brain: OpenBrain) -> None:
    with pytest.raises(InputError, match="shard_url"):
        open_brain().sync()
