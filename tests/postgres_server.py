"""A real Postgres for all tests of a session; each test gets a schema of its own in it."""

from __future__ import annotations

import hashlib
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg

from omega_storage.postgres_dev import DevServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection


class Databases:
    """What tests need of a server."""

    def __init__(self, server: DevServer) -> None:
        self.server = server
        self._made: list[str] = []

    def url(self, of: Path, *options: str, user: str = "postgres") -> str:
        """Return the address of the schema that belongs to a folder, empty the first time."""
        schema = "t" + hashlib.sha256(str(of).encode()).hexdigest()[:16]
        if schema not in self._made:
            self.run(f"CREATE SCHEMA {schema}")
            self._made.append(schema)
        settings = quote(" ".join(f"-c {option}" for option in (f"search_path={schema}", *options)))
        return self.server.url().replace("postgres@", f"{user}@") + f"&options={settings}"

    def connect(self, url: str | None = None) -> Connection[tuple[Any, ...]]:
        """Return a session of a bystander."""
        return psycopg.connect(url or self.server.url(), autocommit=True)

    def run(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Let a bystander run a statement."""
        with closing(self.connect(url)) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def clear(self) -> None:
        """Drop what a test made."""
        while self._made:
            self.run(f"DROP SCHEMA {self._made.pop()} CASCADE")


@contextmanager
def a_server(programs: Path | None = None) -> Iterator[DevServer]:
    """Run a server in a folder that anybody may enter, and leave nothing behind."""
    folder = Path(mkdtemp(prefix="omega-pg-"))
    folder.chmod(0o755)
    server = DevServer(folder, programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        rmtree(folder)
