"""The sqlite-vec store: contracts, matrix against vec0, what stays on disk, what is refused."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import apsw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.core.errors import InputError, StoreError
from omega.core.ports import VectorRow
from omega.core.registry import Registry
from omega.core.testing.contracts import (
    ATTRIBUTES,
    DIMENSIONS,
    DurableVectorStoreContract,
    random_units,
    same_hits,
    vector_rows,
)
from omega_storage.connection import connect, transaction
from omega_storage.sqlite_vec import MAX_VEC0_K, SqliteVecStore, omega_vector_stores
from omega_storage.vec0 import read_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from omega.core.ports import Floats, VectorStore


class TestInMemory(DurableVectorStoreContract):
    def make(
        self, tmp_path: Path, *, dimensions: int = DIMENSIONS, attributes: Sequence[str] = ATTRIBUTES
    ) -> VectorStore:
        return SqliteVecStore.open(str(tmp_path / "v.db"), dimensions=dimensions, attributes=attributes)


class TestVec0(DurableVectorStoreContract):
    def make(
        self, tmp_path: Path, *, dimensions: int = DIMENSIONS, attributes: Sequence[str] = ATTRIBUTES
    ) -> VectorStore:
        location = str(tmp_path / "v.db")
        return SqliteVecStore.open(location, dimensions=dimensions, attributes=attributes, in_memory=False)


def opened(path: Path, *, in_memory: bool = True) -> SqliteVecStore:
    return SqliteVecStore.open(str(path), dimensions=DIMENSIONS, attributes=ATTRIBUTES, in_memory=in_memory)


def test_the_registry_finds_it_by_name() -> None:
    import omega_storage.sqlite_vec as plugin  # noqa: PLC0415

    assert Registry([plugin]).vector_store("sqlite-vec") is SqliteVecStore
    assert omega_vector_stores() == [SqliteVecStore]


# A small pool of vectors makes ties common.
POOL = random_units(9)
IDS = st.integers(0, 12)
STEPS = st.one_of(
    st.tuples(st.just("upsert"), st.lists(st.tuples(IDS, st.integers(0, 8), st.integers(0, 3)), max_size=4)),
    st.tuples(st.just("remove"), st.lists(IDS, max_size=3)),
    st.tuples(st.just("rate"), IDS, st.integers(0, 3)),
    st.tuples(st.just("rollback"), IDS),
    st.tuples(st.just("compact")),
    st.tuples(
        st.just("search"), st.integers(0, 8), st.integers(1, 14), st.tuples(st.integers(0, 3), st.integers(0, 3))
    ),
)
FOLDERS = count()


def change_and_roll_back(store: SqliteVecStore, row_id: int) -> None:
    with transaction(store._connection):
        store.upsert([VectorRow(row_id, POOL[0], {"slot": 9, "score": 9})])
        store.remove([row_id + 1])
        raise KeyError


def play(store: SqliteVecStore, model: dict[int, tuple[int, int]], step: tuple) -> None:  # type: ignore[type-arg]
    match step:
        case "upsert", rows:
            store.upsert(VectorRow(i, POOL[v], {"slot": s, "score": i}) for i, v, s in rows)
            model.update({i: (v, s) for i, v, s in rows})
        case "remove", ids:
            assert store.remove(ids) == len(set(ids) & set(model))
            for i in ids:
                model.pop(i, None)
        case "rate", i, s:
            if i in model:
                store.set_attributes(i, {"slot": s})
                model[i] = model[i][0], s
            else:
                with pytest.raises(InputError):
                    store.set_attributes(i, {"slot": s})
        case "rollback", i:
            with pytest.raises(KeyError):
                change_and_roll_back(store, i)
            store.invalidate()
        case ("compact",):
            store.compact()


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_matrix_and_vec0_give_what_brute_force_gives(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple],  # type: ignore[type-arg]
) -> None:
    path = tmp_path_factory.mktemp(f"steps{next(FOLDERS)}") / "v.db"
    fast, slow = opened(path), opened(path, in_memory=False)
    model: dict[int, tuple[int, int]] = {}
    for step in [*steps, ("search", 1, 20, (0, 3))]:
        if step[0] != "search":
            play(fast, model, step)
            continue
        _, query, k, (low, high) = step
        expected = [(i, float(POOL[v] @ POOL[query])) for i, (v, s) in model.items() if low <= s <= high]
        found = fast.search(POOL[query], k, {"slot": (low, high)})
        assert same_hits(found, expected, k)
        assert same_hits(slow.search(POOL[query], k, {"slot": (low, high)}), expected, k)
        assert found == sorted(found, key=lambda hit: (-hit.similarity, hit.id))
        assert fast.count() == slow.count() == len(model)
    ids = sorted(model)
    assert np.array_equal(fast.vectors(ids), slow.vectors(ids))
    fast.close()
    slow.close()


@pytest.mark.parametrize("in_memory", [True, False])
def test_recall_is_one(tmp_path: Path, in_memory: bool) -> None:  # noqa: FBT001
    vectors = random_units(3000, 384)
    store = SqliteVecStore.open(str(tmp_path / "v.db"), dimensions=384, in_memory=in_memory)
    store.upsert(VectorRow(i, vector, {}) for i, vector in enumerate(vectors))
    for query in random_units(20, 384, seed=3):
        truth = vectors.astype(np.float64) @ query.astype(np.float64)
        assert [hit.id for hit in store.search(query, 50)] == np.argsort(-truth)[:50].tolist()


def test_ties_are_broken_by_id_wherever_rows_lie(tmp_path: Path) -> None:
    store = SqliteVecStore.open(str(tmp_path / "v.db"), dimensions=384)
    vector, *others = random_units(201, 384)
    ids = np.random.default_rng(1).permutation(1000)[:399].tolist()
    store.upsert(VectorRow(i, vector if n % 2 else others[n // 2], {}) for n, i in enumerate(ids))
    assert [hit.id for hit in store.search(vector, 60)] == sorted(ids[1::2])[:60]


def test_rows_nearer_than_float32_tells_apart_are_ordered(tmp_path: Path) -> None:
    store = SqliteVecStore.open(str(tmp_path / "v.db"), dimensions=384)
    noise = np.random.default_rng(2).standard_normal((400, 384)).astype(np.float32)
    vectors = random_units(1, 384) + 1e-6 * noise
    store.upsert(VectorRow(i, vector, {}) for i, vector in enumerate(vectors))
    kept = store.vectors(range(400)).astype(np.float64)
    for query in random_units(10, 384, seed=3):
        truth = np.argsort(-(kept * query).sum(axis=1), kind="stable")
        assert [hit.id for hit in store.search(query, 200)] == truth[:200].tolist()


@pytest.mark.parametrize("extra", [0, 500])
def test_k_beyond_what_vec0_takes(tmp_path: Path, extra: int) -> None:
    store = opened(tmp_path / "v.db", in_memory=False)
    vectors = random_units(MAX_VEC0_K + 300)
    store.upsert(vector_rows(vectors))
    k = MAX_VEC0_K + extra
    expected = [(3 * i, float(s)) for i, s in enumerate(vectors @ vectors[0])]
    assert same_hits(store.search(vectors[0], k), expected, k)
    filtered = store.search(vectors[0], k, {"slot": (2, 3)})
    assert same_hits(filtered, [pair for pair in expected if pair[0] // 3 % 8 in (2, 3)], k)


def test_chunks_and_rows_read_the_same(tmp_path: Path) -> None:
    store = opened(tmp_path / "v.db")
    rows = vector_rows(random_units(2600))
    store.upsert(rows)
    store.remove([row.id for row in rows[5:1500:2]])
    store.upsert(rows[:9])
    broken = {**store._sql, "chunks": "SELECT nothing"}
    chunked, walked = (read_matrix(store._connection, sql, DIMENSIONS, ATTRIBUTES) for sql in (store._sql, broken))
    assert len(chunked) == len(walked) == store.count()
    query = random_units(1, seed=5)[0]
    for bounds in ([], [("slot", 2, 5), ("score", 100, 20_000)]):
        assert chunked.nearest(query, 300, bounds) == walked.nearest(query, 300, bounds)


def test_chunks_that_lack_rows_are_not_believed(tmp_path: Path) -> None:
    store = opened(tmp_path / "v.db")
    store.upsert(vector_rows(random_units(1500)))
    chunks = store._sql["chunks"]
    for wrong in (f"{chunks} LIMIT 1", chunks.replace("v.vectors", "zeroblob(length(v.vectors))")):
        sql = {**store._sql, "chunks": wrong}
        matrix = read_matrix(store._connection, sql, DIMENSIONS, ATTRIBUTES)
        assert len(matrix) == 1500
        assert np.array_equal(matrix.vectors([0, 2997]), store.vectors([0, 2997]))


def test_sees_what_another_connection_commits(tmp_path: Path) -> None:
    here, there = opened(tmp_path / "v.db"), opened(tmp_path / "v.db")
    vectors = random_units(3)
    here.upsert(vector_rows(vectors))
    assert [hit.id for hit in there.search(vectors[1], 1)] == [3]
    there.remove([3])
    assert here.count() == 2
    here.upsert([VectorRow(3, vectors[1], {"slot": 1, "score": 1})])
    there.upsert([VectorRow(3, vectors[2], {"slot": 1, "score": 1})])
    assert here.count() == there.count() == 3


def float_pairs(raw: bytes) -> NDArray[np.uint64]:
    """Return all neighboring 4-byte words as one number each: a page's edge can't hide a vector from this."""
    words = np.frombuffer(raw[: len(raw) // 4 * 4], np.uint32).astype(np.uint64)
    return (words[:-1] << np.uint64(32)) | words[1:]


def share_on_disk(folder: Path, vectors: Floats) -> float:
    """Return which share of the vectors' pairs of numbers stands in any file of the folder, at any byte."""
    raw = b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
    wanted = np.concatenate([float_pairs(vector.tobytes()) for vector in vectors])
    return float(np.any([np.isin(wanted, float_pairs(raw[shift:])) for shift in range(4)], axis=0).mean())


def test_compact_leaves_no_byte_of_removed_rows(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    store = SqliteVecStore.open(str(path), dimensions=96, attributes=("slot",))
    vectors = random_units(1200, 96)
    store.upsert(VectorRow(i, vector, {"slot": 1}) for i, vector in enumerate(vectors))
    store._connection.execute("PRAGMA wal_checkpoint")
    kept = np.arange(1200) % 8 == 0
    store.remove(np.flatnonzero(~kept).tolist())
    store.upsert([VectorRow(0, vectors[8], {"slot": 1})])
    kept[0] = False
    assert share_on_disk(tmp_path, vectors[~kept]) > 0.9
    assert path.stat().st_size > 750_000
    store.compact()
    assert share_on_disk(tmp_path, vectors[~kept]) == 0
    assert share_on_disk(tmp_path, vectors[kept]) > 0.99
    assert path.stat().st_size < 600_000
    assert store.count() == 150


def test_opens_while_another_process_writes(tmp_path: Path) -> None:
    first = opened(tmp_path / "v.db")
    first.upsert(vector_rows(random_units(3)))
    with transaction(first._connection):
        first.remove([0])
        second = opened(tmp_path / "v.db")
        assert second.count() == 3
    assert second.count() == 2


def test_compact_says_when_a_reader_holds_the_log(tmp_path: Path) -> None:
    store = opened(tmp_path / "v.db")
    store._connection.set_busy_timeout(10)
    store.upsert(vector_rows(random_units(30)))
    reader = connect(str(tmp_path / "v.db"))
    with transaction(reader), pytest.raises(StoreError, match="another process"):
        store.compact()
    assert store.count() == 30


def test_replaces_all_rows_or_none(tmp_path: Path) -> None:
    for in_memory in (True, False):
        store = opened(tmp_path / f"{in_memory}.db", in_memory=in_memory)
        rows = vector_rows(random_units(40))
        store.upsert(rows)
        store.replace_all(rows[10:13])
        with pytest.raises(InputError):
            store.replace_all([rows[1], VectorRow(5, rows[1].vector, {})])
        assert {hit.id for hit in store.search(rows[0].vector, 99)} == {30, 33, 36}


def test_two_stores_share_a_connection(tmp_path: Path) -> None:
    connection = connect(str(tmp_path / "v.db"))
    one = SqliteVecStore(connection, "one", dimensions=DIMENSIONS, attributes=ATTRIBUTES)
    two = SqliteVecStore(connection, "two", dimensions=DIMENSIONS)
    vector = random_units(1)[0]
    with transaction(connection):
        one.upsert(vector_rows(random_units(3)))
        two.upsert([VectorRow(1, vector, {})])
        with pytest.raises(InputError):
            two.upsert([VectorRow(2, vector, {}), VectorRow(3, vector * 2, {})])
    one.close()
    assert (one.count(), two.count()) == (3, 1)


def test_attributes_may_be_words_of_sql(tmp_path: Path) -> None:
    store = SqliteVecStore.open(str(tmp_path / "v.db"), dimensions=8, attributes=("order", "group", "select"))
    vector = random_units(1, 8)[0]
    store.upsert([VectorRow(1, vector, {"order": 1, "group": 2, "select": 3})])
    store.set_attributes(1, {"order": 4})
    store.compact()
    assert store.count({"order": (4, 4), "group": (2, 2), "select": (3, 3)}) == 1


def test_says_which_attributes_it_was_made_with(tmp_path: Path) -> None:
    path = str(tmp_path / "v.db")
    SqliteVecStore.open(path, dimensions=8, attributes=("order", "slot")).close()
    advice = "it was made by another release, use that one, or another folder"
    for asked, words in ((("slot",), "slot"), ((), "none")):
        with pytest.raises(StoreError) as raised:
            SqliteVecStore.open(path, dimensions=8, attributes=asked)
        assert str(raised.value) == f"{path} holds vectors with the attributes order, slot, asked for {words}: {advice}"


@pytest.mark.parametrize(
    "names", [("id",), ("distance",), ("Slot",), ('x" , y',), ("",), ("a", "a"), tuple(f"a{i}" for i in range(17))]
)
def test_refuses_names_that_cannot_be_columns(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="allowed"):
        SqliteVecStore.open(str(tmp_path / "v.db"), dimensions=8, attributes=names)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = opened(tmp_path / "v.db")
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.count()


def test_messages_say_found_allowed_and_what_to_do(tmp_path: Path) -> None:
    store = opened(tmp_path / "v.db")
    vector = random_units(1)[0]
    with pytest.raises(InputError, match=r"length 2, allowed: 1 .*: divide"):
        store.search(vector * 2, 1)
    with pytest.raises(InputError, match=r"shape \(3,\), allowed: \(16,\): embed"):
        store.search(vector[:3], 1)
    with pytest.raises(InputError, match="k is 0, allowed: 1 and more"):
        store.search(vector, 0)
    with pytest.raises(InputError, match="attributes are age, allowed: score, slot"):
        store.search(vector, 1, {"age": (0, 1)})
    with pytest.raises(InputError, match="numbers"):
        store.search("text", 1)  # type: ignore[arg-type]


def test_rows_of_a_batch_that_fails_in_sqlite_are_not_found(tmp_path: Path) -> None:
    store = opened(tmp_path / "v.db")
    store.upsert(vector_rows(random_units(2)))
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError) as raised:
        store.upsert([VectorRow(50, random_units(1)[0], {"slot": 1, "score": 1})])
    assert isinstance(raised.value.__cause__, apsw.Error)
    assert store.count() == 2
