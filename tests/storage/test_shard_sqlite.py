"""The shard's store in SQLite: its contract, and what only a file can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.testing.shard_contract import DurableShardStoreContract
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from pathlib import Path


class TestSqliteShardStore(DurableShardStoreContract):
    def make(self, tmp_path: Path, *, max_devices: int = 100, backup_days: int = 7) -> SqliteShardStore:
        return SqliteShardStore.open(tmp_path / "s.db", max_devices=max_devices, backup_days=backup_days)
