"""What a TV remembers, in one SQLite file: events, patterns and, in the same transactions, the patterns' vectors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from omega.core.errors import InputError, StoreError
from omega.core.ports import DeviceStore, PatternRecord, VectorRow, Watched, WatchRecord
from omega.core.types import DIMENSIONS, ContentType, Title, pattern_id
from omega_storage.connection import apsw, connect, migrate, pragma, size_bytes, snapshot, store_errors, transaction
from omega_storage.sql import migrations, queries
from omega_storage.sqlite_vec import SqliteVecStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Self

    from omega.core.ports import Floats, Hit, Where

APPLICATION_ID = 0x4F4D4547
"""Marks the file as a device store of Omega: "OMEG"."""
ATTRIBUTES = ("slot", "kind", "sample_count", "success_milli")
"""What a search may filter by; `kind` is the place in ContentType."""
VECTOR_TABLE = "pattern_vector"
_SQL = queries("device")
_KINDS = tuple(ContentType)


class SqliteDeviceStore(DeviceStore):
    """The device's memory in one SQLite file; use it from one thread at a time."""

    def __init__(self, connection: apsw.Connection, *, dimensions: int = DIMENSIONS, in_memory: bool = True) -> None:
        """Take over an open connection, which `close` closes; raises as `open` does."""
        self._connection = connection
        self._location = connection.filename
        self._in_memory = in_memory
        self._read: dict[int, PatternRecord] = {}  # by id, as long as no other process writes
        self._version = -1
        with store_errors(self._location):
            migrate(connection, migrations("device"), APPLICATION_ID, self._location)
        self._vectors = SqliteVecStore(
            connection, VECTOR_TABLE, dimensions=dimensions, attributes=ATTRIBUTES, in_memory=in_memory
        )
        self.patterns([])  # reads all of them, if they are to be held: 5 ms for 10,000

    @classmethod
    def open(cls, path: Path, *, dimensions: int = DIMENSIONS, in_memory: bool = True) -> Self:
        """Open or create the store; with `in_memory=False` sqlite-vec searches, slower but without the matrix.

        For 10,000 patterns that takes 16 MB, and reserves 4 MB to grow into, which hold no memory until they are used.
        A new file has mode 0600, its folder, when new, 0700. Raises StoreError when the file can't be used.
        """
        connection = connect(str(path))
        try:
            return cls(connection, dimensions=dimensions, in_memory=in_memory)
        except BaseException:
            connection.close()
            raise

    def record(self, event: WatchRecord, title: Title, vector: Floats, space: str, *, local: bool) -> PatternRecord:
        """Store the event and add it to its pattern; return the pattern as it is now.

        Once it returns, the event outlives a crash of the program. A power cut may take the events of the last moments,
        since only a checkpoint waits for the disk (synchronous=NORMAL): each is there whole or not at all, and the file
        stays sound. `vector` is kept for a new pattern; a known one keeps its own until `reembed`. Raises InputError
        for numbers out of range and StoreError for another space; nothing is stored then.
        """
        watched = (event.content_id, event.at, event.slot, event.watched_milli, event.season, event.episode)
        row_id = pattern_id(event.content_id, event.slot)
        kind = _KINDS.index(title.kind)
        with self._writing(event):
            if self._held_to(space) is None:
                self._connection.execute(_SQL["set_space"], (space,))
            self._connection.execute(_SQL["add_event"], watched)
            self._connection.execute(_SQL["set_watched"], watched)
            if local:
                self._connection.execute(_SQL["set_local_title"], (title.id, msgspec.json.encode(title)))
            added = (row_id, event.content_id, event.slot, kind, event.watched_milli, event.at)
            pattern = PatternRecord(*self._connection.execute(_SQL["add_to_pattern"], added).get)
            sums = {"kind": kind, "sample_count": pattern.sample_count, "success_milli": pattern.success_milli}
            if pattern.sample_count == 1:
                self._vectors.upsert([VectorRow(row_id, vector, {"slot": event.slot, **sums})])
            else:
                self._vectors.set_attributes(row_id, sums)
        self._read[row_id] = pattern
        return pattern

    def events(
        self, newest: int | None = None, *, slot: int | None = None, content_id: str | None = None
    ) -> list[WatchRecord]:
        """Return the `newest` events (all with None) of a context and of a title, in order of recording."""
        if newest is not None and newest < 0:
            raise InputError(f"newest is {newest}, allowed: 0 and more: leave it out for all events")
        given = {"slot": slot, "content_id": content_id}
        asked = {column: value for column, value in given.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in asked) or "TRUE"
        sql, values = _SQL["events"].replace("{where}", where), (*asked.values(), -1 if newest is None else newest)
        with store_errors(self._location):
            rows = self._connection.execute(sql, values).fetchall()
        return [WatchRecord(*row) for row in reversed(rows)]

    def watched(self) -> dict[str, Watched]:
        """Return what all events of each title say together, by its id."""
        return {row[0]: Watched(*row[:-1], best_milli=row[-1]) for row in self._rows("watched")}

    def event_count(self) -> int:
        """Return how many events there are."""
        return self._number("event_count")

    def pattern_count(self) -> int:
        """Return how many patterns there are."""
        return self._number("pattern_count")

    def patterns(self, ids: Sequence[int] | None = None) -> list[PatternRecord]:
        """Return the patterns with these ids in their order (all, by id, with None); unknown ids are left out."""
        if ids is None:
            return [PatternRecord(*row) for row in self._rows("patterns")]
        with store_errors(self._location):
            version = pragma(self._connection, "data_version")
        if version != self._version:  # just opened, or another process wrote
            self._read = {pattern.id: pattern for pattern in self.patterns()} if self._in_memory else {}
            self._version = version
        if missing := [row_id for row_id in ids if row_id not in self._read]:
            rows = self._rows("patterns_by_id", (msgspec.json.encode(missing).decode(),))
            self._read.update((row[0], PatternRecord(*row)) for row in rows)
        return [self._read[row_id] for row_id in ids if row_id in self._read]

    def search(self, query: Floats, k: int, space: str, where: Where | None = None) -> list[Hit]:
        """Return the patterns nearest to `query`, which is of `space`; raises StoreError for another one.

        `where` may name slot, kind, sample_count and success_milli.
        """
        with store_errors(self._location), snapshot(self._connection):
            self._held_to(space)
            return self._vectors.search(query, k, where)

    def vectors(self, ids: Sequence[int]) -> Floats:
        """Return the patterns' vectors (n, dimensions) in order of `ids`; raises InputError for an unknown one."""
        return self._vectors.vectors(ids)

    def local_titles(self) -> dict[str, Title]:
        """Return the titles that no catalog has, by id."""
        try:
            return {row[0]: msgspec.json.decode(row[1], type=Title) for row in self._rows("local_titles")}
        except msgspec.DecodeError as error:
            raise StoreError(f"{self._location}: a local title is damaged ({error}): restore a backup") from error

    def space(self) -> str | None:
        """Return the space of the vectors, None as long as there are none."""
        rows = self._rows("space")
        return str(rows[0][0]) if rows else None

    def reembed(self, space: str, ids: Sequence[int], vectors: Floats) -> None:
        """Replace the vectors of all patterns by those of another space, at once.

        `vectors` is (n, dimensions); raises InputError unless `ids` are all patterns, each once.
        """
        with self._writing(None):
            held = {row_id: dict(zip(ATTRIBUTES, values, strict=True)) for row_id, *values in self._rows("attributes")}
            if len(ids) != len(vectors) or sorted(ids) != sorted(held):
                given = f"{len(ids)} ids with {len(vectors)} vectors"
                raise InputError(f"{given} are given, allowed: each of the {len(held)} patterns once: embed them all")
            self._vectors.replace_all(
                VectorRow(row_id, vector, held[row_id]) for row_id, vector in zip(ids, vectors, strict=True)
            )
            self._connection.execute(_SQL["set_space"], (space,))

    def size_bytes(self) -> int:
        """Return what the store takes on disk, its log included."""
        return size_bytes(self._location)

    def compact(self) -> None:
        """Give back unused space and empty the log; raises StoreError while another process reads."""
        self._vectors.compact()

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        with store_errors(self._location):
            self._connection.close()

    def _rows(self, name: str, values: tuple[int | str, ...] = ()) -> list[tuple[Any, ...]]:
        with store_errors(self._location):
            return self._connection.execute(_SQL[name], values).fetchall()

    def _number(self, name: str) -> int:
        with store_errors(self._location):
            return int(self._connection.execute(_SQL[name]).get)

    def _held_to(self, space: str) -> str | None:
        """Return the space of the vectors, None as long as there are none; raises StoreError for another one."""
        held = self.space()
        if held not in (None, space):
            raise StoreError(
                f"{self._location} holds vectors of space {held}, asked for {space}: let one embedder use it, and open "
                "it again to embed the patterns anew"
            )
        return held

    @contextmanager
    def _writing(self, event: WatchRecord | None) -> Iterator[None]:
        """Make the block one transaction; when it fails, the vectors in memory are read again."""
        try:
            with store_errors(self._location), transaction(self._connection):
                yield
        except BaseException as error:
            self._vectors.invalidate()
            refused = error if isinstance(error, OverflowError) else error.__cause__
            if isinstance(refused, (apsw.ConstraintError, OverflowError)):
                raise InputError(f"{event} is refused ({refused}): correct the number") from refused
            raise
