"""A tick's frames read at once, held against the codec that reads them one by one."""

from __future__ import annotations

import random
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from omega.core.errors import WireError
from omega.core.types import SLOTS
from omega.core.wire import PUSH_LIMIT, Ack, Header, Push, Row, Trial, decode, encode
from omega.core.wire.messages import MAX_DAY, TASTE_BYTES
from omega.core.wire.rows import MAX_ORDINAL
from omega.shard.columns import MOST_ROWS, Pushes, read
from omega.shard.intake import Intake
from tests.shard.playing import CATALOG, KEY

HEADER = Header(space=0xFEDCBA, lineage=0x89ABCD, epoch=300)
TASTES = bytes(TASTE_BYTES), bytes(range(100, 100 + TASTE_BYTES)), b"\xff" * TASTE_BYTES
U32 = (1 << 32) - 1
DAYS = st.sampled_from([0, 1, 19_999, 20_000, 20_064, 20_700, MAX_DAY])
TITLES = st.one_of(st.integers(0, 40), st.sampled_from([127, 128, 2**14, 2**21, 2**28, MAX_ORDINAL]))
ROWS = st.dictionaries(
    st.tuples(TITLES, st.integers(0, SLOTS - 1), DAYS), st.integers(0, 250).map(lambda n: 4 * n), max_size=6
)


@st.composite
def pushes(draw: st.DrawFn) -> Push:
    """Draw a push that is plain if it is sent without compression."""
    taste = draw(st.sampled_from([b"", *TASTES]))
    rows = tuple(Row(*key, milli, taste) for key, milli in draw(ROWS).items())
    numbers = st.sampled_from([0, 1, 127, 128, 2**32 - 1])
    return Push(
        header=Header(space=draw(numbers) & 0xFFFFFF, lineage=draw(numbers) & 0xFFFFFF, epoch=draw(numbers)),
        incarnation=draw(numbers),
        base=draw(numbers),
        step=draw(st.sampled_from([0, 1, 1, 1, 2, 300])),
        known_pull=draw(numbers),
        contributed=rows,
    )


def row_of(found: Pushes, at: int) -> Row:
    title, context, day, milli = (int(of[at]) for of in found.rows[:4])
    return Row(title, context, day, milli, found.rows.taste[at].tobytes() if found.rows.heard[at] else b"")


def as_read(found: Pushes) -> list[Push | None]:
    """Return the pushes that columns say, None where they leave it to the codec."""
    told: list[Push | None] = []
    ends = np.cumsum(found.counts)
    for place, plain in enumerate(found.plain):
        space, lineage, epoch, incarnation, base, version, known_pull = (int(of[place]) for of in found[1:8])
        rows = tuple(row_of(found, at) for at in range(ends[place] - found.counts[place], ends[place]))
        push = Push(
            header=Header(space=space, lineage=lineage, epoch=epoch),
            incarnation=incarnation,
            base=base,
            step=version - base,
            known_pull=known_pull,
            contributed=rows,
        )
        told.append(push if plain else None)
        assert plain or not rows
    return told


def decoded(frame: bytes) -> object:
    try:
        return decode(frame, max_bytes=PUSH_LIMIT)
    except WireError as error:
        return error.code


def checked_again(frame: bytes | bytearray) -> bytes:
    """Return the frame with the checksum that its bytes have now."""
    return bytes(frame[:-4]) + zlib.crc32(frame[:-4]).to_bytes(4, "little")


@given(st.lists(pushes(), min_size=1, max_size=12))
def test_what_is_plain_is_read_as_the_codec_reads_it(sent: list[Push]) -> None:
    frames = [encode(push, 0) for push in sent]
    told = as_read(read(frames))
    groups = [len({row.day for row in push.contributed}) for push in sent]
    plain = [many <= 4 and not frame[1] & 0x08 for many, frame in zip(groups, frames, strict=True)]
    assert [push is not None for push in told] == plain
    assert all(push == decoded(frame) for push, frame in zip(told, frames, strict=True) if push)


@given(st.lists(pushes(), min_size=1, max_size=8), st.data())
def test_altered_bytes_are_read_as_the_codec_reads_them_or_left_to_it(sent: list[Push], data: st.DataObject) -> None:
    frames = []
    for push in sent:
        frame = bytearray(encode(push, 0))
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(frame) - 5))
            how = data.draw(st.sampled_from(["set", "drop", "add"]))
            if how == "drop":
                del frame[at]
            elif how == "add":
                frame.insert(at, data.draw(st.integers(0, 255)))
            else:
                frame[at] = data.draw(st.integers(0, 255))
        frames.append(checked_again(frame) if data.draw(st.booleans()) else bytes(frame))
    for found, sent_as in zip(as_read(read(frames)), frames, strict=True):
        assert found is None or found == decoded(sent_as)


def test_every_value_of_every_byte_is_read_as_the_codec_reads_it_or_left_to_it() -> None:
    rows = [Row(title, 3, day, 900, TASTES[1]) for title in (5, 300) for day in (20_699, 20_700)]
    frame = encode(Push(header=HEADER, incarnation=77, base=200, contributed=tuple(rows)), 0)
    altered = [
        checked_again(frame[:at] + bytes([value]) + frame[at + 1 :])
        for at in range(len(frame) - 4)
        for value in range(256)
    ]
    told, expected = as_read(read(altered)), [decoded(one) for one in altered]
    assert all(push == one for push, one in zip(told, expected, strict=True) if push)
    good = sum(isinstance(one, Push) for one in expected)
    plain = sum(push is not None for push in told)
    assert good * 0.9 < plain < good  # the codec takes some that aren't plain: sections that may be passed over


def test_what_isnt_plain_is_left_to_the_codec() -> None:
    row, push = Row(5, 3, 20_700, 900, TASTES[1]), Push(header=HEADER, incarnation=77, base=200)
    others: list[Push | Ack] = [
        replace(push, retracted=(row,)),
        replace(push, contributed=(Row(5, 3, 20_700, 900, b"", hashed=True),)),
        replace(push, contributed=(row, Row(5, 4, 20_700, 900, TASTES[2]))),
        replace(push, contributed=(row, Row(5, 4, 20_701, 900, b""))),
        replace(push, contributed=tuple(Row(title, 3, 20_700, 900) for title in range(MOST_ROWS + 1))),
        replace(push, contributed=tuple(Row(1, 3, 20_700 + day, 900) for day in range(5))),
        replace(push, contributed=(row,), asks=TASTES[0]),
        replace(push, contributed=(row,), trials=(Trial(9, 1, 20_700, 3, 1, 90),)),
        replace(push, base=2**36, contributed=(row,)),
        Ack(header=HEADER, incarnation=77, version=200),
    ]
    plain = encode(replace(push, contributed=(row,)), 0)
    frames = [*(encode(one, 0) for one in others), b"", b"\xe1", plain[:-1], plain + b"\0", bytes(2_000), bytes(14)]
    frames.append(encode(replace(push, contributed=tuple(Row(t, 3, 20_700, 1_000, TASTES[1]) for t in range(99)))))
    assert frames[-1][1] & 0x08  # compressed
    found = read([*frames, plain])
    assert found.plain.tolist() == [False] * len(frames) + [True]
    assert found.counts.tolist() == [0] * len(frames) + [1]


def test_noise_of_any_length_is_passed_over() -> None:
    noise = random.Random(4)
    frames = [b"\xe1\x01" + noise.randbytes(noise.randrange(1_000)) for _ in range(2_000)]
    frames += [checked_again(frame) for frame in frames]
    for push, frame in zip(as_read(read(frames)), frames, strict=True):
        assert push is None or push == decoded(frame)


@pytest.mark.parametrize("lineage", [int(CATALOG.lineage[:6], 16), 1])
def test_moves_are_those_of_single_pushes(lineage: int) -> None:
    intake, drawn = Intake(CATALOG, KEY), random.Random(6)
    header = Header(space=1, lineage=lineage, epoch=CATALOG.epoch)
    sent = []
    for number in range(200):
        keys = {(drawn.randrange(44), drawn.randrange(SLOTS), 20_700 - drawn.randrange(2)) for _ in range(number % 5)}
        taste = drawn.choice((b"", TASTES[1]))
        rows = tuple(Row(*key, 4 * drawn.randrange(251), taste) for key in keys)
        base = drawn.choice((0, 5, 2**35))
        sent.append(Push(header=header, incarnation=number, base=base, step=drawn.randrange(3), contributed=rows))
    frames = [encode(push, 0) for push in sent]
    found = read(frames)
    which, slots = intake.plain(found), np.arange(200) * 20_000_000
    expected = [
        intake.move(int(slot), push)
        for slot, push in zip(slots, as_read(found), strict=True)  # rows in the wire's order
        if push and intake.misread(push) is None and (push.step or not push.contributed)
    ]
    assert which.sum() == len(expected)
    assert intake.moves(slots, found, which).moves() == expected
    assert (len(expected) > 60) is (lineage != 1)
