"""The seams: what a plugin of each kind promises, and what its caller may rely on.

Each ABC has a contract suite in `omega.core.testing.contracts` that every implementation passes unchanged, and a fake
in `omega.core.testing.fakes`. Arrays are numpy; this floor only names their type.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from omega.core.types import Title

    Floats: TypeAlias = NDArray[np.float32]
    Integers: TypeAlias = NDArray[np.int64]

Where: TypeAlias = Mapping[str, tuple[int, int]]
"""A filter: the least and the greatest allowed value, both included, of some attributes."""


class Embedder(ABC):
    """Turns text into vectors of one space."""

    NAME: ClassVar[str]
    """Its name in the registry and in the setting `embedder`."""

    space: str
    """The space id: exact weights, tokenizer, text template, pooling and quantization. Vectors of two spaces MUST NOT
    be compared."""
    dimensions: int

    @classmethod
    @abstractmethod
    def open(cls, model: Path | None = None, *, threads: int = 1) -> Self:
        """Load the model folder, or the plugin's own; MUST raise ModelError for a damaged or foreign one."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Floats:
        """Return (n, dimensions) float32, rows of unit length, in order.

        MUST give the same row for a text whatever stands beside it, to 1e-3 in cosine, and MUST take any text: empty,
        any script, any length.
        """

    def close(self) -> None:  # noqa: B027  (most hold nothing but memory)
        """Release what is held; the embedder MUST NOT be used afterwards."""


class VectorRow(msgspec.Struct, frozen=True):
    """One vector with the integers that a filter may look at."""

    id: int
    vector: Floats
    """(dimensions,) float32 of unit length."""
    attributes: Mapping[str, int]


class Hit(msgspec.Struct, frozen=True):
    """One result of a search."""

    id: int
    similarity: float
    """Cosine, -1..1."""


class VectorStore(ABC):
    """Keeps unit vectors under 63-bit ids and finds the nearest, exactly."""

    NAME: ClassVar[str]
    """Its name in the registry."""

    dimensions: int
    attributes: tuple[str, ...]

    @classmethod
    @abstractmethod
    def open(cls, location: str, *, dimensions: int, attributes: Sequence[str] = ()) -> Self:
        """Open or create the store at `location`.

        MUST raise StoreError when it holds other dimensions or attributes.
        """

    @abstractmethod
    def upsert(self, rows: Iterable[VectorRow]) -> None:
        """Insert or replace rows by id, all or none of them; MUST be found by the next search."""

    @abstractmethod
    def search(self, query: Floats, k: int, where: Where | None = None) -> list[Hit]:
        """Return the `k` rows nearest to `query` (dimensions,), best first, among those that satisfy `where`.

        The filter MUST be applied before the k best are taken: with m matching rows, min(k, m) are returned.
        """

    @abstractmethod
    def remove(self, ids: Iterable[int]) -> int:
        """Remove rows and return how many there were; a removed row MUST NOT be found again."""

    @abstractmethod
    def count(self, where: Where | None = None) -> int:
        """Return how many rows satisfy `where`."""

    @abstractmethod
    def compact(self) -> None:
        """Give back the space of removed rows; their bytes MUST be gone from the file afterwards."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held; the store MUST NOT be used afterwards."""


class WatchRecord(msgspec.Struct, frozen=True):
    """One event as it is kept."""

    content_id: str
    at: int
    """Unix seconds."""
    slot: int
    """The context, 0..7."""
    watched_milli: int
    """Share that was watched, in thousandths."""
    season: int | None = None
    episode: int | None = None


class Watched(WatchRecord, frozen=True, kw_only=True):
    """What is known of a title that was watched: its last event, and the most of it that was ever watched."""

    best_milli: int
    """The most that was watched at once, in thousandths."""

    @classmethod
    def first(cls, event: WatchRecord) -> Self:
        """Return what the title's first event says."""
        return cls(*msgspec.structs.astuple(event), best_milli=event.watched_milli)

    def after(self, event: WatchRecord) -> Watched:
        """Return what is known with one event more; the last is the one with the latest `at`, then by recording."""
        last = Watched.first(event) if event.at >= self.at else self
        return msgspec.structs.replace(last, best_milli=max(self.best_milli, event.watched_milli))


class PatternRecord(msgspec.Struct, frozen=True):
    """A pattern's row, without its vector."""

    id: int
    content_id: str
    slot: int
    sample_count: int
    success_milli: int
    created_at: int
    updated_at: int


class DeviceStore(ABC):
    """What a TV remembers: events, the patterns they add up to, the patterns' vectors, names of off-catalog titles.

    One writer at a time. Everything returned is a value; nothing stays open between calls.
    """

    @abstractmethod
    def record(self, event: WatchRecord, title: Title, vector: Floats, space: str, *, local: bool) -> PatternRecord:
        """Store the event and add it to its pattern; return the pattern as it is now.

        The event, the pattern's row and its vector MUST become durable together or not at all, and MUST outlive a
        crash of the program; a power cut may take the last ones, never a part of one. A `local` title, which no catalog
        has, is kept too. MUST raise StoreError when the store's vectors are of another space.
        """

    @abstractmethod
    def events(
        self, newest: int | None = None, *, slot: int | None = None, content_id: str | None = None
    ) -> list[WatchRecord]:
        """Return the `newest` events (all with None) of a context and of a title, in order of recording."""

    @abstractmethod
    def watched(self) -> dict[str, Watched]:
        """Return what all events of each title say together, by its id."""

    @abstractmethod
    def event_count(self) -> int:
        """Return how many events there are."""

    @abstractmethod
    def pattern_count(self) -> int:
        """Return how many patterns there are."""

    @abstractmethod
    def patterns(self, ids: Sequence[int] | None = None) -> list[PatternRecord]:
        """Return the patterns with these ids in their order (all, by id, with None); unknown ids are left out."""

    @abstractmethod
    def search(self, query: Floats, k: int, space: str, where: Where | None = None) -> list[Hit]:
        """Return the patterns nearest to `query`, which is of `space`.

        `where` may name slot, kind, sample_count and success_milli. MUST raise StoreError when the store's vectors are
        of another space, were it another process that replaced them.
        """

    @abstractmethod
    def vectors(self, ids: Sequence[int]) -> Floats:
        """Return the patterns' vectors (n, dimensions) in order of `ids`, all of which MUST be there."""

    @abstractmethod
    def local_titles(self) -> dict[str, Title]:
        """Return the titles that no catalog has, by id."""

    @abstractmethod
    def space(self) -> str | None:
        """Return the space of the vectors, None as long as there are none."""

    @abstractmethod
    def reembed(self, space: str, ids: Sequence[int], vectors: Floats) -> None:
        """Replace the vectors of all patterns by those of another space, at once."""

    @abstractmethod
    def size_bytes(self) -> int:
        """Return what the store takes on disk."""

    @abstractmethod
    def compact(self) -> None:
        """Give back unused space."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held."""
