"""Acknowledgements are held against rows that a bystander reads, in a file and in Postgres, by TV."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.errors import StoreError
from omega.core.shard_records import DAY_S, Move, Tick
from omega.loadtests.rows import behind, rows_of, standing
from omega.loadtests.shards import enrolled
from omega.shards import open_shard_store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_server import Databases

NOW_S, TVS = 1_800_000_000, 5


def acknowledged(*versions: int, incarnation: int = NOW_S) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    found = np.asarray(versions)
    return np.where(found > 0, standing(np.full(len(found), incarnation), found), np.uint64(0))


@pytest.mark.parametrize(
    ("told", "rows", "count"),
    [
        (acknowledged(1, 2, 3), [(4, NOW_S, 1), (9, NOW_S, 2), (2, NOW_S, 3)], 0),
        (acknowledged(1, 2, 3), [(4, NOW_S, 1), (9, NOW_S, 1), (2, NOW_S, 3)], 1),
        (acknowledged(1, 2, 3), [(4, NOW_S, 7), (9, NOW_S + 1, 0), (2, NOW_S - 1, 9)], 1),
        (acknowledged(1, 0, 3), [(4, NOW_S, 1), (2, NOW_S, 3), (1, 0, 0), (3, 0, 0), (10, 0, 0)], 0),
        (acknowledged(1, 2, 3), [(1, NOW_S, 9)], 3),
    ],
    ids=["all there", "a version less", "another life", "never acknowledged, and strangers", "no row"],
)
def test_who_is_behind(told: np.ndarray, rows: list[tuple[int, int, int]], count: int) -> None:
    slots = np.asarray([4, 9, 2])
    chunks = [np.asarray([row], np.int64) for row in sorted(rows)]
    assert behind(told, slots, chunks) == count


@pytest.fixture(params=["file", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"sqlite:///{tmp_path / 'shard.db'}"
    databases: Databases = request.getfixturevalue("databases")
    return databases.url(tmp_path)


def test_rows_are_those_that_the_store_committed(location: str) -> None:
    with closing(open_shard_store(location)) as store:
        slots = enrolled(store, TVS, NOW_S)
        moves = [Move(slot=int(slot), incarnation=NOW_S, base=0, version=1 + int(slot)) for slot in slots[:-1]]
        store.commit(Tick(day=NOW_S // DAY_S, moves=moves))
        (rows,) = rows_of(location)  # while it is open, too
    (after,) = rows_of(location)
    assert rows.tolist() == after.tolist() == [*([slot, NOW_S, slot + 1] for slot in range(TVS - 1)), [TVS - 1, 0, 0]]
    told = acknowledged(1, 2, 3, 4, 0)
    assert behind(told, slots, rows_of(location)) == 0
    told[2] += np.uint64(1)
    assert behind(told, slots, rows_of(location)) == 1


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"rows can't be read in .*none\.db \(unable to open"):
        list(rows_of(f"sqlite:///{tmp_path / 'none.db'}"))
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreError, match=r"no such table: device\): is it a shard's store\?"):
        list(rows_of(f"sqlite:///{tmp_path / 'empty.db'}"))
    with pytest.raises(StoreError, match="is Postgres there"):
        list(rows_of(f"postgresql://postgres@/postgres?host={tmp_path}"))
