"""The shard's store in SQLite: its contract, and what only a file can do."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from omega.core.testing.shard_contract import NOW, DurableShardStoreContract, a_taste, an_id, hear
from omega_storage.connection import connect
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from pathlib import Path


class TestSqliteShardStore(DurableShardStoreContract):
    def make(self, tmp_path: Path, *, max_devices: int = 100, backup_days: int = 7) -> SqliteShardStore:
        return SqliteShardStore.open(tmp_path / "s.db", max_devices=max_devices, backup_days=backup_days)


def test_what_was_shown_by_the_release_before_is_near_after_the_step(tmp_path: Path) -> None:
    with closing(SqliteShardStore.open(tmp_path / "s.db")) as store:
        store.enrol([an_id(slot) for slot in range(3)], NOW)
        for title, milli in ((1, 1000), (2, 500), (3, 1000)):
            hear(store, range(3), title, title, milli=milli)
        before = store.nearest(a_taste(3), 9)
        assert [row.title for row in before] == [3, 1]
    with closing(connect(str(tmp_path / "s.db"))) as connection:
        connection.execute(
            "DROP TABLE likeness; DROP TABLE due; DROP TABLE trial; ALTER TABLE sums DROP COLUMN since; "
            "PRAGMA user_version = 1"
        )
    with closing(SqliteShardStore.open(tmp_path / "s.db")) as store:
        assert store.nearest(a_taste(3), 9) == before
