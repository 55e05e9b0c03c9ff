"""Neighbors of titles, whose audiences are of like taste, as a federation publishes them: Kind.NEIGHBORS.

A TV names one of them as a reason when its household finished it. They say nothing of any household, and rank nothing.

A file is a msgpack object; its rows are varints: the title as the step from the one before, how many neighbors it has,
and these, the nearest first, two bytes each in a catalog of 16,000 titles.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from omega.core.errors import ArtifactError, WireError
from omega.core.wire.numbers import Reader, put_varint, put_varints

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_NEIGHBORS: Final = 8
"""Of a title."""
MOST_TITLES: Final = 50_000
MAX_FILE_BYTES: Final = 2**20
_MAX_ORDINAL: Final = 2**28 - 1


class _File(msgspec.Struct, frozen=True, tag="omega neighbors 1", tag_field="format", forbid_unknown_fields=True):
    lineage: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    titles: Annotated[int, Meta(ge=0, le=MOST_TITLES)]
    rows: bytes


@dataclass(frozen=True, slots=True)
class Neighbors:
    """Titles with an audience of like taste: 4 bytes a neighbor in memory."""

    lineage: str
    """Of the catalog whose ordinals these are."""
    titles: array[int]
    """(n,) ordinals, ascending."""
    starts: array[int]
    """(n + 1,) where each title's neighbors begin in `nearest`."""
    nearest: array[int]
    """(m,) ordinals; of each title the nearest first."""

    @classmethod
    def of(cls, lineage: str, rows: Mapping[int, Sequence[int]]) -> Neighbors:
        """Return the neighbors of titles by ordinal, each one's nearest first."""
        titles, starts, nearest = array("I", sorted(rows)), array("I", [0]), array("I")
        for title in titles:
            nearest.extend(rows[title])
            starts.append(len(nearest))
        return cls(lineage, titles, starts, nearest)

    def near(self, title: int) -> Sequence[int]:
        """Return the neighbors of a title, the nearest first; none where none are told."""
        at = bisect_left(self.titles, title)
        if at == len(self.titles) or self.titles[at] != title:
            return ()
        return self.nearest[self.starts[at] : self.starts[at + 1]]

    def encode(self) -> bytes:
        """Return the artifact's bytes. Raises ArtifactError for what no TV takes."""
        rows, last = bytearray(), 0
        for title in self.titles:
            near = self.near(title)
            put_varint(rows, title - last)
            put_varint(rows, len(near))
            put_varints(rows, near)
            last = title
        data = msgspec.msgpack.encode(_File(self.lineage, len(self.titles), bytes(rows)))
        decode_neighbors(data)
        return data


def decode_neighbors(data: bytes) -> Neighbors:
    """Return the neighbors of an artifact's bytes, each title within its bounds. Raises ArtifactError."""
    if len(data) > MAX_FILE_BYTES:
        raise ArtifactError(f"neighbors are {len(data):,} B, allowed: {MAX_FILE_BYTES:,} B: publish fewer")
    try:
        file = msgspec.msgpack.decode(data, type=_File)
        return _read(file)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, WireError) as error:
        raise ArtifactError(f"neighbors are none of format 1 ({error}): publish them again, or update omega") from error


def _read(file: _File) -> Neighbors:
    reader = Reader(file.rows, 0, len(file.rows))
    titles, starts, nearest = array("I"), array("I", [0]), array("I")
    title = 0
    for row in range(file.titles):
        step = reader.varint("title", _MAX_ORDINAL)
        count = reader.varint("number of neighbors", MOST_NEIGHBORS)
        near = reader.varints(count, "neighbor", _MAX_ORDINAL)
        title += step
        if (row and not step) or title > _MAX_ORDINAL:
            raise ArtifactError(f"title is {title} after {titles[-1]}, allowed: ascending ones: publish them again")
        if not count or len({title, *near}) <= count:
            raise ArtifactError(f"title {title} has neighbors {near}, allowed: 1..{MOST_NEIGHBORS} others, each once")
        titles.append(title)
        nearest.extend(near)
        starts.append(len(nearest))
    if reader.at != reader.end:
        told = f"neighbors have {reader.end - reader.at} B behind the last of {file.titles} titles, allowed: none"
        raise ArtifactError(f"{told}: publish them again")
    return Neighbors(file.lineage, titles, starts, nearest)
