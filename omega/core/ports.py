"""The seams: what a plugin of each kind promises, and what its caller may rely on.

Each ABC has a contract suite in `omega.core.testing` that every implementation passes unchanged, and a fake
in `omega.core.testing.fakes`. Arrays are numpy; this floor only names their type.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from omega.core.identity.admission import Candidate
    from omega.core.identity.vouchers import Code
    from omega.core.records import (
        Contribution,
        Forgotten,
        LedgerCounts,
        Near,
        PatternRecord,
        Profile,
        Recorded,
        Selection,
        Shared,
        SkillRow,
        Watched,
        WatchRecord,
    )
    from omega.core.shard_records import Aggregate, DeviceRow, Shown, Standing, Tick, TrialSums
    from omega.core.shard_sums import Columns
    from omega.core.types import Title
    from omega.core.wire import Trial

    Floats: TypeAlias = NDArray[np.float32]
    Doubles: TypeAlias = NDArray[np.float64]
    Integers: TypeAlias = NDArray[np.int64]
    Bytes: TypeAlias = NDArray[np.uint8]
    Bits: TypeAlias = NDArray[np.bool_]

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


MAX_FRAME_BYTES = 8_192
"""The longest question that a transport carries."""
MAX_REPLY_BYTES = 65_536
"""The longest answer to one."""
ARTIFACTS = "/v1/artifacts/"
"""What stands before the name of an artifact's file in its path."""
HEALTH = "/v1/health"
"""The path of a shard's word on itself."""


class Reply(msgspec.Struct, frozen=True):
    """What a shard answers; whatever the transport, `status` is HTTP's, and 200 is the one that brings a frame."""

    status: int = 200
    body: bytes = b""
    """The frame, or a refusal's reason as text."""
    headers: tuple[tuple[str, str], ...] = ()
    """Lower-case names; `retry-after` in seconds reaches the client on every transport."""


class SyncApp(ABC):
    """What a transport's server serves: one shard."""

    @abstractmethod
    def sync(self, token: str, body: bytes) -> Awaitable[Reply]:
        """Return what becomes of a frame of at most MAX_FRAME_BYTES; the same one may come twice.

        The token is "" when none came. MUST answer 401 to one that it refuses, 429 or 503 with `retry-after` when it
        has no time, and MUST NOT raise.
        """

    def hand_in(self, token: str, body: bytes, answer: Callable[[Reply], None]) -> bool:  # noqa: ARG002  (others use them)
        """Do what `sync` does without a task, and say whether the frame was taken; if not, `sync` is to be called.

        `answer` MUST be called once, in the running loop, perhaps before this returns, and never for what isn't taken.
        """
        return False

    @abstractmethod
    def artifact(self, name: str) -> Path | None:
        """Return the file of this name, or None; it MUST NOT change any more.

        The name is the SHA-256 of the content, 64 lower-case hex digits; a manifest's, 32 of them, "-VERSION.json".
        """

    @abstractmethod
    def health(self) -> Reply:
        """Return whether frames are taken: 200 or 503, with a line of JSON."""


class Fetched(msgspec.Struct, frozen=True):
    """What a `get` brought."""

    data: bytes | None
    """None when the content is the one that `etag` named."""
    size_bytes: int | None
    """Of the whole file, also when a part of it was asked for."""
    etag: str | None


class TransportClient(ABC):
    """A TV's way to one shard, for one running loop; `async with` closes it. Calls may run at the same time."""

    @abstractmethod
    async def exchange(self, frame: bytes) -> bytes:
        """Carry a frame of at most MAX_FRAME_BYTES there and its answer back, of at most MAX_REPLY_BYTES.

        The shard may get a frame twice, and one whose answer was lost. MUST raise TransportError and nothing else,
        within the timeout, and MUST work again by itself once the cause is gone.
        """

    @abstractmethod
    async def get(self, path: str, *, max_bytes: int, etag: str | None = None, part: range | None = None) -> Fetched:
        """Fetch what stands at a path, such as ARTIFACTS + a file's name, without a token.

        With the `etag` of what is there already, an unchanged content isn't sent again; of a `part` only these bytes
        are, as many as there are. MUST raise TransportError for what is longer than `max_bytes`, before it is held,
        and for what isn't there, as `absent`; and never return less than was sent.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of every connection; the client MUST NOT be used afterwards."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


class Transport(ABC):
    """Carries frames from a TV to a shard and back."""

    NAME: ClassVar[str]
    """Its name in the registry."""
    SCHEMES: ClassVar[tuple[str, ...]] = ()
    """What its URLs begin with, in lower case; none of them another transport's."""

    @classmethod
    @abstractmethod
    def connect(
        cls, url: str, *, token: Callable[[], str], ca: Path | None = None, timeout_s: float = 10
    ) -> TransportClient:
        """Return a client of the shard at `url`; it connects when it is first used.

        `token` is asked before each exchange. `ca` is a PEM file of the only authorities that are trusted, by default
        the system's. An exchange that takes longer than `timeout_s` fails. MUST raise InputError for a URL or a
        file that can never work.
        """


class ResumingTransport(Transport):
    """A Transport that connects more quickly the next time by what it kept of the last, also in another process."""

    @classmethod
    @abstractmethod
    def connect(
        cls,
        url: str,
        *,
        token: Callable[[], str],
        ca: Path | None = None,
        timeout_s: float = 10,
        kept: Path | None = None,
    ) -> TransportClient:
        """Return a client as any Transport does; what is `kept` in this file is secret, and its loss harms nothing."""


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
        """Store the event, add it to its pattern, and return what became of it.

        `vector` is the title's. Event, sums, vector and ledger MUST become durable together or not at all, and MUST
        outlive a power cut once this returns, unless `many` is around it. A `local` title, which no catalog has, is
        kept too. With a `day` (since 1970, by the household's clock) the event may be shared: at most one of a title,
        context and day is, under the `taste` code of then. MUST raise StoreError when the vectors are of another space
        than the one bound, were it another process that replaced them.
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
    def try_out(self, trial: Trial) -> bool:
        """Let a household's day in an experiment wait to be shared, as a line of its own; say whether it does.

        Nothing happens where that experiment's day has a line already. What is forgotten of the day, or of the one
        before or after it, takes the line back; forgetting all takes all back.
        """

    @abstractmethod
    def counts(self) -> LedgerCounts:
        """Return the ledger in figures."""

    @abstractmethod
    def waiting(self, shard: str, incarnation: int, most: int, *, fresh: bool = True) -> list[Contribution]:
        """Return the first `most` rows that `assign` would bind, in its order.

        That is: what this shard is to take back, then, unless `fresh` is False, what no shard was told: the newest day
        first, within a day in order of recording.
        """

    @abstractmethod
    def assign(
        self, shard: str, incarnation: int, version: int, most: int, *, fresh: bool = True
    ) -> list[Contribution]:
        """Bind up to `most` rows to a version of this shard, those that `waiting` names, and return them by id.

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
        """Never again tell what was acknowledged up to a version that no backup of the shard is older than.

        What was taken back is let go of. The rest stays, for as long as its event may be forgotten.
        """

    @abstractmethod
    def shards(self) -> list[Shared]:
        """Return what is held of each shard that rows are bound to, by name."""

    @abstractmethod
    def carry(self, shard: str, incarnation: int, to: int, *, told: bool) -> None:
        """Hand all that is bound to an incarnation over to a later one, or to itself.

        The versions stay. With `told` all of it counts as acknowledged and settled instead, under version 0, and what
        waits for a frame along with it: it may have been counted in a life that this store has no memory of.
        """


class ShardStore(ABC):
    """What a shard keeps: where each device stands, and sums over all of them by title and context.

    One writer. Nothing that it ever writes, to a table, a log or a backup, holds a device and a title together. A row
    of sums is a title's in one context, or in all of them (ALL_SLOTS).
    """

    NAME: ClassVar[str]
    """Its name in the registry."""

    @abstractmethod
    def enrol(self, device_ids: Sequence[bytes], now: int) -> list[int | None]:
        """Return the number of each device (DEVICE_ID_BYTES each), given to it now or before, from 0 without gaps.

        None for one that was revoked, and for a new one once there are as many as the store was opened for. `now` is in
        Unix seconds: only tokens that were given since count, so that after a restored backup none is good for a number
        that another device has now. MUST be durable when it returns.
        """

    @abstractmethod
    def bind(self, shard_id: int, key_mark: bytes) -> None:
        """Be this shard's store from now on, with tags by the key of this mark. MUST raise StoreError if another's."""

    @abstractmethod
    def admit(self, candidate: Candidate, now: int) -> tuple[int, int] | None:
        """Return the number of a device that `admission.judged` admits, and since when its tokens count.

        None when there are too many. MUST raise DeniedError as that does, and write what is spent, a use of a code or
        of a maker's quota, in the transaction that reads how much of it there is.
        """

    @abstractmethod
    def add_code(self, code: Code, now: int) -> None:
        """Admit as many devices as the code has uses, durably; codes that admit nobody any more are dropped."""

    @abstractmethod
    def counts_from(self, first: int = 0) -> Integers:
        """Return (n,) int64 by number, from `first` on: since when the device's tokens count, Unix seconds.

        FOR_GOOD once revoked.
        """

    @abstractmethod
    def revoke(self, device_id: bytes) -> bool:
        """Shut a device out for good, durably; return whether it was known."""

    @abstractmethod
    def revoked(self) -> list[int]:
        """Return the numbers of the devices that were shut out, ascending; quick among millions."""

    @abstractmethod
    def commit(self, tick: Tick) -> list[Standing]:
        """Judge the moves in order, then the plain ones, and return where each device stands then.

        A move is accepted when its incarnation is the known one and its base the known version, or when its incarnation
        is larger and its base 0; a version that is no larger than the known one changes nothing. Versions and sums MUST
        become durable together or not at all, and MUST outlive a power cut once this returns.

        Each accepted sample adds to its title's row of its context and to that of all contexts, and a retraction takes
        from both; a device that contributed n samples can retract n, the first of those it names. No sum falls below 0,
        no success above 1000 a sample. What a row shows is replaced by its sums when LEAST_HOUSEHOLDS more,
        or fewer, have come since it was last replaced; with less than so many it shows nothing, and then nothing again
        with less than LEAST_AGAIN. Where more than MAX_TAGS are counted, so that their number is an estimate, it is
        replaced when LEAST_HOUSEHOLDS, known ones or not, contributed or took back since, on a later day or enough to
        be told. Of its trends no more is shown, and told as `sums`, than MOST_TRENDS a household.
        That, and the bounds, are looked at when sums are read or earlier: several ticks between two reads may count as
        one.
        A retraction takes its household from the row until that contributes again.
        """

    @abstractmethod
    def device(self, slot: int) -> DeviceRow | None:
        """Return what is known of a device."""

    @abstractmethod
    def find(self, device_id: bytes) -> DeviceRow | None:
        """Return what is known of the device with this id, were it revoked."""

    @abstractmethod
    def device_count(self) -> int:
        """Return how many devices are enrolled, revoked ones included."""

    @abstractmethod
    def aggregates(self) -> list[Aggregate]:
        """Return all rows of sums, by title and context; large, for tests and for what runs once in a while."""

    @abstractmethod
    def buckets(self, title: int, slot: int) -> dict[int, tuple[int, int]]:
        """Return samples and success of a title in a context by day; the last BUCKET_DAYS alone are kept.

        A sample with a day that is over, or is to come after tomorrow, is in no bucket.
        """

    @abstractmethod
    def trials(self) -> list[TrialSums]:
        """Return what households' days in arms of experiments came to, by experiment, day and arm.

        Each accepted trial adds to its arm's day in the transaction that moves its device's version, and a retraction
        takes from it, as with samples, with which they share what a device may retract. What no row holds is not taken;
        no sum falls below 0. A contribution counts from BUCKET_DAYS ago until tomorrow, and TRIAL_DAYS long.
        """

    @abstractmethod
    def audiences(self, titles: Sequence[int]) -> Floats:
        """Return (n, 1 + TASTE_NUMBERS) float32: the decayed number of taste codes that came, then their decayed sum.

        As of the row's last change; what counts is the quotient.
        """

    @abstractmethod
    def moments(self, day: int) -> Doubles:
        """Return (1 + TASTE_NUMBERS, 1 + TASTE_NUMBERS) float64: the sum of e e' over all taste codes that came.

        e is a 1 and the code's numbers, so that the first row is their count and sum; each is decayed to `day` as
        audiences are. It names no title: with it a federation knows how tastes vary, and which differences are large.
        """

    @abstractmethod
    def sums(self, titles: range, day: int) -> Columns:
        """Return all rows and audiences of these catalog titles, a step of 1 apart, as columns.

        Trends and audiences are worth this as of `day`, or as of their last change where that is later. Rows that may
        not be shown are among them. An audience without any code left is not.
        """

    @abstractmethod
    def identity(self) -> int | None:
        """Return the number of the shard that the store is bound to, None as long as it is nobody's."""

    @abstractmethod
    def trending(self, most: int, titles: int) -> list[Shown]:
        """Return what may be shown of the first `titles` of the catalog in all contexts, the trendiest `most` of it.

        By the shown trend RANKED_BY, largest first, which one day orders as any other does.
        """

    @abstractmethod
    def successful(self, most: int, least_rate: float) -> list[Shown]:
        """Return what may be shown of catalog titles by context, with at least this posterior success rate.

        The trendiest `most`, as `trending` orders them.
        """

    @abstractmethod
    def nearest(self, taste: Floats, most: int) -> list[Shown]:
        """Return what may be shown in all contexts of the catalog titles whose audience is nearest to a taste.

        The best `most` (1..1000) by cosine of `taste` (TASTE_NUMBERS,) and the sum of the audience's taste codes, best
        first, of those with a posterior success rate of LEAST_SUCCESS and LEAST_HOUSEHOLDS codes, decayed. That MUST be
        asked before the best are taken: with m such titles, min(most, m) are returned. A large store may miss 3 in 100.
        An audience counts as it was at the first fold, question or rest after the title's shown figures were replaced;
        of more than 64 at once, some after a later one. MUST raise InputError for a taste without a direction.
        """

    @abstractmethod
    def shown_of(self, title: int) -> list[Shown]:
        """Return what may be shown of a title, by context, ALL_SLOTS last."""

    @abstractmethod
    def shown_totals(self) -> tuple[int, int]:
        """Return how many catalog titles may be shown, and the sum of their shown samples, in all contexts."""

    @abstractmethod
    def hidden(self, since: int) -> list[int]:
        """Return the catalog titles that were shown once and lost their households on this day or later."""

    @abstractmethod
    def fold(self, known: Mapping[int, int]) -> int:
        """Add the rows of unknown titles to those of the catalog, by hash and ordinal; return how many titles."""

    def another(self) -> ShardStore | None:
        """Return another session of the same store, for a thread of its own; None where there is just one at a time.

        What it reads and folds doesn't hold up the ticks of this one. Sums that it reads are those of its last `fold`.
        """
        return None

    @abstractmethod
    def rest(self) -> None:
        """Do what is best done while nobody waits: MUST leave no log of single commits behind."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held."""


class SumsOfShards(msgspec.Struct, frozen=True):
    """What s shards say of the same n titles in contexts; zeros where one says nothing. All are at least 0."""

    samples: Integers
    """(s, n) int64"""
    success_milli: Integers
    """(s, n) int64, at most 1000 a sample."""
    households: Integers
    """(s, n) int64"""
    trends: Doubles
    """(s, n, half-lives) float64"""


class TotalsOfShards(msgspec.Struct, frozen=True):
    """How much each of s shards has heard of all titles together."""

    samples: Integers
    """(s,) int64"""
    trends: Doubles
    """(s, half-lives) float64"""
    codes: Doubles
    """(s,) float64: decayed numbers of taste codes."""


class Releasing(msgspec.Struct, frozen=True):
    """How a strategy tells sums with noise, in rho of zero-concentrated differential privacy."""

    rho: float
    """What one release costs: one sample more or less in it."""
    budget: float
    """The most that a year's releases may cost together."""
    delta: float
    deviation: float
    """The standard deviation of the noise in a number of samples."""
    noised: Callable[[Integers], Integers]
    """Returns (n, 2) samples and success, in thousandths, with noise."""


class Strategy(ABC):
    """Makes one answer of what several shards say; it knows no title and keeps nothing.

    A title's result MUST NOT depend on the other titles that it is given with, so that titles may be merged in parts,
    nor on the order of the shards. One shard alone MUST be told as it is.
    """

    NAME: ClassVar[str]
    """Its name in the registry."""

    @abstractmethod
    def merge(self, sums: SumsOfShards, totals: TotalsOfShards) -> SumsOfShards:
        """Return the same for s = 1: what is told of them together.

        Households MUST NOT be more than the shards' together, nor success more than 1000 a sample; all MUST be finite
        and at least 0.
        """

    @abstractmethod
    def merge_audiences(self, audiences: Doubles, totals: TotalsOfShards) -> Doubles:
        """Return (m, 1 + TASTE_NUMBERS) of (s, m, 1 + TASTE_NUMBERS): decayed numbers of codes, and their sums."""

    def releasing(self) -> Releasing | None:
        """Return how sums are released with noise; None, if they are told as they were merged.

        What is released is pooled by the round, without `merge`. MUST raise MissingExtraError without what it needs.
        """
        return None

    def merge_moments(self, moments: Doubles) -> Doubles:
        """Return (k, k) of (s, k, k), k = 1 + TASTE_NUMBERS: what `ShardStore.moments` of them come to together.

        A shard that tells none has zeros. A strategy that doesn't say how gives zeros, whoever tells: without moments a
        round makes do with audiences, and no strategy lets more out by having been forgotten here.
        """
        nothing: Doubles = moments[0] * 0.0
        return nothing


class Engine(ABC):
    """Runs the same function on many parts, in other processes or on other machines; `with` closes it."""

    NAME: ClassVar[str]
    """Its name in the registry."""

    @classmethod
    @abstractmethod
    def open(cls, workers: int = 1, address: str = "") -> Self:
        """Start so many workers, or join those at an address. MUST raise InputError for what can never work."""

    @abstractmethod
    def map(self, function: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
        """Yield what the function, which can be pickled, returns of each part, in their order.

        MUST hold no more than a few parts for each worker at a time, and MUST raise what the function raises.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the workers; the engine MUST NOT be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
