"""Numbers in bytes: fixed ones little-endian, others as LEB128 varints of at most 63 bits in their shortest form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.errors import WireCode, WireError

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = (1 << 63) - 1
"""The greatest number that a varint may be; it takes 9 bytes."""
_LONGER = 0x80


class Reader:
    """Reads a frame from front to back; every method raises WireError and takes the name of what it reads.

    `end` is where reading has to stop: that of the frame, or of the section that is read.
    """

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        """Read `data` from `at` to before `end`."""
        self.data, self.at, self.end = data, at, end

    def take(self, size: int, what: str) -> bytes:
        """Return the next `size` bytes."""
        start = self.at
        if size > self.end - start:
            raise WireError(
                WireCode.TRUNCATED, f"{what} takes {size} B, {self.end - start} B are left: send the whole frame"
            )
        self.at = start + size
        return self.data[start : self.at]

    def fixed(self, size: int, what: str) -> int:
        """Return a number of `size` bytes, the lowest first."""
        start = self.at
        if size > self.end - start:
            self.take(size, what)  # says so
        self.at = end = start + size
        return self.data[start] if size == 1 else int.from_bytes(self.data[start:end], "little")

    def varint(self, what: str, most: int = MOST) -> int:
        """Return a number 0..most."""
        at = self.at
        if at < self.end and (byte := self.data[at]) < _LONGER and byte <= most:  # one byte, as nearly all have
            self.at = at + 1
            return byte
        return self.varints(1, what, most)[0]

    def varints(self, n: int, what: str, most: int = MOST) -> list[int]:
        """Return n numbers 0..most."""
        data, at, end = self.data, self.at, self.end
        if n > end - at:
            raise WireError(WireCode.TRUNCATED, f"{n} x {what} don't fit {end - at} B: send the whole frame")
        values = []
        for _ in range(n):
            byte = data[at] if at < end else _ended(what)
            at += 1
            if byte < 0x80:
                values.append(byte)
                continue
            value, shift = byte & 0x7F, 7
            while True:
                byte = data[at] if at < end else _ended(what)
                at += 1
                value |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += 7
                if shift > 56:
                    raise WireError(WireCode.NUMBER, f"{what} has more than 63 bits: send a smaller number")
            if not byte:
                raise WireError(WireCode.NUMBER, f"{what} isn't in its shortest form: leave out zeros at its end")
            values.append(value)
        self.at = at
        if values and max(values) > most:
            raise WireError(WireCode.VALUE, f"{what} is {max(values)}, allowed 0..{most}: send one of these")
        return values

    def ascending(self, n: int, what: str, most: int) -> list[int]:
        """Return n numbers 0..most that are written as the first and the steps from each to the next, 1 or more."""
        values = self.varints(n, what, most)
        at = -1
        for index, step in enumerate(values):
            if not step and index:
                raise WireError(WireCode.ORDER, f"{what} {at} stands twice, allowed: once: leave one out")
            at = step if at < 0 else at + step
            values[index] = at
        if at > most:
            raise WireError(WireCode.VALUE, f"{what} is {at}, allowed 0..{most}: send one of these")
        return values

    def enter(self, size: int, what: str) -> int:
        """Let reading stop after `size` bytes, and return where it had to stop before."""
        outer = self.end
        if size > outer - self.at:
            raise WireError(
                WireCode.TRUNCATED, f"{what} takes {size} B, {outer - self.at} B are left: send the whole frame"
            )
        self.end = self.at + size
        return outer

    def leave(self, outer: int, what: str) -> None:
        """Check that all was read that `enter` let in, and go on to `outer`."""
        if self.at != self.end:
            raise WireError(
                WireCode.TRAILING, f"{what} has {self.end - self.at} B behind its last field, allowed 0: leave them out"
            )
        self.end = outer


def put_varint(out: bytearray, value: int) -> None:
    """Append a number 0..2^63-1."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def put_varints(out: bytearray, values: Iterable[int]) -> None:
    """Append numbers 0..2^63-1."""
    for value in values:
        if value < 0x80:
            out.append(value)
        else:
            put_varint(out, value)


def put_ascending(out: bytearray, values: Iterable[int]) -> None:
    """Append ascending numbers as the first and the steps from each to the next."""
    last = 0
    for value in values:
        step = value - last
        last = value
        if step < 0x80:
            out.append(step)
        else:
            put_varint(out, step)


def checked(value: int, what: str, most: int = MOST, least: int = 0) -> int:
    """Return a number that is to be written; raises WireError for one out of its range."""
    if not least <= value <= most:
        raise WireError(WireCode.VALUE, f"{what} is {value}, allowed {least}..{most}: give one of these")
    return value


def zigzag(value: int) -> int:
    """Return a signed number as an unsigned one: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value: int) -> int:
    """Return what `zigzag` was given."""
    return (value >> 1) ^ -(value & 1)


def _ended(what: str) -> int:
    raise WireError(WireCode.TRUNCATED, f"the frame ends within {what}: send the whole frame")
