"""Random lives of a device's store: the file, in memory and by sqlite-vec, and the plain fake never differ.

Each file is open twice, as by two processes: what one writes the other finds.
"""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from omega.core.errors import InputError
from omega.core.records import Selection, SkillRow, WatchRecord
from omega.core.testing.contracts import DIMENSIONS, random_units
from omega.core.testing.watching import CONTEXTS, DAY, OTHER, SPACE, a_title, a_vector
from omega.core.types import ContentType
from omega_storage.device_memory import MemoryDeviceStore
from omega_storage.device_sqlite import SqliteDeviceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.core.ports import DeviceStore, Floats
    from omega.core.records import Recorded

T = TypeVar("T")
Told: TypeAlias = tuple[WatchRecord, ContentType, bool, "int | None"]

TITLES = ("t0", "t1", "t2")
TIMES = st.integers(0, 6)
PROFILES = st.integers(0, 2)
EVENTS = st.builds(
    WatchRecord,
    content_id=st.sampled_from(TITLES),
    at=TIMES,
    slot=st.sampled_from((0, 7)),
    watched_milli=st.sampled_from((0, 400, 1000)),
    season=st.sampled_from((None, 1)),
    episode=st.none(),
    profile=PROFILES,
    engagement_milli=st.sampled_from((None, 0, 700)),
    offered=st.sampled_from((None, 3)),
    shared=st.sampled_from((False, False, True)),
)
KINDS = st.sampled_from((ContentType.MOVIE, ContentType.MOVIE, ContentType.SERIES))
DAYS = st.sampled_from((None, DAY, DAY, DAY + 1))
TOLD = st.tuples(EVENTS, KINDS, st.sampled_from((False, False, False, True)), DAYS)
SELECTIONS = st.one_of(
    st.builds(
        Selection,
        content_id=st.sampled_from((None, *TITLES)),
        since=st.none() | TIMES,
        until=st.none() | TIMES,
        profile=st.none() | PROFILES,
    ),
    st.builds(Selection, content_id=st.sampled_from(TITLES)),
)
SHARDS = st.sampled_from(("a", "b"))
VERSIONS = st.integers(1, 5)
QUERY = random_units(1, seed=77)[0]
FILTERS = ({"profile": (1, 1)}, {"slot": (0, 1), "sample_count": (2, 9)}, {"success_milli": (0, 400), "kind": (0, 0)})


class Failed(Exception):  # noqa: N818
    """What the caller's block raises."""


class Lives(RuleBasedStateMachine):
    """One life, told to all stores."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="omega-model-"))
        self.space = SPACE
        self.oracle = MemoryDeviceStore(dimensions=DIMENSIONS)
        self.pairs: list[list[SqliteDeviceStore]] = []
        self.told: list[WatchRecord] = []

    @initialize(many=st.lists(TOLD, min_size=5, max_size=12))
    def open(self, many: list[Told]) -> None:
        self.oracle.bind(self.space, CONTEXTS)
        self.pairs = [
            [self._opened(self.folder / f"{in_memory}.db", in_memory=in_memory) for _ in range(2)]
            for in_memory in (True, False)
        ]
        for told in many:
            self._tell(told, 0)

    def teardown(self) -> None:
        for store in (store for pair in self.pairs for store in pair):
            store.close()
        rmtree(self.folder)

    # --- what is told ---

    @rule(many=st.lists(TOLD, min_size=1, max_size=4), hand=st.integers(0, 1))
    def record(self, many: list[Told], hand: int) -> None:
        for told in many:
            self._tell(told, hand)

    @rule(which=st.integers(0, 99), milli=st.sampled_from((None, 0, 300, 1000)), slot=st.sampled_from((0, 7)))
    def tell_again(self, which: int, milli: int | None, slot: int) -> None:
        event = msgspec.structs.replace(self.told[which % len(self.told)], slot=slot)
        if milli is not None:
            event = msgspec.structs.replace(event, watched_milli=milli)
        self._tell((event, ContentType.MOVIE, False, DAY), 0)

    @rule(many=st.lists(TOLD, min_size=1, max_size=4), fails=st.booleans(), hand=st.integers(0, 1))
    def record_many(self, many: list[Told], hand: int, *, fails: bool) -> None:
        def act(store: DeviceStore) -> list[Recorded]:
            with store.many():
                found = [self._record(store, *told) for told in many]
                if fails:
                    raise Failed
                return found

        if not fails:
            self._same(act, hand)
            return
        for store in self._writers(hand):
            with pytest.raises(Failed):
                act(store)

    @rule(event=EVENTS, bad=st.sampled_from(({"slot": 8}, {"watched_milli": 1001}, {"engagement_milli": -1})))
    def refuse(self, event: WatchRecord, bad: dict[str, int]) -> None:
        for store in self._writers(0):
            with pytest.raises(InputError):
                self._record(store, msgspec.structs.replace(event, **bad), ContentType.MOVIE, local=False, day=DAY)

    # --- what is taken away ---

    @rule(selection=SELECTIONS, hand=st.integers(0, 1))
    def forget(self, selection: Selection, hand: int) -> None:
        self._same(lambda store: store.forget(selection), hand)

    @rule(events=st.integers(0, 12), patterns=st.integers(0, 8), hand=st.integers(0, 1))
    def prune(self, events: int, patterns: int, hand: int) -> None:
        self._same(lambda store: store.prune(events, patterns), hand)

    # --- what is set ---

    @rule(hand=st.integers(0, 1))
    def reembed(self, hand: int) -> None:
        self.space = OTHER if self.space == SPACE else SPACE
        names = list(self.oracle.titles())
        for store in self._all():
            assert store.bind(self.space, CONTEXTS) == (not names)
        rows = np.array([self._vector(name) for name in names], np.float32).reshape(-1, DIMENSIONS)
        self._same(lambda store: store.reembed(names, rows), hand)

    @rule(
        age=st.sampled_from((None, 6)),
        cursor=st.integers(1, 9),
        kept=st.sets(st.integers(0, 3)),
        faded=st.sets(st.integers(0, 3), max_size=1),
        note=st.sampled_from((None, b"guest", b"")),
    )
    def set_this_and_that(
        self, age: int | None, cursor: int, kept: set[int], faded: set[int], note: bytes | None
    ) -> None:
        self._same(lambda store: store.set_profile(f"Ada {cursor % 2}", age), 1)
        rows = {i: SkillRow(i % 2, i, 0, "crime", cursor, 1, cursor / 3, 0.5, 0.25, 0.0, i) for i in kept | faded}
        for store in self._writers(0):
            ids = [0, *(row_id for row_id, _ in store.events_after(0, cursor))]
            store.set_skills(ids[-1], [rows[i] for i in kept], [rows[i] for i in faded])
        self._same(lambda store: store.set_note("mode", note), 1)
        self._same(lambda store: store.compact(), 0)

    # --- what is shared ---

    @rule(shard=SHARDS, version=VERSIONS, most=st.integers(0, 6), hand=st.integers(0, 1))
    def assign(self, shard: str, version: int, most: int, hand: int) -> None:
        self._same(lambda store: store.ledger.assign(shard, 1, version, most), hand)

    @rule(shard=SHARDS, version=VERSIONS)
    def acknowledge(self, shard: str, version: int) -> None:
        self._same(lambda store: store.ledger.acknowledge(shard, 1, version), 0)

    @rule(shard=SHARDS, version=VERSIONS)
    def drop_before(self, shard: str, version: int) -> None:
        self._same(lambda store: store.ledger.drop_before(shard, 1, version), 0)

    # --- what happens to the files ---

    @rule(hand=st.integers(0, 1))
    def close_and_open(self, hand: int) -> None:
        for pair, in_memory in zip(self.pairs, (True, False), strict=True):
            pair[hand].close()
            pair[hand] = self._opened(self.folder / f"{in_memory}.db", in_memory=in_memory)

    # --- what is seen ---

    @invariant()
    def all_see_the_same(self) -> None:
        expected, found = self._seen(self.oracle), self._found(self.oracle)
        names = list(self.oracle.titles())
        vectors = self.oracle.vectors(names)
        for store in (store for pair in self.pairs for store in pair):
            assert self._seen(store) == expected
            assert [row_id for row_id, _ in self._found(store)] == [row_id for row_id, _ in found]
            assert [s for _, s in self._found(store)] == pytest.approx([s for _, s in found], abs=1e-6)
            assert np.allclose(store.vectors(names), vectors, atol=1e-6)
            assert [row_id for row_id, _ in store.events_after(0, 999)] == sorted(
                {row_id for row_id, _ in store.events_after(0, 999)}
            )

    @invariant()
    def events_are_the_truth(self) -> None:
        events, patterns = self.oracle.events(), self.oracle.patterns()
        assert {(event.content_id, event.profile) for event in events} == {
            (state.content_id, state.profile) for state in self.oracle.watched()
        }
        for pattern in patterns:
            left = [
                e
                for e in events
                if (e.content_id, e.slot, e.profile) == (pattern.content_id, pattern.slot, pattern.profile)
            ]
            assert pattern.sample_count >= len(left)
            assert pattern.success_milli >= sum(event.watched_milli for event in left)

    @staticmethod
    def _seen(store: DeviceStore) -> tuple[object, ...]:
        cursor, rows = store.skills()
        summed = sum(row_id <= cursor for row_id, _ in store.events_after(0, 999)), rows  # ids may have gaps
        of_events = store.events(), store.events(3), store.events(slot=7), store.events(profile=1, content_id="t1")
        counts = store.event_count(), store.pattern_count(), store.ledger.counts()
        shared = [store.ledger.since(shard, 1, 0) for shard in ("a", "b")]
        kept = store.profiles(), summed, store.note("mode"), store.space(), list(store.titles().items())
        return *of_events, *counts, shared, *kept, store.watched(), store.patterns()

    @staticmethod
    def _found(store: DeviceStore) -> list[tuple[int, float]]:
        asked = (
            store.search(QUERY, k, where) for k, where in ((3, None), (99, None), *((2, where) for where in FILTERS))
        )
        return [(near.pattern.id, near.similarity) for found in asked for near in found]

    def _all(self) -> Sequence[DeviceStore]:
        return [self.oracle, *(store for pair in self.pairs for store in pair)]

    def _writers(self, hand: int) -> Sequence[DeviceStore]:
        return [self.oracle, *(pair[hand] for pair in self.pairs)]

    def _same(self, act: Callable[[DeviceStore], T], hand: int) -> T:
        expected, *others = [act(store) for store in self._writers(hand)]
        assert others == [expected] * len(others)
        return expected

    def _tell(self, told: Told, hand: int) -> Recorded:
        self.told.append(told[0])
        return self._same(lambda store: self._record(store, *told), hand)

    def _record(
        self,
        store: DeviceStore,
        event: WatchRecord,
        kind: ContentType,
        local: bool,  # noqa: FBT001
        day: int | None,
    ) -> Recorded:
        title = a_title(event.content_id, kind)
        return store.record(event, title, self._vector(title.id), local=local, day=day)

    def _vector(self, content_id: str) -> Floats:
        return a_vector(f"{content_id} in {self.space}")

    def _opened(self, path: Path, *, in_memory: bool) -> SqliteDeviceStore:
        store = SqliteDeviceStore.open(path, dimensions=DIMENSIONS, in_memory=in_memory)
        assert store.bind(self.space, CONTEXTS)
        return store


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=18,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # shrinking takes minutes
)
