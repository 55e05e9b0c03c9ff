"""Where a shard of the claim `exactly-once` has its store, and what an operator does with it: back up, put back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from omega.compose import extra_module
from omega.core.errors import OmegaError
from omega.shards import open_shard_store
from omega_storage import connection
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega_storage.shard_sql import SqlShardStore

_RECOVERY_S = 60
CHECKPOINTER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
FORGET = "UPDATE device SET version = 0"


class Keeper(ABC):
    """One shard's store."""

    location: str

    def open(self) -> SqlShardStore:
        """Open it, beside a shard that may serve from it."""
        return open_shard_store(self.location)

    @abstractmethod
    def back_up(self, copy: Path) -> None:
        """Copy it while it is used."""

    @abstractmethod
    def put_back(self, copy: Path) -> None:
        """Let it be what the copy holds; no shard serves from it now."""

    @abstractmethod
    def forget(self) -> None:
        """Lose where devices stood."""


class FileKeeper(Keeper):
    """A SQLite file."""

    def __init__(self, folder: Path, name: str) -> None:
        """Name it; the shard makes it."""
        self._file = folder / f"{name}.db"
        self.location = f"sqlite:///{self._file}"

    def back_up(self, copy: Path) -> None:
        """Let SQLite copy it."""
        with closing(SqliteShardStore.open(self._file)) as store:
            store.backup(copy)

    def put_back(self, copy: Path) -> None:
        """Copy the file."""
        for suffix in ("-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(copy, self._file)

    def forget(self) -> None:
        """Lose where devices stood."""
        with closing(connection.connect(str(self._file))) as database:
            database.execute(FORGET)


class PostgresKeeper(Keeper):
    """A database of a server that is there for this alone."""

    def __init__(self, server: Any, name: str) -> None:
        """Make it, on a `DevServer`."""
        self._server, self._name = server, name.replace("-", "_")
        self.location = server.url(self._name)
        _run(server, f"CREATE DATABASE {self._name}")

    def back_up(self, copy: Path) -> None:
        """Let pg_dump copy it."""
        self._tool("pg_dump", "--format=custom", "--compress=none", f"--file={copy}", self.location)

    def put_back(self, copy: Path) -> None:
        """Let pg_restore make it anew."""
        _run(self._server, f"DROP DATABASE {self._name} WITH (FORCE)")
        _run(self._server, f"CREATE DATABASE {self._name}")
        self._tool("pg_restore", "--single-transaction", f"--dbname={self.location}", str(copy))

    def forget(self) -> None:
        """Lose where devices stood."""
        _run(self._server, FORGET, self._name)

    def _tool(self, program: str, *arguments: str) -> None:
        binaries = extra_module("omega_storage.postgres_dev", "postgres").binaries()
        done = subprocess.run([binaries / program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OmegaError(f"{program} failed ({done.stderr.strip()[-200:]}): report this")


@contextmanager
def a_server(folder: Path) -> Iterator[Any]:
    """Run a Postgres in a new folder, which is to be open to everybody, until the block ends."""
    server = extra_module("omega_storage.postgres_dev", "postgres").DevServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def crash(server: Any) -> None:
    """Kill one of its processes, at which it ends all sessions and recovers, and wait until it has."""
    victim = before = _run(server, CHECKPOINTER)
    os.kill(victim[0][0], signal.SIGKILL)
    until_s = time.monotonic() + _RECOVERY_S
    while victim == before:
        if time.monotonic() > until_s:
            raise OmegaError(f"{server.folder}: Postgres didn't recover within {_RECOVERY_S} s: look into its log")
        time.sleep(0.02)
        with suppress(OmegaError):  # it ends sessions, or takes none
            victim = _run(server, CHECKPOINTER)


def _run(server: Any, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    link = extra_module("omega_storage.postgres_link", "postgres")
    conninfo, location = link.parse(server.url(database))
    with closing(link.connect(conninfo, location)) as connected, link.store_errors(location):
        cursor = connected.execute(statement)
        return cursor.fetchall() if cursor.description else []
