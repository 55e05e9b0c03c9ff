"""A frame's bytes with the name of each: made by the reader that decodes them, so that it can't tell anything else."""

from __future__ import annotations

from typing import NamedTuple

from omega.core.wire.frames import decode_with
from omega.core.wire.numbers import MOST, Reader


class Field(NamedTuple):
    """Bytes that are read as one."""

    at: int
    data: bytes
    what: str
    value: str


def fields(frame: bytes) -> list[Field]:
    """Return the fields of a frame in order; of a compressed one, the body's offsets count from its own start.

    Raises WireError for a frame that `decode` refuses.
    """
    read: list[Field] = []

    class Noting(Reader):
        """Notes what it reads."""

        __slots__ = ()

        def take(self, size: int, what: str) -> bytes:
            at = self.at
            data = super().take(size, what)
            read.append(Field(at, data, what, ""))
            return data

        def fixed(self, size: int, what: str) -> int:
            at = self.at
            value = super().fixed(size, what)
            read.append(Field(at, self.data[at : self.at], what, f"{value:#x}"))
            return value

        def varint(self, what: str, most: int = MOST) -> int:
            return self.varints(1, what, most)[0]

        def varints(self, n: int, what: str, most: int = MOST) -> list[int]:
            at = self.at
            values = super().varints(n, what, most)
            read.append(Field(at, self.data[at : self.at], what, ", ".join(str(value) for value in values)))
            return values

    decode_with(Noting, frame, max_bytes=len(frame))
    read.append(Field(len(frame) - 4, frame[-4:], "crc32 of all before", ""))
    return read


def table(frame: bytes) -> str:
    """Return the fields of a frame as lines: offset, bytes, name, value."""
    lines = []
    for at, data, what, value in fields(frame):
        told = f"{what}: {value}" if value else what
        lines += [
            f"{at + start:4}  {data[start : start + 11].hex(' '):<32}  {'' if start else told}".rstrip()
            for start in range(0, len(data), 11)
        ]
    return "\n".join(lines) + "\n"
