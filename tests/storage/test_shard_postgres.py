"""The shard's store in Postgres: its contract, and what only a server can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega.core.testing.shard_contract import DurableShardStoreContract

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import ShardStore
    from tests.postgres_server import Databases


class TestPostgresShardStore(DurableShardStoreContract):
    @pytest.fixture(autouse=True)
    def _on(self, databases: Databases) -> None:
        self.databases = databases

    def make(self, tmp_path: Path, *, max_devices: int = 100, backup_days: int = 7) -> ShardStore:
        from omega_storage.shard_postgres import PostgresShardStore  # noqa: PLC0415  (skipped where psycopg is missing)

        url = self.databases.url(tmp_path)
        return PostgresShardStore.open(url, max_devices=max_devices, backup_days=backup_days)
