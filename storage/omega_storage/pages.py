"""SQLite's file format, read page by page where SQLite itself gives up: https://sqlite.org/fileformat2.html.

Nothing here trusts a byte: what doesn't fit is left out, and nothing raises for a damaged file.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Value: TypeAlias = "int | float | str | bytes | None"

PAGE_BYTES = 4096
"""What a file has whose header is lost; Omega never asks for another size."""
TABLE_LEAF, TABLE_INNER, INDEX_LEAF, INDEX_INNER = 0x0D, 0x05, 0x0A, 0x02
_MAGIC = b"SQLite format 3\0"
_LOG_MAGIC = (0x377F0682, 0x377F0683)  # checksums in little-endian, big-endian words
_LOG_HEADER, _FRAME_HEADER = 32, 24
_HEADER = 100
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of an integer by its serial type."""
_WORD = 0xFFFFFFFF


class Cell(NamedTuple):
    """One entry of a b-tree."""

    rowid: int
    """0 in an index, and in a table without rowids."""
    values: list[Value]
    """As stored: an INTEGER PRIMARY KEY is None."""


class Pages:
    """A database as its file and its log hold it: the newest version of each page, up to the last commit."""

    def __init__(self, path: Path) -> None:
        """Read both into memory. Raises OSError."""
        log = Path(f"{path}-wal")
        self._raw = path.read_bytes()
        self.size = _page_size(self._raw)
        self._newer: dict[int, bytes] = {}
        committed = self._read_log(log.read_bytes() if log.exists() else b"")
        self.count = committed or len(self._raw) // self.size

    def __getitem__(self, number: int) -> bytes:
        """Return a page, numbered from 1; empty when the file ends before."""
        if not 1 <= number <= self.count:
            return b""
        page = self._newer.get(number) or self._raw[(number - 1) * self.size : number * self.size]
        return page if len(page) == self.size else b""

    def image(self) -> bytes:
        """Return the whole as a database without log, so that SQLite reads it from memory."""
        whole = bytearray(b"".join(self[number] or bytes(self.size) for number in range(1, self.count + 1)))
        whole[18:20] = b"\x01\x01"  # neither reader nor writer needs a log
        return bytes(whole)

    def kind(self, number: int) -> int:
        """Return the type of a b-tree page; 0 for what is none."""
        page, at = self[number], _HEADER if number == 1 else 0
        found = page[at] if page else 0
        return found if found in (TABLE_LEAF, TABLE_INNER, INDEX_LEAF, INDEX_INNER) else 0

    def walk(self, root: int) -> Iterator[int]:
        """Give the pages of a b-tree that can be reached from its root, each once, in order."""
        kinds = (TABLE_LEAF, TABLE_INNER) if self.kind(root) in (TABLE_LEAF, TABLE_INNER) else (INDEX_LEAF, INDEX_INNER)
        seen, waiting = set[int](), [root]
        while waiting:
            number = waiting.pop()
            if number in seen or self.kind(number) not in kinds:
                continue
            seen.add(number)
            yield number
            waiting.extend(reversed(self._children(number)))

    def cells(self, number: int) -> Iterator[Cell]:
        """Give what can be read of a page's entries; an inner page of a table has none."""
        kind, page = self.kind(number), self[number]
        if kind in (0, TABLE_INNER):
            return
        for at in self._places(number):
            cursor = at + (4 if kind == INDEX_INNER else 0)
            length, cursor = _varint(page, cursor)
            rowid, cursor = _varint(page, cursor) if kind == TABLE_LEAF else (0, cursor)
            payload = self._payload(page, cursor, length, table=kind == TABLE_LEAF)
            values = _record(payload) if payload else None
            if values is not None:
                yield Cell(rowid - 2**64 if rowid >= 2**63 else rowid, values)

    def _places(self, number: int) -> list[int]:
        """Return where the cells of a b-tree page begin, those that lie within it."""
        page, at = self[number], _HEADER if number == 1 else 0
        head = at + (8 if self.kind(number) in (TABLE_LEAF, INDEX_LEAF) else 12)
        entries = min(int.from_bytes(page[at + 3 : at + 5], "big"), (self.size - head) // 2)
        places = struct.unpack_from(f">{entries}H", page, head)
        return [place for place in places if head + 2 * entries <= place < self.size - 2]

    def _children(self, number: int) -> list[int]:
        if self.kind(number) not in (TABLE_INNER, INDEX_INNER):
            return []
        page, at = self[number], _HEADER if number == 1 else 0
        left = [int.from_bytes(page[place : place + 4], "big") for place in self._places(number)]
        return [*left, int.from_bytes(page[at + 8 : at + 12], "big")]

    def _payload(self, page: bytes, at: int, length: int, *, table: bool) -> bytes | None:
        """Return the record that begins at `at`, with what lies on overflow pages; None when it isn't all there."""
        if length > self.count * self.size:
            return None
        usable = self.size
        most = usable - 35 if table else (usable - 12) * 64 // 255 - 23
        if length <= most:
            return page[at : at + length] if at + length <= usable else None
        least = (usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (usable - 4)
        local = local if local <= most else least
        parts, missing = [page[at : at + local]], length - local
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while missing > 0:
            more = self[following]
            if not more:
                return None
            parts.append(more[4 : 4 + missing])
            missing -= len(parts[-1])
            following = int.from_bytes(more[:4], "big")
        whole = b"".join(parts)
        return whole if len(whole) == length else None

    def _read_log(self, log: bytes) -> int:
        """Take the committed frames of the log, each checked; return the pages that the last commit left, 0 for none.

        A frame's checksum goes on from the one before it, which that one's header holds: what follows a damaged frame
        can still be checked. Frames of another salt were there before the log was begun anew.
        """
        if len(log) < _LOG_HEADER or int.from_bytes(log[:4], "big") not in _LOG_MAGIC:
            return 0
        order = "<" if int.from_bytes(log[:4], "big") == _LOG_MAGIC[0] else ">"
        if int.from_bytes(log[8:12], "big") != self.size:
            return 0
        salt, before, committed = log[16:24], log[24:32], 0
        waiting: dict[int, bytes] = {}
        step = _FRAME_HEADER + self.size
        for at in range(_LOG_HEADER, len(log) - step + 1, step):
            head, page = log[at : at + _FRAME_HEADER], log[at + _FRAME_HEADER : at + step]
            if head[8:16] != salt:
                break
            number, pages_after = struct.unpack(">II", head[:8])
            if _checksum(head[:8] + page, before, order) == head[16:24]:
                waiting[number] = page
                if pages_after:
                    self._newer.update(waiting)
                    waiting, committed = {}, pages_after
            before = head[16:24]
        return committed


def _page_size(raw: bytes) -> int:
    size = int.from_bytes(raw[16:18], "big")
    size = 65536 if size == 1 else size
    return size if raw.startswith(_MAGIC) and 512 <= size <= 65536 and not size & (size - 1) else PAGE_BYTES


def _checksum(data: bytes, before: bytes, order: str) -> bytes:
    """Return the log's checksum of `data`, carried on from `before`; both are two big-endian words."""
    one, two = struct.unpack(">II", before)
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & _WORD
        two = (two + second + one) & _WORD
    return struct.pack(">II", one, two)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, and where it ends; it ends with the data at the latest."""
    value = 0
    for place in range(at, min(at + 8, len(data))):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    last = data[at + 8] if at + 8 < len(data) else 0
    return value << 8 | last, min(at + 9, len(data))


def _record(payload: bytes) -> list[Value] | None:
    """Return the values of a record; None unless its header accounts for every byte."""
    head_bytes, at = _varint(payload, 0)
    if head_bytes > len(payload):
        return None
    kinds = []
    while at < head_bytes:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != head_bytes:
        return None
    values: list[Value] = []
    for kind in kinds:
        size = _value_bytes(kind)
        if size is None or at + size > len(payload):
            return None
        try:
            values.append(_value(kind, payload[at : at + size]))
        except UnicodeDecodeError:
            return None
        at += size
    return values if at == len(payload) else None


def _value_bytes(kind: int) -> int | None:
    if kind in (0, 8, 9):
        return 0
    if kind >= 12:
        return (kind - 12) // 2
    return 8 if kind == 7 else _INTEGERS.get(kind)


def _value(kind: int, raw: bytes) -> Value:
    if kind in (0, 8, 9):
        return None if kind == 0 else kind - 8
    if kind >= 12:
        return raw.decode() if kind % 2 else raw
    if kind == 7:
        return float(struct.unpack(">d", raw)[0])
    return int.from_bytes(raw, "big", signed=True)
