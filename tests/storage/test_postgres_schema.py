"""Migrations of a shard's Postgres database: forwards, back by one, and never over another program's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega.core.errors import StoreError
from omega.core.testing.shard_contract import NOW, a_move, a_sample, an_id, sums_of, told

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'exogenesis-omega[postgres]'")

from omega_storage.postgres_schema import NEWEST, migrate_back
from omega_storage.shard_postgres import PostgresShardStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_server import Databases

SHAPE = """SELECT c.relname, c.relkind::text, c.reloptions::text, pg_get_indexdef(c.oid),
        (SELECT string_agg(a.attname::text, ' ' ORDER BY a.attname) FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace ORDER BY 1"""


def test_goes_back_by_one_and_forwards_again_and_loses_nothing(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path)
    store = PostgresShardStore.open(url)
    assert store.schema == NEWEST
    store.enrol([an_id(0)], NOW)
    told(store, a_move(0, 1, a_sample()))
    store.close()
    shape = databases.run(SHAPE, url)
    assert migrate_back(url) == NEWEST - 1
    assert databases.run(SHAPE, url) != shape
    again = PostgresShardStore.open(url)
    assert databases.run(SHAPE, url) == shape
    assert (again.schema, again.device_count(), len(sums_of(again))) == (NEWEST, 1, 2)
    again.close()


def test_the_first_step_is_never_undone(databases: Databases, tmp_path: Path) -> None:
    url = databases.url(tmp_path)
    PostgresShardStore.open(url).close()
    for number in range(NEWEST - 1, 0, -1):
        assert migrate_back(url) == number
    with pytest.raises(StoreError, match="has schema 1, from which no way leads back"):
        migrate_back(url)
    PostgresShardStore.open(url).close()


def test_a_database_of_another_program_or_a_newer_release_is_left_alone(databases: Databases, tmp_path: Path) -> None:
    other, newer = databases.url(tmp_path / "other"), databases.url(tmp_path / "newer")
    databases.run("CREATE TABLE device (mine text)", other)
    with pytest.raises(StoreError, match="database of another program"):
        PostgresShardStore.open(other)
    assert databases.run("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()", other) == [("device",)]
    PostgresShardStore.open(newer).close()
    databases.run(f"INSERT INTO migration (number) VALUES ({NEWEST + 1})", newer)  # noqa: S608  (a constant)
    with pytest.raises(StoreError, match=f"has schema {NEWEST + 1}, this release knows up to {NEWEST}"):
        PostgresShardStore.open(newer)
