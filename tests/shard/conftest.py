"""All stores of a shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega.core.testing.shard_contract import NOW, an_id
from omega.core.testing.shard_fake import MemoryShardStore
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import ShardStore


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ShardStore:
    """A store with 50 devices; the shard closes it."""
    made: ShardStore
    if request.param == "postgres":
        databases = request.getfixturevalue("databases")
        from omega_storage.shard_postgres import PostgresShardStore  # noqa: PLC0415  (skipped where psycopg is missing)

        made = PostgresShardStore.open(databases.url(tmp_path))
    else:
        made = MemoryShardStore() if request.param == "memory" else SqliteShardStore.open(tmp_path / "s.db")
    made.enrol([an_id(slot) for slot in range(50)], NOW)
    return made
