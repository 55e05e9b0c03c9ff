"""Random lives of a shard on Postgres; a backup is a copy of the rows, as pg_dump's is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.storage.shard_life import BACKUP_DAYS, ShardLife, thorough

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega_storage.postgres_dev import DevServer
    from omega_storage.shard_postgres import PostgresShardStore
    from tests.postgres_server import Databases

TABLES = "device", "maker", "code", "identity", "sums", "shown", "bucket", "audience", "likeness", "due"


@pytest.fixture(autouse=True, scope="module")
def _server(postgres_server: DevServer) -> Iterator[None]:
    from tests.postgres_server import Databases  # noqa: PLC0415  (skipped where psycopg is missing)

    PostgresLife.databases = Databases(postgres_server)
    yield
    PostgresLife.databases.clear()


class PostgresLife(ShardLife):
    databases: ClassVar[Databases]

    def made(self) -> PostgresShardStore:
        from omega_storage.shard_postgres import PostgresShardStore  # noqa: PLC0415  (the same)

        self.databases.clear()
        self.url = self.databases.url(Path("life"))
        return PostgresShardStore.open(self.url, backup_days=BACKUP_DAYS)

    def save(self) -> None:
        emptied = "CREATE TABLE IF NOT EXISTS {0}_saved (LIKE {0}); DELETE FROM {0}_saved"
        self._for_each_table(emptied + "; INSERT INTO {0}_saved TABLE {0}")

    def saved(self) -> PostgresShardStore:
        from omega_storage.shard_postgres import PostgresShardStore  # noqa: PLC0415  (the same)

        self.real.close()
        self._for_each_table("DELETE FROM {0}; INSERT INTO {0} TABLE {0}_saved")
        return PostgresShardStore.open(self.url, backup_days=BACKUP_DAYS)

    def _for_each_table(self, statements: str) -> None:
        self.databases.run("; ".join(statements.format(table) for table in TABLES), self.url)


TestPostgresLife = PostgresLife.TestCase
TestPostgresLife.settings = thorough(50)
TestPostgresLife = pytest.mark.slow(TestPostgresLife)
