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
from omega.core.ports import VectorRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omega.core.ports import Embedder, Floats, Hit, VectorStore, Where

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
