"""Random lives of a shard on SQLite; a backup is a copy of the file."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import mkdtemp

import pytest

from omega_storage.shard_sqlite import SqliteShardStore
from tests.storage.shard_life import BACKUP_DAYS, ShardLife, thorough


class SqliteLife(ShardLife):
    real: SqliteShardStore

    def __init__(self) -> None:
        self.folder, self.generation = Path(mkdtemp()), 0
        super().__init__()

    def made(self) -> SqliteShardStore:
        return SqliteShardStore.open(self.folder / f"{self.generation}.db", backup_days=BACKUP_DAYS)

    def save(self) -> None:
        (self.folder / "backup").unlink(missing_ok=True)
        self.real.backup(self.folder / "backup")

    def saved(self) -> SqliteShardStore:
        self.real.close()
        self.generation += 1
        copyfile(self.folder / "backup", self.folder / f"{self.generation}.db")
        return self.made()

    def teardown(self) -> None:
        super().teardown()
        rmtree(self.folder)


TestSqliteLife = SqliteLife.TestCase
TestSqliteLife.settings = thorough(100)
TestSqliteLife = pytest.mark.slow(TestSqliteLife)
