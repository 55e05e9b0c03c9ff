"""Looks for what would say that a device watched a title: a page, a line, a table, a time, a commit that has both."""

from __future__ import annotations

import tempfile
from base64 import b64encode, urlsafe_b64encode
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omega.core.shard_records import ALL_SLOTS, unknown_title
from omega_storage.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PAGE_BYTES = 4_096
LOG_HEAD_BYTES, FRAME_HEAD_BYTES = 32, 24
"""Of a write-ahead log, and of each page in it."""
_UNITS_PER_S = (1, 10**3, 10**6, 10**9)
_KEYS = 16


class Found(NamedTuple):
    """Where something was found: numbers of pages or lines."""

    devices: set[int]
    titles: set[int]

    @property
    def links(self) -> set[int]:
        """Where both stand."""
        return self.devices & self.titles


class Table(NamedTuple):
    """What the values of a table tell."""

    name: str
    devices: bool
    titles: bool
    moments: bool
    """Times that are finer than a day."""

    @property
    def links(self) -> bool:
        """Whether a row may say who watched, or when exactly: then the log of some network says who."""
        return self.titles and (self.devices or self.moments)


def in_pages(held: bytes, devices: Sequence[bytes], titles: Sequence[bytes], size: int = PAGE_BYTES) -> Found:
    """Return the pages of a file that hold one of these devices or titles, as bytes."""
    return _found([held[at : at + size] for at in range(0, len(held), size)], devices, titles)


def in_log(held: bytes, devices: Sequence[bytes], titles: Sequence[bytes]) -> Found:
    """Return the same of the pages in a write-ahead log."""
    return in_pages(held[LOG_HEAD_BYTES:], devices, titles, PAGE_BYTES + FRAME_HEAD_BYTES)


def in_lines(held: bytes, devices: Sequence[bytes], titles: Sequence[bytes]) -> Found:
    """Return the same of a text's lines, whatever is upper case."""
    lower = [[word.lower() for word in words] for words in (devices, titles)]
    return _found(held.lower().splitlines(), *lower)


def _found(parts: Sequence[bytes], devices: Sequence[bytes], titles: Sequence[bytes]) -> Found:
    return Found(
        {at for at, part in enumerate(parts) if any(one in part for one in devices)},
        {at for at, part in enumerate(parts) if any(one in part for one in titles)},
    )


def references_of(hashed: int) -> Iterator[bytes]:
    """Return a title's reference and keys as they are written: as a row's number, in a row, and in the journal."""
    yield unknown_title(hashed).to_bytes(8, "little", signed=True)
    for number in numbers_of(hashed):
        yield number.to_bytes(6, "big", signed=True)
        rest, groups = (number % 2**64) >> 8, [number % 256]
        for _ in range(8):
            groups.append(0x80 | rest & 0x7F)
            rest >>= 7
        yield bytes(reversed(groups))


def numbers_of(hashed: int) -> tuple[int, ...]:
    """Return a title's reference, and its keys in each context and in all of them; the catalog lacks the title."""
    title = unknown_title(hashed)
    return title, *(title * _KEYS + context for context in range(ALL_SLOTS + 1))


def words_of_device(*secrets: bytes) -> Iterator[bytes]:
    """Return how a line may spell a device's id, key or token: as it is, hexadecimal, base64, as Python shows it."""
    for secret in secrets:
        yield from (secret, secret.hex().encode(), b64encode(secret), urlsafe_b64encode(secret))
        yield repr(secret)[2:-1].encode()


def words_of_title(hashed: int, *names: str) -> Iterator[bytes]:
    """Return how a line may spell a title: its names, its hash and its keys."""
    for number in (hashed, *numbers_of(hashed)):
        yield from (b"%d" % number, b"%x" % abs(number))
    yield from (name.encode() for name in names)


def tables(database: Path, devices: Sequence[bytes], titles: Iterable[int], during: tuple[float, float]) -> list[Table]:
    """Return what the values of each table tell; `during`, unix seconds, is when all of it was written."""
    hashes = [*titles]
    keys = {number for hashed in hashes for number in numbers_of(hashed)}
    forms = [unknown_title(hashed).to_bytes(8, "little", signed=True) for hashed in hashes]
    spans = [(during[0] * unit, during[1] * unit) for unit in _UNITS_PER_S]
    found = []
    with closing(connect(str(database))) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            values = {value for row in connection.execute(f'SELECT * FROM "{name}"') for value in row}  # noqa: S608
            numbers = [value for value in values if isinstance(value, (int, float))]
            moments = any(low <= number <= high for number in numbers for low, high in spans)
            packed = b"".join(value for value in values if isinstance(value, bytes))
            named = any(device in packed for device in devices)
            found.append(Table(name, named, bool(values & keys) or any(form in packed for form in forms), moments))
    return found


def lone_commits(database: bytes, log: bytes) -> tuple[int, int]:
    """Return how many commits a write-ahead log still tells apart, and how many of them moved sums of one device alone.

    Who has the log can open the database as it was after each commit; what changed together came together.
    """
    states = [_state(database, log[:end]) for end in (0, *_commits(log))]
    lone = 0
    for before, after in pairwise(states):
        moved = [slot for slot, row in after[0].items() if before[0].get(slot) != row]
        lone += len(moved) == 1 and before[1] != after[1]
    return len(states) - 1, lone


def _commits(log: bytes) -> Iterator[int]:
    """Return the end of each commit in a log; frames of an older round have other salts."""
    salts = log[16:24]
    for at in range(LOG_HEAD_BYTES, len(log) - PAGE_BYTES, FRAME_HEAD_BYTES + PAGE_BYTES):
        if log[at + 8 : at + 16] != salts:
            return
        if any(log[at + 4 : at + 8]):  # the size of the database after a commit, else 0
            yield at + FRAME_HEAD_BYTES + PAGE_BYTES


def _state(database: bytes, log: bytes) -> tuple[dict[int, tuple[int, int]], set[tuple[Any, ...]]]:
    """Return what each device contributed and took back, and all sums and samples, in a copy of the files."""
    with tempfile.TemporaryDirectory(prefix="omega-prove-") as folder:
        copy = Path(folder) / "copy.db"
        copy.write_bytes(database)
        if log:
            Path(f"{copy}-wal").write_bytes(log)
        with closing(connect(str(copy))) as connection:
            devices: list[Any] = connection.execute("SELECT slot, contributed, retracted FROM device").fetchall()
            sums: list[Any] = connection.execute("SELECT key, samples, success_milli FROM sums").fetchall()
            sums += connection.execute("SELECT id, samples FROM journal").fetchall()
    return {slot: (given, back) for slot, given, back in devices}, {*sums}
