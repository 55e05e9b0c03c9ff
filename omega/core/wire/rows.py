"""The columns of a push: rows in groups of one taste code and day.

A group is `rows x 4 + taste` (varint; taste 0: none, 1: the one before's, 2: 22 bytes follow), the taste code, the day
as zigzag varint from the one before's (from 20,000 in the first group), then its columns: titles with their contexts,
and a byte of success for each. A title is `ordinal x 8 + context`, ascending; or a column of 5-byte hashes and one of
contexts.

Groups ascend by (taste, day), rows by (title, context), and none stands twice on one day, so that equal rows are equal
bytes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

from omega.core.errors import WireCode, WireError
from omega.core.types import SLOTS
from omega.core.wire.messages import HASH_BITS, MAX_DAY, TASTE_BYTES, Row
from omega.core.wire.numbers import checked, put_ascending, put_varint, unzigzag, zigzag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.wire.numbers import Reader

MAX_ROWS = 512
"""Rows in one section at most, whatever their bytes."""
MAX_ORDINAL = (1 << 32) - 1
FIRST_DAY = 20_000
"""What the first group's day counts from, so that it takes two bytes until 2047."""
MAX_SUCCESS = 250
"""The greatest byte of success."""
NO_TASTE, SAME_TASTE, NEW_TASTE = range(3)
"""How a group names its taste code."""
_HASH_BYTES = HASH_BITS // 8


def put_rows(out: bytearray, rows: Sequence[Row], *, hashed: bool) -> None:
    """Append rows, all hashed or none. Raises WireError for a field out of range and for a row that stands twice."""
    checked(len(rows), "rows of a section", MAX_ROWS)
    most = (1 << HASH_BITS) - 1 if hashed else MAX_ORDINAL
    groups: dict[tuple[bytes, int], list[int]] = {}
    for row in rows:
        if row.slot & ~7 or row.success & 3 or not (0 <= row.success <= 1000 and 0 <= row.title <= most):
            _refuse(row, most)
        # One number a row sorts fastest: title, context, success.
        packed = row.title << 11 | row.slot << 8 | row.success >> 2
        groups.setdefault((row.taste, row.day), []).append(packed)
    taste, day = b"", FIRST_DAY
    for (new_taste, new_day), group in sorted(groups.items()):
        put_varint(out, len(group) << 2 | (NEW_TASTE if new_taste != taste else SAME_TASTE if taste else NO_TASTE))
        if new_taste != taste:
            checked(len(new_taste), "length of a taste code", TASTE_BYTES, TASTE_BYTES)
            out += new_taste
        put_varint(out, zigzag(checked(new_day, "day", MAX_DAY) - day))
        taste, day = new_taste, new_day
        group.sort()
        keys = [packed >> 8 for packed in group]
        if len(set(keys)) != len(keys):
            _refuse_double()
        if hashed:
            out += b"".join([(key >> 3).to_bytes(_HASH_BYTES, "big") for key in keys])
            out += bytes([key & 7 for key in keys])
        else:
            put_ascending(out, keys)
        out += bytes([packed & 0xFF for packed in group])
    _refuse_doubles(rows, len({taste for taste, _ in groups}))


def read_rows(reader: Reader, *, hashed: bool) -> list[Row]:
    """Return the rows of a section, sorted by (taste, day, title, context). Raises WireError."""
    rows: list[Row] = []
    taste, day = b"", FIRST_DAY
    tastes = 1
    while reader.at < reader.end:
        head = reader.varint("rows and taste of a group", MAX_ROWS << 2 | NEW_TASTE)
        n, how = head >> 2, head & 3
        if not 1 <= n <= MAX_ROWS - len(rows):
            raise WireError(
                WireCode.COUNT, f"a group has {n} rows beside {len(rows)}, allowed 1..{MAX_ROWS} in all: send fewer"
            )
        new_taste = reader.take(TASTE_BYTES, "taste code") if how == NEW_TASTE else taste
        new_day = day + unzigzag(reader.varint("day", MAX_DAY << 1 | 1))
        if how == NEW_TASTE:
            tastes += bool(rows)
            ascends = new_taste > taste
        else:
            ascends = (how == SAME_TASTE) == bool(taste) and (not rows or new_day > day)
        if not ascends or not 0 <= new_day <= MAX_DAY:
            raise WireError(
                WireCode.ORDER, f"a group of day {new_day} stands where it may not: sort groups by taste code and day"
            )
        taste, day = new_taste, new_day
        keys = _hashed_keys(reader, n) if hashed else reader.ascending(n, "title and context", MAX_ORDINAL * SLOTS + 7)
        rows += [
            Row(k >> 3, k & 7, day, s << 2, taste, hashed) for k, s in zip(keys, successes(reader, n), strict=True)
        ]
    if not rows:
        raise WireError(WireCode.COUNT, "a section has 0 rows, allowed 1 or more: leave the section out")
    _refuse_doubles(rows, tastes)
    return rows


def successes(reader: Reader, n: int) -> bytes:
    """Return a column of n bytes of success, 0..250."""
    column = reader.take(n, "successes")
    if column and max(column) > MAX_SUCCESS:
        raise WireError(WireCode.VALUE, f"a success is {max(column)}, allowed 0..{MAX_SUCCESS}: send quarters of 1000")
    return column


def read_hashes(reader: Reader, n: int) -> list[int]:
    """Return a column of n title hashes, the highest byte first."""
    column = reader.take(n * _HASH_BYTES, "title hashes")
    return [int.from_bytes(column[at : at + _HASH_BYTES], "big") for at in range(0, len(column), _HASH_BYTES)]


def _hashed_keys(reader: Reader, n: int) -> list[int]:
    hashes = read_hashes(reader, n)
    slots = reader.take(n, "contexts")
    if max(slots) >= SLOTS:
        raise WireError(WireCode.VALUE, f"a context is {max(slots)}, allowed 0..{SLOTS - 1}: send one of these")
    keys = [hash_ << 3 | slot for hash_, slot in zip(hashes, slots, strict=True)]
    if any(low >= high for low, high in pairwise(keys)):
        raise WireError(WireCode.ORDER, "hashed titles don't ascend: sort them, and send each once")
    return keys


def _refuse(row: Row, most: int) -> NoReturn:
    checked(row.title, "hash" if row.hashed else "ordinal", most)
    checked(row.slot, "context", SLOTS - 1)
    checked(row.success, "success", 1000)
    raise WireError(WireCode.VALUE, f"success is {row.success}, allowed: multiples of 4: give quantized(success)")


def _refuse_doubles(rows: Sequence[Row], tastes: int) -> None:
    """Refuse a row that stands twice in groups of one day; within a group, ascending keys see to it."""
    if tastes > 1 and len({(row.title, row.slot, row.day) for row in rows}) != len(rows):
        _refuse_double()


def _refuse_double() -> NoReturn:
    raise WireError(WireCode.ORDER, "a title stands twice in one context and day, allowed: once: leave one out")
