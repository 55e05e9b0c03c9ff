"""In-memory stand-ins that keep the contracts: for tests, never for a TV."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from omega.core.errors import InputError
from omega.core.ports import Embedder, Hit, VectorRow, VectorStore
from omega.core.types import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from omega.core.ports import Floats, Where

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


def _signature(word: str, dimensions: int) -> tuple[list[int], list[int]]:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=2 * _PLACES_A_WORD).digest()
    numbers = [int.from_bytes(digest[i : i + 2], "big") for i in range(0, len(digest), 2)]
    return [number // 2 % dimensions for number in numbers], [1 - number % 2 * 2 for number in numbers]
