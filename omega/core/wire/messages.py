"""What devices and shards tell each other, as values. `frames` writes and reads them; the numbers here are the wire's.

All are frozen; ranges are checked when a frame is written and when it is read. Lists are sets: the
wire keeps its own order of them.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

TASTE_BYTES = 22
"""A taste code: 44 numbers of 4 bits."""
AUDIENCE_BYTES = 6
"""An audience code: 12 numbers of 4 bits."""
DIGEST_BYTES = 16
"""How much of an artifact's SHA-256 names it."""
HASH_BITS = 40
SUCCESS_STEP = 4
"""Success travels in one byte, in steps of 4 thousandths."""
MAX_DAY = 0xFFFF
"""The last day that can be named, in 2149."""
MOST_ARMS, MOST_WATCHED, MOST_MINUTES = 8, 255, 1_440
"""Of an experiment; of a household's day, which counts as this much at most."""


class Kind(IntEnum):
    """What a frame is."""

    PUSH = 1
    ACK = 2
    RESYNC = 3
    PULL = 4


class Reason(IntEnum):
    """Why a shard can't count a push and tells where it stands instead."""

    GAP = 1
    """The push starts from a version that the shard isn't at."""
    SPACE = 2
    """Its taste codes are of another space than the shard's."""
    LINEAGE = 3
    """Its ordinals are of another family of catalogs."""
    EPOCH = 4
    """Its catalog is newer than the shard's: titles that the shard lacks go as hashes."""
    DICTIONARY = 5
    """It is compressed with a dictionary that the shard doesn't have, so that it couldn't be read: incarnation and
    version are 0. The device sends the same again without one."""


class ArtifactKind(IntEnum):
    """What a published file is for; a receiver passes over the numbers that it doesn't know."""

    CATALOG = 1
    ITEM_FACTORS = 2
    AUDIENCE_BASIS = 3
    NEIGHBORS = 4
    RANKING_WEIGHTS = 5
    MODEL = 6
    PRIVACY = 7
    EXPERIMENTS = 8


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender's references and codes are to be read by."""

    space: int
    """`space_code` of the space id, 24 bits."""
    lineage: int
    """`lineage_code` of the catalog's lineage, 24 bits."""
    epoch: int
    """The newest epoch of the catalog that the sender has; 0: none."""


class Row(msgspec.Struct, frozen=True):
    """One sample: a title, watched in a context on a day."""

    title: int
    """Its ordinal; or its `title_hash` when `hashed`, for a title that is newer than the receiver's catalog."""
    slot: int
    """The context, 0..7."""
    day: int
    """Days since 1970 by the household's clock, 0..65535."""
    success: int
    """Share that was watched, 0..1000 thousandths, a multiple of 4: see `quantized`."""
    taste: bytes = b""
    """The 22 bytes of the taste code of that moment; empty where there was none."""
    hashed: bool = False


class Trial(msgspec.Struct, frozen=True, gc=False):
    """What one household's day in an arm of an experiment came to."""

    experiment: int
    """`experiment_code` of its id and salt, 32 bits."""
    arm: int
    """Its place among the experiment's arms, 0..7."""
    day: int
    """Days since 1970 by the household's clock, 0..65535."""
    watched: int
    """Titles that were watched, 0..255."""
    chosen: int
    """How many of them had been offered in a list."""
    minutes: int
    """Of titles whose length is known, 0..1440."""


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """What came to a device's contributions between two versions."""

    header: Header
    incarnation: int
    """Drawn anew, 32 bits, whenever a device starts to count from zero."""
    base: int
    """The version that the shard had acknowledged."""
    step: int = 1
    """How many versions this push holds."""
    known_pull: int = 0
    """The id of the pull that the device has; 0: none."""
    contributed: tuple[Row, ...] = ()
    retracted: tuple[Row, ...] = ()
    """What is to be taken back, as it was contributed: day and taste code included."""
    trials: tuple[Trial, ...] = ()
    """What days in arms of experiments came to; a shard that knows none passes them over."""
    trials_retracted: tuple[Trial, ...] = ()
    """What is to be taken back of that, as it was told."""
    asks: bytes = b""
    """The taste code with which the device asks for similar titles; empty when it doesn't."""

    @property
    def version(self) -> int:
        """The version that the device is at with this push."""
        return self.base + self.step


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """Everything up to a version is counted and durable."""

    header: Header
    incarnation: int
    version: int
    horizon: int = 0
    """No backup of the shard is older than this version; at most `version`."""
    retry_after_s: int = 0
    """How long the shard wants to be left alone."""
    next_sync_s: int = 0
    """When the shard expects the next sync; 0: as the device likes."""
    similar_allowed: bool = False
    """A question for similar titles would be answered now."""
    resolved: tuple[tuple[int, int], ...] = ()
    """(hash, ordinal) of titles that came hashed and that the shard's catalog has."""


class Resync(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing of the push was counted; the shard says where it stands."""

    header: Header
    incarnation: int
    version: int
    """The version that the shard has of this incarnation; 0: it knows nothing of it."""
    reason: Reason


class Trend(msgspec.Struct, frozen=True):
    """A title on the rise."""

    title: int
    """Ordinal."""
    slot: int | None
    """The context, 0..7; None: all of them together."""
    households: int
    """As the shard shows it: quantized."""
    success: int
    """Mean share that was watched, 0..1000 thousandths, a multiple of 4."""
    momentum: int
    """How it rises, 0..255; more is faster."""
    audience: bytes = b""
    """The 6 bytes of its audience code; empty where there is none."""


class Similar(msgspec.Struct, frozen=True):
    """A title whose audience is like the device that asked."""

    title: int
    """Ordinal."""
    slot: int | None
    """The context, 0..7; None: all of them together."""
    households: int
    """As the shard shows it: quantized."""
    success: int
    """Mean share that was watched, 0..1000 thousandths, a multiple of 4."""
    nearness: int
    """How near its audience is, 0..255; more is nearer."""


class Artifact(msgspec.Struct, frozen=True):
    """The name of a published file."""

    kind: int
    """An `ArtifactKind`, or a number that a later program knows; 1..255."""
    version: int
    digest: bytes
    """The first 16 bytes of its SHA-256."""
    size_bytes: int


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """What the others enjoy: the same bytes for everybody in a region, but for the answer to a question."""

    header: Header
    pull_id: int
    trending: tuple[Trend, ...] = ()
    similar: tuple[Similar, ...] = ()
    removed: tuple[int, ...] = ()
    """Ordinals of titles that are to be shown no more."""
    artifacts: tuple[Artifact, ...] = ()


Message: TypeAlias = Push | Ack | Resync | Pull


def _of_row(row: Row) -> tuple[bool, bytes, int, int, int]:
    return row.hashed, row.taste, row.day, row.title, row.slot


def _of_entry(entry: Trend | Similar) -> tuple[int, int]:
    return entry.title, -1 if entry.slot is None else entry.slot


def _of_trial(trial: Trial) -> tuple[int, int, int]:
    return trial.experiment, trial.day, trial.arm


_ORDERS: dict[type, dict[str, Any]] = {
    Push: {"contributed": _of_row, "retracted": _of_row, "trials": _of_trial, "trials_retracted": _of_trial},
    Ack: {"resolved": None},
    Resync: {},
    Pull: {
        "trending": _of_entry,
        "similar": _of_entry,
        "removed": None,
        "artifacts": attrgetter("kind", "version", "digest"),
    },
}


def in_wire_order(message: Message) -> Message:
    """Return a message with its lists in the order in which they travel: what `decode` gives for what `encode` got."""
    orders = {name: tuple(sorted(getattr(message, name), key=key)) for name, key in _ORDERS[type(message)].items()}
    return msgspec.structs.replace(message, **orders)


def quantized(success_milli: int) -> int:
    """Return the multiple of 4 nearest to 0..1000 thousandths; of two, that of an even quotient: no sum drifts."""
    return SUCCESS_STEP * round(success_milli / SUCCESS_STEP)


def title_hash(title_key: int) -> int:
    """Return the 40 bits of a `core.types.title_key` that stand for a title which the receiver has no ordinal of.

    Among a million titles the odds that a given one has the hash of another are one in a million.
    """
    return title_key >> (63 - HASH_BITS)


def space_code(space: str) -> int:
    """Return the 24 bits that travel for a space id."""
    return zlib.crc32(space.encode()) & 0xFF_FFFF


def lineage_code(lineage: str) -> int:
    """Return the 24 bits that travel for a catalog's lineage, which is 16 hex digits: the first 6 of them."""
    return int(lineage[:6], 16)
