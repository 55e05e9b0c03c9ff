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
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from omega.core.records import (
        Contribution,
        Forgotten,
        LedgerCounts,
        Near,
        PatternRecord,
        Profile,
        Recorded,
        Selection,
        SkillRow,
        Watched,
        WatchRecord,
    )
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


class DeviceStore(ABC):
    """What a TV remembers: events, the patterns they add up to, titles' vectors, profiles, and what it shared.

    One writer at a time. Everything returned is a value; nothing stays open between calls. Events are the truth, all
    else follows from them. A pattern's vector is unit(title's + CONTEXT_SHARE x context's), worked out when needed.
    """

    ledger: Ledger
    is_read_only: bool
    """Whether it can be read but not written; then every write raises StoreError."""

    @abstractmethod
    def bind(self, space: str, contexts: Floats) -> bool:
        """Work in this space from now on; `contexts` (8, dimensions) are the contexts' vectors, unit rows.

        Return whether the titles' vectors are of it; when not, `reembed` comes before anything is recorded or searched.
        """

    @abstractmethod
    def record(self, event: WatchRecord, title: Title, vector: Floats, *, local: bool, day: int | None) -> Recorded:
        """Store the event, add it to its pattern, and return what became of it.

        `vector` is the title's. Event, sums, vector and ledger MUST become durable together or not at all, and MUST
        outlive a power cut once this returns, unless `many` is around it. A `local` title, which no catalog has, is
        kept too. With a `day` (since 1970, by the household's clock) the event may be shared: at most one of a title,
        context and day is. MUST raise StoreError when the vectors are of another space than the one bound, were it
        another process that replaced them.
        """

    @abstractmethod
    def many(self) -> AbstractContextManager[None]:
        """Make all that is recorded in the block durable together at its end; when the block fails, none of it is."""

    @abstractmethod
    def version(self) -> int:
        """Return a number that moves when another process changed the store; takes microseconds."""

    @abstractmethod
    def events(
        self,
        newest: int | None = None,
        *,
        slot: int | None = None,
        content_id: str | None = None,
        profile: int | None = None,
    ) -> list[WatchRecord]:
        """Return the `newest` events (all with None) of a context, title and profile, in order of recording."""

    @abstractmethod
    def events_after(self, row_id: int, most: int) -> list[tuple[int, WatchRecord]]:
        """Return up to `most` events recorded after the one with this row id, each with its own, in order."""

    @abstractmethod
    def watched(self) -> list[Watched]:
        """Return what all events of each title say together, one row a title and profile."""

    @abstractmethod
    def event_count(self) -> int:
        """Return how many events there are."""

    @abstractmethod
    def pattern_count(self) -> int:
        """Return how many patterns there are."""

    @abstractmethod
    def patterns(self) -> list[PatternRecord]:
        """Return all patterns, by id."""

    @abstractmethod
    def search(self, query: Floats, k: int, where: Where | None = None) -> list[Near]:
        """Return the patterns nearest to `query`, which is of the bound space, best first, ties by id.

        `where` may name slot, kind, profile, sample_count and success_milli, and MUST be applied before the k best are
        taken. MUST raise StoreError when the vectors are of another space.
        """

    @abstractmethod
    def vectors(self, content_ids: Sequence[str]) -> Floats:
        """Return the titles' vectors (n, dimensions) in order of `content_ids`, all of which MUST be there."""

    @abstractmethod
    def titles(self) -> dict[str, Title | None]:
        """Return what was ever watched, by id; a Title where no catalog has it."""

    @abstractmethod
    def space(self) -> str | None:
        """Return the space of the vectors, None as long as there are none."""

    @abstractmethod
    def reembed(self, content_ids: Sequence[str], vectors: Iterable[Floats]) -> None:
        """Replace the vectors (dimensions,) of all titles by those of the bound space, at once; they come in turn."""

    @abstractmethod
    def forget(self, selection: Selection) -> Forgotten:
        """Delete what is selected and all that followed from it; MUST leave no byte of it in the store's files.

        What was contributed becomes a retraction, which names no title in plain.
        """

    @abstractmethod
    def prune(self, max_events: int, max_patterns: int) -> tuple[int, int]:
        """Drop the oldest events, and the patterns longest unused, beyond these numbers; return how many of each."""

    @abstractmethod
    def skills(self) -> tuple[int, list[SkillRow]]:
        """Return the sums that were kept last, and the row id of the last event that they hold; 0 with none."""

    @abstractmethod
    def set_skills(self, cursor: int, rows: Sequence[SkillRow], faded: Sequence[SkillRow] = ()) -> None:
        """Keep these rows in place of those of the same profile, day, time and facet, drop the faded, and move on."""

    @abstractmethod
    def profiles(self) -> list[Profile]:
        """Return the named profiles, in order of their making."""

    @abstractmethod
    def set_profile(self, name: str, age: int | None) -> Profile:
        """Make a profile, or change the age limit of the one with this name, and return it."""

    @abstractmethod
    def note(self, key: str) -> bytes | None:
        """Return a small value that was kept under a name, or None."""

    @abstractmethod
    def set_note(self, key: str, value: bytes | None) -> None:
        """Keep a small value under a name; None removes it."""

    @abstractmethod
    def size_bytes(self) -> int:
        """Return what the store takes on disk."""

    @abstractmethod
    def compact(self) -> None:
        """Give back unused space."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held."""


class Ledger(ABC):
    """What a TV shared, and what it still owes: each event is contributed once in its life.

    A version is bound to its rows before its frame leaves, durably; a retry sends the same rows.
    """

    @abstractmethod
    def counts(self) -> LedgerCounts:
        """Return the ledger in figures."""

    @abstractmethod
    def assign(self, shard: str, incarnation: int, version: int, most: int) -> list[Contribution]:
        """Bind up to `most` rows to a version of this shard, retractions first, and return them.

        A version that is bound already gives the same rows again. MUST be durable when it returns, power cuts included.
        """

    @abstractmethod
    def acknowledge(self, shard: str, incarnation: int, version: int) -> None:
        """Take note that the shard counted everything up to this version."""

    @abstractmethod
    def since(self, shard: str, incarnation: int, version: int) -> dict[int, list[Contribution]]:
        """Return the rows of all versions after this one, by version: what a restored shard has lost."""

    @abstractmethod
    def drop_before(self, shard: str, incarnation: int, version: int) -> None:
        """Let go of acknowledged rows up to a version that no backup of the shard is older than."""
