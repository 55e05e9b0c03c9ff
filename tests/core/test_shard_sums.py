"""What a shard tells its federation comes through a file as it was, and nothing that no shard means is taken."""

from __future__ import annotations

import math
import struct
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import SumsError
from omega.core.shard_sums import (
    MAGIC,
    MAX_FILE_BYTES,
    MAX_SAMPLES,
    Columns,
    Facts,
    ShardSums,
    check_kin,
    decode,
    may_be_told,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FACTS = Facts(
    shard=7, region="eu", lineage="4f1c5a0c2b6d7e80", epoch=2, titles=20, space=99, day=20_000, made_at=1_790_000_000
)


def some_columns() -> Columns:
    """Return rows of titles 3 and 5, and an audience of 5."""
    return Columns(
        title=array("I", [3, 3, 5]),
        slot=array("B", [4, 8, 8]),
        samples=array("q", [2, 2, 40]),
        success_milli=array("q", [1_900, 1_900, 31_000]),
        households=array("q", [2, 2, 33]),
        progress=array("q", [0, 0, 9]),
        trends=array("d", [1.5] * 8 + [0.0, 3.25, 20.0, 39.5]),
        audience_title=array("I", [5]),
        audience=array("f", [30.0, *(-0.5 * place for place in range(44))]),
    )


def sums(**changed: Any) -> ShardSums:
    """Return the sums with other values in some columns."""
    columns = some_columns()
    told = {name: array(getattr(columns, name).typecode, values) for name, values in changed.items()}
    return ShardSums(FACTS, replace(columns, **told))


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(SumsError, match=r"allowed: ") as found:
        act()
    return found.value.reason


def test_sums_come_back_as_they_were() -> None:
    told = sums()
    found = decode(told.encode())
    assert found.columns == told.columns
    assert found.facts == msgspec.structs.replace(FACTS, rows=3, audiences=1)
    assert found.digest == told.digest


MOMENTS = array("d", [30.0, *(0.25 * place for place in range(1, 45 * 45))])


def test_moments_come_back_beside_them() -> None:
    told = ShardSums(FACTS, some_columns(), MOMENTS)
    found = decode(told.encode())
    assert found.moments == MOMENTS
    assert (found.facts.format, found.facts.moments, found.columns) == (2, 1, told.columns)
    assert decode(sums().encode()).moments == array("d")
    assert len({told.digest, found.digest, sums().digest}) == 2


def test_sums_of_the_format_before_are_read_and_tell_no_moments() -> None:
    found = decode(as_format_1(sums().encode()))
    assert (found.facts.format, found.columns, found.moments) == (1, some_columns(), array("d"))
    assert refusal(lambda: decode(as_format_1(ShardSums(FACTS, some_columns(), MOMENTS).encode()))) == "header"


def as_format_1(data: bytes) -> bytes:
    raw = zstandard.ZstdDecompressor().decompress(data[12:]).replace(b'"format":2', b'"format":1')
    return data[:12] + zstandard.ZstdCompressor(write_checksum=True).compress(raw)


@pytest.mark.parametrize(
    ("reason", "wrong"), [("nan", math.nan), ("nan", math.inf), ("negative", -65e10), ("too-many", 65e10)]
)
def test_moments_that_no_codes_have_are_refused(reason: str, wrong: float) -> None:
    moments = array("d", MOMENTS)
    moments[77] = wrong
    assert refusal(lambda: decode(ShardSums(FACTS, some_columns(), moments).encode())) == reason
    assert refusal(lambda: decode(ShardSums(FACTS, some_columns(), MOMENTS[:-1]).encode())) == "damaged"


def test_moments_of_fewer_than_three_households_stay_where_they_are() -> None:
    assert may_be_told(MOMENTS, some_columns()) == MOMENTS
    two = replace(some_columns(), households=array("q", [2, 2, 2]))
    assert may_be_told(MOMENTS, two) == may_be_told(MOMENTS, Columns.empty()) == array("d")


def test_no_rows_are_sums_too() -> None:
    assert decode(ShardSums(FACTS, Columns.empty()).encode()).columns == Columns.empty()


def test_pages_add_up_to_the_whole() -> None:
    pages = Columns.empty()
    for at in range(0, 30, 10):
        pages.extend(Columns(*(array(c.typecode, c) for c in (_at(at, name) for name in _names()))))
    assert list(pages.title) == [at + title for at in (0, 10, 20) for title in (3, 3, 5)]
    assert len(pages.trends) == 36


def _names() -> tuple[str, ...]:
    return tuple(Columns.__dataclass_fields__)


def _at(by: int, name: str) -> array[Any]:
    column: array[Any] = getattr(some_columns(), name)
    return array(column.typecode, [value + by for value in column]) if name in ("title", "audience_title") else column


def test_the_digest_moves_with_every_number_and_with_nothing_else() -> None:
    later = msgspec.structs.replace(FACTS, made_at=1_790_000_999)
    assert ShardSums(later, some_columns()).digest == sums().digest
    others = [
        sums(samples=[2, 2, 41]),
        sums(trends=[1.5] * 8 + [0.0, 3.25, 20.0, 39.0]),
        ShardSums(msgspec.structs.replace(FACTS, day=20_001), some_columns()),
        ShardSums(msgspec.structs.replace(FACTS, region="us"), some_columns()),
    ]
    assert len({found.digest for found in (sums(), *others)}) == 5


@pytest.mark.parametrize(
    ("reason", "changed"),
    [
        ("unsorted", {"title": [5, 3, 3]}),
        ("unsorted", {"slot": [8, 8, 8]}),
        ("unsorted", {"slot": [8, 4, 8]}),
        ("unsorted", {"audience_title": [5, 5], "audience": [1.0] * 90}),
        ("slot", {"slot": [4, 9, 8]}),
        ("title", {"title": [3, 3, 20]}),
        ("title", {"audience_title": [20]}),
        ("negative", {"samples": [2, 2, -1]}),
        ("negative", {"success_milli": [1_900, -1, 31_000]}),
        ("negative", {"households": [-1, 2, 33]}),
        ("negative", {"trends": [-1e-9] + [0.0] * 11}),
        ("negative", {"audience": [-1.0] + [0.0] * 44}),
        ("too-many", {"samples": [2, 2, 10**12]}),
        ("too-many", {"households": [2, 2, 10**12]}),
        ("too-many", {"trends": [1e12] + [0.0] * 11}),
        ("too-many", {"audience": [0.0] * 44 + [1e12]}),
        ("nan", {"trends": [float("nan")] + [0.0] * 11}),
        ("nan", {"trends": [0.0] * 11 + [float("inf")]}),
        ("nan", {"audience": [1.0] + [float("nan")] + [0.0] * 43}),
        ("success", {"success_milli": [2_001, 1_900, 31_000]}),
        ("damaged", {"households": [2, 2]}),
        ("damaged", {"trends": [0.0] * 13}),
    ],
)
def test_numbers_that_no_shard_means_are_refused_by_name(reason: str, changed: dict[str, Any]) -> None:
    assert refusal(lambda: decode(sums(**changed).encode())) == reason


def test_the_largest_numbers_are_taken() -> None:
    most = MAX_SAMPLES
    told = sums(samples=[2, 2, most], success_milli=[1_900, 1_900, 1000 * most], households=[2, 2, most])
    assert decode(told.encode()).columns.samples[2] == most


households = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 1440)), min_size=3, max_size=9)


@given(households)
def test_what_households_days_come_to_is_taken_and_no_smaller_squares(days: list[tuple[int, int, int]]) -> None:
    totals = [sum(column) for column in zip(*days, strict=True)]
    squares = [sum(value * value for value in column) for column in zip(*days, strict=True)]
    told = ShardSums(FACTS, some_columns(), trials=array("q", [7, 1, 20_000, len(days), *totals, *squares]))
    assert decode(told.encode()).trials == told.trials
    for at, total in enumerate(totals):
        each, more = divmod(total, len(days))
        told.trials[7 + at] = (len(days) - more) * each**2 + more * (each + 1) ** 2
        assert decode(told.encode()).trials == told.trials
        told.trials[7 + at] -= 1
        if told.trials[7 + at] >= 0:
            assert refusal(lambda: decode(told.encode())) == "trials"
        told.trials[7 + at] = squares[at]


@pytest.mark.parametrize("data", [b"", b"<html>", MAGIC, b"OMGSUMS2" + bytes(90), MAGIC + b"\0" * 4])
def test_what_is_no_file_of_sums_is_refused(data: bytes) -> None:
    assert refusal(lambda: decode(data)) in ("garbage", "damaged")


def test_nothing_large_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(2**24))
    assert refusal(lambda: decode(MAGIC + struct.pack("<I", 2**32 - 1) + bomb)) == "size"
    assert refusal(lambda: decode(MAGIC + struct.pack("<I", 100) + bomb)) == "size"
    assert refusal(lambda: decode(bytes(MAX_FILE_BYTES + 1))) == "size"


def test_a_header_in_other_words_is_refused() -> None:
    for header in (b"{", b'{"format":2}', msgspec.json.encode(FACTS)[:-1] + b',"more":1}', b"\xff\xfe"):
        raw = struct.pack("<H", len(header)) + header
        data = MAGIC + struct.pack("<I", len(raw)) + zstandard.ZstdCompressor().compress(raw)
        assert refusal(lambda data=data: decode(data)) == "header"  # type: ignore[misc]


def test_every_cut_and_every_changed_byte_is_refused_or_says_the_same() -> None:
    data = sums().encode()
    for length in range(len(data)):
        refusal(lambda length=length: decode(data[:length]))  # type: ignore[misc]
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]
        try:
            found = decode(changed)
        except SumsError:
            continue
        assert found.digest == sums().digest, place


@given(st.binary(max_size=200))
def test_noise_after_a_good_beginning_is_refused(noise: bytes) -> None:
    raw = noise
    data = MAGIC + struct.pack("<I", len(raw)) + zstandard.ZstdCompressor().compress(raw)
    refusal(lambda: decode(data))


def test_only_sums_of_one_catalog_and_space_are_added_up() -> None:
    counts = {1: 12, 2: 20}
    check_kin(FACTS, FACTS.lineage, counts, 99)
    check_kin(msgspec.structs.replace(FACTS, epoch=1, titles=12), FACTS.lineage, counts, 99)
    for reason, facts in (
        ("lineage", msgspec.structs.replace(FACTS, lineage="0" * 16)),
        ("epoch", msgspec.structs.replace(FACTS, epoch=3, titles=25)),
        ("epoch", msgspec.structs.replace(FACTS, titles=19)),
        ("space", msgspec.structs.replace(FACTS, space=98)),
    ):
        assert refusal(lambda facts=facts: check_kin(facts, FACTS.lineage, counts, 99)) == reason  # type: ignore[misc]
