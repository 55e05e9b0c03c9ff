"""In-memory stand-ins that keep the contracts: for tests, never for a TV."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from omega.core.errors import InputError, StoreError
from omega.core.ports import DeviceStore, Embedder, Hit, PatternRecord, VectorRow, VectorStore, Watched
from omega.core.types import DIMENSIONS, SLOTS, ContentType, pattern_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from omega.core.ports import Floats, WatchRecord, Where
    from omega.core.types import Title

_PLACES_A_WORD = 8
_MAX_INTEGER = 2**63 - 1


class Clock:
    """A clock turned by hand: call it for the time, which stands still until `advance`."""

    def __init__(self, now: datetime = datetime(2026, 1, 5, 20, 0, tzinfo=UTC)) -> None:
        """Start at an aware time; by default a Monday evening."""
        self.now = now

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def advance(self, **by: float) -> None:
        """Turn the clock by what `timedelta` takes: `advance(seconds=90)`, `advance(days=1, hours=2)`."""
        self.now += timedelta(**by)


class FakeEmbedder(Embedder):
    """Hashes words into 384 dimensions, so that texts that share words are near; it knows nothing of meaning."""

    NAME = "fake"
    space = "fake-words-1"
    dimensions = DIMENSIONS

    @classmethod
    def open(cls, model: Path | None = None, *, threads: int = 1) -> Self:
        """Open without any model; both arguments are of no account."""
        del model, threads
        return cls()

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return (n, 384) float32 of unit length: the sum of each word's own eight signs."""
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split() or [""]:
                np.add.at(row, *_signature(word.strip(".,;:!?"), self.dimensions))
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows[lengths[:, 0] == 0, 0] = 1  # words that cancel each other out
        return np.asarray(rows / np.where(lengths == 0, 1, lengths), np.float32)


class MemoryVectorStore(VectorStore):
    """A dict of rows, searched one by one in float64; what is closed is gone."""

    NAME = "memory"

    def __init__(self, dimensions: int, attributes: Sequence[str] = ()) -> None:
        """Start empty."""
        self.dimensions, self.attributes = dimensions, tuple(attributes)
        self._rows: dict[int, VectorRow] = {}

    @classmethod
    def open(cls, location: str, *, dimensions: int, attributes: Sequence[str] = ()) -> Self:
        """Start empty, wherever `location` is."""
        del location
        return cls(dimensions, attributes)

    def upsert(self, rows: Iterable[VectorRow]) -> None:
        """Insert or replace rows by id, all or none of them."""
        self._rows |= {row.id: self._checked(row) for row in rows}

    def search(self, query: Floats, k: int, where: Where | None = None) -> list[Hit]:
        """Return the `k` nearest rows that satisfy `where`, best first, ties by id."""
        unit = self._unit(query)
        if k < 1:
            raise InputError(f"k is {k}, allowed: 1 and more: ask for at least one")
        hits = [Hit(row.id, float(np.dot(row.vector.astype(np.float64), unit))) for row in self._matching(where)]
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.id))[:k]

    def remove(self, ids: Iterable[int]) -> int:
        """Remove rows and return how many there were."""
        return sum(self._rows.pop(row_id, None) is not None for row_id in ids)

    def count(self, where: Where | None = None) -> int:
        """Return how many rows satisfy `where`."""
        return len(self._matching(where))

    def vectors(self, ids: Sequence[int]) -> Floats:
        """Return (n, dimensions) float32 in order of `ids`; raises InputError for an unknown id."""
        unknown = [row_id for row_id in ids if row_id not in self._rows]
        if unknown:
            raise InputError(f"id is {unknown[0]}, allowed: one of the {len(self._rows)} rows kept: upsert it first")
        return np.array([self._rows[row_id].vector for row_id in ids], np.float32).reshape(-1, self.dimensions)

    def compact(self) -> None:
        """Do nothing: a removed row is gone."""

    def close(self) -> None:
        """Forget everything."""
        self._rows.clear()

    def _checked(self, row: VectorRow) -> VectorRow:
        if not 0 <= row.id <= _MAX_INTEGER:
            raise InputError(f"id is {row.id}, allowed: 0..2^63-1: take pattern_id()")
        if set(row.attributes) != set(self.attributes):
            raise InputError(f"attributes are {sorted(row.attributes)}, allowed: {sorted(self.attributes)}: give each")
        if any(not -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER for value in row.attributes.values()):
            raise InputError(f"attributes are {dict(row.attributes)}, allowed: 64 bits each: scale them down")
        return VectorRow(row.id, self._unit(row.vector), dict(row.attributes))

    def _unit(self, vector: Floats) -> Floats:
        length = float(np.linalg.norm(vector))
        if np.shape(vector) != (self.dimensions,) or not abs(length - 1) <= 1e-3:
            found = f"vector has shape {np.shape(vector)} and length {length:.4g}"
            raise InputError(f"{found}, allowed: ({self.dimensions},) and 1 +- 0.001: divide it by its length")
        return np.asarray(vector / length, np.float32)

    def _matching(self, where: Where | None) -> list[VectorRow]:
        if not set(where or ()) <= set(self.attributes):
            raise InputError(
                f"attributes are {sorted(where or ())}, allowed: {sorted(self.attributes)}: drop the others"
            )
        bounds = (where or {}).items()
        return [
            row for row in self._rows.values() if all(lo <= row.attributes[name] <= hi for name, (lo, hi) in bounds)
        ]


class MemoryDeviceStore(DeviceStore):
    """A device's memory in lists and dicts; what is closed is gone."""

    def __init__(self, *, dimensions: int = DIMENSIONS) -> None:
        """Start empty."""
        self._vectors = MemoryVectorStore(dimensions, ("slot", "kind", "sample_count", "success_milli"))
        self._events: list[WatchRecord] = []
        self._watched: dict[str, Watched] = {}
        self._patterns: dict[int, PatternRecord] = {}
        self._attributes: dict[int, Mapping[str, int]] = {}
        self._local: dict[str, Title] = {}
        self._space: str | None = None

    def record(self, event: WatchRecord, title: Title, vector: Floats, space: str, *, local: bool) -> PatternRecord:
        """Store the event and add it to its pattern; return the pattern as it is now."""
        _check_event(event)
        self._hold_to(space)
        pattern = self._added(event)
        kept = self._vectors.vectors([pattern.id])[0] if pattern.id in self._patterns else vector
        attributes = {
            "slot": event.slot,
            "kind": list(ContentType).index(title.kind),
            "sample_count": pattern.sample_count,
            "success_milli": pattern.success_milli,
        }
        self._vectors.upsert([VectorRow(pattern.id, kept, attributes)])
        self._space = space
        self._events.append(event)
        known = self._watched.get(event.content_id)
        self._watched[event.content_id] = known.after(event) if known else Watched.first(event)
        self._patterns[pattern.id] = pattern
        self._attributes[pattern.id] = attributes
        if local:
            self._local[title.id] = title
        return pattern

    def events(
        self, newest: int | None = None, *, slot: int | None = None, content_id: str | None = None
    ) -> list[WatchRecord]:
        """Return the `newest` events (all with None) of a context and of a title, in order of recording."""
        if newest is not None and newest < 0:
            raise InputError(f"newest is {newest}, allowed: 0 and more: leave it out for all events")
        found = [e for e in self._events if slot in (None, e.slot) and content_id in (None, e.content_id)]
        return found if newest is None else found[max(0, len(found) - newest) :]

    def watched(self) -> dict[str, Watched]:
        """Return what all events of each title say together, by its id."""
        return dict(self._watched)

    def event_count(self) -> int:
        """Return how many events there are."""
        return len(self._events)

    def pattern_count(self) -> int:
        """Return how many patterns there are."""
        return len(self._patterns)

    def patterns(self, ids: Sequence[int] | None = None) -> list[PatternRecord]:
        """Return the patterns with these ids in their order; unknown ids are left out."""
        wanted = sorted(self._patterns) if ids is None else ids
        return [self._patterns[row_id] for row_id in wanted if row_id in self._patterns]

    def search(self, query: Floats, k: int, space: str, where: Where | None = None) -> list[Hit]:
        """Return the patterns nearest to `query`, which is of `space`; raises StoreError for another one."""
        self._hold_to(space)
        return self._vectors.search(query, k, where)

    def vectors(self, ids: Sequence[int]) -> Floats:
        """Return the patterns' vectors in order of `ids`."""
        return self._vectors.vectors(ids)

    def local_titles(self) -> dict[str, Title]:
        """Return the titles that no catalog has, by id."""
        return dict(self._local)

    def space(self) -> str | None:
        """Return the space of the vectors."""
        return self._space

    def reembed(self, space: str, ids: Sequence[int], vectors: Floats) -> None:
        """Replace all vectors; raises InputError unless `ids` are all patterns, each once."""
        if len(ids) != len(vectors) or sorted(ids) != sorted(self._patterns):
            given = f"{len(ids)} ids with {len(vectors)} vectors"
            raise InputError(
                f"{given} are given, allowed: each of the {len(self._patterns)} patterns once: embed them all"
            )
        self._vectors.upsert(
            VectorRow(row_id, vector, self._attributes[row_id]) for row_id, vector in zip(ids, vectors, strict=True)
        )
        self._space = space

    def size_bytes(self) -> int:
        """Return 4 B a number of the vectors, and 100 B an event."""
        return 4 * self._vectors.dimensions * len(self._patterns) + 100 * len(self._events)

    def compact(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Forget the vectors."""
        self._vectors.close()

    def _hold_to(self, space: str) -> None:
        if self._space not in (None, space):
            raise StoreError(
                f"the store holds vectors of space {self._space}, asked for {space}: embed the patterns anew"
            )

    def _added(self, event: WatchRecord) -> PatternRecord:
        row_id = pattern_id(event.content_id, event.slot)
        old = self._patterns.get(row_id) or PatternRecord(
            row_id, event.content_id, event.slot, 0, 0, event.at, event.at
        )
        sums = old.sample_count + 1, old.success_milli + event.watched_milli
        dates = min(old.created_at, event.at), max(old.updated_at, event.at)
        return PatternRecord(row_id, event.content_id, event.slot, *sums, *dates)


def _signature(word: str, dimensions: int) -> tuple[list[int], list[int]]:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=2 * _PLACES_A_WORD).digest()
    numbers = [int.from_bytes(digest[i : i + 2], "big") for i in range(0, len(digest), 2)]
    return [number // 2 % dimensions for number in numbers], [1 - number % 2 * 2 for number in numbers]


def _check_event(event: WatchRecord) -> None:
    if not 0 <= event.slot < SLOTS:
        raise InputError(f"slot is {event.slot}, allowed: 0..{SLOTS - 1}: take slot_at()")
    if not 0 <= event.watched_milli <= 1000:
        raise InputError(f"watched_milli is {event.watched_milli}, allowed: 0..1000: give thousandths")
    if not -_MAX_INTEGER - 1 <= event.at <= _MAX_INTEGER:
        raise InputError(f"at is {event.at}, allowed: 64 bits: give Unix seconds")
