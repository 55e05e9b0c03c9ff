"""What an event says beside its share, what is told twice, many at once, and two brains on one file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import InputError
from omega.core.records import Outcome, Selection
from omega.core.types import ViewContext, ViewingEvent
from omega.device.results import Mode
from omega_storage.device_memory import MemoryDeviceStore
from omega_storage.device_sqlite import SqliteDeviceStore
from tests.device.living import CONTEXTS, ids, lists, live

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.ports import DeviceStore
    from omega.core.records import WatchRecord
    from omega.core.testing.fakes import Clock
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain

SERIES = "broadchurch-2013"
START = datetime(2026, 1, 3, 20, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DeviceStore:
    return MemoryDeviceStore() if request.param == "memory" else SqliteDeviceStore.open(tmp_path / "store.db")


def last(store: DeviceStore) -> WatchRecord:
    return store.events(1)[0]


@pytest.mark.parametrize("hours", [0, 12, 13])
def test_what_is_watched_from_the_last_list_within_twelve_hours_was_chosen_from_it(
    open_brain: OpenBrain, clock: Clock, hours: int
) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    brain.recommend(CONTEXTS[1])
    fourth = brain.recommend(k=5)[3].content_id
    sixth = brain.recommend(k=6)[5].content_id
    brain.recommend(k=5)
    clock.advance(hours=hours)
    brain.observe(ViewingEvent(content_id=fourth, watch_pct=0.8))
    chosen = hours <= 12
    assert (last(store).offered, last(store).engagement_milli) == ((4, 1000) if chosen else (None, 800))
    assert last(store).reward == pytest.approx(0.86 if chosen else 0.8)
    brain.observe(ViewingEvent(content_id=sixth, watch_pct=0.8))
    assert (last(store).offered, last(store).engagement_milli) == (None, 800), "it was in the list before the last"


def test_what_is_chosen_from_lists_is_the_use_of_a_skill(open_brain: OpenBrain, clock: Clock) -> None:
    brain = open_brain()
    for _ in range(3):
        first = brain.recommend(k=1)[0].content_id
        brain.observe(ViewingEvent(content_id=first, watch_pct=1.0))
        clock.advance(days=7)
    uses = [skill.use for skill in brain.memories().skills if skill.count == 3]
    assert uses
    assert all(0.4 < use < 0.5 for use in uses), "u / (u + 3) of nearly three times"


@pytest.mark.parametrize(("liked", "reward"), [(True, 0.44), (False, 0.14), (None, 0.2)])
def test_a_like_is_worth_more_than_what_was_watched(
    open_brain: OpenBrain, *, liked: bool | None, reward: float
) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.2, liked=liked))
    assert last(store).reward == pytest.approx(reward)


def test_a_dislike_outweighs_that_it_was_chosen(open_brain: OpenBrain) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    first = brain.recommend(k=1)[0].content_id
    brain.observe(ViewingEvent(content_id=first, watch_pct=1.0, liked=False))
    assert (last(store).offered, last(store).engagement_milli) == (1, 0)


def test_the_next_episode_is_wanted(open_brain: OpenBrain, clock: Clock) -> None:
    store = MemoryDeviceStore()
    brain = open_brain(store)
    wanted = []
    for episode in (4, 5, 5, 3, 6):
        clock.advance(hours=1)
        brain.observe(ViewingEvent(content_id=SERIES, watch_pct=0.95, season=1, episode=episode))
        wanted.append(last(store).engagement_milli)
    assert wanted == [950, 1000, 950, 950, 1000]


@pytest.mark.parametrize(
    "event",
    [
        ViewingEvent(content_id="gladiator-2000", watch_pct=0.5),
        ViewingEvent(content_id=SERIES, watch_pct=0.5, season=1, episode=2),
        ViewingEvent(content_id="gladiator-2000", watch_pct=0.5, liked=True),
        ViewingEvent(content_id="mine", title="Ours", watch_pct=0.5),
    ],
    ids=["interrupted", "episode", "liked", "local"],
)
def test_an_event_told_again_changes_nothing(
    open_brain: OpenBrain, store: DeviceStore, clock: Clock, event: ViewingEvent
) -> None:
    """Nor when the list that it was chosen from is gone, or when it was interrupted: it doesn't go on with itself."""
    brain = open_brain(store)
    brain.recommend(k=800)
    event = msgspec.structs.replace(event, at=clock.now)
    assert brain.observe(event).outcome is Outcome.ADDED
    before, answer, kept = brain.status(), lists(brain), store.events()
    clock.advance(minutes=5)
    for again in (brain, open_brain(store)):
        clock.advance(minutes=5)
        assert again.observe(event).outcome is Outcome.REPEATED
    clock.advance(minutes=-15)
    assert store.events() == kept
    assert msgspec.structs.replace(brain.status(), store_bytes=before.store_bytes) == before
    assert lists(brain) == answer
    brain.close()


def test_a_series_told_again_in_another_order_changes_nothing(
    open_brain: OpenBrain, store: DeviceStore, clock: Clock
) -> None:
    brain = open_brain(store)
    told = [
        ViewingEvent(
            content_id=SERIES, watch_pct=share, season=1, episode=episode, at=clock.now - timedelta(hours=9 - episode)
        )
        for episode, share in enumerate((1.0, 0.4, 0.95, 0.1, 0.8), 1)
    ]
    for event in told:
        brain.observe(event)
    kept = store.events()
    assert [brain.observe(event).outcome for event in reversed(told)] == [Outcome.REPEATED] * 5
    assert store.events() == kept
    brain.close()


def test_a_correction_is_as_if_told_once(open_brain: OpenBrain, store: DeviceStore, clock: Clock) -> None:
    brain, other = open_brain(store), open_brain()
    right = ViewingEvent(content_id="gladiator-2000", watch_pct=0.95, at=clock.now)
    for event in (right, ViewingEvent(content_id=SERIES, watch_pct=1.0, season=1, episode=1)):
        other.observe(event)
    brain.observe(msgspec.structs.replace(right, watch_pct=0.1))
    assert brain.why("gladiator-2000").excluded is None
    brain.observe(ViewingEvent(content_id=SERIES, watch_pct=1.0, season=1, episode=1))
    brain.consolidate()
    seen = brain.observe(right)
    assert (seen.outcome, seen.sample_count) == (Outcome.CORRECTED, 1)
    assert seen.success_rate == pytest.approx(1.95 / 3)
    assert brain.why("gladiator-2000").excluded == "finished"
    for opened in (brain, open_brain(store)):
        for mine, theirs in zip(lists(opened), lists(other), strict=True):
            assert ids(mine) == ids(theirs)
            assert [t.score for t in mine] == pytest.approx([t.score for t in theirs], abs=1e-5)
        assert opened.memories().skills == other.memories().skills
    brain.close()


def test_a_block_that_fails_leaves_nothing_in_store_or_memory(
    open_brain: OpenBrain, example: Catalog, clock: Clock, store: DeviceStore
) -> None:
    brain = open_brain(store)
    brain.set_profile("Ada")
    live(brain, example, clock, 20)
    before = brain.status(), lists(brain), brain.memories(), brain.export()

    def told() -> None:
        brain.observe(ViewingEvent(content_id=SERIES, watch_pct=1.0, season=1, episode=1, profile="Ada"))
        brain.observe(ViewingEvent(content_id="mine", title="Ours", watch_pct=1.0))
        assert brain.counts()[0] == 22

    def failing() -> None:
        with brain.many():
            told()
            brain.observe(ViewingEvent(content_id="nobody-knows", watch_pct=1.0))

    with pytest.raises(InputError, match="nobody-knows"):
        failing()
    assert (brain.status(), lists(brain), brain.memories(), brain.export()) == before
    with brain.many():
        told()
    assert brain.counts()[0] == 22
    assert brain.status().local_titles == 1
    brain.close()


def test_many_at_once_are_as_one_by_one(open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path) -> None:
    start, found = clock.now, []
    for name in ("alone", "together"):
        clock.now = start
        brain = open_brain(SqliteDeviceStore.open(tmp_path / f"{name}.db"))
        if name == "together":
            with brain.many():
                live(brain, example, clock, 40)
        else:
            live(brain, example, clock, 40)
        found.append((lists(brain), brain.memories()))
        brain.close()
    assert found[0] == found[1]


@pytest.fixture
def two(open_brain: OpenBrain, tmp_path: Path) -> tuple[Brain, Brain]:
    first = open_brain(SqliteDeviceStore.open(tmp_path / "store.db"))
    return first, open_brain(SqliteDeviceStore.open(tmp_path / "store.db"))


def test_two_brains_on_one_file_follow_each_other(
    open_brain: OpenBrain, example: Catalog, clock: Clock, two: tuple[Brain, Brain], tmp_path: Path
) -> None:
    one, other = two
    one.set_profile("Ada", 7)
    other.observe(ViewingEvent(content_id="mine", title="Ours", watch_pct=1.0, profile="Ada"))
    for brain, genre in ((one, "crime"), (other, "war"), (one, "animation")):
        live(brain, example, clock, 25, genre)
    assert one.status() == other.status()
    assert one.memories("Ada") == other.memories("Ada")
    third = open_brain(SqliteDeviceStore.open(tmp_path / "store.db"))
    for mine, theirs, fresh in zip(lists(one), lists(other), lists(third), strict=True):
        assert ids(mine) == ids(theirs) == ids(fresh)
        assert [t.score for t in mine] == pytest.approx([t.score for t in fresh], abs=1e-5)
    one.consolidate()
    skills = one.memories().skills
    assert skills == other.memories().skills
    live(other, example, clock, 10)
    other.consolidate()
    assert one.memories() == other.memories()
    for brain in (one, other, third):
        brain.close()


def test_mode_profiles_and_forgetting_reach_the_other_brain(two: tuple[Brain, Brain]) -> None:
    one, other = two
    one.set_mode(Mode.GUEST)
    assert other.mode is Mode.GUEST
    assert other.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0)).outcome is Outcome.IGNORED
    other.set_mode(Mode.LEARNING)
    assert one.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0)).outcome is Outcome.ADDED
    assert other.why("gladiator-2000").excluded == "finished"
    other.set_profile("Ada", 7)
    assert one.why("gladiator-2000", ViewContext(profile="Ada")).excluded == "meant for viewers of 16 and older"
    other.set_profile("Ben")
    one.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.4, profile="Ben"))
    assert one.forget(Selection(), "Ben").events == 1
    assert [profile.name for profile in other.profiles()] == ["Ada"]
    with pytest.raises(InputError, match="profile is 'Ben'"):
        other.recommend(ViewContext(profile="Ben"))
    one.set_profile("Cleo")
    assert other.forget(Selection(), "Cleo").events == 0, "made a moment ago by the other"
    one.forget(Selection(content_id="gladiator-2000"))
    assert other.why("gladiator-2000").excluded is None
    assert other.status().events == 0
    for brain in two:
        brain.close()


def test_a_title_that_was_never_watched_is_not_forgotten_silently(open_brain: OpenBrain) -> None:
    brain = open_brain()
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0))
    with pytest.raises(InputError, match="title is 'gladiator', allowed: one of the 1 titles that were watched"):
        brain.forget(Selection(content_id="gladiator"))
    assert brain.counts() == (1, 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.sampled_from([0.1, 0.5, 1.0])), max_size=12))
def test_told_in_any_order_and_corrected_at_will_the_last_word_holds(
    open_everywhere: OpenBrain, told: list[tuple[int, int, float]]
) -> None:
    """Events of six titles at five moments; the oracle tells each once, as it was told last."""
    titles = ["gladiator-2000", SERIES, "the-longest-day-1962", "mine", "heat-1995", "speed-1994"]
    moments = [START + timedelta(hours=7 * n) for n in range(5)]

    def event(title: int, moment: int, share: float) -> ViewingEvent:
        return ViewingEvent(content_id=titles[title], title="A title", watch_pct=share, at=moments[moment], liked=True)

    brain, oracle = open_everywhere(), open_everywhere()
    outcomes = [brain.observe(event(*one)).outcome for one in told]
    once = {(title, moment): share for title, moment, share in told}
    for (title, moment), share in once.items():
        oracle.observe(event(title, moment, share))
    assert outcomes.count(Outcome.ADDED) == len(once)
    assert brain.export().events == oracle.export().events
    assert brain.memories().skills == oracle.memories().skills
    for mine, theirs in zip(lists(brain), lists(oracle), strict=True):
        assert [t.score for t in mine] == pytest.approx([t.score for t in theirs], abs=1e-4)
