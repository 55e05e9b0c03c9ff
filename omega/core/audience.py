"""What federation publishes: the basis in which audiences are told, and the board of what they watch.

A TV reads the `Basis`, an artifact of Kind.AUDIENCE: with it the six bytes that a pull has for a title become a point
among tastes, and its own taste another, at home. Shards read the `Board`; TVs get of it what a pull says.

An audience code is 12 numbers of 4 bits, the lower half of a byte first, 8 standing for 0, each times its direction's
`scale`. A taste code is read by the same rule, 44 numbers without a scale: mean and projection are in its steps.
"""

from __future__ import annotations

import math
import struct
from typing import Annotated, Final, TypeVar

import msgspec
import zstandard
from msgspec import Meta

from omega.core.artifacts.manifest import LIMIT_BYTES, Kind
from omega.core.errors import ArtifactError
from omega.core.privacy import Account
from omega.core.shard_records import ALL_SLOTS, HALF_LIVES_DAYS, LEAST_HOUSEHOLDS, TASTE_NUMBERS, Figures, Shown
from omega.core.wire.messages import AUDIENCE_BYTES

AUDIENCE_NUMBERS: Final = 2 * AUDIENCE_BYTES
MOST_STEPS: Final = 7
"""A code's numbers are -8..7; what is written is -7..7, so that none has more room than its opposite."""
AGE_CLASSES: Final = (0, 1, 3, 10, 25)
"""The last age in years of each class but the oldest: this year's, last year's, 2-3, 4-10, 11-25, older."""
BASE_RATE_HALF_LIFE_DAYS: Final = 30.0
MAX_GENRES: Final = 256
MAX_REGIONS: Final = 256
BOARDS_FOLDER: Final = "boards"
"""Within a folder of published files: what lies in it is found by no name that a TV may ask for."""
MAX_BOARD_ROWS: Final = 2_000
"""Of a region: a pull tells 200, and one for an old epoch lacks the newest titles."""
_T = TypeVar("_T")
_MAX_RAW_BYTES: Final = 64 * 2**20
_HALF_MAX: Final = 65_504.0


def age_class(years: int) -> int:
    """Return 0..5 for a title that was so many years old when it was watched; one from ahead is this year's."""
    return next((place for place, last in enumerate(AGE_CLASSES) if years <= last), len(AGE_CLASSES))


def packed_code(steps: tuple[int, ...]) -> bytes:
    """Return the AUDIENCE_BYTES of AUDIENCE_NUMBERS numbers -8..7."""
    nibbles = [step + 8 for step in steps]
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """How audience codes are read, and what everybody watches; numbers are kept to 11 bits, as they travel."""

    version: int
    """That of its artifact, 1..: a pull's codes are of the basis that the same pull names, and of no other."""
    space: int
    """`space_code` of the space that taste codes are of."""
    mean: tuple[float, ...]
    """(TASTE_NUMBERS,) mu: what is subtracted from a taste code's numbers."""
    projection: tuple[tuple[float, ...], ...]
    """(AUDIENCE_NUMBERS, TASTE_NUMBERS) B'W': what then gives x, to be compared with a title's a."""
    scale: tuple[float, ...]
    """(AUDIENCE_NUMBERS,) what one step of a code is worth in each direction, above 0."""
    genre_shares: dict[str, float]
    """b: each genre's share of what is watched, 0..1, decayed by BASE_RATE_HALF_LIFE_DAYS; a title has several."""
    age_shares: tuple[float, ...]
    """P: the share of each of the classes of `age_class`; together 1."""

    def encode(self) -> bytes:
        """Return the artifact's bytes. Raises ArtifactError for numbers that can't be told."""
        flat = (*self.mean, *(number for row in self.projection for number in row), *self.scale)
        numbers = _halves((*flat, *self.age_shares))
        data = msgspec.msgpack.encode(_BasisFile(self.version, self.space, numbers, self.genre_shares))
        decode_basis(data)
        return data


class _BasisFile(msgspec.Struct, frozen=True, tag="omega basis 1", tag_field="format", forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, lt=2**53)]
    space: Annotated[int, Meta(ge=0, lt=2**24)]
    numbers: bytes
    """Half floats, little-endian: mean, projection, scale, age shares."""
    genre_shares: Annotated[
        dict[Annotated[str, Meta(max_length=64)], Annotated[float, Meta(ge=0, le=1)]], Meta(max_length=MAX_GENRES)
    ]


def decode_basis(data: bytes) -> Basis:
    """Return the basis of an artifact's bytes. Raises ArtifactError."""
    if len(data) > LIMIT_BYTES[Kind.AUDIENCE]:
        raise ArtifactError(f"basis is {len(data):,} B, allowed: {LIMIT_BYTES[Kind.AUDIENCE]:,} B")
    file = _decoded(data, _BasisFile, "basis")
    counts = (TASTE_NUMBERS, AUDIENCE_NUMBERS * TASTE_NUMBERS, AUDIENCE_NUMBERS, len(AGE_CLASSES) + 1)
    if len(file.numbers) != 2 * sum(counts):
        raise ArtifactError(f"basis has {len(file.numbers)} B of numbers, allowed: {2 * sum(counts)}: publish it again")
    numbers = struct.unpack(f"<{sum(counts)}e", file.numbers)
    mean, flat, scale, ages = _parts(numbers, counts)
    if not all(map(math.isfinite, numbers)) or min(scale) <= 0 or min(ages) < 0 or abs(sum(ages) - 1) > 0.01:
        allowed = "finite ones, scales above 0, shares of ages that sum to 1: publish it again"
        raise ArtifactError(f"basis has numbers that mean nothing, allowed: {allowed}")
    rows = tuple(flat[at : at + TASTE_NUMBERS] for at in range(0, len(flat), TASTE_NUMBERS))
    return Basis(
        version=file.version,
        space=file.space,
        mean=mean,
        projection=rows,
        scale=scale,
        genre_shares=file.genre_shares,
        age_shares=ages,
    )


class BoardRow(msgspec.Struct, frozen=True, array_like=True):
    """A title, and what of it may be told: never of fewer than LEAST_HOUSEHOLDS."""

    title: int
    """Ordinal."""
    slot: int
    """ALL_SLOTS."""
    figures: Figures
    """As they were when LEAST_HOUSEHOLDS further households had come; coarse only in what a pull makes of them."""
    audience: bytes = b""
    """AUDIENCE_BYTES of the board's basis, or none."""
    rising: bool = False
    """Whether it is watched more than its own past leads to expect."""

    @property
    def shown(self) -> Shown:
        """The row as a store would tell it."""
        return Shown(self.title, self.slot, self.figures)


class Section(msgspec.Struct, frozen=True):
    """A region's part of a board."""

    rows: Annotated[tuple[BoardRow, ...], Meta(max_length=MAX_BOARD_ROWS)]
    """Most trending first."""
    removed: Annotated[tuple[int, ...], Meta(max_length=MAX_BOARD_ROWS)] = ()
    """Titles that lost their households lately, ascending: to be taken down."""


class Board(msgspec.Struct, frozen=True, kw_only=True, tag="omega board 1", tag_field="format"):
    """What all shards say together, as of one round."""

    round: Annotated[int, Meta(ge=1, lt=2**53)]
    lineage: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    epoch: Annotated[int, Meta(ge=1)]
    """Of the newest catalog among the shards."""
    space: Annotated[int, Meta(ge=0, lt=2**24)]
    made_at: Annotated[int, Meta(ge=0, le=2**40)]
    """Unix seconds: when what it says was collected."""
    day: Annotated[int, Meta(ge=0, le=65_535)]
    basis: Annotated[int, Meta(ge=0, lt=2**53)]
    """The version of the basis that its codes are of; 0: there are none."""
    inputs: Annotated[str, Meta(max_length=64)]
    """What tells a round of the same sums from another."""
    sections: Annotated[dict[Annotated[str, Meta(max_length=64)], Section], Meta(min_length=1, max_length=MAX_REGIONS)]
    """By region; under the empty name, all of them together."""
    privacy: Account | None = None
    """What its figures cost, where they are told with noise."""

    def section(self, region: str) -> Section:
        """Return what a shard of this region tells: all regions' where its own isn't there."""
        return self.sections.get(region) or self.sections[""]

    def encode(self) -> bytes:
        """Return the artifact's bytes. Raises ArtifactError for what no shard takes."""
        data = zstandard.ZstdCompressor(write_checksum=True).compress(msgspec.msgpack.encode(self))
        decode_board(data)
        return data


def decode_board(data: bytes) -> Board:
    """Return the board of an artifact's bytes, every figure of LEAST_HOUSEHOLDS or more. Raises ArtifactError."""
    if len(data) > LIMIT_BYTES[Kind.BOARD]:
        raise ArtifactError(f"board is {len(data):,} B, allowed: {LIMIT_BYTES[Kind.BOARD]:,} B")
    try:
        facts = zstandard.get_frame_parameters(data)
        # python-zstandard allocates whatever size a frame declares.
        if not 0 < facts.content_size <= _MAX_RAW_BYTES or facts.window_size > _MAX_RAW_BYTES:
            raise ArtifactError(f"board declares {facts.content_size:,} B, allowed: 1..{_MAX_RAW_BYTES:,} B")
        raw = zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ArtifactError(f"board can't be unpacked ({error}): publish it again") from error
    board = _decoded(raw, Board, "board")
    if "" not in board.sections:
        raise ArtifactError("board lacks what all regions say together, allowed: a section without a name")
    for name, section in board.sections.items():
        if wrong := next((row for row in section.rows if not _is_sound(row, codes=board.basis > 0)), None):
            told = f"title {wrong.title} of region {name!r} stands with {wrong.figures}"
            raise ArtifactError(f"{told}, allowed: sums of {LEAST_HOUSEHOLDS} households and more: run a round again")
    return board


def _is_sound(row: BoardRow, *, codes: bool) -> bool:
    figures = row.figures
    return (
        row.title >= 0
        and row.slot == ALL_SLOTS
        and figures.households >= LEAST_HOUSEHOLDS
        and figures.samples >= 0
        and 0 <= figures.success_milli <= 1000 * figures.samples
        and figures.day >= 0
        and len(figures.trends) == len(HALF_LIVES_DAYS)
        and all(math.isfinite(trend) and trend >= 0 for trend in figures.trends)
        and (not row.audience or (codes and len(row.audience) == AUDIENCE_BYTES))
    )


def _halves(numbers: tuple[float, ...]) -> bytes:
    """Return half floats. Raises ArtifactError for what isn't finite or has more than 16 bits."""
    if wrong := [number for number in numbers if not abs(number) <= _HALF_MAX]:  # written so that NaN is refused
        raise ArtifactError(f"basis holds {wrong[0]}, allowed: -{_HALF_MAX:,.0f}..{_HALF_MAX:,.0f}: scale it")
    return struct.pack(f"<{len(numbers)}e", *numbers)


def _parts(numbers: tuple[float, ...], counts: tuple[int, ...]) -> list[tuple[float, ...]]:
    parts, at = [], 0
    for count in counts:
        parts.append(numbers[at : at + count])
        at += count
    return parts


def _decoded(data: bytes, of: type[_T], what: str) -> _T:
    try:
        return msgspec.msgpack.decode(data, type=of)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"{what} is none of format 1 ({error}): publish it again, or update omega") from error
