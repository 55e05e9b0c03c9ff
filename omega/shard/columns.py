"""The pushes of a tick, read at once: columns of numbers in place of objects, 2 us a push in place of 15.

Read here is what nearly all pushes are: one that isn't compressed and does nothing but contribute titles of the
catalog, a few rows of one taste code. `omega.core.wire.decode` reads all others, and says what is wrong with those that
are none; a test holds both against each other. Every number is read from each frame at its own place; a frame that
turns out otherwise is read on, whatever its bytes are, and left out at the end.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.wire import PUSH_LIMIT, Kind
from omega.core.wire.frames import MAGIC, MAJOR, STEP
from omega.core.wire.messages import MAX_DAY, TASTE_BYTES
from omega.core.wire.rows import FIRST_DAY, MAX_ORDINAL, MAX_SUCCESS, NEW_TASTE, NO_TASTE, SAME_TASTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Bits, Bytes, Integers

WORTH_WHILE = 24
"""Pushes from which on they are read quicker at once than one by one."""
MOST_ROWS = 16
"""In a group; what has more of them is compressed or seldom."""
_MOST_GROUPS = 4
_LEAST_BYTES = 14
_CRC_BYTES = 4
_RESIDUE = zlib.crc32(zlib.crc32(b"").to_bytes(_CRC_BYTES, "little"))
"""The checksum of anything with its own checksum behind it."""
_U24, _U32 = (1 << 24) - 1, (1 << 32) - 1
_MOST_KEY = MAX_ORDINAL << 3 | 7
_PLACES = np.arange(5)
"""Of a varint's bytes: a longer one is read elsewhere."""
_WORTH = np.left_shift(np.int64(1), 7 * _PLACES)
_BEYOND = bytes(256)
"""Behind the last frame: no frame is read further than this beyond its end."""


class Rows(NamedTuple):
    """m rows, push by push."""

    title: Integers
    """Ordinals."""
    context: Integers
    day: Integers
    success_milli: Integers
    taste: Bytes
    """(m, TASTE_BYTES)."""
    heard: Bits
    """Whether there is a taste code."""


class Pushes(NamedTuple):
    """n pushes; what stands here of one that isn't plain means nothing."""

    plain: Bits
    """Which were read."""
    space: Integers
    lineage: Integers
    epoch: Integers
    incarnation: Integers
    base: Integers
    version: Integers
    known_pull: Integers
    counts: Integers
    """Rows of each; 0 of one that isn't plain."""
    rows: Rows


class _Found(NamedTuple):
    """A row of each of some frames, before anything is known of the frames' ends."""

    frame: Integers
    key: Integers
    """Title and context."""
    day: Integers
    success_at: Integers
    taste_at: Integers


def read(frames: Sequence[bytes]) -> Pushes:
    """Return the columns of frames, whatever their bytes are."""
    sizes = np.fromiter(map(len, frames), np.int64, len(frames))
    begins = np.cumsum(sizes) - sizes
    raw = np.frombuffer(b"".join((*frames, _BEYOND)), np.uint8)
    ends = begins + sizes - _CRC_BYTES
    plain = np.fromiter(map(zlib.crc32, frames), np.int64, len(frames)) == _RESIDUE
    plain &= (sizes >= _LEAST_BYTES) & (sizes <= PUSH_LIMIT)
    head = _word(raw, begins, 8)
    stepped = head >> 8 & 0xFF == Kind.PUSH | STEP
    plain &= (head & 0xFF == MAGIC | MAJOR) & (stepped | (head >> 8 & 0xFF == Kind.PUSH))
    cursor = _Cursor(raw, begins + 8, plain)
    epoch = cursor.varint(_U32)
    incarnation = _word(raw, cursor.at, 4)
    cursor.at += 4
    base = cursor.varint()
    steps = np.ones(len(frames), np.int64)
    if stepped.any():
        steps[stepped] = cursor.varint_of(np.flatnonzero(stepped), _U32)
        plain &= ~stepped | (steps != 1)  # 1 is never written
    known_pull = cursor.varint()
    counts, rows = _rows(cursor, ends)
    space, lineage = head >> 16 & _U24, head >> 40 & _U24
    return Pushes(plain, space, lineage, epoch, incarnation, base, base + steps, known_pull, counts, rows)


class _Cursor:
    """Where each frame is read, and which of them are plain until there."""

    def __init__(self, raw: Bytes, at: Integers, plain: Bits) -> None:
        self.raw, self.at, self.plain = raw, at, plain

    def varint(self, most: int = _MOST_KEY) -> Integers:
        """Return the next number of each frame."""
        value, size, good = _varints(self.raw, self.at)
        self.at += size
        self.plain &= good & (value <= most)
        return value

    def varint_of(self, frames: Integers, most: int = _MOST_KEY) -> Integers:
        """Return the next number of some of them."""
        value, size, good = _varints(self.raw, self.at[frames])
        self.at[frames] += size
        self.plain[frames] &= good & (value <= most)
        return value


def _rows(cursor: _Cursor, ends: Integers) -> tuple[Integers, Rows]:
    """Read all that is behind the heads, and say of each frame how many rows it has."""
    live = np.flatnonzero(cursor.plain & (cursor.at != ends))  # a push may have no section
    section = cursor.varint_of(live)
    length = cursor.varint_of(live)
    cursor.plain[live] &= (section == 1) & (cursor.at[live] + length == ends[live]) & (length > 0)
    live = live[cursor.plain[live]]
    taste_at, day = np.zeros(len(ends), np.int64), np.full(len(ends), FIRST_DAY)
    found: list[_Found] = []
    for group in range(_MOST_GROUPS):
        if len(live):
            found += _group(cursor, live, taste_at, day, is_first=group == 0)
        live = live[cursor.plain[live] & (cursor.at[live] < ends[live])]
    cursor.plain &= cursor.at == ends
    return _gathered(cursor, found)


def _group(cursor: _Cursor, live: Integers, taste_at: Integers, day: Integers, *, is_first: bool) -> list[_Found]:
    """Read a group of each of these frames; `taste_at` and `day` are those of the group before, and of this one then.

    A second taste code isn't plain: codes ascend, and no row may stand twice beside them.
    """
    head = cursor.varint_of(live)
    count, how = head >> 2, head & 3
    if is_first:
        fits = (how == NEW_TASTE) | (how == NO_TASTE)
        new = live[how == NEW_TASTE]
        taste_at[new] = cursor.at[new]
        cursor.at[new] += TASTE_BYTES
    else:
        fits = how == np.where(taste_at[live] > 0, SAME_TASTE, NO_TASTE)
    zigzag = cursor.varint_of(live, MAX_DAY << 1 | 1)
    step = zigzag >> 1 ^ -(zigzag & 1)
    if not is_first:
        fits &= step > 0
    day[live] += step
    fits &= (count >= 1) & (count <= MOST_ROWS) & (day[live] >= 0) & (day[live] <= MAX_DAY)
    cursor.plain[live] &= fits
    kept = cursor.plain[live]
    live, count = live[kept], count[kept]
    key = np.zeros(len(live), np.int64)
    titles: list[tuple[Integers, Integers]] = []
    for place in range(int(count.max(initial=0))):
        having = np.flatnonzero(count > place)
        step = cursor.varint_of(live[having])
        if place:
            cursor.plain[live[having]] &= step > 0
        key[having] += step
        cursor.plain[live[having]] &= key[having] <= _MOST_KEY
        titles.append((having, key[having]))
    rows = [
        _Found(live[having], keys, day[live[having]], cursor.at[live[having]] + place, taste_at[live[having]])
        for place, (having, keys) in enumerate(titles)
    ]
    cursor.at[live] += count
    return rows


def _gathered(cursor: _Cursor, found: Sequence[_Found]) -> tuple[Integers, Rows]:
    """Return the rows of plain frames, frame by frame, and how many there are of each."""
    none = np.zeros(0, np.int64)
    frame, key, day, success_at, taste_at = map(np.concatenate, zip((none,) * 5, *found, strict=True))
    success = cursor.raw[success_at].astype(np.int64)
    cursor.plain[frame[success > MAX_SUCCESS]] = False
    kept = np.flatnonzero(cursor.plain[frame])
    kept = kept[np.argsort(frame[kept], kind="stable")]
    counts = np.bincount(frame[kept], minlength=len(cursor.plain))
    key, taste_at = key[kept], taste_at[kept]
    taste = cursor.raw[taste_at[:, None] + np.arange(TASTE_BYTES)]
    return counts, Rows(key >> 3, key & 7, day[kept], success[kept] << 2, taste, taste_at > 0)


def _word(raw: Bytes, at: Integers, size: int) -> Integers:
    """Return the 4 or 8 bytes at each place as a number, the lowest first; of 8 it may be negative."""
    word: Integers = raw[at[:, None] + np.arange(size)].view("<u4" if size == 4 else "<i8").reshape(-1).astype(np.int64)
    return word


def _varints(raw: Bytes, at: Integers) -> tuple[Integers, Integers, Bits]:
    """Return the number at each place, its bytes, and whether it is one: of 5 bytes at most, in its shortest form."""
    first = raw[at]
    if not (first & 0x80).any():
        return first.astype(np.int64), np.ones(len(at), np.int64), np.ones(len(at), bool)
    parts = raw[at[:, None] + _PLACES]
    last = (parts < 0x80).argmax(axis=1)  # 0 as well where no byte ends it
    ending = parts[np.arange(len(at)), last]
    value: Integers = np.where(last[:, None] >= _PLACES, parts & 0x7F, 0) @ _WORTH
    return value, last + 1, (ending < 0x80) & ((ending > 0) | (last == 0))
