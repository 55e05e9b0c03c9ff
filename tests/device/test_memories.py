"""The memories of a real brain: kept in any pieces, the same after a restart, with no trace of what was forgotten."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.records import Selection
from omega.core.types import DayType, TimeSlot, ViewContext, ViewingEvent
from omega.device.brain import MAX_PATTERNS, RECENT_EPISODES
from omega.device.memory.skill_library import Progress
from omega_storage.device_memory import MemoryDeviceStore
from omega_storage.device_sqlite import SqliteDeviceStore
from tests.device.living import ids, lists, live

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.ports import DeviceStore
    from omega.core.records import WatchRecord
    from omega.core.testing.fakes import Clock
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DeviceStore:
    return MemoryDeviceStore() if request.param == "memory" else SqliteDeviceStore.open(tmp_path / "store.db")


def fridays(brain: Brain, example: Catalog, clock: Clock, weeks: int = 5) -> None:
    """Let a household watch a thriller on each Friday evening, and a comedy on each Tuesday's."""
    thrillers = [title.id for title in example if "thriller" in title.genres and title.kind == "movie"]
    comedies = [title.id for title in example if "comedy" in title.genres and "thriller" not in title.genres]
    monday = (clock.now + timedelta(days=6 - (clock.now.weekday() - 1) % 7)).replace(hour=20)
    for week in range(weeks):
        clock.now = monday + timedelta(weeks=week, days=1)
        brain.observe(ViewingEvent(content_id=comedies[week], watch_pct=1.0))
        clock.now = monday + timedelta(weeks=week, days=4)
        brain.observe(ViewingEvent(content_id=thrillers[week], watch_pct=1.0 if week else 0.8))


def test_habits_are_told_in_words_and_lift_their_titles(
    open_brain: OpenBrain, example: Catalog, clock: Clock, store: DeviceStore
) -> None:
    brain = open_brain(store)
    fridays(brain, example, clock)
    found = brain.memories()
    assert "Friday evenings: thrillers, 4 of 5 finished" in found.habits
    assert found.habits == brain.status().habits
    assert (found.episode_count, found.pattern_count) == brain.counts() == (10, 10)
    assert found.episodes == tuple(store.events())
    thriller = next(title.id for title in example if title.genres == ("thriller",) or "thriller" in title.genres[:1])
    reasons = {reason.kind: reason for reason in brain.why(thriller).recommendation.reasons}
    assert reasons["skill"].weight > 0.2
    assert reasons["skill"].text.startswith("Friday evenings: thrillers, ")
    clock.advance(days=4)
    assert {r.kind: r.weight for r in brain.why(thriller).recommendation.reasons}["skill"] < 0
    weekend = ViewContext(time=TimeSlot.EVENING, day=DayType.WEEKEND)
    assert "skill" not in {reason.kind for reason in brain.why(thriller, weekend).recommendation.reasons}
    clock.advance(days=60)
    assert brain.memories().habits == (), "a habit that isn't kept up is let go"
    brain.close()


def test_the_newest_episodes_are_shown(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    brain.set_profile("Ada")
    live(brain, example, clock, 25)
    live(brain, example, clock, 3, "war", "Ada")
    assert brain.memories().episodes == tuple(store.events()[-RECENT_EPISODES:])
    assert brain.memories("Ada").episodes == tuple(store.events()[-3:])


def test_in_any_steps_the_same_sums_are_kept_as_in_one(
    open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path
) -> None:
    """One TV works when all is told, the other a little after each fifteen, opened anew in between; nothing fades."""
    draw = random.Random(4)
    events = [
        ViewingEvent(content_id=draw.choice(example.titles).id, watch_pct=draw.random(), at=clock.now + hours)
        for hours in (timedelta(hours=3 * n) for n in range(150))
    ]
    file = tmp_path / "pieces.db"
    clock.now += timedelta(days=19)
    one = open_brain()
    with one.many():
        for event in events:
            one.observe(event)
    assert one.consolidate() == Progress(150, 0)
    for part, budget in enumerate([0.001, 5.0, None, 0.001, 0.001, 0.001, 0.001, 0.001, None, 0.001]):
        other = open_brain(SqliteDeviceStore.open(file))
        with other.many():
            for event in events[15 * part : 15 * part + 15]:
                other.observe(event)
        other.consolidate(budget)
        other.close()
    other = open_brain(SqliteDeviceStore.open(file))
    other.consolidate()
    assert other.tend() == other.consolidate() == Progress(0, 0)
    assert other.export().skills == one.export().skills
    assert len(other.export().skills) > 50
    assert other.memories().skills == one.memories().skills
    assert [ids(found) for found in lists(other)] == [ids(found) for found in lists(one)]
    other.close()


def told(event: WatchRecord) -> ViewingEvent:
    """Return the event that became this record."""
    return ViewingEvent(
        content_id=event.content_id,
        watch_pct=event.watched_milli / 1000,
        at=datetime.fromtimestamp(event.at, UTC),
        season=event.season,
        episode=event.episode,
    )


def test_a_budget_is_kept_and_the_rest_told(open_brain: OpenBrain, example: Catalog, clock: Clock) -> None:
    brain = open_brain()
    live(brain, example, clock, 150)
    steps: list[tuple[int, int]] = []
    assert brain.tend(0.001) == Progress(64, 86)
    assert brain.consolidate(0.001) == Progress(64, 22)
    assert brain.consolidate(progress=lambda *step: steps.append(step)) == Progress(22, 0)
    assert steps == [(22, 22)]


def test_a_reopened_brain_has_the_same_skills_whatever_was_consolidated(
    open_brain: OpenBrain, example: Catalog, clock: Clock, store: DeviceStore
) -> None:
    """Also when much of it has faded, and other events came since."""
    brain = open_brain(store)
    brain.set_profile("Ada")
    for genre, profile in (("crime", None), ("war", "Ada"), ("crime", None)):
        live(brain, example, clock, 60, genre, profile)
        for name in (None, "Ada"):
            assert open_brain(store).memories(name).skills == brain.memories(name).skills
        brain.tend(0.001)
        assert open_brain(store).memories().skills == brain.memories().skills
        clock.advance(days=35)
        brain.tend(1e6)
        for opened in (brain, open_brain(store)):
            assert opened.memories().skills == brain.memories().skills
            assert [ids(found) for found in lists(opened)] == [ids(found) for found in lists(brain)]
    brain.close()


def test_what_faded_is_let_go(open_brain: OpenBrain, example: Catalog, clock: Clock, store: DeviceStore) -> None:
    brain = open_brain(store)
    live(brain, example, clock, 40)
    brain.consolidate()
    assert len(store.skills()[1]) > 20
    clock.advance(days=365)
    brain.tend()
    assert store.skills() == (40, [])
    assert brain.tend() == Progress(0, 0)
    assert brain.counts()[0] == 40
    brain.close()


@pytest.mark.parametrize("selected", ["title", "period", "profile"])
def test_forgotten_events_leave_no_trace_in_the_memories(
    open_brain: OpenBrain, example: Catalog, clock: Clock, store: DeviceStore, selected: str
) -> None:
    """The oracle is a TV that was only told what is left."""
    brain = open_brain(store)
    brain.set_profile("Ada")
    live(brain, example, clock, 30)
    since = clock.now
    fridays(brain, example, clock)
    live(brain, example, clock, 20, "war", "Ada")
    brain.consolidate()
    doomed = store.events()[35].content_id
    selection = {
        "title": Selection(content_id=doomed),
        "period": Selection(since=int(since.timestamp()) + 1),
        "profile": Selection(),
    }[selected]
    gone = brain.forget(selection, "Ada" if selected == "profile" else None)
    assert gone.events >= {"title": 1, "period": 30, "profile": 20}[selected]
    oracle = open_brain()
    oracle.restore(brain.export())
    for opened in (brain, open_brain(store)):
        assert opened.memories().skills == oracle.memories().skills
        assert [ids(found) for found in lists(opened)] == [ids(found) for found in lists(oracle)]
    for opened in (brain, oracle):
        opened.consolidate()
    assert brain.export().skills == oracle.export().skills
    assert any(habit.startswith("Friday evenings: thrillers") for habit in brain.memories().habits) == (
        selected != "period"
    )
    brain.close()


def test_corrected_events_leave_no_trace_in_the_memories(
    open_brain: OpenBrain, example: Catalog, clock: Clock, store: DeviceStore
) -> None:
    brain, oracle = open_brain(store), open_brain()
    fridays(brain, example, clock)
    brain.consolidate()
    assert any("Friday evenings: thrillers" in habit for habit in brain.memories().habits)
    for event in store.events()[1::2]:
        brain.observe(msgspec.structs.replace(told(event), watch_pct=0.1))
    for event in store.events():
        oracle.observe(told(event))
    for opened in (brain, open_brain(store), oracle):
        assert not any("Friday" in habit for habit in opened.memories().habits)
    for opened in (brain, oracle):
        opened.consolidate()
    assert brain.export().skills == oracle.export().skills
    brain.close()


def test_beyond_the_limit_the_patterns_longest_unused_go(
    open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path
) -> None:
    """Two profiles with 800 titles in 8 contexts each: 12,800 patterns, of which the first 2,800 are let go."""
    brain = open_brain(SqliteDeviceStore.open(tmp_path / "store.db"))
    start = datetime(2025, 3, 3, tzinfo=UTC)
    clock.now = start + timedelta(days=120)
    with brain.many():
        for name in ("Ada", "Ben"):
            brain.set_profile(name)
            for number in range(8 * 800):
                slot, title = divmod(number, 800)
                at = start + timedelta(days=5 * (slot % 2) + 14 * (name == "Ben"), hours=(8, 14, 19, 23)[slot // 2])
                at += timedelta(weeks=4 * slot, seconds=title)
                brain.observe(ViewingEvent(content_id=example.titles[title].id, watch_pct=0.5, at=at, profile=name))
    assert brain.counts() == (12_800, 12_800)
    brain.consolidate()
    assert brain.counts() == (12_800, MAX_PATTERNS)
    kept = {(pattern.profile, pattern.content_id, pattern.slot) for pattern in brain.export().patterns}
    last = sorted(brain.export().events, key=lambda event: (event.at, event.content_id))[-9_000:]
    assert {(event.profile, event.content_id, event.slot) for event in last} <= kept
    assert brain.tend() == Progress(0, 0)
    assert len(brain.recommend(k=50)) == 50
    brain.close()
