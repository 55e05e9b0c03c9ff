"""The promises of `omega.core.ports` as tests: derive a class named Test*, say how to make one, change nothing else.

class TestMyStore(DurableVectorStoreContract):
    def make(self, tmp_path, *, dimensions=DIMENSIONS, attributes=ATTRIBUTES):
        return MyStore.open(str(tmp_path / "store"), dimensions=dimensions, attributes=attributes)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.errors import InputError, StoreError
from omega.core.ports import VectorRow, Watched, WatchRecord
from omega.core.types import ContentType, Title, pattern_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.ports import DeviceStore, Embedder, Floats, Hit, VectorStore, Where

DIMENSIONS = 16
ATTRIBUTES = ("slot", "score")
EDGE = 2**63 - 1


def random_units(rows: int, dimensions: int = DIMENSIONS, seed: int = 7) -> Floats:
    """Return (rows, dimensions) float32 of unit length."""
    drawn = np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def vector_rows(vectors: Floats) -> list[VectorRow]:
    """Return rows with ids 0, 3, 6.., slot 0..7 and score 0, 10, 20.. of ATTRIBUTES."""
    return [VectorRow(3 * i, vector, {"slot": i % 8, "score": 10 * i}) for i, vector in enumerate(vectors)]


def same_hits(found: Sequence[Hit], expected: Sequence[tuple[int, float]], k: int, tolerance: float = 1e-5) -> bool:
    """Say whether `found` are the k best of `expected` (id, similarity), in any order among ties."""
    best = sorted(expected, key=lambda pair: -pair[1])[:k]
    truth = dict(expected)
    return (
        len(found) == len(best)
        and len({hit.id for hit in found}) == len(found)
        and all(abs(hit.similarity - similarity) < tolerance for hit, (_, similarity) in zip(found, best, strict=True))
        and all(abs(truth.get(hit.id, 9) - hit.similarity) < tolerance for hit in found)
    )


class VectorStoreContract(ABC):
    """What every VectorStore promises."""

    @abstractmethod
    def make(
        self, tmp_path: Path, *, dimensions: int = DIMENSIONS, attributes: Sequence[str] = ATTRIBUTES
    ) -> VectorStore:
        """Open the store under `tmp_path`."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> VectorStore:
        """An empty store."""
        return self.make(tmp_path)

    def test_empty_store_finds_nothing(self, store: VectorStore) -> None:
        assert store.search(random_units(1)[0], 5) == []
        assert store.count() == 0
        assert store.remove([1, 2]) == 0

    def test_finds_the_nearest_in_order(self, store: VectorStore) -> None:
        vectors = random_units(300)
        store.upsert(vector_rows(vectors))
        for query in random_units(20, seed=8):
            expected = [(3 * i, float(s)) for i, s in enumerate(vectors @ query)]
            assert same_hits(store.search(query, 10), expected, 10)

    def test_gives_all_rows_when_k_is_larger(self, store: VectorStore) -> None:
        store.upsert(vector_rows(random_units(5)))
        for k in (5, 6, 100_000):
            assert len(store.search(random_units(1)[0], k)) == 5

    @pytest.mark.parametrize(
        "where", [{"slot": (2, 2)}, {"score": (0, 40)}, {"slot": (1, 3), "score": (500, 900)}, {"slot": (5, 4)}]
    )
    def test_filters_before_it_takes_the_best(self, store: VectorStore, where: Where) -> None:
        vectors = random_units(200)
        rows = vector_rows(vectors)
        store.upsert(rows)
        query = random_units(1, seed=9)[0]
        expected = [
            (row.id, float(row.vector @ query))
            for row in rows
            if all(low <= row.attributes[name] <= high for name, (low, high) in where.items())
        ]
        assert same_hits(store.search(query, 7, where), expected, 7)
        assert store.count(where) == len(expected)

    def test_replaces_by_id(self, store: VectorStore) -> None:
        old, new = random_units(2)
        store.upsert([VectorRow(5, old, {"slot": 1, "score": 1})])
        store.upsert([VectorRow(5, new, {"slot": 2, "score": 2})])
        assert store.count() == 1
        assert store.count({"slot": (1, 1)}) == 0
        assert store.search(new, 1, {"slot": (2, 2)})[0].similarity == pytest.approx(1, abs=1e-5)

    def test_the_last_of_rows_with_one_id_stays(self, store: VectorStore) -> None:
        first, second = random_units(2)
        store.upsert([VectorRow(5, first, {"slot": 1, "score": 1}), VectorRow(5, second, {"slot": 2, "score": 1})])
        assert store.search(second, 9)[0].similarity == pytest.approx(1, abs=1e-5)
        assert store.count() == store.count({"slot": (2, 2)}) == 1

    def test_removed_rows_are_not_found(self, store: VectorStore) -> None:
        vectors = random_units(50)
        store.upsert(vector_rows(vectors))
        gone = [0, 3, 147, 75]
        assert store.remove([*gone, 1, 3]) == 4
        assert store.count() == 46
        for row_id in gone:
            assert row_id not in {hit.id for hit in store.search(vectors[row_id // 3], 50)}
        assert store.remove(gone) == 0

    def test_a_removed_id_can_come_back(self, store: VectorStore) -> None:
        vectors = random_units(4)
        store.upsert(vector_rows(vectors))
        store.remove([3])
        store.upsert([VectorRow(3, vectors[0], {"slot": 6, "score": 6})])
        assert [hit.id for hit in store.search(vectors[0], 4, {"slot": (6, 6)})] == [3]

    def test_compact_changes_no_answer(self, store: VectorStore) -> None:
        vectors = random_units(60)
        store.upsert(vector_rows(vectors))
        store.remove(range(0, 90, 3))
        before = store.search(vectors[40], 30)
        store.compact()
        assert store.search(vectors[40], 30) == before
        assert store.count() == 30

    def test_ids_and_attributes_have_their_full_range(self, store: VectorStore) -> None:
        vectors = random_units(2)
        store.upsert([VectorRow(0, vectors[0], {"slot": -EDGE - 1, "score": EDGE})])
        store.upsert([VectorRow(EDGE, vectors[1], {"slot": EDGE, "score": -EDGE - 1})])
        assert [hit.id for hit in store.search(vectors[1], 1)] == [EDGE]
        assert store.count({"slot": (-EDGE - 1, -EDGE - 1), "score": (EDGE, EDGE)}) == 1

    def test_equal_vectors_are_all_found(self, store: VectorStore) -> None:
        vector = random_units(1)[0]
        store.upsert(VectorRow(i, vector, {"slot": i % 8, "score": 0}) for i in range(30))
        found = store.search(vector, 12)
        assert len({hit.id for hit in found}) == 12
        assert {hit.id for hit in store.search(vector, 30)} == set(range(30))

    @pytest.mark.parametrize(
        "spoiled",
        [
            {"vector": np.ones(DIMENSIONS + 1, np.float32)},
            {"vector": np.full(DIMENSIONS, np.nan, np.float32)},
            {"vector": np.full(DIMENSIONS, np.inf, np.float32)},
            {"vector": np.zeros(DIMENSIONS, np.float32)},
            {"vector": np.full(DIMENSIONS, 0.5, np.float32)},
            {"attributes": {"slot": 1}},
            {"attributes": {"slot": 1, "score": 1, "age": 3}},
            {"attributes": {"slot": 1, "score": EDGE + 1}},
            {"id": -1},
            {"id": EDGE + 1},
        ],
    )
    def test_refuses_a_bad_row_and_keeps_none_of_its_batch(
        self, store: VectorStore, spoiled: dict[str, object]
    ) -> None:
        good = vector_rows(random_units(3))
        fields = {"id": 77, "vector": good[0].vector, "attributes": good[0].attributes} | spoiled
        with pytest.raises(InputError):
            store.upsert([*good, VectorRow(**fields)])  # type: ignore[arg-type]
        assert store.count() == 0
        assert store.search(good[0].vector, 5) == []

    def test_refuses_a_bad_question(self, store: VectorStore) -> None:
        query = random_units(1)[0]
        for bad, k, where in (
            (query, 0, None),
            (query, -1, None),
            (query, 5, {"age": (1, 2)}),
            (query[:-1], 5, None),
            (query * 2, 5, None),
            (query * np.nan, 5, None),
        ):
            with pytest.raises(InputError):
                store.search(bad, k, where)
        with pytest.raises(InputError):
            store.count({"age": (1, 2)})


class DurableVectorStoreContract(VectorStoreContract):
    """What a VectorStore promises that outlives its process; `make` opens the same store again."""

    def test_opens_as_it_was_closed(self, tmp_path: Path) -> None:
        vectors = random_units(40)
        store = self.make(tmp_path)
        store.upsert(vector_rows(vectors))
        store.remove([9, 33])
        store.upsert([VectorRow(6, vectors[39], {"slot": 7, "score": 7})])
        before = store.search(vectors[3], 40)
        store.close()
        again = self.make(tmp_path)
        assert again.search(vectors[3], 40) == before
        assert again.count({"score": (7, 7)}) == 1
        again.close()

    def test_refuses_other_dimensions_and_attributes(self, tmp_path: Path) -> None:
        self.make(tmp_path).close()
        for other in ({"dimensions": DIMENSIONS * 2}, {"attributes": ("slot",)}, {"attributes": ("slot", "rank")}):
            with pytest.raises(StoreError):
                self.make(tmp_path, **other)
        self.make(tmp_path).close()


def a_title(content_id: str = "heat-1995", kind: ContentType = ContentType.MOVIE) -> Title:
    """Return a title of this id."""
    return Title(content_id, f"Name of {content_id}", 1995, kind, ("crime", "drama"), 170, 16)


def a_watch(content_id: str = "heat-1995", at: int = 1_700_000_000, slot: int = 4, milli: int = 900) -> WatchRecord:
    """Return one event."""
    return WatchRecord(content_id, at, slot, milli)


class DeviceStoreContract(ABC):
    """What every DeviceStore promises."""

    @abstractmethod
    def make(self, tmp_path: Path, *, dimensions: int = DIMENSIONS) -> DeviceStore:
        """Open the store under `tmp_path`."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> DeviceStore:
        """An empty store."""
        return self.make(tmp_path)

    @pytest.fixture
    def vectors(self) -> Floats:
        """Twelve vectors."""
        return random_units(12)

    def test_is_empty_at_first(self, store: DeviceStore, vectors: Floats) -> None:
        assert (store.events(), store.watched(), store.patterns(), store.local_titles()) == ([], {}, [], {})
        assert store.space() is None
        assert store.event_count() == store.pattern_count() == 0
        assert store.search(vectors[0], 3, "s") == []
        assert store.vectors([]).shape == (0, DIMENSIONS)

    def test_adds_events_up_by_title_and_context(self, store: DeviceStore, vectors: Floats) -> None:
        for at, slot, milli in ((100, 4, 900), (300, 4, 0), (200, 4, 1000), (400, 5, 250)):
            last = store.record(a_watch(at=at, slot=slot, milli=milli), a_title(), vectors[0], "s", local=False)
        assert last.id == pattern_id("heat-1995", 5)
        [summed] = store.patterns([pattern_id("heat-1995", 4)])
        assert (summed.content_id, summed.slot, summed.sample_count, summed.success_milli) == ("heat-1995", 4, 3, 1900)
        assert (summed.created_at, summed.updated_at) == (100, 300)
        assert store.pattern_count() == 2
        assert sum(pattern.sample_count for pattern in store.patterns()) == len(store.events()) == 4
        assert store.event_count() == 4

    def test_gives_events_in_order_of_recording(self, store: DeviceStore, vectors: Floats) -> None:
        watches = [WatchRecord("dark-2017", 1000 - i, i % 8, i, season=1, episode=i) for i in range(9)]
        for watch in watches:
            store.record(watch, a_title("dark-2017", ContentType.SERIES), vectors[1], "s", local=False)
        assert store.events() == store.events(50) == watches
        assert store.events(3) == watches[-3:]
        assert store.events(0) == []
        with pytest.raises(InputError):
            store.events(-1)

    def test_gives_events_of_a_context_and_of_a_title(self, store: DeviceStore, vectors: Floats) -> None:
        watches = [a_watch(f"t{i % 3}", at=1000 - i, slot=i % 4) for i in range(24)]
        for watch in watches:
            store.record(watch, a_title(watch.content_id), vectors[0], "s", local=False)
        assert store.events(slot=3) == watches[3::4]
        assert store.events(2, slot=0) == watches[16:24:4]
        assert store.events(content_id="t1") == watches[1::3]
        assert store.events(3, content_id="t1") == watches[16::3]
        assert store.events(slot=2, content_id="t1") == watches[10::12]
        assert store.events(1, slot=2, content_id="t1") == [watches[22]]
        assert store.events(slot=7) == store.events(content_id="t9") == store.events(0, slot=0) == []

    def test_the_last_watch_is_the_latest_and_the_best_stays(self, store: DeviceStore, vectors: Floats) -> None:
        states = []
        for episode, (at, milli) in enumerate([(50, 300), (90, 950), (70, 100), (90, 200), (60, 1000), (95, 0)]):
            watch = WatchRecord("t0", at, episode, milli, season=1, episode=episode)
            store.record(watch, a_title("t0"), vectors[0], "s", local=False)
            store.record(a_watch("t1", at=at), a_title("t1"), vectors[1], "s", local=False)
            states.append(store.watched()["t0"])
        assert [(state.at, state.watched_milli, state.best_milli) for state in states] == [
            (50, 300, 300),
            (90, 950, 950),
            (90, 950, 950),
            (90, 200, 950),
            (90, 200, 1000),
            (95, 0, 1000),
        ]
        assert [state.episode for state in states] == [state.slot for state in states] == [0, 1, 1, 3, 3, 5]
        assert states[5] == Watched("t0", 95, 5, 0, season=1, episode=5, best_milli=1000)
        assert set(store.watched()) == {"t0", "t1"}

    def test_gives_patterns_in_the_order_asked(self, store: DeviceStore, vectors: Floats) -> None:
        ids = [self._record(store, f"t{i}", vectors[i]) for i in range(6)]
        wanted = [ids[4], ids[0], 12345, ids[2]]
        assert [pattern.id for pattern in store.patterns(wanted)] == [ids[4], ids[0], ids[2]]
        assert [pattern.id for pattern in store.patterns()] == sorted(ids)
        assert store.patterns([]) == []
        assert np.allclose(store.vectors([ids[4], ids[0]]), vectors[[4, 0]], atol=1e-6)
        with pytest.raises(InputError):
            store.vectors([ids[0], 12345])

    def test_searches_with_the_sums_of_now(self, store: DeviceStore, vectors: Floats) -> None:
        first = self._record(store, "t0", vectors[0], milli=1000)
        second = self._record(store, "t1", vectors[1], milli=100)
        self._record(store, "t0", vectors[0], milli=500)
        assert [hit.id for hit in store.search(vectors[1], 2, "s")] == [second, first]
        assert [hit.id for hit in store.search(vectors[1], 2, "s", {"sample_count": (2, 9)})] == [first]
        assert [hit.id for hit in store.search(vectors[1], 2, "s", {"success_milli": (1500, 1500)})] == [first]
        assert [hit.id for hit in store.search(vectors[1], 2, "s", {"slot": (4, 4), "sample_count": (1, 1)})] == [
            second
        ]
        assert store.search(vectors[1], 2, "s", {"slot": (5, 7)}) == []
        with pytest.raises(InputError):
            store.search(vectors[1], 2, "s", {"minutes": (5, 7)})

    def test_filters_by_kind(self, store: DeviceStore, vectors: Floats) -> None:
        for i, kind in enumerate(ContentType):
            store.record(a_watch(f"t{i}"), a_title(f"t{i}", kind), vectors[i], "s", local=False)
        for i, _ in enumerate(ContentType):
            hits = store.search(vectors[5], 9, "s", {"kind": (i, i)})
            assert [hit.id for hit in hits] == [pattern_id(f"t{i}", 4)]

    def test_keeps_local_titles_only(self, store: DeviceStore, vectors: Floats) -> None:
        self._record(store, "t0", vectors[0])
        mine = Title("local-1", "Ünser Urlaub \N{PALM TREE}", 2026, ContentType.DOCUMENTARY, (), 42, 0)
        store.record(a_watch("local-1"), mine, vectors[1], "s", local=True)
        assert store.local_titles() == {"local-1": mine}
        renamed = Title("local-1", "Unser Urlaub", 2026, ContentType.DOCUMENTARY, ("family",), 42, 0)
        store.record(a_watch("local-1"), renamed, vectors[1], "s", local=True)
        assert store.local_titles() == {"local-1": renamed}

    def test_refuses_another_space_and_stores_nothing(self, store: DeviceStore, vectors: Floats) -> None:
        self._record(store, "t0", vectors[0])
        with pytest.raises(StoreError):
            store.record(a_watch("t1"), a_title("t1"), vectors[1], "other", local=True)
        assert store.space() == "s"
        assert (len(store.events()), store.pattern_count(), store.local_titles()) == (1, 1, {})

    @pytest.mark.parametrize(
        "bad",
        [
            {"slot": 8},
            {"slot": -1},
            {"watched_milli": 1001},
            {"watched_milli": -1},
            {"at": EDGE + 1},
        ],
    )
    def test_refuses_numbers_out_of_range(self, store: DeviceStore, vectors: Floats, bad: dict[str, int]) -> None:
        fields = {"content_id": "t1", "at": 5, "slot": 1, "watched_milli": 500} | bad
        with pytest.raises(InputError):
            store.record(WatchRecord(**fields), a_title("t1"), vectors[1], "s", local=True)  # type: ignore[arg-type]
        self._holds_nothing(store, vectors[1])

    def test_refuses_a_bad_vector_and_stores_nothing(self, store: DeviceStore, vectors: Floats) -> None:
        for bad in (vectors[0] * 2, vectors[0][:-1], vectors[0] * np.nan):
            with pytest.raises(InputError):
                store.record(a_watch("t1"), a_title("t1"), bad, "s", local=True)
        self._holds_nothing(store, vectors[1])

    def test_replaces_all_vectors(self, store: DeviceStore, vectors: Floats) -> None:
        ids = [self._record(store, f"t{i}", vectors[i], milli=100 * i) for i in range(4)]
        store.reembed("other", ids, vectors[4:8])
        assert store.space() == "other"
        assert np.allclose(store.vectors(ids), vectors[4:8], atol=1e-6)
        assert [hit.id for hit in store.search(vectors[6], 1, "other", {"success_milli": (200, 200)})] == [ids[2]]
        with pytest.raises(StoreError):
            self._record(store, "t9", vectors[0])
        with pytest.raises(StoreError):
            store.search(vectors[0], 1, "s")

    def test_replaces_none_unless_all(self, store: DeviceStore, vectors: Floats) -> None:
        ids = [self._record(store, f"t{i}", vectors[i]) for i in range(3)]
        for some, given in ((ids[:2], vectors[4:6]), ([*ids, 5], vectors[4:8]), (ids, vectors[4:6])):
            with pytest.raises(InputError):
                store.reembed("other", some, given)
        with pytest.raises(InputError):
            store.reembed("other", ids, np.stack([vectors[4], vectors[5], vectors[6] * 3]))
        assert store.space() == "s"
        assert np.allclose(store.vectors(ids), vectors[:3], atol=1e-6)
        assert store.search(vectors[0], 1, "s")[0].id == ids[0]

    def test_compact_changes_no_answer(self, store: DeviceStore, vectors: Floats) -> None:
        ids = [self._record(store, f"t{i}", vectors[i]) for i in range(8)]
        store.compact()
        assert [hit.id for hit in store.search(vectors[3], 1, "s")] == [ids[3]]
        assert store.pattern_count() == len(store.events()) == 8
        assert store.size_bytes() > 0

    @staticmethod
    def _record(store: DeviceStore, content_id: str, vector: Floats, milli: int = 900) -> int:
        return store.record(a_watch(content_id, milli=milli), a_title(content_id), vector, "s", local=False).id

    @staticmethod
    def _holds_nothing(store: DeviceStore, query: Floats) -> None:
        assert (store.events(), store.patterns(), store.watched(), store.local_titles()) == ([], [], {}, {})
        assert store.space() is None
        assert store.search(query, 3, "s") == []


class DurableDeviceStoreContract(DeviceStoreContract):
    """What a DeviceStore promises that outlives its process; `make` opens the same store again."""

    def test_opens_as_it_was_closed(self, tmp_path: Path, vectors: Floats) -> None:
        store = self.make(tmp_path)
        for i, vector in enumerate(vectors):
            store.record(a_watch(f"t{i % 9}", at=i), a_title(f"t{i % 9}"), vector, "s", local=i == 3)
        before = self._everything(store, vectors[5])
        store.close()
        again = self.make(tmp_path)
        assert self._everything(again, vectors[5]) == before
        again.close()

    def test_refuses_other_dimensions(self, tmp_path: Path) -> None:
        self.make(tmp_path).close()
        with pytest.raises(StoreError):
            self.make(tmp_path, dimensions=DIMENSIONS * 2)

    def test_refuses_to_search_what_another_process_embedded_anew(self, tmp_path: Path, vectors: Floats) -> None:
        here, there = self.make(tmp_path), self.make(tmp_path)
        assert here.search(vectors[0], 1, "any") == []
        row_id = self._record(here, "t0", vectors[0])
        assert [hit.id for hit in there.search(vectors[0], 1, "s")] == [row_id]
        there.reembed("other", [row_id], vectors[1:2])
        with pytest.raises(StoreError, match="vectors of space other, asked for s: "):
            here.search(vectors[0], 1, "s")
        assert here.search(vectors[1], 1, "other")[0].similarity > 0.999
        for store in (here, there):
            store.close()

    @staticmethod
    def _everything(store: DeviceStore, query: Floats) -> tuple[object, ...]:
        lists = store.events(), store.patterns(), store.search(query, 50, "s")
        return *lists, store.watched(), store.local_titles(), store.space()


class EmbedderContract(ABC):
    """What every Embedder promises."""

    @abstractmethod
    def make(self) -> Embedder:
        """Open the embedder."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """An open embedder."""
        return self.make()

    def test_gives_unit_rows(self, embedder: Embedder) -> None:
        texts = ["Heat. crime, drama movie", "something relaxed to watch on a weekday evening", "", "   "]
        rows = embedder.embed(texts)
        assert rows.shape == (4, embedder.dimensions)
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)
        assert embedder.embed([]).shape == (0, embedder.dimensions)
        assert embedder.space

    def test_takes_any_text(self, embedder: Embedder) -> None:
        texts = [
            "七人の侍",
            "Ирония судьбы",
            "زن",
            "\N{CLAPPER BOARD}\N{POPCORN}",
            "a\0b",
            "\ud800",
            "word " * 5000,
            "x" * 20_000,
        ]
        rows = embedder.embed(texts)
        assert np.isfinite(rows).all()
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)

    def test_a_text_has_its_row_whatever_stands_beside_it(self, embedder: Embedder) -> None:
        texts = ["Heat. crime movie", "Alien", "a much longer text about a family at the sea, its dog and a storm " * 4]
        together = embedder.embed(texts)
        alone = np.concatenate([embedder.embed([text]) for text in texts])
        turned = embedder.embed(texts[::-1])[::-1]
        assert np.sum(together * alone, axis=1).min() > 1 - 1e-3
        assert np.sum(together * turned, axis=1).min() > 1 - 1e-3

    def test_texts_that_share_words_are_nearer(self, embedder: Embedder) -> None:
        heist, robbery, garden = embedder.embed(
            ["a heist thriller movie about robbers", "a thriller movie about robbers", "planting tomatoes in spring"]
        )
        assert heist @ robbery > heist @ garden + 0.2
