"""Neighbors as an artifact: read as written, few bytes, and nothing that is damaged or too much is taken."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import ArtifactError
from omega.core.neighbors import MAX_FILE_BYTES, MOST_NEIGHBORS, Neighbors, decode_neighbors

LINEAGE = "0123456789abcdef"
ORDINALS = st.integers(0, 2**28 - 1)
ROWS = st.dictionaries(ORDINALS, st.lists(ORDINALS, min_size=1, max_size=MOST_NEIGHBORS, unique=True), max_size=30)


@given(ROWS)
def test_they_are_read_as_they_were_written(drawn: dict[int, list[int]]) -> None:
    rows = {title: rest for title, near in drawn.items() if (rest := [one for one in near if one != title])}
    found = decode_neighbors(Neighbors.of(LINEAGE, rows).encode())
    assert found == Neighbors.of(LINEAGE, rows)
    assert {title: list(found.near(title)) for title in rows} == rows
    assert all(not found.near(title) for title in (*drawn.keys() - rows.keys(), max(rows, default=0) + 1))


def test_a_neighbor_takes_two_bytes_in_a_catalog_of_ten_thousand() -> None:
    rows = {title: [(title + 37 * at) % 10_000 for at in range(1, 9)] for title in range(10_000)}
    assert len(Neighbors.of(LINEAGE, rows).encode()) <= 80_000 * 2.3


@given(ROWS, st.data())
def test_a_damaged_file_is_refused_or_within_its_bounds(rows: dict[int, list[int]], data: st.DataObject) -> None:
    whole = {title: rest for title, near in rows.items() if (rest := [one for one in near if one != title])}
    raw = bytearray(Neighbors.of(LINEAGE, whole).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_neighbors(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    except ArtifactError:
        return
    assert list(found.titles) == sorted(set(found.titles))
    for title in found.titles:
        near = found.near(title)
        assert 1 <= len(near) <= MOST_NEIGHBORS
        assert len({title, *near}) == len(near) + 1


def packed(**changed: object) -> bytes:
    told = {"format": "omega neighbors 1", "lineage": LINEAGE, "titles": 1, "rows": b"\x05\x01\x06"}
    return msgspec.msgpack.encode(told | changed)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\xc1" * (MAX_FILE_BYTES + 1), "neighbors are 1,048,577 B, allowed: 1,048,576 B"),
        (b"", "none of format 1"),
        (packed(format="omega neighbors 2"), "none of format 1"),
        (packed(lineage="x"), "none of format 1"),
        (packed(titles=50_001), "none of format 1"),
        (packed(titles=2), "none of format 1"),
        (packed(more=1), "none of format 1"),
        (packed(rows=b"\x05\x09" + bytes(range(9))), "none of format 1"),
        (packed(rows=b"\x05\x01\x05"), "title 5 has neighbors"),
        (packed(rows=b"\x05\x02\x06\x06"), "title 5 has neighbors"),
        (packed(rows=b"\x05\x00"), "title 5 has neighbors"),
        (packed(titles=2, rows=b"\x05\x01\x06\x00\x01\x07"), "title is 5 after 5, allowed: ascending"),
        (packed(rows=b"\x05\x01\x06\x07"), "1 B behind the last of 1 titles"),
    ],
)
def test_what_no_tv_may_take_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(ArtifactError, match=complaint):
        decode_neighbors(data)


def test_what_no_tv_takes_is_not_written() -> None:
    with pytest.raises(ArtifactError):
        Neighbors.of(LINEAGE, {1: [1]}).encode()
