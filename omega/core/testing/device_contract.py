"""The promises of DeviceStore and Ledger in `omega.core.ports` as tests: derive a class Test*, say how to make one.

class TestMyStore(DurableDeviceStoreContract):
    def make(self, tmp_path, *, dimensions=DIMENSIONS):
        return MyStore.open(tmp_path / "store", dimensions=dimensions)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.errors import InputError, StoreError
from omega.core.records import (
    LedgerCounts,
    Outcome,
    Profile,
    Recorded,
    Selection,
    SkillRow,
    Watched,
    WatchRecord,
)
from omega.core.testing.contracts import DIMENSIONS, EDGE, random_units
from omega.core.testing.ledger_contract import LedgerContract
from omega.core.testing.watching import (
    CONTEXTS,
    DAY,
    OTHER,
    SHARD,
    SPACE,
    a_household,
    a_title,
    a_vector,
    a_watch,
    selected,
    similarity,
    tell,
)
from omega.core.types import ContentType, Title, pattern_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from omega.core.ports import DeviceStore, Floats

PERIODS = (
    Selection(content_id="t1"),
    Selection(content_id="t1", profile=1),
    Selection(since=1040),
    Selection(until=1040),
    Selection(since=1020, until=1060),
    Selection(content_id="t2", since=1020, until=1060),
    Selection(profile=1),
    Selection(profile=0),
    Selection(profile=2, until=1050),
    Selection(),
    Selection(content_id="nobody-saw"),
    Selection(since=1090, until=1010),
)


class DeviceStoreContract(LedgerContract, ABC):
    """What every DeviceStore promises."""

    @abstractmethod
    def make(self, tmp_path: Path, *, dimensions: int = DIMENSIONS) -> DeviceStore:
        """Open the store under `tmp_path`."""

    @contextmanager
    def bound(self, tmp_path: Path, space: str = SPACE) -> Iterator[DeviceStore]:
        """Open the store, and bind it."""
        store = self.make(tmp_path)
        try:
            store.bind(space, CONTEXTS)
            yield store
        finally:
            store.close()

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[DeviceStore]:
        """An empty store, bound to SPACE."""
        with self.bound(tmp_path) as store:
            yield store

    @pytest.fixture
    def query(self) -> Floats:
        """A unit vector."""
        vector: Floats = random_units(1, seed=77)[0]
        return vector

    # --- what it is bound to ---

    def test_is_empty_at_first(self, store: DeviceStore, query: Floats) -> None:
        assert self.everything(store, query) == self.everything_of_nothing()
        assert store.vectors([]).shape == (0, DIMENSIONS)
        assert store.search(query, 3) == []

    def test_is_told_its_space_first(self, tmp_path: Path, query: Floats) -> None:
        store = self.make(tmp_path)
        with pytest.raises(StoreError):
            tell(store, a_watch())
        with pytest.raises(StoreError):
            store.search(query, 1)
        assert store.event_count() == 0
        assert store.bind(SPACE, CONTEXTS)
        assert store.space() is None
        tell(store, a_watch())
        assert store.space() == SPACE
        store.close()

    def test_holds_to_one_space(self, store: DeviceStore, query: Floats) -> None:
        tell(store, a_watch("t0"))
        assert not store.bind(OTHER, CONTEXTS)
        for act in (lambda: tell(store, a_watch("t1"), local=True), lambda: store.search(query, 1)):
            with pytest.raises(StoreError):
                act()
        assert store.space() == SPACE
        assert (store.event_count(), store.pattern_count(), list(store.titles())) == (1, 1, ["t0"])
        assert store.bind(SPACE, CONTEXTS)
        assert len(store.search(query, 5)) == 1

    def test_an_emptied_store_takes_any_space(self, store: DeviceStore, query: Floats) -> None:
        tell(store, a_watch())
        store.forget(Selection())
        assert store.space() is None
        assert store.bind(OTHER, CONTEXTS)
        tell(store, a_watch())
        assert store.space() == OTHER
        assert len(store.search(query, 5)) == 1

    # --- events and what they add up to ---

    def test_adds_events_up_by_title_and_context(self, store: DeviceStore) -> None:
        for at, slot, milli in ((100, 4, 900), (300, 4, 0), (200, 4, 1000), (400, 5, 250)):
            last = tell(store, a_watch(at=at, slot=slot, milli=milli))
            assert last.outcome is Outcome.ADDED
        assert last.pattern.id == pattern_id("heat-1995", 5)
        [summed] = [pattern for pattern in store.patterns() if pattern.slot == 4]
        assert (summed.content_id, summed.id) == ("heat-1995", pattern_id("heat-1995", 4))
        assert (summed.sample_count, summed.success_milli) == (3, 1900)
        assert (summed.created_at, summed.updated_at) == (100, 300)
        assert store.pattern_count() == 2
        assert store.event_count() == len(store.events()) == 4

    def test_gives_events_word_for_word_in_order_of_recording(self, store: DeviceStore) -> None:
        events = [
            WatchRecord("dark-2017", 1000 - i, i % 8, i, 1, i, i % 3, i * 100 if i % 2 else None, i or None, i == 4)
            for i in range(9)
        ]
        tell(store, *events)
        assert store.events() == store.events(50) == events
        assert store.events(3) == events[-3:]
        assert store.events(0) == []
        with pytest.raises(InputError):
            store.events(-1)

    def test_gives_events_of_a_context_a_title_and_a_profile(self, store: DeviceStore) -> None:
        events = [a_watch(f"t{i % 3}", at=1000 - i, slot=i % 4, profile=i % 5) for i in range(60)]
        tell(store, *events)
        assert store.events(slot=3) == events[3::4]
        assert store.events(2, slot=0) == events[52:60:4]
        assert store.events(content_id="t1") == events[1::3]
        assert store.events(profile=2) == events[2::5]
        assert store.events(slot=2, content_id="t1") == events[10::12]
        assert store.events(slot=2, content_id="t1", profile=2) == [events[22]]
        assert store.events(1, slot=2, profile=0) == [events[50]]
        assert store.events(slot=7) == store.events(content_id="t9") == store.events(0, slot=0) == []

    def test_gives_events_after_one_with_their_ids(self, store: DeviceStore) -> None:
        events = a_household(20)
        tell(store, *events)
        rows = store.events_after(0, 100)
        assert [event for _, event in rows] == events
        assert [row_id for row_id, _ in rows] == sorted({row_id for row_id, _ in rows})
        assert store.events_after(rows[7][0], 5) == rows[8:13]
        assert store.events_after(rows[-1][0], 5) == store.events_after(0, 0) == []

    def test_the_last_watch_is_the_latest_and_the_best_stays(self, store: DeviceStore) -> None:
        states = []
        for episode, (at, milli) in enumerate([(50, 300), (90, 950), (70, 100), (90, 200), (60, 1000), (95, 0)]):
            tell(store, WatchRecord("t0", at, episode, milli, season=1, episode=episode), a_watch("t1", at=at))
            states.append(store.watched()[0])
        assert [(state.at, state.watched_milli, state.best_milli) for state in states] == [
            (50, 300, 300),
            (90, 950, 950),
            (90, 950, 950),
            (90, 200, 950),
            (90, 200, 1000),
            (95, 0, 1000),
        ]
        assert [state.episode for state in states] == [state.slot for state in states] == [0, 1, 1, 3, 3, 5]
        assert states[5] == Watched("t0", 0, 95, 5, 0, season=1, episode=5, best_milli=1000)
        assert [state.content_id for state in store.watched()] == ["t0", "t1"]

    def test_an_event_told_again_is_the_same_event(self, store: DeviceStore, query: Floats) -> None:
        event = WatchRecord("t0", 100, 4, 900, season=1, episode=2, offered=3)
        first = tell(store, event, day=DAY)
        before = self.everything(store, query)
        again = tell(store, msgspec.structs.replace(event, slot=5, offered=None), day=DAY + 1)
        assert again == Recorded(first.pattern, Outcome.REPEATED)
        assert self.everything(store, query) == before

    def test_keeps_how_probable_an_event_was_as_long_as_the_event(self, store: DeviceStore) -> None:
        drawn = WatchRecord("t0", 100, 4, 900, offered=3, propensity=0.0625)
        tell(store, drawn)
        tell(store, msgspec.structs.replace(drawn, at=200, propensity=None))
        tell(store, msgspec.structs.replace(drawn, watched_milli=100, propensity=0.5))
        assert [event.propensity for event in store.events()] == [0.0625, None]
        assert [event.propensity for _, event in store.events_after(0, 10)] == [0.0625, None]
        store.forget(Selection(until=150))
        assert [(event.at, event.propensity) for event in store.events()] == [(200, None)]
        for wrong in (0.0, -0.5):
            with pytest.raises(InputError, match=r"propensity"):
                tell(store, msgspec.structs.replace(drawn, at=300, propensity=wrong))

    @pytest.mark.parametrize(
        "other", [{"content_id": "t1"}, {"at": 101}, {"season": 2}, {"episode": None}, {"profile": 1}]
    )
    def test_title_time_season_episode_and_profile_tell_events_apart(
        self, store: DeviceStore, other: dict[str, object]
    ) -> None:
        event = WatchRecord("t0", 100, 4, 900, season=1, episode=2)
        assert tell(store, event, msgspec.structs.replace(event, **other)).outcome is Outcome.ADDED
        assert store.event_count() == sum(pattern.sample_count for pattern in store.patterns()) == 2

    def test_a_later_report_corrects_the_sums(self, store: DeviceStore) -> None:
        tell(store, a_watch("t0", at=50, milli=300), a_watch("t0", at=90, milli=950), day=DAY)
        later = WatchRecord("t0", 90, 7, 200, engagement_milli=700)
        told = tell(store, later, day=DAY)
        assert told.outcome is Outcome.CORRECTED
        assert [told.pattern] == store.patterns()
        assert (told.pattern.slot, told.pattern.sample_count, told.pattern.success_milli) == (4, 2, 500)
        [state] = store.watched()
        assert (state.at, state.slot, state.watched_milli, state.best_milli) == (90, 4, 200, 300)
        [_, corrected] = store.events()
        assert (corrected.slot, corrected.watched_milli, corrected.engagement_milli) == (4, 200, 700)
        assert tell(store, later).outcome is Outcome.REPEATED
        assert tell(store, msgspec.structs.replace(later, engagement_milli=None)).outcome is Outcome.CORRECTED

    @pytest.mark.parametrize(
        "bad",
        [
            {"slot": 8},
            {"slot": -1},
            {"watched_milli": 1001},
            {"watched_milli": -1},
            {"engagement_milli": 1001},
            {"engagement_milli": -1},
            {"at": EDGE + 1},
            {"season": EDGE + 1},
            {"profile": -EDGE - 2},
        ],
    )
    def test_refuses_numbers_out_of_range(self, store: DeviceStore, query: Floats, bad: dict[str, int]) -> None:
        fields = {"content_id": "t1", "at": 5, "slot": 1, "watched_milli": 500}
        with pytest.raises(InputError):
            tell(store, WatchRecord(**(fields | bad)), day=DAY, local=True)  # type: ignore[arg-type]
        assert self.everything(store, query) == self.everything_of_nothing()
        tell(store, WatchRecord(**fields))  # type: ignore[arg-type]
        before = self.everything(store, query)
        if not set(bad) & {"at", "season", "profile"}:  # these would make it another event
            with pytest.raises(InputError):
                tell(store, WatchRecord(**(fields | bad)))  # type: ignore[arg-type]
        assert self.everything(store, query) == before

    def test_refuses_a_bad_vector_and_stores_nothing(self, store: DeviceStore, query: Floats) -> None:
        for bad in (query * 2, query[:-1], query * np.nan):
            with pytest.raises(InputError):
                store.record(a_watch("t1"), a_title("t1"), bad, local=True, day=DAY)
            with pytest.raises(InputError):
                store.search(bad, 1)
        assert self.everything(store, query) == self.everything_of_nothing()

    def test_many_are_stored_all_or_none(self, store: DeviceStore, query: Floats) -> None:
        tell(store, *a_household(10), day=DAY)
        store.search(query, 3)
        before = self.everything(store, query)

        def fail(error: Exception) -> None:
            with store.many():
                tell(store, *a_household(30), a_watch("new"), day=DAY + 1)
                store.set_note("n", b"1")
                assert len(store.search(query, 100)) == store.pattern_count()
                raise error

        for error in (KeyError("mine"), InputError("mine")):
            with pytest.raises(type(error), match="mine"):
                fail(error)
            assert self.everything(store, query) == before
        with store.many():
            tell(store, *a_household(30), day=DAY + 1)
        assert [msgspec.structs.replace(event, shared=False) for event in store.events()] == a_household(30)

    def test_a_bad_event_among_many_can_be_left_out(self, store: DeviceStore, query: Floats) -> None:
        with store.many():
            tell(store, a_watch("t0"))
            with pytest.raises(InputError):
                tell(store, a_watch("t1", slot=9))
            tell(store, a_watch("t2"))
        assert [event.content_id for event in store.events()] == list(store.titles()) == ["t0", "t2"]
        assert {near.pattern.content_id for near in store.search(query, 5)} == {"t0", "t2"}

    # --- titles and vectors ---

    def test_gives_vectors_in_the_order_asked(self, store: DeviceStore) -> None:
        tell(store, *(a_watch(f"t{i}") for i in range(6)))
        assert np.allclose(store.vectors(["t4", "t0"]), [a_vector("t4"), a_vector("t0")], atol=1e-6)
        with pytest.raises(InputError):
            store.vectors(["t0", "t9"])

    def test_a_known_title_keeps_its_vector(self, store: DeviceStore, query: Floats) -> None:
        tell(store, a_watch("t0"))
        store.record(a_watch("t0", at=5, slot=6), a_title("t0"), a_vector("changed"), local=False, day=None)
        assert np.allclose(store.vectors(["t0"])[0], a_vector("t0"), atol=1e-6)
        found = {near.pattern.id: near.similarity for near in store.search(query, 1, {"slot": (6, 6)})}
        assert found == pytest.approx({pattern_id("t0", 6): similarity(query, a_vector("t0"), 6)}, abs=1e-5)

    def test_keeps_local_titles_whole(self, store: DeviceStore) -> None:
        tell(store, a_watch("t0"))
        mine = Title("local-1", "Ünser Urlaub \N{PALM TREE}", 2026, ContentType.DOCUMENTARY, (), 42, 0)
        vector = a_vector("local-1")
        store.record(a_watch("local-1"), mine, vector, local=True, day=DAY)
        assert store.titles() == {"t0": None, "local-1": mine}
        renamed = Title("local-1", "Unser Urlaub", 2026, ContentType.DOCUMENTARY, ("family",), 42, 0)
        store.record(a_watch("local-1", at=5), renamed, vector, local=True, day=DAY)
        assert store.titles() == {"t0": None, "local-1": renamed}
        store.record(a_watch("local-1", at=6), renamed, vector, local=False, day=None)
        assert store.titles() == {"t0": None, "local-1": None}

    def test_replaces_all_vectors(self, store: DeviceStore, query: Floats) -> None:
        tell(store, *a_household())
        names, others = list(store.titles()), random_units(7, seed=99) * np.float32(1.0008)
        store.bind(OTHER, CONTEXTS)
        store.reembed(names, others)
        assert store.space() == OTHER
        assert np.allclose(store.vectors(names), others / 1.0008, atol=1e-6)
        best = max(store.patterns(), key=lambda p: similarity(query, others[names.index(p.content_id)], p.slot))
        assert best.id in {near.pattern.id for near in store.search(query, 3)}  # up to three profiles tie
        self.finds(store, query, dict(zip(names, others / np.float32(1.0008), strict=True)))
        assert not store.bind(SPACE, CONTEXTS)

    def test_replaces_none_unless_all(self, store: DeviceStore, query: Floats) -> None:
        names, others = ["t0", "t1", "t2"], random_units(4, seed=99)
        tell(store, *(a_watch(name) for name in names))
        store.bind(OTHER, CONTEXTS)
        for some, given in ((names[:2], others[:2]), ([*names, "t9"], others), (names, others[:2])):
            with pytest.raises(InputError):
                store.reembed(some, given)
        for spoiled in (others[:3] * np.array([[1], [1], [3]], np.float32), others[:3, :-1]):
            with pytest.raises(InputError):
                store.reembed(names, spoiled)
        assert store.bind(SPACE, CONTEXTS)
        self.finds(store, query, {name: a_vector(name) for name in names})

    # --- search ---

    def test_finds_the_nearest_patterns_exactly(self, store: DeviceStore) -> None:
        tell(store, *a_household())
        titles = {f"t{i}": a_vector(f"t{i}") for i in range(7)}
        for query in random_units(10, seed=8):
            self.finds(store, query, titles)

    def test_filters_before_it_takes_the_best(self, store: DeviceStore, query: Floats) -> None:
        tell(store, *a_household())
        ranked = store.search(query, 1000)
        assert len(ranked) == store.pattern_count()
        for name, low, high in (
            ("slot", 2, 3),
            ("profile", 1, 1),
            ("profile", 0, 0),
            ("sample_count", 1, 1),
            ("success_milli", 500, 900),
            ("slot", 5, 4),
        ):
            among = [near for near in ranked if low <= getattr(near.pattern, name) <= high]
            found = store.search(query, 4, {name: (low, high)})
            assert [near.pattern for near in found] == [near.pattern for near in among[:4]]
        both = [near.pattern for near in ranked if near.pattern.profile == 1 and near.pattern.slot == 1]
        assert [near.pattern for near in store.search(query, 99, {"profile": (1, 1), "slot": (1, 1)})] == both

    def test_refuses_a_bad_question(self, store: DeviceStore, query: Floats) -> None:
        tell(store, a_watch())
        for k, where in ((0, None), (-1, None), (5, {"minutes": (1, 2)})):
            with pytest.raises(InputError):
                store.search(query, k, where)

    def test_searches_with_the_sums_of_now(self, store: DeviceStore, query: Floats) -> None:
        tell(store, a_watch("t0", milli=1000), a_watch("t1", milli=100))
        assert len(store.search(query, 5)) == 2
        tell(store, a_watch("t0", at=5, milli=500))
        assert [near.pattern.content_id for near in store.search(query, 2, {"success_milli": (1500, 1500)})] == ["t0"]
        tell(store, a_watch("t0", at=5, milli=700))
        assert store.search(query, 2, {"success_milli": (1500, 1500)}) == []
        [near] = store.search(query, 2, {"sample_count": (2, 9)})
        assert near.pattern in store.patterns()
        assert near.pattern.success_milli == 1700

    def test_filters_by_kind(self, store: DeviceStore, query: Floats) -> None:
        for i, kind in enumerate(ContentType):
            title = a_title(f"t{i}", kind)
            for slot in (1, 2):
                store.record(a_watch(title.id, slot=slot, at=slot), title, a_vector(title.id), local=False, day=None)
        for i, _ in enumerate(ContentType):
            assert {near.pattern.content_id for near in store.search(query, 9, {"kind": (i, i)})} == {f"t{i}"}
        film, series = (list(ContentType).index(kind) for kind in (ContentType.MOVIE, ContentType.SERIES))
        was = f"t{film}"
        store.record(a_watch(was, slot=3), a_title(was, ContentType.SERIES), a_vector(was), local=False, day=None)
        assert store.search(query, 9, {"kind": (film, film)}) == []
        assert len(store.search(query, 9, {"kind": (series, series)})) == 5

    def test_equal_patterns_come_by_id(self, store: DeviceStore) -> None:
        tell(store, *(a_watch("t0", profile=profile) for profile in range(9)), a_watch("t1"))
        found = store.search(a_vector("t0"), 5)
        assert [near.pattern.id for near in found] == sorted(pattern_id("t0", 4, i) for i in range(9))[:5]
        assert len({near.similarity for near in found}) == 1

    # --- profiles ---

    def test_profiles_are_made_and_changed_by_name(self, store: DeviceStore) -> None:
        ada = store.set_profile("Ada", 9)
        bob = store.set_profile("Bob", None)
        assert ada.id > 0
        assert ada.id != bob.id
        assert store.profiles() == [ada, bob]
        assert store.set_profile("Ada", 12) == Profile(ada.id, "Ada", 12)
        assert store.profiles() == [Profile(ada.id, "Ada", 12), bob]

    def test_profiles_have_patterns_and_summaries_of_their_own(self, store: DeviceStore) -> None:
        tell(store, a_watch("t0", milli=900), a_watch("t0", milli=100, profile=1), a_watch("t0", milli=50, at=9))
        assert {(p.id, p.profile, p.success_milli) for p in store.patterns()} == {
            (pattern_id("t0", 4), 0, 950),
            (pattern_id("t0", 4, 1), 1, 100),
        }
        assert [(state.profile, state.best_milli) for state in store.watched()] == [(0, 900), (1, 100)]

    # --- skills and notes ---

    def test_keeps_skills_until_something_is_forgotten(self, store: DeviceStore) -> None:
        tell(store, *a_household(9))
        last = store.events_after(0, 99)[-1][0]
        rows = [SkillRow(i % 2, i, i % 4, "crime", 9, 7, 8.5, 6.25, 0.1 * i, 1.0, 1000 + i) for i in range(6)]
        assert store.skills() == (0, [])
        store.set_skills(last - 1, rows)
        changed = msgspec.structs.replace(rows[2], count=10, episodes=9.5)
        store.set_skills(last, [changed], faded=[rows[5]])
        kept = [rows[0], changed, rows[4], rows[1], rows[3]]
        assert store.skills() == (last, kept)
        store.forget(Selection(content_id="t3"))
        assert store.skills() == (0, [])

    def test_keeps_notes(self, store: DeviceStore) -> None:
        assert store.note("mode") is None
        store.set_note("mode", "größer".encode())
        store.set_note("empty", b"")
        assert (store.note("mode"), store.note("empty")) == ("größer".encode(), b"")
        store.set_note("mode", b"guest")
        assert store.note("mode") == b"guest"
        store.set_note("mode", None)
        store.set_note("never", None)
        assert store.note("mode") is None

    # --- pruning ---

    def test_prunes_the_oldest_and_keeps_what_they_added_up_to(self, store: DeviceStore, query: Floats) -> None:
        events = [a_watch("t0", at=i, milli=1000 if i == 3 else 100, slot=i % 2) for i in range(20)]
        tell(store, *events)
        before = store.patterns(), store.watched(), store.search(query, 9)
        assert store.prune(20, 2) == (0, 0)
        assert store.prune(5, 2) == (14, 0)
        assert store.events() == [events[3], *events[15:]]  # the best of all stays
        assert (store.patterns(), store.watched(), store.search(query, 9)) == before
        assert store.prune(5, 2) == (0, 0)

    def test_prunes_the_patterns_longest_unused(self, store: DeviceStore, query: Floats) -> None:
        tell(store, *(a_watch(f"t{i}", at=100 - i) for i in range(6)))
        store.search(query, 3)
        assert store.prune(100, 4) == (0, 2)
        assert {pattern.content_id for pattern in store.patterns()} == {"t0", "t1", "t2", "t3"}
        assert {near.pattern.content_id for near in store.search(query, 9)} == {"t0", "t1", "t2", "t3"}
        assert store.event_count() == len(store.watched()) == len(store.titles()) == 6

    def test_a_pruned_pattern_comes_back_with_the_events_it_has_left(self, store: DeviceStore, query: Floats) -> None:
        events = [a_watch(f"t{i}", at=at, milli=100 * i) for i in (1, 2, 3) for at in (10, 20)]
        tell(store, *events)
        everything = self.everything(store, query)
        assert store.prune(100, 0) == (0, 3)
        assert tell(store, events[1]).outcome is Outcome.REPEATED
        assert tell(store, msgspec.structs.replace(events[3], watched_milli=250)).outcome is Outcome.CORRECTED
        assert tell(store, msgspec.structs.replace(events[5], at=30)).outcome is Outcome.ADDED
        assert {(p.content_id, p.sample_count, p.success_milli) for p in store.patterns()} == {
            ("t1", 2, 200),
            ("t2", 2, 450),
            ("t3", 3, 900),
        }
        assert len(store.search(query, 9)) == 3
        assert everything != self.everything(store, query)

    def test_ids_of_pruned_events_are_not_used_again(self, store: DeviceStore) -> None:
        tell(store, *(a_watch("t0", at=at, milli=at) for at in range(9)), day=DAY)
        last = store.events_after(0, 99)[-1][0]
        store.prune(0, 9)
        store.forget(Selection(content_id="t0"))
        tell(store, a_watch("t1"), day=DAY)
        assert [row_id > last for row_id, _ in store.events_after(0, 99)] == [True]

    # --- forgetting ---

    @pytest.mark.parametrize("selection", PERIODS)
    def test_what_is_left_is_as_if_the_rest_had_never_been(
        self, tmp_path: Path, query: Floats, selection: Selection
    ) -> None:
        kept = [event for event in a_household() if not selected(event, selection)]
        with self.bound(tmp_path / "all") as store, self.bound(tmp_path / "never") as never:
            tell(store, *a_household())
            patterns, titles = store.pattern_count(), len(store.titles())
            forgotten = store.forget(selection)
            for event in kept:
                tell(never, event)
            left, right = self.follows(store, query), self.follows(never, query)
            assert left == right
            assert forgotten.events == len(a_household()) - len(kept)
            assert forgotten.patterns == patterns - never.pattern_count()
            assert forgotten.titles == titles - len(never.titles())
            assert forgotten.retractions == 0
            assert store.forget(selection).events == 0

    def test_forgetting_a_profile_removes_it(self, store: DeviceStore) -> None:
        ada, bob = store.set_profile("Ada", 9), store.set_profile("Bob", None)
        tell(store, a_watch("t0", profile=ada.id), a_watch("t0", profile=bob.id), a_watch("t0"))
        store.forget(Selection(profile=ada.id, until=5))
        assert store.profiles() == [ada, bob]
        store.forget(Selection(profile=ada.id))
        assert store.profiles() == [bob]
        assert {pattern.profile for pattern in store.patterns()} == {0, bob.id}
        store.forget(Selection())
        assert store.profiles() == []

    def test_what_was_pruned_is_forgotten_too(self, store: DeviceStore, query: Floats) -> None:
        events = [a_watch(f"t{i % 2}", at=i, milli=500 + i, slot=i % 2) for i in range(20)]
        tell(store, *events, day=DAY)
        store.prune(4, 9)
        before = store.patterns()
        store.forget(Selection(since=20))  # nothing lies there
        assert store.patterns() == before
        forgotten = store.forget(Selection(content_id="t0", until=5))
        assert forgotten.events == 0
        [_, other] = sorted(store.patterns(), key=lambda pattern: pattern.slot)
        assert sorted((p.content_id, p.sample_count, p.created_at) for p in store.patterns()) == [
            ("t0", 2, 16),
            ("t1", 10, 1),
        ]
        assert other.success_milli == sum(event.watched_milli for event in events[1::2])
        store.prune(0, 0)
        assert store.forget(Selection(content_id="t0")).titles == 1
        assert list(store.titles()) == ["t1"]
        store.forget(Selection())
        assert self.everything(store, query) == self.everything_of_nothing()
        assert store.ledger.counts() == LedgerCounts(0, 0, 0, 0)

    def test_compact_changes_no_answer(self, store: DeviceStore, query: Floats) -> None:
        tell(store, *a_household(), day=DAY)
        before = self.everything(store, query)
        store.compact()
        assert self.everything(store, query) == before
        assert store.size_bytes() > 0

    @staticmethod
    def finds(store: DeviceStore, query: Floats, titles: dict[str, Floats]) -> None:
        """Compare searches for few and for all with the formula."""
        truth = {p.id: similarity(query, titles[p.content_id], p.slot) for p in store.patterns()}
        order = sorted(truth, key=lambda row_id: (round(-truth[row_id], 5), row_id))
        for k in (1, 7, len(truth), len(truth) + 5):
            found = store.search(query, k)
            assert [near.similarity for near in found] == pytest.approx([truth[i] for i in order[:k]], abs=1e-5)
            assert [truth[near.pattern.id] for near in found] == pytest.approx([truth[i] for i in order[:k]], abs=1e-5)
            assert len({near.pattern.id for near in found}) == min(k, len(truth))

    @staticmethod
    def follows(store: DeviceStore, query: Floats) -> tuple[object, ...]:
        """Return the events and what follows from them, in an order that doesn't tell which title came first."""
        watched = sorted(store.watched(), key=lambda state: (state.content_id, state.profile))
        names = sorted(store.titles())
        found = [(near.pattern, round(near.similarity, 9)) for near in store.search(query, 500)]
        return store.events(), store.patterns(), watched, names, found, store.vectors(names).tolist(), store.skills()

    @classmethod
    def everything(cls, store: DeviceStore, query: Floats) -> tuple[object, ...]:
        """Return what can be seen of a store that is bound to its space, but its row ids."""
        kept = store.titles(), store.space(), store.profiles(), store.event_count(), store.pattern_count()
        return *cls.follows(store, query), *kept, store.watched(), store.ledger.counts()

    @staticmethod
    def everything_of_nothing() -> tuple[object, ...]:
        """Return `everything` of an empty store."""
        return [], [], [], [], [], [], (0, []), {}, None, [], 0, 0, [], LedgerCounts(0, 0, 0, 0)


class DurableDeviceStoreContract(DeviceStoreContract):
    """What a DeviceStore promises that outlives its process; `make` opens the same store again."""

    def test_opens_as_it_was_closed(self, tmp_path: Path, query: Floats) -> None:
        with self.bound(tmp_path) as store:
            store.set_profile("Ada", 9)
            store.set_note("mode", b"guest")
            tell(store, *a_household(), day=DAY)
            tell(store, a_watch("mine"), local=True)
            store.ledger.assign(*SHARD, 1, 9)
            store.forget(Selection(content_id="t3"))
            store.prune(20, 9)
            store.set_skills(5, [SkillRow(0, 1, 2, "crime", 9, 7, 8.5, 6.25, 0.5, 1.0, 1000)])
            before = self.everything(store, query), store.ledger.since(*SHARD, 0), store.events_after(0, 99)
        with self.bound(tmp_path) as again:
            assert (self.everything(again, query), again.ledger.since(*SHARD, 0), again.events_after(0, 99)) == before
            assert again.note("mode") == b"guest"

    def test_says_at_opening_that_vectors_are_of_another_space(self, tmp_path: Path, query: Floats) -> None:
        with self.bound(tmp_path) as store:
            tell(store, *a_household())
        again = self.make(tmp_path)
        assert not again.bind(OTHER, CONTEXTS)
        assert again.space() == SPACE
        assert len(again.events()) == 60
        names = list(again.titles())
        again.reembed(names, random_units(len(names), seed=5))
        self.finds(again, query, dict(zip(names, random_units(len(names), seed=5), strict=True)))
        again.close()

    def test_refuses_other_dimensions(self, tmp_path: Path) -> None:
        self.make(tmp_path).close()
        with pytest.raises(StoreError):
            self.make(tmp_path, dimensions=DIMENSIONS * 2)

    def test_sees_what_another_process_did(self, tmp_path: Path, query: Floats) -> None:
        with self.bound(tmp_path) as here, self.bound(tmp_path) as there:
            for step in self.steps():
                seen, own = here.version(), there.version()
                step(there)
                assert here.version() != seen
                assert there.version() == own
                assert self.everything(here, query) == self.everything(there, query)

    @staticmethod
    def steps() -> Sequence[Callable[[DeviceStore], object]]:
        """Return changes of a store, one after the other."""
        return (
            lambda store: tell(store, *a_household(), day=DAY),
            lambda store: tell(store, a_watch("t0"), a_watch("new")),
            lambda store: tell(store, a_watch("new", milli=30)),
            lambda store: store.record(
                a_watch("new", at=3), a_title("new", ContentType.SERIES), a_vector("new"), local=True, day=None
            ),
            lambda store: store.prune(30, 12),
            lambda store: store.forget(Selection(content_id="new")),
            lambda store: tell(store, a_watch("newer"), a_watch("newest")),
            lambda store: store.set_profile("Ada", 3),
            lambda store: store.ledger.assign(*SHARD, 1, 3),
            lambda store: store.compact(),
            lambda store: store.forget(Selection()),
            lambda store: tell(store, a_watch("t5")),
        )

    def test_refuses_what_another_process_embedded_anew(self, tmp_path: Path, query: Floats) -> None:
        with self.bound(tmp_path) as here, self.bound(tmp_path) as there:
            tell(here, *a_household())
            assert len(there.search(query, 3)) == len(here.search(query, 3)) == 3
            there.bind(OTHER, CONTEXTS[::-1])
            names, others = list(there.titles()), random_units(7, seed=99)
            there.reembed(names, others)
            for act in (lambda: here.search(query, 1), lambda: tell(here, a_watch("t9"))):
                with pytest.raises(StoreError, match=f"vectors of space {OTHER}, asked for {SPACE}: "):
                    act()
            assert there.event_count() == 60
            here.forget(Selection(content_id="t1", until=1050))  # needs no vectors
            here.bind(OTHER, CONTEXTS)
            there.bind(OTHER, CONTEXTS)
            there.reembed(names, others)
            assert here.search(query, 50) == there.search(query, 50)

    def test_forgetting_needs_no_vectors(self, tmp_path: Path, query: Floats) -> None:
        titles = {f"t{i}": a_vector(f"t{i}") for i in range(7)}
        with ExitStack() as closing:
            store = closing.enter_context(self.bound(tmp_path))
            tell(store, *a_household())
            for space in (OTHER, None):
                stranger = self.make(tmp_path)
                closing.callback(stranger.close)
                if space:
                    stranger.bind(space, CONTEXTS[::-1])
                assert stranger.forget(Selection(since=1050 if space else 1020)).events > 0
                tell(store, a_watch("t0", at=1))
                self.finds(store, query, titles)
