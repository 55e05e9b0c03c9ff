"""Values to bytes and back: by hand, and by hypothesis."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.catalog import Catalog
from omega.core.errors import WireCode, WireError
from omega.core.types import title_key
from omega.core.wire.frames import MAX_FRAMES, PUSH_LIMIT, decode, encode, join, split
from omega.core.wire.messages import (
    Ack,
    Artifact,
    Header,
    Pull,
    Push,
    Reason,
    Resync,
    Row,
    Similar,
    Trend,
    in_wire_order,
    lineage_code,
    quantized,
    space_code,
    title_hash,
)
from omega.core.wire.sections import put_sections
from tests.core.wire.living import messages

if TYPE_CHECKING:
    from omega.core.wire.messages import Message

HEADER = Header(space=0x030201, lineage=0x060504, epoch=7)
HEAD = bytes((1, 2, 3, 4, 5, 6, 7))
TASTE = bytes(range(22))


def sealed(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return body + zlib.crc32(body).to_bytes(4, "little")


def push(**fields: Any) -> Push:
    return msgspec.structs.replace(Push(header=HEADER, incarnation=0x0D0C0B0A, base=300, known_pull=9), **fields)


PUSH_HEAD = b"\xe1\x01" + HEAD + b"\x0a\x0b\x0c\x0d" + b"\xac\x02" + b"\x09"

WORKED: list[tuple[Message, bytes]] = [
    (push(), sealed(PUSH_HEAD)),
    (push(step=2), sealed(b"\xe1\x11" + HEAD + b"\x0a\x0b\x0c\x0d" + b"\xac\x02" + b"\x02" + b"\x09")),
    (
        # Two rows of day 20,700: 2 x 4 + 0; zigzag(700) = 1400 = 0xf8 0x0a; keys 1 x 8 + 3 = 11 and 40 x 8 + 0 = 320.
        push(contributed=(Row(40, 0, 20_700, 1000), Row(1, 3, 20_700, 8))),
        sealed(PUSH_HEAD, b"\x01\x08", b"\x08\xf8\x0a", b"\x0b\xb5\x02", b"\x02\xfa"),
    ),
    (
        # The taste code once, for two days: 1 x 4 + 2 and zigzag(0), then 1 x 4 + 1 and zigzag(1).
        push(contributed=(Row(2, 1, 20_001, 0, TASTE), Row(2, 1, 20_000, 4, TASTE))),
        sealed(PUSH_HEAD, b"\x01\x1e", b"\x06" + TASTE + b"\x00\x11\x01", b"\x05\x02\x11\x00"),
    ),
    (
        push(retracted=(Row(0x0102030405, 7, 19_999, 500, b"", hashed=True),)),
        sealed(PUSH_HEAD, b"\x07\x09", b"\x04\x01", b"\x01\x02\x03\x04\x05", b"\x07", b"\x7d"),
    ),
    (push(asks=TASTE), sealed(PUSH_HEAD, b"\x08\x16", TASTE)),
    (
        Ack(
            header=HEADER,
            incarnation=1,
            version=301,
            horizon=300,
            retry_after_s=5,
            next_sync_s=600,
            similar_allowed=True,
            resolved=((0xAA, 800),),
        ),
        sealed(
            b"\xe1\x02" + HEAD + b"\x01\x00\x00\x00" + b"\xad\x02",
            b"\x01\x05" + b"\x01\x05\xd8\x04\x01",
            b"\x03\x08" + b"\x01" + b"\x00\x00\x00\x00\xaa" + b"\xa0\x06",
        ),
    ),
    (
        Resync(header=HEADER, incarnation=1, version=0, reason=Reason.LINEAGE),
        sealed(b"\xe1\x03" + HEAD + b"\x01\x00\x00\x00" + b"\x00", b"\x01\x01\x03"),
    ),
    (
        # Keys 2 x 9 + 0 = 18 and 2 x 9 + 1 = 19; the second has an audience code: bits 0b10.
        Pull(
            header=HEADER,
            pull_id=200,
            trending=(Trend(2, None, 3, 800, 1), Trend(2, 0, 6, 900, 255, b"abcdef")),
            removed=(5, 300),
        ),
        sealed(
            b"\xe1\x04" + HEAD + b"\xc8\x01",
            b"\x01\x10" + b"\x02\x12\x01" + b"\x03\x06" + b"\xc8\xe1" + b"\x01\xff" + b"\x02" + b"abcdef",
            b"\x05\x04" + b"\x02\x05\xa7\x02",
        ),
    ),
    (
        Pull(header=HEADER, pull_id=0, similar=(Similar(1, 7, 130, 0, 9),), artifacts=(Artifact(1, 2, TASTE[:16], 3),)),
        sealed(
            b"\xe1\x04" + HEAD + b"\x00",
            b"\x03\x06" + b"\x01\x11\x82\x01\x00\x09",
            b"\x06\x14" + b"\x01\x01\x02" + TASTE[:16] + b"\x03",
        ),
    ),
]


@pytest.mark.parametrize(("message", "frame"), WORKED)
def test_the_bytes_are_those_worked_out_by_hand(message: Message, frame: bytes) -> None:
    assert encode(message).hex(" ") == frame.hex(" ")
    assert decode(frame, max_bytes=len(frame)) == in_wire_order(message)


@given(messages, st.integers(0, 1))
def test_what_is_sent_arrives(message: Message, dictionary: int) -> None:
    frame = encode(message, dictionary)
    found = decode(frame, max_bytes=len(frame))
    assert found == in_wire_order(message)
    assert encode(found, dictionary) == frame


@given(messages)
def test_a_frame_is_compressed_only_where_that_makes_it_shorter(message: Message) -> None:
    frame = encode(message)
    put_sections(body := bytearray(), message)
    lists = dict.fromkeys(("contributed", "retracted", "trending", "similar", "removed", "artifacts", "resolved"), ())
    there = {name: empty for name, empty in lists.items() if hasattr(message, name)}
    bare = msgspec.structs.replace(message, **there, **({"asks": b""} if isinstance(message, Push) else {}))
    put_sections(left := bytearray(), bare)
    stored = len(encode(bare)) - len(left) + len(body)
    assert len(frame) < stored if frame[1] & 8 else len(frame) == stored


@given(messages)
def test_one_byte_more_than_allowed_is_refused(message: Message) -> None:
    frame = encode(message)
    with pytest.raises(WireError) as refusal:
        decode(frame, max_bytes=len(frame) - 1)
    assert refusal.value.code is WireCode.SIZE


def test_five_patterns_with_their_taste_code_take_at_most_64_bytes() -> None:
    rows = tuple(Row(ordinal, 4, 20_700, 960, TASTE) for ordinal in (5, 150, 351, 602, 799))
    assert len(encode(push(base=16_383, known_pull=16_383, contributed=rows))) <= 64


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"contributed": (Row(1, 8, 20_700, 0),)}, WireCode.VALUE),
        ({"contributed": (Row(1, -1, 20_700, 0),)}, WireCode.VALUE),
        ({"contributed": (Row(1, 0, 20_700, 1004),)}, WireCode.VALUE),
        ({"contributed": (Row(1, 0, 20_700, 999),)}, WireCode.VALUE),
        ({"contributed": (Row(1, 0, 20_700, -4),)}, WireCode.VALUE),
        ({"contributed": (Row(-1, 0, 20_700, 0),)}, WireCode.VALUE),
        ({"contributed": (Row(1 << 32, 0, 20_700, 0),)}, WireCode.VALUE),
        ({"contributed": (Row(1 << 40, 0, 20_700, 0, b"", hashed=True),)}, WireCode.VALUE),
        ({"contributed": (Row(1, 0, 65_536, 0),)}, WireCode.VALUE),
        ({"contributed": (Row(1, 0, -1, 0),)}, WireCode.VALUE),
        ({"contributed": (Row(1, 0, 20_700, 0, b"short"),)}, WireCode.VALUE),
        ({"contributed": (Row(1, 0, 20_700, 0), Row(1, 0, 20_700, 4))}, WireCode.ORDER),
        ({"contributed": (Row(1, 0, 20_700, 0), Row(1, 0, 20_700, 0, TASTE))}, WireCode.ORDER),
        ({"contributed": tuple(Row(i, 0, 20_700, 0) for i in range(513))}, WireCode.VALUE),
        ({"asks": b"short"}, WireCode.VALUE),
        ({"base": (1 << 63) - 1}, WireCode.VALUE),
        ({"base": -1}, WireCode.VALUE),
        ({"incarnation": 1 << 32}, WireCode.VALUE),
        ({"header": Header(space=1 << 24, lineage=0, epoch=0)}, WireCode.VALUE),
    ],
)
def test_what_cannot_be_told_is_refused_before_it_is_sent(fields: dict[str, Any], code: WireCode) -> None:
    with pytest.raises(WireError, match=r"allowed") as refusal:
        encode(push(**fields))
    assert refusal.value.code is code


@pytest.mark.parametrize(
    "pull",
    [
        Pull(header=HEADER, pull_id=1, trending=(Trend(1, None, 3, 800, 256),)),
        Pull(header=HEADER, pull_id=1, trending=(Trend(1, 8, 3, 800, 0),)),
        Pull(header=HEADER, pull_id=1, trending=(Trend(1, None, -1, 800, 0),)),
        Pull(header=HEADER, pull_id=1, trending=(Trend(1, None, 3, 801, 0),)),
        Pull(header=HEADER, pull_id=1, trending=(Trend(1, None, 3, 800, 0, b"short"),)),
        Pull(header=HEADER, pull_id=1, similar=(Similar(1, None, 3, 800, -1),)),
        Pull(header=HEADER, pull_id=1, removed=(-1,)),
        Pull(header=HEADER, pull_id=1, artifacts=(Artifact(0, 1, bytes(16), 1),)),
        Pull(header=HEADER, pull_id=1, artifacts=(Artifact(1, 1, bytes(32), 1),)),
    ],
)
def test_a_pull_out_of_range_is_refused_before_it_is_sent(pull: Pull) -> None:
    with pytest.raises(WireError) as refusal:
        encode(pull)
    assert refusal.value.code is WireCode.VALUE


def test_an_entry_that_stands_twice_is_refused() -> None:
    near = Similar(1, None, 3, 800, 1)
    for fields in ({"removed": (1, 1)}, {"similar": (near, near)}, {"artifacts": (Artifact(1, 1, bytes(16), 1),) * 2}):
        with pytest.raises(WireError, match="once") as refusal:
            encode(msgspec.convert({"header": HEADER, "pull_id": 1} | fields, Pull, from_attributes=True))
        assert refusal.value.code is WireCode.ORDER


def test_an_unknown_even_section_is_passed_over_and_an_odd_one_is_not() -> None:
    known = push(asks=TASTE)
    body = encode(known, 0)[:-4]
    assert decode(sealed(body, b"\x0a\x03abc"), max_bytes=PUSH_LIMIT) == known
    with pytest.raises(WireError, match="section 11 of a PUSH is unknown") as refusal:
        decode(sealed(body, b"\x0b\x03abc"), max_bytes=PUSH_LIMIT)
    assert refusal.value.code is WireCode.SECTION


def test_a_reply_holds_its_frames() -> None:
    frames = [encode(message) for message, _ in WORKED[:MAX_FRAMES]]
    for n in range(1, MAX_FRAMES + 1):
        assert split(join(frames[:n])) == frames[:n]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"", WireCode.COUNT),
        (b"\x01a" * 5, WireCode.COUNT),
        (b"\x02a", WireCode.TRUNCATED),
        (b"\x81\x00a", WireCode.NUMBER),
        (b"\xff" * 9 + b"\x01", WireCode.NUMBER),
        (bytes(8_193), WireCode.SIZE),
    ],
)
def test_a_reply_that_is_none_is_refused(reply: bytes, code: WireCode) -> None:
    with pytest.raises(WireError) as refusal:
        split(reply)
    assert refusal.value.code is code


@given(st.integers(0, 1000))
def test_success_is_quantized_to_the_nearest_multiple_of_4(milli: int) -> None:
    found = quantized(milli)
    assert found % 4 == 0
    assert 0 <= found <= 1000
    assert abs(found - milli) <= 2
    assert quantized(found) == found


def test_quantizing_moves_no_sum() -> None:
    assert sum(quantized(milli) for milli in range(1001)) == sum(range(1001))


def test_codes_of_names() -> None:
    assert space_code("") == 0
    assert space_code("123456789") == 0xF43926  # the check value of CRC-32 is cbf43926
    assert lineage_code("6dd2ce8b52c07bd5") == 0x6DD2CE
    assert title_hash((1 << 63) - 1) == (1 << 40) - 1


def test_no_two_titles_of_the_example_catalog_have_one_hash() -> None:
    from omega.compose import EXAMPLE_CATALOG_PATH  # noqa: PLC0415

    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    assert len({title_hash(title_key(title.id)) for title in catalog}) == len(catalog)
