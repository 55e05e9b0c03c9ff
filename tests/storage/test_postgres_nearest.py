"""Whose audience is near, in Postgres: down the index, without the extension, and a few titles at a time."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.shard_records import TASTE_BYTES, TASTE_NUMBERS, Sample
from omega.core.testing.shard_contract import NOW, TODAY, a_move, a_tag, a_taste, an_id, hear, told
from omega.core.testing.shard_fake import MemoryShardStore
from omega_storage.shard_likeness import MOST_NEAREST, MOVED_AT_A_FOLD, MOVED_AT_A_QUESTION
from omega_storage.shard_sqlite import SqliteShardStore

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'exogenesis-omega[postgres]'")

from omega_storage.postgres_schema import migrate_back
from omega_storage.shard_postgres import PostgresShardStore

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import Floats, ShardStore
    from tests.postgres_server import Databases

TITLES = 1_100
SCANS = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelid = to_regclass('likeness_nearest')"
INDEX = "SELECT to_regclass('likeness_nearest') IS NOT NULL"


def filled(store: ShardStore) -> ShardStore:
    """Let three households watch all titles to the end, each title with tastes of its own."""
    store.enrol([an_id(slot) for slot in range(3)], NOW)
    random = np.random.default_rng(3)
    for slot in range(3):
        codes = [random.bytes(TASTE_BYTES) for _ in range(TITLES)]
        told(store, a_move(slot, 1, *(Sample(n, 4, TODAY, 1000, a_tag(slot, n), code) for n, code in enumerate(codes))))
    return store


def questions(count: int) -> list[Floats]:
    return list(np.random.default_rng(4).normal(size=(count, TASTE_NUMBERS)).astype(np.float32))


def nearest(store: ShardStore, taste: Floats, most: int) -> list[int]:
    return [row.title for row in store.nearest(taste, most)]


def test_the_index_finds_what_sqlite_and_memory_find_exactly(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path, "enable_seqscan=off", "enable_sort=off")  # else it would read so few rows one by one
    with (
        closing(filled(PostgresShardStore.open(url))) as postgres,
        closing(filled(SqliteShardStore.open(tmp_path / "s.db"))) as sqlite,
        closing(filled(MemoryShardStore())) as memory,
    ):
        for store in (postgres, sqlite, memory):
            store.rest()
            store.nearest(a_taste(0), 1)
        shares = []
        for taste in questions(30):
            exact = nearest(memory, taste, 30)
            assert nearest(sqlite, taste, 30) == exact
            shares.append(len(set(exact) & set(nearest(postgres, taste, 30))) / 30)
        assert np.mean(shares) > 0.97
        assert len(nearest(postgres, a_taste(0), 10**9)) == len(nearest(sqlite, a_taste(0), 10**9)) == MOST_NEAREST
    until_s = time.monotonic() + 30
    while databases.run(SCANS, url) < [(30,)]:  # a session that ended has its scans counted a little later
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_titles_enter_a_few_at_a_time(databases: Databases, tmp_path: Path, kind: str) -> None:
    made = (
        SqliteShardStore.open(tmp_path / "s") if kind == "sqlite" else PostgresShardStore.open(databases.url(tmp_path))
    )
    with closing(filled(made)) as store:
        store.fold({})
        assert len(store.nearest(a_taste(0), TITLES)) == MOVED_AT_A_FOLD + MOVED_AT_A_QUESTION
        store.rest()
        assert len(store.nearest(a_taste(0), TITLES)) == MOST_NEAREST


def test_without_the_extension_it_serves_all_the_same_and_uses_it_once_it_is_there(databases: Databases) -> None:
    databases.run("CREATE ROLE plain LOGIN")
    databases.run("CREATE DATABASE bare OWNER plain")
    try:
        url = databases.server.url("bare")
        by_plain = url.replace("postgres@", "plain@")
        with closing(PostgresShardStore.open(by_plain)) as store:
            store.enrol([an_id(slot) for slot in range(5)], NOW)
            for title in range(1, 5):
                hear(store, range(3), title, 2 * title)
            assert nearest(store, a_taste(8), 3) == [4, 3, 2]
            assert databases.run(INDEX, url) == [(False,)]
        databases.run("CREATE EXTENSION vector", url)
        with closing(PostgresShardStore.open(by_plain)) as store:
            assert databases.run(INDEX, url) == [(True,)]
            assert nearest(store, a_taste(8), 3) == [4, 3, 2]
            hear(store, range(3), 5, 4)
            assert nearest(store, a_taste(8), 9) in ([4, 3, 2, 5, 1], [4, 3, 5, 2, 1])
    finally:
        databases.run("DROP DATABASE bare WITH (FORCE)")
        databases.run("DROP ROLE plain")


def test_what_was_shown_before_the_step_is_found_after_it(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path)
    with closing(PostgresShardStore.open(url)) as store:
        store.enrol([an_id(slot) for slot in range(3)], NOW)
        for title, milli in ((1, 1000), (2, 500), (3, 1000)):
            hear(store, range(3), title, title, milli=milli)
        before = store.nearest(a_taste(3), 9)
        assert [row.title for row in before] == [3, 1]
    for _ in ("trials", "likeness"):
        migrate_back(url)
    with closing(PostgresShardStore.open(url)) as store:
        assert store.nearest(a_taste(3), 9) == before
