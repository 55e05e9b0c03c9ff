"""The pgvector store: its contract, sqlite-vec's answers, and what a server may lack."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.compose import registry
from omega.core.errors import InputError, StoreError
from omega.core.ports import VectorRow
from omega.core.testing.contracts import (
    ATTRIBUTES,
    DIMENSIONS,
    DurableVectorStoreContract,
    random_units,
    vector_rows,
)
from omega_storage.pgvector import MAX_DIMENSIONS, PgvectorStore
from omega_storage.sqlite_vec import SqliteVecStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from omega.core.ports import VectorStore
    from tests.postgres_server import Databases


class TestPgvector(DurableVectorStoreContract):
    @pytest.fixture(autouse=True)
    def _on(self, databases: Databases) -> Iterator[None]:
        self.databases, self.opened = databases, list[PgvectorStore]()
        yield
        for store in self.opened:
            store.close()

    def make(
        self, tmp_path: Path, *, dimensions: int = DIMENSIONS, attributes: Sequence[str] = ATTRIBUTES
    ) -> VectorStore:
        url = self.databases.url(tmp_path)
        self.opened.append(PgvectorStore.open(url, dimensions=dimensions, attributes=attributes))
        return self.opened[-1]


@pytest.fixture
def url(databases: Databases, tmp_path: Path) -> str:
    return databases.url(tmp_path)


def opened(url: str, dimensions: int = DIMENSIONS, attributes: Sequence[str] = ATTRIBUTES) -> PgvectorStore:
    return PgvectorStore.open(url, dimensions=dimensions, attributes=attributes)


def test_the_registry_finds_it_by_name() -> None:
    assert registry().vector_store("pgvector") is PgvectorStore


def test_answers_as_sqlite_vec_does_to_the_bit(url: str) -> None:
    vectors = np.repeat(random_units(700, 384), 2, axis=0)  # every row has a twin: ties everywhere
    rows = [VectorRow(7 * i % 1400, vector, {"slot": i % 8, "score": i}) for i, vector in enumerate(vectors)]
    with (
        closing(opened(url, 384)) as store,
        closing(SqliteVecStore.open(":memory:", dimensions=384, attributes=ATTRIBUTES)) as other,
    ):
        for each in (store, other):
            each.upsert(rows)
            each.remove(range(0, 100, 3))
        for at, query in enumerate(random_units(15, 384, seed=5)):
            where = {"slot": (2, 3), "score": (at * 10, 1200)}
            assert store.search(query, 50) == other.search(query, 50)
            assert store.search(query, 31, where) == other.search(query, 31, where)
            assert store.count(where) == other.count(where)


def test_sees_what_another_session_commits_and_takes_rows_from_it(url: str) -> None:
    rows = vector_rows(random_units(9))
    with closing(opened(url)) as here, closing(opened(url)) as there:
        here.upsert(rows)
        assert there.count() == 9
        there.upsert(rows[:3])
        assert there.remove([0]) == 1
        assert here.count() == 8


def test_compact_leaves_no_removed_row_and_says_when_a_reader_keeps_one(databases: Databases, url: str) -> None:
    with closing(opened(url, 96)) as store:
        store.upsert(vector_rows(random_units(900, 96)))
        before = databases.run("SELECT pg_relation_size('vectors')", url)[0][0]
        with closing(databases.connect(url)) as reader:
            reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            reader.execute("SELECT 1")  # sees what is removed now
            store.remove(range(0, 2700, 6))
            with pytest.raises(StoreError, match="read by another session"):
                store.compact()
        store.compact()
        after = databases.run("SELECT pg_relation_size('vectors')", url)[0][0]
        assert store.count() == 450
        assert after < 0.6 * before
        assert databases.run("SELECT count(*) FROM vectors WHERE id % 6 = 0", url) == [(0,)]


def test_connects_anew_after_the_connection_was_lost(databases: Databases, url: str) -> None:
    rows = vector_rows(random_units(5))
    with closing(opened(url)) as store:
        store.upsert(rows)
        databases.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'omega-shard'")
        with pytest.raises(StoreError, match="try again"):
            store.count()
        assert store.search(rows[3].vector, 1)[0].id == 9
        store.upsert(rows[:1])
    with pytest.raises(StoreError, match="closed: open it again"):
        store.count()


def test_says_what_is_wrong_with_a_question(url: str) -> None:
    with pytest.raises(InputError, match="no address of Postgres"):
        opened("/var/lib/vectors.db")
    with pytest.raises(InputError, match=f"dimensions are {MAX_DIMENSIONS + 1}, allowed"):
        opened(url, MAX_DIMENSIONS + 1)
    for name in ("id", "Slot", 'a"b'):
        with pytest.raises(InputError, match="can't be an attribute"):
            opened(url, attributes=(name,))


def test_a_table_of_another_program_is_left_alone(databases: Databases, url: str) -> None:
    databases.run("CREATE TABLE vectors (name text)", url)
    with pytest.raises(StoreError, match="holds a column vector of nothing"):
        opened(url)
    assert databases.run("TABLE vectors", url) == []


def test_without_the_right_to_add_the_extension_an_administrator_is_asked(databases: Databases) -> None:
    databases.run("CREATE ROLE plain LOGIN")
    databases.run("CREATE DATABASE bare OWNER plain")
    try:
        url = databases.server.url("bare")
        with pytest.raises(StoreError, match="let an administrator run CREATE EXTENSION vector"):
            opened(url.replace("postgres@", "plain@"))
        databases.run(
            "CREATE SCHEMA extras; CREATE EXTENSION vector SCHEMA extras; GRANT USAGE ON SCHEMA extras TO plain", url
        )
        databases.run("GRANT CREATE ON SCHEMA public TO plain", url)
        with closing(opened(url.replace("postgres@", "plain@"))) as store:  # wherever the administrator put it
            store.upsert(vector_rows(random_units(3)))
            assert store.count() == 3
    finally:
        databases.run("DROP DATABASE bare WITH (FORCE)")
        databases.run("DROP ROLE plain")
