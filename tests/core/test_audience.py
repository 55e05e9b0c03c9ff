"""Basis and board, there and back, and what is refused of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from omega.core.audience import (
    Basis,
    Board,
    BoardRow,
    Section,
    age_class,
    decode_basis,
    decode_board,
    packed_code,
)
from omega.core.errors import ArtifactError
from omega.core.shard_records import ALL_SLOTS, Figures
from omega.device.others import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

BASIS = Basis(
    version=4,
    space=99,
    mean=tuple(0.25 * place for place in range(44)),
    projection=tuple(tuple(math.sin(row + column) for column in range(44)) for row in range(12)),
    scale=tuple(0.5 + row / 8 for row in range(12)),
    genre_shares={"drama": 0.4, "comedy": 0.25},
    age_shares=(0.5, 0.125, 0.125, 0.125, 0.0625, 0.0625),
)
FIGURES = Figures(12, 11_000, 5, 20_000, (1.0, 2.0, 3.5, 9.0))
ROW = BoardRow(3, ALL_SLOTS, FIGURES, b"\x88" * 6, rising=True)
BOARD = Board(
    round=8,
    lineage="4f1c5a0c2b6d7e80",
    epoch=2,
    space=99,
    made_at=1_790_000_000,
    day=20_000,
    basis=4,
    inputs="ab",
    sections={"": Section((ROW,), (5,)), "eu": Section((ROW, BoardRow(9, ALL_SLOTS, FIGURES)))},
)


def refused(act: Callable[[], object]) -> None:
    with pytest.raises(ArtifactError, match=r"allowed|publish it again"):
        act()


def test_a_basis_comes_back_within_eleven_bits() -> None:
    found = decode_basis(BASIS.encode())
    assert (found.version, found.space, found.genre_shares) == (4, 99, BASIS.genre_shares)
    for name in ("mean", "scale", "age_shares"):
        assert getattr(found, name) == pytest.approx(getattr(BASIS, name), rel=2**-11)
    for row, told in zip(found.projection, BASIS.projection, strict=True):
        assert row == pytest.approx(told, rel=2**-11, abs=1e-7)
    assert decode_basis(found.encode()) == found
    assert len(BASIS.encode()) < 1_400


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 0},
        {"mean": (0.0,) * 43},
        {"mean": (math.nan,) * 44},
        {"projection": ((1e6,) * 44,) * 12},
        {"projection": ((1.0,) * 44,) * 11},
        {"scale": (0.0,) * 12},
        {"age_shares": (0.5,) * 6},
        {"genre_shares": {"drama": 1.5}},
        {"genre_shares": {str(n): 0.0 for n in range(257)}},
        {"space": 2**24},
    ],
)
def test_a_basis_that_means_nothing_is_refused(changed: dict[str, Any]) -> None:
    refused(msgspec.structs.replace(BASIS, **changed).encode)


def test_a_board_comes_back_as_it_was() -> None:
    assert decode_board(BOARD.encode()) == BOARD
    assert BOARD.section("eu").rows[1].title == 9
    assert BOARD.section("us") == BOARD.sections[""]
    assert ROW.shown.figures == FIGURES


@pytest.mark.parametrize(
    "row",
    [
        BoardRow(3, ALL_SLOTS, msgspec.structs.replace(FIGURES, households=2)),
        BoardRow(3, ALL_SLOTS, msgspec.structs.replace(FIGURES, success_milli=12_001)),
        BoardRow(3, ALL_SLOTS, msgspec.structs.replace(FIGURES, trends=(1.0, math.nan, 1.0, 1.0))),
        BoardRow(3, ALL_SLOTS, msgspec.structs.replace(FIGURES, trends=(1.0,))),
        BoardRow(3, 4, FIGURES),
        BoardRow(-3, ALL_SLOTS, FIGURES),
        BoardRow(3, ALL_SLOTS, FIGURES, b"short"),
    ],
)
def test_nobody_makes_or_takes_a_board_that_shows_what_it_must_not(row: BoardRow) -> None:
    refused(msgspec.structs.replace(BOARD, sections={"": Section((row,))}).encode)
    forged = msgspec.structs.replace(BOARD, sections={"": Section((row,))})
    refused(lambda: decode_board(zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(forged))))


def test_codes_need_a_basis_and_regions_a_whole() -> None:
    refused(msgspec.structs.replace(BOARD, basis=0).encode)
    refused(msgspec.structs.replace(BOARD, sections={"eu": Section(())}).encode)


@pytest.mark.parametrize("data", [b"", b"{}", zstandard.compress(b"{}"), zstandard.compress(bytes(2**27))])
def test_what_is_no_board_or_basis_is_refused(data: bytes) -> None:
    refused(lambda: decode_board(data))
    refused(lambda: decode_basis(data))


@given(st.lists(st.integers(-8, 7), min_size=12, max_size=12).map(tuple))
def test_codes_hold_their_numbers(steps: tuple[int, ...]) -> None:
    assert unpacked([packed_code(steps)])[0].tolist() == list(steps)


def test_ages_fall_into_six_classes() -> None:
    years = (-1, 0, 1, 2, 3, 4, 10, 11, 25, 26, 120)
    assert [age_class(age) for age in years] == [0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 5]
