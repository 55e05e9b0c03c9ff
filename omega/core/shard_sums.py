"""What a shard tells its federation: sums by title and context, and no row of any device.

A file is MAGIC, the length of what follows unpacked, and one zstd frame with a checksum: a header in JSON after its
length, then the columns one after the other, the taste codes' second moments, and what experiments came to,
little-endian. Rows below
LEAST_HOUSEHOLDS are in it, so that two households here and one there are three; so it is for the operator's own house,
and nothing is shown of it as it is.

Who reads one trusts nothing in it: sizes are bounded before anything is unpacked, and every number is looked at.
"""

from __future__ import annotations

import math
import operator
import struct
import sys
from array import array
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import blake2b
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import zstandard
from msgspec import Meta

from omega.core.errors import SumsError, shown
from omega.core.shard_records import ALL_SLOTS, HALF_LIVES_DAYS, LEAST_HOUSEHOLDS, TASTE_NUMBERS, TrialSums
from omega.core.wire.messages import MOST_ARMS, MOST_MINUTES, MOST_WATCHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAGIC: Final = b"OMGSUMS1"
MAX_FILE_BYTES: Final = 64 * 2**20
MAX_RAW_BYTES: Final = 256 * 2**20
MAX_ROWS: Final = 2_000_000
MAX_SAMPLES: Final = 10**10
"""Of one row: four million TVs that share it every day for six years come to less."""
PAGE_TITLES: Final = 512
_MAX_HEADER_BYTES: Final = 4_096
_MAX_WINDOW_BYTES: Final = 2**23
_LEVEL: Final = 3
_LENGTHS: Final = struct.Struct("<8sI")
_HEADER_LENGTH: Final = struct.Struct("<H")
_TRENDS: Final = len(HALF_LIVES_DAYS)
_HEARD: Final = 1 + TASTE_NUMBERS
_MOMENTS: Final = _HEARD**2
_MOST_MOMENT: Final = 64 * MAX_SAMPLES
MOST_TRIALS: Final = 2**16
"""Rows of experiments: 16 of 8 arms, each 400 days, are 51,200."""
_TRIAL_FIELDS: Final = TrialSums.__struct_fields__
_COLUMNS: Final = (
    ("title", "I", 1),
    ("slot", "B", 1),
    ("samples", "q", 1),
    ("success_milli", "q", 1),
    ("households", "q", 1),
    ("progress", "q", 1),
    ("trends", "d", _TRENDS),
    ("audience_title", "I", 1),
    ("audience", "f", _HEARD),
)


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose sums they are, and what their numbers are to be read by."""

    format: Literal[1, 2] = 2
    """1 has no moments."""
    shard: Annotated[int, Meta(ge=0, le=65_535)]
    region: Annotated[str, Meta(max_length=64, pattern=r"\A[^\x00-\x1f]*\Z")]
    """As its operator calls it; empty where there is one only."""
    lineage: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    epoch: Annotated[int, Meta(ge=1, le=2**31)]
    titles: Annotated[int, Meta(ge=1, le=2**28)]
    """How many the catalog of this epoch has."""
    space: Annotated[int, Meta(ge=0, lt=2**24)]
    """`space_code` of the space that taste codes are of."""
    day: Annotated[int, Meta(ge=0, le=65_535)]
    """Trends and audiences are worth this as of then."""
    made_at: Annotated[int, Meta(ge=0, le=2**40)]
    """Unix seconds."""
    rows: Annotated[int, Meta(ge=0, le=MAX_ROWS)] = 0
    audiences: Annotated[int, Meta(ge=0, le=MAX_ROWS)] = 0
    moments: Annotated[int, Meta(ge=0, le=1)] = 0
    """Whether the taste codes' second moments are told."""
    trials: Annotated[int, Meta(ge=0, le=MOST_TRIALS)] = 0
    """Arms' days in experiments."""


@dataclass(frozen=True, slots=True)
class Columns:
    """n rows, by title and context, and m audiences, by title; numpy reads each with `frombuffer`."""

    title: array[int]
    """(n,) u4: ordinals; ascending together with `slot`."""
    slot: array[int]
    """(n,) u1: 0..7, or ALL_SLOTS."""
    samples: array[int]
    """(n,) i8"""
    success_milli: array[int]
    """(n,) i8"""
    households: array[int]
    """(n,) i8"""
    progress: array[int]
    """(n,) i8: 4 x how often three households that came or went made a turn, + how many have since, 0..3.

    A turn ends when what the shard shows of the row is replaced, or when three more have come in one fold. All of a
    turn's households differ; one may be in several turns.
    """
    trends: array[float]
    """(n, len(HALF_LIVES_DAYS)) f8"""
    audience_title: array[int]
    """(m,) u4, ascending"""
    audience: array[float]
    """(m, 1 + TASTE_NUMBERS) f4: the decayed number of taste codes, and their decayed sum."""

    @classmethod
    def empty(cls) -> Columns:
        """Return columns without a row."""
        columns: list[Any] = [array(code) for _, code, _ in _COLUMNS]
        return cls(*columns)

    def extend(self, more: Columns) -> None:
        """Add rows of later titles at the end."""
        for column in fields(self):
            getattr(self, column.name).extend(getattr(more, column.name))


def _no_moments() -> array[float]:
    return array("d")


def _no_trials() -> array[int]:
    return array("q")


@dataclass(frozen=True)
class ShardSums:
    """One shard at one moment."""

    facts: Facts
    columns: Columns
    moments: array[float] = field(default_factory=_no_moments)
    """(1 + TASTE_NUMBERS) x (1 + TASTE_NUMBERS) f8, row by row, of `ShardStore.moments`; or empty."""
    trials: array[int] = field(default_factory=_no_trials)
    """(t, 10) i8, row by row: the fields of TrialSums, by experiment, day and arm; LEAST_HOUSEHOLDS and more."""

    @cached_property
    def digest(self) -> str:
        """32 hex digits of all that it says but for the moment when it was made."""
        found = blake2b(msgspec.json.encode(msgspec.structs.replace(self._counted, made_at=0)), digest_size=16)
        for name, _, _ in _COLUMNS:
            found.update(getattr(self.columns, name))
        found.update(self.moments)
        found.update(self.trials)
        return found.hexdigest()

    def encode(self) -> bytes:
        """Return the file's bytes. Raises SumsError when they are more than anybody takes."""
        header = msgspec.json.encode(self._counted)
        columns = [_little(getattr(self.columns, name)) for name, _, _ in _COLUMNS]
        more = _little(self.moments), _little(self.trials)
        raw = b"".join([_HEADER_LENGTH.pack(len(header)), header, *columns, *more])
        _check_length(len(raw), MAX_RAW_BYTES, "unpacked")
        data = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(raw)
        _check_length(_LENGTHS.size + len(data), MAX_FILE_BYTES, "long")
        return _LENGTHS.pack(MAGIC, len(raw)) + data

    @property
    def _counted(self) -> Facts:
        rows, audiences = len(self.columns.title), len(self.columns.audience_title)
        counts = {"rows": rows, "audiences": audiences, "moments": 1 if self.moments else 0}
        return msgspec.structs.replace(self.facts, format=2, **counts, trials=len(self.trials) // len(_TRIAL_FIELDS))


def decode(data: bytes) -> ShardSums:
    """Return the sums of a file's bytes, every number within its bounds. Raises SumsError."""
    raw = memoryview(_unpacked(data))
    if len(raw) < _HEADER_LENGTH.size:
        raise SumsError("damaged", f"sums unpack to {len(raw)} B, allowed: a header and columns: ask the shard again")
    (length,) = _HEADER_LENGTH.unpack_from(raw)
    at = _HEADER_LENGTH.size + length
    facts = _facts(bytes(raw[_HEADER_LENGTH.size : at]), length)
    counts = dict.fromkeys((name for name, _, _ in _COLUMNS), facts.rows)
    counts |= {"audience_title": facts.audiences, "audience": facts.audiences, "moments": facts.moments}
    counts["trials"] = facts.trials
    columns: list[Any] = []
    for name, code, width in (*_COLUMNS, ("moments", "d", _MOMENTS), ("trials", "q", len(_TRIAL_FIELDS))):
        column: array[Any] = array(code)
        size = counts[name] * width * column.itemsize
        if at + size > len(raw):
            break
        column.frombytes(raw[at : at + size])
        columns.append(_native(column))
        at += size
    if at != len(raw) or len(columns) <= len(_COLUMNS) + 1:
        told = f"{facts.rows} rows and {facts.audiences} audiences"
        raise SumsError(
            "damaged", f"sums have {len(raw):,} B of columns, allowed: {told} as its header says: ask the shard again"
        )
    found = ShardSums(facts, Columns(*columns[:-2]), *columns[-2:])
    _check(facts, found.columns)
    _check_trials(found.trials)
    _check_range("moments", found.moments, _MOST_MOMENT, least=-_MOST_MOMENT)
    return found


def may_be_told(moments: Iterable[float], columns: Columns) -> array[float]:
    """Return the taste codes' moments, row by row, of a shard with these rows; empty below LEAST_HOUSEHOLDS.

    Moments of one household's codes would tell its code. Some title that LEAST_HOUSEHOLDS have watched is proof that
    so many were counted.
    """
    enough = max(columns.households, default=0) >= LEAST_HOUSEHOLDS
    return array("d", moments if enough else ())


def trials_that_may_be_told(trials: Iterable[TrialSums]) -> array[int]:
    """Return a shard's sums of experiments, row by row, without arms' days of fewer than LEAST_HOUSEHOLDS.

    A day that somebody took back more of than he gave, so that its sums can't be, is left out as well.
    """
    told = (trial for trial in trials if not any(beyond(trial)))
    return array("q", chain.from_iterable(map(msgspec.structs.astuple, told)))


def pages(titles: int) -> Iterator[range]:
    """Yield all titles in parts that a store reads in 15 ms at most."""
    for start in range(0, titles, PAGE_TITLES):
        yield range(start, min(start + PAGE_TITLES, titles))


def check_kin(facts: Facts, lineage: str, counts: Mapping[int, int], space: int) -> None:
    """Raise SumsError unless sums can be added to others of this catalog and space.

    `counts` are the titles of each epoch that is known. An earlier epoch is welcome: its titles have the same ordinals.
    """
    if facts.lineage != lineage:
        raise SumsError("lineage", f"catalog is {facts.lineage}, allowed: {lineage}: serve the federation's catalog")
    if facts.epoch not in counts or facts.titles != counts[facts.epoch]:
        known = ", ".join(f"{epoch} with {count}" for epoch, count in sorted(counts.items())[-3:])
        told = f"epoch is {facts.epoch} with {facts.titles} titles, allowed: {known}"
        raise SumsError("epoch", f"{told}: give the federation the catalog that shards have")
    if facts.space != space:
        raise SumsError("space", f"taste codes are of space {facts.space}, allowed: {space}: update the older of both")


def _unpacked(data: bytes) -> bytes:
    _check_length(len(data), MAX_FILE_BYTES, "long")
    if len(data) < _LENGTHS.size or not data.startswith(MAGIC):
        raise SumsError("garbage", f"sums begin with {shown(data[:8])}, allowed: {MAGIC!r}: is it a shard's answer?")
    _, raw_bytes = _LENGTHS.unpack_from(data)
    _check_length(raw_bytes, MAX_RAW_BYTES, "unpacked")
    body = data[_LENGTHS.size :]
    try:
        facts = zstandard.get_frame_parameters(body)
        # python-zstandard allocates whatever size a frame declares, its own max_output_size notwithstanding.
        if facts.content_size != raw_bytes or facts.window_size > max(_MAX_WINDOW_BYTES, raw_bytes):
            told = f"{facts.content_size:,} B in a window of {facts.window_size:,} B"
            raise SumsError("size", f"frame declares {told}, allowed: {raw_bytes:,} B: ask the shard again")
        return zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise SumsError("damaged", f"sums are {error}, allowed: one zstd frame: ask the shard again") from error


def _facts(raw: bytes, length: int) -> Facts:
    if length > _MAX_HEADER_BYTES:
        raise SumsError("size", f"header is {length:,} B, allowed: {_MAX_HEADER_BYTES:,} B: ask the shard again")
    try:
        facts = msgspec.json.decode(raw, type=Facts)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        told = f"header is refused ({shown(str(error), 200)}), allowed: one of format 1 or 2"
        raise SumsError("header", f"{told}: update omega, or ask the shard again") from error
    if facts.moments and facts.format == 1:
        raise SumsError("header", "sums of format 1 tell moments, allowed: format 2: ask the shard again")
    return facts


def _check(facts: Facts, columns: Columns) -> None:
    """Look at every number, in C where the interpreter can: 50,000 rows and 8,000 audiences take 50 ms."""
    if columns.slot and max(columns.slot) > ALL_SLOTS:
        raise SumsError("slot", f"context is {max(columns.slot)}, allowed: 0..{ALL_SLOTS}: leave the row out")
    keys = list(map(operator.add, (16 * title for title in columns.title), columns.slot))
    for name, ordered in (("rows", keys), ("audiences", columns.audience_title)):
        if not all(one < other for one, other in pairwise(ordered)):
            raise SumsError("unsorted", f"{name} don't ascend, allowed: by title and context, each once: sort them")
    last = max((column[-1] for column in (columns.title, columns.audience_title) if column), default=0)
    if last >= facts.titles:
        raise SumsError("title", f"title is {last}, allowed: 0..{facts.titles - 1}, as its catalog has: leave it out")
    for name in ("samples", "success_milli", "households", "progress"):
        _check_range(name, getattr(columns, name), MAX_SAMPLES * (1000 if name == "success_milli" else 1))
    if any(map(operator.gt, columns.success_milli, (1000 * samples for samples in columns.samples))):
        raise SumsError("success", "success_milli is above 1000 a sample, allowed: 0..1000: correct the sums")
    _check_range("trends", columns.trends, MAX_SAMPLES)
    _check_range("audience", columns.audience, 8 * MAX_SAMPLES, least=-8 * MAX_SAMPLES)
    _check_range("audience's count", columns.audience[::_HEARD], MAX_SAMPLES)


def _check_trials(trials: array[int]) -> None:
    """Look at every number of experiments."""
    width, before = len(_TRIAL_FIELDS), (-1, 0, 0)
    for row in (TrialSums(*trials[at : at + width]) for at in range(0, len(trials), width)):
        key = row.experiment, row.day, row.arm
        if key <= before:
            raise SumsError("unsorted", "experiments don't ascend, allowed: by experiment, day and arm, each once")
        before = key
        for told in beyond(row):
            raise SumsError("trials", f"{told}: correct the sums")


def beyond(row: TrialSums) -> Iterator[str]:
    """Yield which sums and squares of an arm's day are beyond what its households' days can come to."""
    for name, least, most in (
        ("experiment", 0, 2**32 - 1),
        ("arm", 0, MOST_ARMS - 1),
        ("day", 0, 65_535),
        ("households", LEAST_HOUSEHOLDS, MAX_SAMPLES),
        ("watched", 0, MOST_WATCHED * row.households),
        ("chosen", 0, MOST_WATCHED * row.households),
        ("minutes", 0, MOST_MINUTES * row.households),
        ("watched_squares", _least_squares(row.watched, row.households), MOST_WATCHED * row.watched),
        ("chosen_squares", _least_squares(row.chosen, row.households), MOST_WATCHED * row.chosen),
        ("minutes_squares", _least_squares(row.minutes, row.households), MOST_MINUTES * row.minutes),
    ):
        if not least <= (found := getattr(row, name)) <= most:
            yield f"{name} of an arm's day is {found:,}, allowed: {least:,}..{most:,}"


def _least_squares(total: int, households: int) -> int:
    """Return what the squares of so many whole numbers with this sum come to at least: they are as alike as can be."""
    if households < 1:
        return 0
    each, more = divmod(total, households)
    return households * each**2 + more * (2 * each + 1)


def _check_range(name: str, column: array[Any], most: int, least: int = 0) -> None:
    if not column:
        return
    if column.typecode in "fd" and not all(map(math.isfinite, column)):
        raise SumsError("nan", f"{name} is NaN or infinite, allowed: {least:,}..{most:,}: correct the sums")
    if (found := min(column)) < least:
        raise SumsError("negative", f"{name} is {found:,}, allowed: {least:,}..{most:,}: correct the sums")
    if (found := max(column)) > most:
        raise SumsError("too-many", f"{name} is {found:,}, allowed: {least:,}..{most:,}: correct the sums")


def _check_length(size_bytes: int, most: int, how: str) -> None:
    if size_bytes > most:
        raise SumsError("size", f"sums are {size_bytes:,} B {how}, allowed: {most:,} B: have more shards, smaller ones")


def _little(column: array[Any]) -> bytes:
    return _native(array(column.typecode, column)).tobytes() if sys.byteorder == "big" else column.tobytes()


def _native(column: array[Any]) -> array[Any]:
    """Swap the bytes of a little-endian column in place, where this machine isn't."""
    if sys.byteorder == "big":
        column.byteswap()
    return column
