"""What a TV remembers, in one SQLite file: events, what follows from them, titles' vectors, profiles and the ledger."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from omega.core.errors import DamagedStoreError, InputError, StoreError
from omega.core.ports import VectorRow
from omega.core.records import Outcome, PatternRecord, Profile, Recorded, SkillRow, WatchRecord
from omega.core.types import CONTEXT_SHARE, DIMENSIONS, ContentType, Title, pattern_id, shared_milli
from omega_storage.connection import (
    apsw,
    connect,
    inode_of,
    is_read_only,
    migrate,
    pragma,
    snapshot,
    store_errors,
    suspected,
    transaction,
)
from omega_storage.derived import as_pattern, derive, forget, pattern_row
from omega_storage.device_reads import CONSOLIDATED, SqliteDeviceReads
from omega_storage.ledger_sqlite import SqliteLedger
from omega_storage.pattern_index import ATTRIBUTES, PatternIndex
from omega_storage.recovery import examine, rebuild, remove_damaged, row_checksum
from omega_storage.sql import migrations, queries
from omega_storage.sqlite_vec import SqliteVecStore
from omega_storage.vectors import filter_bounds, search_size, unit_vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from typing import Self

    from omega.core.ports import Floats, Where
    from omega.core.records import Forgotten, Near, Selection

APPLICATION_ID = 0x4F4D4547
"""Marks the file as a device store of Omega: "OMEG"."""
VECTOR_TABLE = "title_vector"
_SQL = queries("device")
_KINDS = tuple(ContentType)
_FIRST_HAND = ("meta", "profile", "title", "event", "contribution", "drawn")
"""The tables that nothing else can be made from."""
_COLUMNS = {
    "slot": "p.slot",
    "kind": "t.kind",
    "profile": "p.profile_id",
    "sample_count": "p.sample_count",
    "success_milli": "p.success_milli",
}
_LENGTH_TOLERANCE = 1e-3
_SPARE = 16
"""How many more rows than asked for sqlite-vec is to find, since it rounds."""


class SqliteDeviceStore(SqliteDeviceReads):
    """The device's memory in one SQLite file; use it from one thread at a time."""

    def __init__(self, connection: apsw.Connection, *, dimensions: int = DIMENSIONS, in_memory: bool = True) -> None:
        """Take over an open connection, which `close` closes; raises as `open` does."""
        super().__init__(connection)
        self._in_memory = in_memory
        self._index: PatternIndex | None = None
        self._read_at = -1  # the data_version of the index
        self._space: str | None = None
        self._bound: str | None = None
        self._contexts: Floats = np.zeros((8, dimensions), np.float32)
        self.ledger: SqliteLedger = SqliteLedger(connection, self._check_place)
        self.is_read_only = is_read_only(connection)
        self._inode = inode_of(self._location)
        with store_errors(self._location):
            connection.execute("PRAGMA synchronous = FULL")  # a TV gets unplugged
            migrate(connection, migrations("device"), APPLICATION_ID, self._location)
            self._vectors = SqliteVecStore(connection, VECTOR_TABLE, dimensions=dimensions, in_memory=False)
            if self._is_underived():  # a file of an older schema
                with transaction(connection):
                    if self._is_underived():  # another process may have been quicker
                        derive(connection, None)

    @classmethod
    def open(cls, path: Path, *, dimensions: int = DIMENSIONS, in_memory: bool = True) -> Self:
        """Open or create the store; with `in_memory=False` sqlite-vec searches, slower but without the index.

        A new file has mode 0600, its folder, when new, 0700. Raises StoreError when the file can't be used.
        """
        connection = connect(str(path))
        try:
            return cls(connection, dimensions=dimensions, in_memory=in_memory)
        except BaseException:
            connection.close()
            raise

    @classmethod
    def rescue(cls, path: Path, now: datetime, *, thorough: bool = False) -> str | None:
        """Rebuild a damaged file from all that can be read of it; return what came of it in words, None if it is sound.

        The damaged file stays beside it until something is forgotten; `thorough` is as for `recovery.examine`, and also
        holds when damage was met before. Raises StoreError when that can't be done.
        """
        thorough = thorough or suspected(path).exists()
        wrong = examine(path, thorough=thorough) or (_wrong_vector(path) if thorough else None)
        with suppress(OSError):
            suspected(path).unlink()
        if wrong is None:
            return None
        rescue = rebuild(path, _FIRST_HAND, _fresh, lambda connection: _after_rescue(connection, now), now)
        if rescue is None:  # another process did it
            return None
        saved, lost = rescue.saved.get("event", 0), rescue.lost.get("event", 0)
        return f"{saved:,} events saved, {lost:,} known to be lost; the damaged file is {rescue.damaged.name}"

    def bind(self, space: str, contexts: Floats) -> bool:
        """Work in this space from now on, with its contexts' unit vectors (8, dimensions); say if it is the store's."""
        self._bound, self._contexts, self._read_at = space, np.ascontiguousarray(contexts, np.float32), -1
        return self.space() == space or not self._rows("titles")

    def record(
        self,
        event: WatchRecord,
        title: Title,
        vector: Floats,
        *,
        local: bool,
        day: int | None,
        taste: bytes = b"",
    ) -> Recorded:
        """Store the event, add it to its pattern and, with a `day`, queue it to be shared; say what became of it.

        Once it returns, outside of `many`, the event outlives a power cut. `vector` is kept for a new title; a known
        one keeps its own until `reembed`. Raises InputError for numbers out of range and StoreError for another space;
        nothing is stored then.
        """
        checked = unit_vector(vector, self._vectors.dimensions, "vector")
        with self._writing(event):
            self._hold()
            title_id = self._title_id(title, checked, local=local)
            shares = day is not None and not local and self.ledger.takes(event, day)
            event_id = self._add_event(event, title_id, shared=shares or event.shared)
            if event_id is not None:
                outcome, slot = Outcome.ADDED, event.slot
                self._sum_up(event, title_id)
                if shares and day is not None:
                    self.ledger.queue(event_id, event, day, taste)
            else:
                outcome, slot = self._correct(event, title_id)
            row = pattern_row(self._connection, pattern_id(event.content_id, slot, event.profile))
        if self._index is not None and row.length:  # without a length it is not bound to the space, and read again
            if row.title_id not in self._index.titles:
                self._index.titles.put(row.title_id, checked, ())
            self._index.put(row)
        return Recorded(row.record, outcome)

    @contextmanager
    def many(self) -> Iterator[None]:
        """Make all that is recorded in the block durable together at its end; when the block fails, none of it is."""
        with self._writing(None):
            yield

    def patterns(self) -> list[PatternRecord]:
        """Return all patterns, by id; those that a search holds in memory already are not made twice."""
        if self._index is not None and self.version() == self._read_at:
            return self._index.records()
        with store_errors(self._location):
            return [as_pattern(row).record for row in self._connection.execute(_SQL["patterns"])]

    def search(self, query: Floats, k: int, where: Where | None = None) -> list[Near]:
        """Return the patterns nearest to `query`, which is of the bound space, best first, ties by id.

        `where` may name slot, kind, profile, sample_count and success_milli.
        """
        unit = unit_vector(query, self._vectors.dimensions, "query")
        bounds = filter_bounds(where, ATTRIBUTES)
        search_size(k)
        with store_errors(self._location):
            if self._in_memory:
                index = self._fresh_index()
            else:
                self._complete()
                with snapshot(self._connection):
                    self._hold()
                    index, bounds = self._scan(unit, k, bounds), []
            return index.nearest(unit, k, bounds)

    def vectors(self, content_ids: Sequence[str]) -> Floats:
        """Return the titles' vectors (n, dimensions) in order of `content_ids`; InputError for an unknown one."""
        found = {row[0]: row[1] for row in self._rows("title_ids")}
        if unknown := [content_id for content_id in content_ids if content_id not in found]:
            raise InputError(f"content_id is {unknown[0]!r}, allowed: one of the {len(found)} titles watched")
        return self._vectors.vectors([found[content_id] for content_id in content_ids])

    def reembed(self, content_ids: Sequence[str], vectors: Iterable[Floats]) -> None:
        """Replace the vectors (dimensions,) of all titles by those of the bound space, at once; they are read in turn.

        Raises InputError unless `content_ids` are all titles, each once.
        """
        with self._writing(None):
            held = {row[0]: row[1] for row in self._rows("title_ids")}
            if sorted(content_ids) != sorted(held):
                given = f"{len(content_ids)} ids are given"
                raise InputError(f"{given}, allowed: each of the {len(held)} titles once: embed them all")
            lengths: dict[int, list[float]] = {}
            rows = self._measured([held[content_id] for content_id in content_ids], vectors, lengths)
            self._vectors.replace_all(rows)
            patterns = map(as_pattern, self._connection.execute(_SQL["patterns"]).fetchall())
            values = [(lengths[row.title_id][row.record.slot], row.record.id) for row in patterns]
            self._connection.executemany(_SQL["set_length"], values)
            self.set_note("space", (self._bound or "").encode())
        self._connection.execute("PRAGMA shrink_memory")
        self._read_at = -1

    def _measured(
        self, title_ids: Sequence[int], vectors: Iterable[Floats], lengths: dict[int, list[float]]
    ) -> Iterator[VectorRow]:
        """Give the rows of titles, and note |t + s c| of each in every context; InputError unless one vector each."""
        given = iter(vectors)
        for title_id in title_ids:
            vector = next(given, None)
            unit = unit_vector(vector, self._vectors.dimensions, "vector")
            lengths[title_id] = [self._length(unit, slot) for slot in range(len(self._contexts))]
            yield VectorRow(title_id, unit, {})
        if next(given, None) is not None:
            raise InputError(f"more than {len(title_ids)} vectors are given, allowed: one a title: embed them all")

    def forget(self, selection: Selection) -> Forgotten:
        """Delete what is selected and all that followed from it, then rebuild the file, so that no byte is left.

        What was contributed becomes a retraction. Raises StoreError when another process reads: what was selected is
        forgotten then, but bytes of it stay until `compact`.
        """
        with self._writing(None):
            forgotten, emptied = forget(self._connection, selection)
            self._vectors.remove(emptied)
            if self._bound is not None and self.space() == self._bound:
                self._set_lengths()
        self._read_at = -1
        if self._location:
            remove_damaged(Path(self._location))
        self.compact()
        return forgotten

    def prune(self, max_events: int, max_patterns: int) -> tuple[int, int]:
        """Drop the oldest events, and then the patterns longest unused, beyond these numbers; return how many of each.

        What pruned events added up to stays: pattern sums, and what was finished; the last and the best event of each
        title and profile, which say so, stay however old they are.
        """
        with self._writing(None):
            self._connection.execute(_SQL["prune_events"], (max_events,))
            events = self._connection.changes()
            self._connection.execute(_SQL["prune_patterns"], (max_patterns,))
            patterns = self._connection.changes()
        if patterns:
            self._read_at = -1
        return events, patterns

    def set_skills(self, cursor: int, rows: Sequence[SkillRow], faded: Sequence[SkillRow] = ()) -> None:
        """Keep these rows in place of those of the same profile, day, time and facet, drop the faded, and move on."""
        with self._writing(None):
            self._connection.executemany(_SQL["set_skill"], [msgspec.structs.astuple(row) for row in rows])
            self._connection.executemany(_SQL["drop_skill"], [msgspec.structs.astuple(row)[:4] for row in faded])
            self.set_note(CONSOLIDATED, str(cursor).encode())

    def set_profile(self, name: str, age: int | None) -> Profile:
        """Make a profile, or change the age limit of the one with this name, and return it."""
        with self._writing(None):
            return Profile(*self._connection.execute(_SQL["set_profile"], (name, age)).get)

    def set_note(self, key: str, value: bytes | None) -> None:
        """Keep a small value, UTF-8 text, under a name; None removes it."""
        with self._writing(None):
            if value is None:
                self._connection.execute(_SQL["drop_note"], (key,))
            else:
                self._connection.execute(_SQL["set_note"], (key, value.decode()))

    def compact(self) -> None:
        """Give back unused space and empty the log; raises StoreError while another process reads."""
        self._vectors.compact()

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        with store_errors(self._location):
            self._connection.close()

    def _title_id(self, title: Title, vector: Floats, *, local: bool) -> int:
        """Return the title's row id; a new one is added with its vector, a known one keeps up with its name."""
        kind, raw = _KINDS.index(title.kind), msgspec.json.encode(title) if local else None
        checksum = row_checksum("title", (title.id, kind, raw))
        found = self._connection.execute(_SQL["title"], (title.id,)).fetchone()
        if found:
            if found[1:] != (kind, raw):
                self._connection.execute(_SQL["set_title"], (kind, raw, checksum, found[0]))
                self._read_at = -1  # the kind stands beside each of its patterns
            return int(found[0])
        title_id = int(self._connection.execute(_SQL["add_title"], (title.id, kind, raw, checksum)).get)
        self._vectors.upsert([VectorRow(title_id, vector, {})])
        if self._space is None:
            self.set_note("space", (self._bound or "").encode())
            self._space = self._bound
        return title_id

    def _add_event(self, event: WatchRecord, title_id: int, *, shared: bool) -> int | None:
        """Return the new event's row id; None when it was told before."""
        values = (title_id, *msgspec.structs.astuple(event)[1:-2], int(shared))
        row = (*values, row_checksum("event", values))
        found: int | None = self._connection.execute(_SQL["add_event"], row).get
        if found is not None and event.propensity is not None:
            self._connection.execute(_SQL["add_drawn"], (found, event.propensity))
        return found

    def _correct(self, event: WatchRecord, title_id: int) -> tuple[Outcome, int]:
        """Let an event that was told before say what it says now; return also the context that it was told with."""
        identity = title_id, event.at, event.profile, event.season, event.episode
        told: Any = self._connection.execute(_SQL["told_before"], identity).fetchone()
        event_id, slot, watched_milli, engagement = told
        outcome = Outcome.REPEATED
        if (watched_milli, engagement) != (event.watched_milli, event.engagement_milli):
            outcome = Outcome.CORRECTED
            self._rewrite(event_id, event)
            if event_id <= self.skills()[0]:
                self._connection.execute(_SQL["drop_skills"])  # they hold what was told first
            change = event.watched_milli - watched_milli, pattern_id(event.content_id, slot, event.profile)
            self._connection.execute(_SQL["correct_pattern"], change)
            self._connection.execute(_SQL["correct_contribution"], (shared_milli(event.watched_milli), event_id))
            self._connection.execute("DELETE FROM watched WHERE title_id = ?", (title_id,))
            self._connection.execute(_SQL["derive_watched"].replace("{which}", "?"), (title_id,))
        self._begin_pattern(event, slot, title_id)
        return outcome, slot

    def _rewrite(self, event_id: int, event: WatchRecord) -> None:
        """Let an event's row say what was watched by the newer report."""
        kept: Any = self._connection.execute(_SQL["told"], (event_id,)).fetchone()
        title_id, at, slot, _, season, episode, profile, _, offered, shared = kept
        said = event.watched_milli, event.engagement_milli
        values = title_id, at, slot, said[0], season, episode, profile, said[1], offered, shared
        self._connection.execute(_SQL["correct_event"], (*said, row_checksum("event", values), event_id))

    def _sum_up(self, event: WatchRecord, title_id: int) -> None:
        row_id = pattern_id(event.content_id, event.slot, event.profile)
        self._connection.execute(_SQL["add_to_pattern"], (event.watched_milli, event.at, row_id))
        if not self._connection.changes():
            self._begin_pattern(event, event.slot, title_id)
        last = event.at, event.slot, event.watched_milli, event.season, event.episode
        self._connection.execute(_SQL["set_watched"], (title_id, event.profile, *last))

    def _begin_pattern(self, event: WatchRecord, slot: int, title_id: int) -> None:
        """Make the event's pattern, unless it is there; one that was pruned comes back with the events it has left."""
        row_id = pattern_id(event.content_id, slot, event.profile)
        if self._connection.execute(_SQL["pattern"], (row_id,)).fetchone() is None:
            length = self._length(self._vectors.vectors([title_id])[0], slot)
            self._connection.execute(_SQL["begin_pattern"], (row_id, length, title_id, slot, event.profile))

    def _length(self, vector: Floats, slot: int) -> float:
        return float(np.linalg.norm(vector.astype(np.float64) + CONTEXT_SHARE * self._contexts[slot]))

    def _set_lengths(self) -> None:
        """Work out the lengths of patterns that were derived anew, within the caller's transaction."""
        for row_id, title_id, slot in self._rows("without_length"):
            length = self._length(self._vectors.vectors([title_id])[0], slot)
            self._connection.execute(_SQL["set_length"], (length, row_id))

    def _complete(self) -> None:
        """Set the lengths that a process which isn't bound to the vectors' space left open when it forgot something."""
        if self._rows("without_length"):
            with self._writing(None):
                self._hold()
                self._set_lengths()

    def _fresh_index(self) -> PatternIndex:
        """Return all patterns in memory, read again if another connection wrote since; raises StoreError."""
        version = pragma(self._connection, "data_version")
        if version != self._read_at or self._index is None:
            self._complete()
            with snapshot(self._connection):
                self._read_at = pragma(self._connection, "data_version")
                self._hold()
                rows = map(as_pattern, self._connection.execute(_SQL["patterns"]))
                self._index = None  # not both at once
                self._index = PatternIndex(self._vectors.matrix(), self._contexts, rows)
            self._connection.execute("PRAGMA shrink_memory")  # what was read is not read again
        return self._index

    def _scan(self, query: Floats, k: int, bounds: Sequence[tuple[str, int, int]]) -> PatternIndex:
        """Let sqlite-vec find some more than `k`, and return those."""
        numbered = zip(range(4, 4 + 2 * len(bounds), 2), bounds, strict=True)
        condition = "".join(f" AND {_COLUMNS[name]} BETWEEN ?{n} AND ?{n + 1}" for n, (name, _, _) in numbered)
        products = msgspec.json.encode((CONTEXT_SHARE * (self._contexts @ query)).tolist()).decode()
        values = query.tobytes(), products, k + _SPARE, *(v for _, *pair in bounds for v in pair)
        found = self._connection.execute(_SQL["nearest"].replace("{where}", condition), values).fetchall()
        rows = [as_pattern(row) for row in found]
        return PatternIndex(self._vectors.matrix_of(sorted({row.title_id for row in rows})), self._contexts, rows)

    def _hold(self) -> None:
        """Raise StoreError unless the vectors are of the bound space, or there are none yet."""
        self._space = self.space()
        if self._bound is None or (self._space or self._bound) != self._bound or (not self._space and self.titles()):
            raise StoreError(
                f"{self._location} holds vectors of space {self._space}, asked for {self._bound}: let one embedder use "
                "it, and open it again to embed the titles anew"
            )

    def _check_place(self) -> None:
        """Raise DamagedStoreError when the file was moved away or rebuilt under us: what is written would be lost."""
        if inode_of(self._location) != self._inode:
            found = f"{self._location} is another file than the one that was opened, this was not stored"
            raise DamagedStoreError(f"{found}: open the store again")

    @contextmanager
    def _writing(self, event: WatchRecord | None) -> Iterator[None]:
        """Make the block one transaction; when it fails, what is in memory is read again."""
        try:
            with store_errors(self._location), transaction(self._connection):
                yield
                self._check_place()
        except BaseException as error:
            self._read_at = -1
            refused = error if isinstance(error, OverflowError) else error.__cause__
            if isinstance(refused, (apsw.ConstraintError, OverflowError)) and not isinstance(error, InputError):
                raise InputError(f"{event or 'a number'} is refused ({refused}): correct the number") from refused
            raise


def _fresh(path: Path) -> apsw.Connection:
    """Return an empty store's connection, on which rows may come in any order."""
    connection = connect(str(path))
    migrate(connection, migrations("device"), APPLICATION_ID, str(path))
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


def _wrong_vector(path: Path) -> str | None:
    """Say whether a title's vector isn't of length 1, which no checksum tells; embedding it again mends it."""
    with closing(connect(str(path))) as connection, store_errors(str(path)):
        for (raw,) in connection.execute(_SQL["title_vectors"]) if _has_vectors(connection) else ():
            length = float(np.linalg.norm(np.frombuffer(raw, np.float32).astype(np.float64)))
            if not abs(length - 1) < _LENGTH_TOLERANCE:
                return f"a row of {VECTOR_TABLE} is damaged"
    return None


def _has_vectors(connection: apsw.Connection) -> bool:
    return bool(connection.execute(_SQL["has_vectors"]).get)


def _after_rescue(connection: apsw.Connection, now: datetime) -> None:
    """Make what follows from the events that were saved; the titles' vectors are embedded anew when the brain opens."""
    connection.execute(_SQL["keep_counting"])
    connection.execute(_SQL["drop_nameless"])
    connection.execute(_SQL["drop_note"], ("space",))
    connection.execute(_SQL["drop_note"], (CONSOLIDATED,))
    connection.execute(_SQL["set_note"], ("rescued_at", now.isoformat(timespec="seconds")))
    derive(connection, None)
