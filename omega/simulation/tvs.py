"""A TV of a simulation: the product's own session and ledger, over a line where everything goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from omega.core.errors import OmegaError
from omega.core.records import Selection, WatchRecord
from omega.core.shard_records import DAY_S, TASTE_BYTES, TASTE_SPACE
from omega.core.types import SLOTS
from omega.core.wire import REPLY_LIMIT, Ack, decode, split
from omega.device.sync.messages import WireCodec
from omega.device.sync.session import Outcome, Session
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from omega.core.catalog import Catalog
    from omega.core.ports import Floats
    from omega.core.wire import Message
    from omega.device.sync.messages import Reply
    from omega_storage.ledger_memory import MemoryLedger

DIMENSIONS = 4
_MOST_AGO_S = 5 * DAY_S
_LONG = 100
"""Bytes; a receipt is shorter."""


class Fault(StrEnum):
    """What goes wrong with one exchange, or in the world around."""

    LOST = "questions lost"
    TWICE = "questions doubled"
    UNHEARD = "answers lost"
    OTHER = "answers to other questions"
    GARBAGE = "frames that are garbage"
    FORGED = "forged tokens"
    LATE = "questions heard late"
    KILLED = "shards killed"
    UNTOLD = "shards killed between a commit and its answers"
    RESTORED = "shards put back to a backup"
    CUT_OFF = "partitions"
    SKEWED = "clocks set wrong"
    RESET = "TVs reset"
    MOVED = "TVs moved to another shard"
    FORGOT = "forgettings"
    RUSHED = "TVs that came too often"
    GREEDY = "claims beyond a day's"


class _SharedCodec(WireCodec):
    """Reads a pull once, which is the same for all TVs."""

    def decode(self, data: bytes) -> Sequence[Reply]:
        """Return what the answer holds. Raises WireError."""
        frames = split(data, max_bytes=REPLY_LIMIT)
        return [_read(frame) if len(frame) > _LONG else decode(frame, max_bytes=REPLY_LIMIT) for frame in frames]  # type: ignore[misc]


@lru_cache(64)
def _read(frame: bytes) -> Message:
    return decode(frame, max_bytes=REPLY_LIMIT)


CODEC = _SharedCodec()


@dataclass(slots=True)
class TV:
    """One household's TV."""

    number: int
    slots: tuple[int, ...]
    """Its number at each shard."""
    shard: int
    """Where it belongs."""
    store: MemoryDeviceStore
    skew_s: int = 0
    cut_off_until_s: float = 0.0
    has_moved: bool = False
    acked: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By shard, incarnation and version of the newest ack that it heard."""
    heard: list[tuple[int, bytes]] = field(default_factory=list)
    """Shard and bytes of some answers."""

    @property
    def ledger(self) -> MemoryLedger:
        """What it told, and has to tell."""
        return self.store.ledger


class Maker:
    """Makes TVs, and what happens in their households."""

    def __init__(self, catalog: Catalog, contexts: Floats, vectors: Floats, random: Random) -> None:
        """(SLOTS, DIMENSIONS) `contexts` and (titles, DIMENSIONS) `vectors` are what all TVs have."""
        self._catalog, self._contexts, self._vectors, self._random = catalog, contexts, vectors, random
        total, self._zipf = 0.0, list[float]()
        for rank in range(1, len(catalog) + 1):
            total += 1 / rank
            self._zipf.append(total)

    def store(self) -> MemoryDeviceStore:
        """Return an empty one."""
        store = MemoryDeviceStore(dimensions=DIMENSIONS)
        store.bind(TASTE_SPACE, self._contexts)
        return store

    def watch(self, tv: TV, now_s: float) -> None:
        """Let a household watch something; what is popular more often."""
        random = self._random
        [ordinal] = random.choices(range(len(self._catalog)), cum_weights=self._zipf)
        title = self._catalog.titles[ordinal]
        at_s = int(now_s) + tv.skew_s
        event = WatchRecord(title.id, at_s, random.randrange(SLOTS), random.randrange(1001))
        taste = random.randbytes(TASTE_BYTES)
        tv.store.record(event, title, self._vectors[ordinal], local=False, day=at_s // DAY_S, taste=taste)

    def forget(self, tv: TV, now_s: float) -> None:
        """Let a household forget some days of what it watched."""
        since = int(now_s) + tv.skew_s - self._random.randrange(_MOST_AGO_S)
        tv.store.forget(Selection(since=since, until=since + self._random.randrange(2 * DAY_S)))

    def session(self, tv: TV, shard: int, name: str, now: Callable[[], float]) -> Session:
        """Return a TV's session with a shard; one that it left only settles what it owes."""
        return Session(
            tv.store,
            self._catalog,
            name,
            space=TASTE_SPACE,
            size_of=lambda push: len(CODEC.encode(push)),
            now_s=lambda: now() + tv.skew_s,
            random=self._random,
            settles=shard != tv.shard,
        )


def receive(session: Session, tv: TV, shard: int, body: bytes, *, is_old: bool) -> bool:
    """Let a session take in an answer, and say whether there is more to tell; the newest ack is noted.

    An old answer binds nobody: the shard may have been put back since.
    """
    try:
        replies = CODEC.decode(body)
    except OmegaError:
        return False
    synced = session.receive(replies)
    for reply in replies:
        if isinstance(reply, Ack) and not is_old and synced.outcome is Outcome.COUNTED:
            tv.acked[shard] = max(tv.acked.get(shard, (0, 0)), (reply.incarnation, reply.version))
    return synced.again
