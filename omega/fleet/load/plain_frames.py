"""Frames of what TVs saw, straight from columns: a few us each, where the codec takes 30 and its rows as many.

Made here is what nearly all pushes are: contributions of one version, ordinals, a taste code, one or two days, and too
short to be compressed. A test holds them against `omega.core.wire.encode`, which makes all others.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from omega.core.wire import Header, Push, encode
from omega.core.wire.messages import MAX_DAY
from omega.core.wire.numbers import put_varint, zigzag
from omega.core.wire.rows import FIRST_DAY, NEW_TASTE, SAME_TASTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from omega.core.ports import Integers
    from omega.fleet.load.watching import Drawn

_SUCCESS_BITS, _KEY_BITS = 8, 36
_NONE = np.int64(1) << 62
"""Sorts behind every row."""
_HEAD_BYTES, _CRC_BYTES = 8, 4
_MOST_BYTES = 45
"""Of groups: with the section's id and length one byte less than what `encode` tries to compress."""


@lru_cache(4_096)
def _varint(value: int) -> bytes:
    put_varint(out := bytearray(), value)
    return bytes(out)


_SHORT = [_varint(value) for value in range(1 << 14)]
"""The varints of two bytes at most, as nearly all are."""
_SECTION = [bytes((1, length)) for length in range(_MOST_BYTES + 1)]
_NEXT_DAY = _varint(zigzag(1))


class PlainFrames:
    """Makes frames for devices of one catalog, on one day."""

    def __init__(self, header: Header) -> None:
        """Let all begin with this header."""
        empty = encode(Push(header=header, incarnation=0, base=0), 0)
        self._start = empty[: _HEAD_BYTES + len(_varint(header.epoch))]

    def made(
        self, drawn: Drawn, tastes: Sequence[bytes], incarnation: Integers, base: Integers, known_pull: Integers
    ) -> Iterator[tuple[bytes, int] | None]:
        """Give each of n devices' frame with its number of rows; None for one that told a row twice."""
        first_day = int(drawn.day.min(initial=MAX_DAY))
        key = drawn.day - first_day << _KEY_BITS | drawn.title << 3 | drawn.slot
        meant = np.arange(key.shape[1]) < drawn.counts[:, None]
        rows = np.sort(np.where(meant, key << _SUCCESS_BITS | drawn.success >> 2, _NONE), axis=1)
        keys, quarters = rows >> _SUCCESS_BITS, (rows & 0xFF).astype(np.uint8)
        day = keys >> _KEY_BITS
        follows = np.zeros(keys.shape, bool)
        follows[:, 1:] = day[:, 1:] == day[:, :-1]
        steps = np.where(follows, np.diff(keys, axis=1, prepend=0), keys & ((1 << _KEY_BITS) - 1))
        twice = (follows & (steps == 0) & meant).any(axis=1)
        facts = (drawn.counts, (day == 0).sum(axis=1), twice, incarnation, base, known_pull, steps)
        columns = zip(*(of.tolist() for of in facts), quarters, tastes, strict=True)
        for count, early, is_twice, life, version, pull, step, quarter, taste in columns:
            groups = _groups(count, early, step, quarter.tobytes(), taste, first_day)
            if is_twice or len(groups) > _MOST_BYTES:
                yield None
                continue
            head = self._start + life.to_bytes(4, "little") + _varint(version) + _varint(pull)
            frame = head + _SECTION[len(groups)] + groups
            yield frame + zlib.crc32(frame).to_bytes(_CRC_BYTES, "little"), count


def _groups(count: int, early: int, steps: Sequence[int], quarters: bytes, taste: bytes, first_day: int) -> bytes:
    """Return `early` rows of the first day, and the others of the next one."""
    titles = [_SHORT[step] if step < len(_SHORT) else _varint(step) for step in steps[:count]]
    if not 0 < early < count:
        day = first_day if early else first_day + 1
        return b"".join((_SHORT[count << 2 | NEW_TASTE], taste, _day(day), *titles, quarters[:count]))
    later = _SHORT[count - early << 2 | SAME_TASTE]
    first = _SHORT[early << 2 | NEW_TASTE], taste, _day(first_day), *titles[:early], quarters[:early]
    return b"".join((*first, later, _NEXT_DAY, *titles[early:], quarters[early:count]))


def _day(day: int) -> bytes:
    return _varint(zigzag(day - FIRST_DAY))
