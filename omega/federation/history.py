"""What a federation remembers: its rounds, and what the next one needs of the last. One SQLite file, one writer.

A round is written down whole before anything of it is published, so that whoever comes after a crash publishes the
very same, or begins anew where nothing was written.
"""

from __future__ import annotations

import io
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from omega.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

FILE = "federation.db"
MOST_ROUNDS = 24 * 400
_APPLICATION_ID = 0x4F4D4746
"""Marks the file as a federation's: "OMGF"."""
_SCHEMA = """
CREATE TABLE round (
    number INTEGER PRIMARY KEY, made_at INTEGER NOT NULL, version INTEGER NOT NULL, inputs TEXT NOT NULL,
    report BLOB NOT NULL
) STRICT;
CREATE TABLE pending (name TEXT PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE kept (name TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE increment (at REAL PRIMARY KEY, data BLOB NOT NULL) STRICT;
"""


class Row(NamedTuple):
    """A round as it is remembered."""

    number: int
    made_at: int
    version: int
    """Of the board that it published; 0: none."""
    inputs: str
    report: bytes


class History:
    """The file of one federation; `close` it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use `open`."""
        self._connection = connection

    @classmethod
    def open(cls, home: Path) -> Self:
        """Open or create the file in a federation's home. Raises StoreError."""
        path = home / FILE
        with _store_errors(path):
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                _migrate(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(connection)

    def last(self, *, published: bool = False) -> Row | None:
        """Return the newest round, or the newest that published a board."""
        return next(iter(self.rounds(1, published=published)), None)

    def rounds(self, most: int, *, published: bool = False) -> list[Row]:
        """Return the newest rounds, newest first."""
        which = "WHERE version > 0" if published else ""
        query = f"SELECT number, made_at, version, inputs, report FROM round {which} ORDER BY number DESC LIMIT ?"  # noqa: S608
        return [Row(*row) for row in self._read(query, most)]

    def kept(self, name: str) -> dict[str, NDArray[Any]]:
        """Return arrays that were kept under a name; none where there are none."""
        rows = self._read("SELECT data FROM kept WHERE name = ?", name)
        return unpacked(rows[0][0]) if rows else {}

    def kept_bytes(self, name: str) -> bytes:
        """Return bytes that were kept under a name; empty where there are none."""
        rows = self._read("SELECT data FROM kept WHERE name = ?", name)
        return bytes(rows[0][0]) if rows else b""

    def increments(self, since: float) -> list[tuple[float, dict[str, NDArray[Any]]]]:
        """Return what came between rounds since then, in order."""
        return [
            (at, unpacked(data)) for at, data in self._read("SELECT * FROM increment WHERE at > ? ORDER BY at", since)
        ]

    def pending(self) -> dict[str, tuple[int, bytes]]:
        """Return what is to be published, by name, with its version."""
        return {name: (version, data) for name, version, data in self._read("SELECT * FROM pending")}

    def write(
        self,
        row: Row,
        *,
        pending: Mapping[str, tuple[int, bytes]] | None = None,
        kept: Mapping[str, bytes] | None = None,
        increment: tuple[float, bytes] | None = None,
        forget_before: float = 0.0,
    ) -> None:
        """Write a round down whole, durably. Raises StoreError."""
        with _store_errors(FILE), self._transaction():
            self._connection.execute("INSERT INTO round VALUES (?, ?, ?, ?, ?)", row)
            told = [(name, *what) for name, what in (pending or {}).items()]
            self._connection.executemany("INSERT OR REPLACE INTO pending VALUES (?, ?, ?)", told)
            self._connection.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", (kept or {}).items())
            if increment is not None:
                self._connection.execute("INSERT OR REPLACE INTO increment VALUES (?, ?)", increment)
            self._connection.execute("DELETE FROM increment WHERE at <= ?", (forget_before,))
            self._connection.execute("DELETE FROM round WHERE number <= ?", (row.number - MOST_ROUNDS,))

    def published(self) -> None:
        """Take note that nothing is to be published any more. Raises StoreError."""
        self._read("DELETE FROM pending")

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def _read(self, query: str, *values: object) -> list[Any]:
        with _store_errors(FILE):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def packed(**arrays: NDArray[Any]) -> bytes:
    """Return arrays as bytes."""
    file = io.BytesIO()
    save: Any = np.savez_compressed  # typed as if an array might be called allow_pickle
    save(file, **arrays)
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of `packed`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    [(version,)] = connection.execute("PRAGMA user_version")
    [(application,)] = connection.execute("PRAGMA application_id")
    [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_schema")
    if tables and application != _APPLICATION_ID:
        raise StoreError(f"{path} is another program's database, allowed: a federation's: name another home")
    if version > 1:
        raise StoreError(f"{path} has schema {version}, allowed: 1: update omega")
    if not version:
        script = f"BEGIN;{_SCHEMA}PRAGMA application_id = {_APPLICATION_ID};PRAGMA user_version = 1;COMMIT;"
        connection.executescript(script)


@contextmanager
def _store_errors(path: Path | str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path} can't be used ({error}): look at the disk, or name another home") from error
