"""Bytes of somebody who means harm: bombs, lies about sizes, and two hundred thousand mutations."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from random import Random

import pytest
import zstandard

from omega.core.errors import WireCode, WireError
from omega.core.wire.compression import MAX_RAW_BYTES, decompress
from omega.core.wire.frames import PULL_LIMIT, PUSH_LIMIT, decode, encode
from omega.core.wire.messages import in_wire_order
from tests.vectors import golden

MUTATIONS = 200_000
VARINTS = (b"\x80\x00", b"\xff" * 9, b"\xff" * 8 + b"\x7f", b"\xff" * 9 + b"\x01")
"""Not the shortest form, without an end, 2^63 - 1, 2^64 - 1."""


def magicless(raw: bytes, **options: int) -> bytes:
    nothing = {"write_content_size": 0, "write_checksum": 0, "write_dict_id": 0}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, **nothing | options
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(raw)


def packed(body: bytes, raw: bytes, raw_bytes: int) -> bytes:
    """A PUSH of this compressed body, without a dictionary, with the checksum of `raw`."""
    size = bytearray()
    while raw_bytes > 0x7F:
        size.append(raw_bytes & 0x7F | 0x80)
        raw_bytes >>= 7
    head = b"\xe1\x09\x00" + bytes(size) + bytes([raw_bytes]) + bytes(6) + b"\x01" + bytes(4) + b"\x00\x00"
    return head + body + zlib.crc32(raw, zlib.crc32(head)).to_bytes(4, "little")


def code_of(frame: bytes, max_bytes: int = PULL_LIMIT) -> WireCode:
    with pytest.raises(WireError) as refusal:
        decode(frame, max_bytes=max_bytes)
    return refusal.value.code


RAW = encode(golden.MESSAGES["push-5"], 0)[16:-4]


def test_a_frame_packed_here_is_taken() -> None:
    found = decode(packed(magicless(RAW), RAW, len(RAW)), max_bytes=PUSH_LIMIT)
    assert found.contributed == golden.MESSAGES["push-5"].contributed  # type: ignore[union-attr]


@pytest.mark.parametrize("option", ["write_content_size", "write_checksum"])
def test_a_body_that_declares_something_is_refused(option: str) -> None:
    assert code_of(packed(magicless(RAW, **{option: 1}), RAW, len(RAW))) is WireCode.COMPRESSION


def test_a_body_that_declares_256_mib_is_refused_before_any_is_allocated() -> None:
    bomb = magicless(bytes(1 << 28), write_content_size=1)
    tracemalloc.start()
    started = time.perf_counter()
    try:
        assert code_of(packed(bomb[: PULL_LIMIT - 64], b"", 65_536), 1 << 20) is WireCode.COMPRESSION
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - started < 0.5
    assert peak < 1 << 20


def test_a_declared_size_of_2_62_is_refused() -> None:
    assert code_of(packed(b"\xc0\x38" + b"\xff" * 7 + b"\x3f" + magicless(RAW)[2:], RAW, len(RAW))) is (
        WireCode.COMPRESSION
    )


@pytest.mark.parametrize("raw_bytes", [0, 1, 1_000, MAX_RAW_BYTES])
def test_a_bomb_that_declares_nothing_stops_at_the_size_of_the_header(raw_bytes: int) -> None:
    bomb = magicless(bytes(1 << 24), window_log=17)
    assert len(bomb) < PUSH_LIMIT
    assert code_of(packed(bomb, b"", raw_bytes), PUSH_LIMIT) is WireCode.COMPRESSION


def test_64_kib_of_zeros_that_tell_the_truth_are_refused_at_once() -> None:
    zeros = bytes(MAX_RAW_BYTES)
    assert code_of(packed(magicless(zeros), zeros, len(zeros)), PUSH_LIMIT) is WireCode.SECTION


def test_a_thousand_rows_in_a_few_bytes_are_refused() -> None:
    group = b"\x80\x20" + b"\xf8\x0a" + b"\x01" * 1024 + b"\xfa" * 1024
    body = b"\x01" + bytes([len(group) & 0x7F | 0x80, len(group) >> 7]) + group
    assert code_of(packed(magicless(body), body, len(body)), PUSH_LIMIT) is WireCode.VALUE


@pytest.mark.parametrize("window_log", [18, 20])
def test_a_window_of_more_than_128_kib_is_refused(window_log: int) -> None:
    body = magicless(bytes(1 << 20), window_log=window_log)
    assert body[1] >> 3 == window_log - 10
    assert code_of(packed(body, b"", MAX_RAW_BYTES)) is WireCode.COMPRESSION


@pytest.mark.parametrize("window", [0x00, 0x31, 0x37, 0x38])
def test_windows_up_to_128_kib_are_taken(window: int) -> None:
    body = magicless(RAW)
    assert decompress(body[:1] + bytes([window]) + body[2:], 0, len(RAW)) == RAW


@pytest.mark.parametrize("window", [0x39, 0x40, 0xFF])
def test_greater_windows_are_not(window: int) -> None:
    body = magicless(RAW)
    with pytest.raises(WireError, match="window is"):
        decompress(body[:1] + bytes([window]) + body[2:], 0, len(RAW))


@pytest.mark.parametrize("behind", [b"\x00", b"\x28\xb5\x2f\xfd", bytes(100)])
def test_bytes_behind_the_body_are_refused(behind: bytes) -> None:
    assert code_of(packed(magicless(RAW) + behind, RAW, len(RAW))) is WireCode.COMPRESSION


def test_two_bodies_are_not_one() -> None:
    assert code_of(packed(magicless(RAW) + magicless(b""), RAW, len(RAW))) is WireCode.COMPRESSION
    assert code_of(packed(magicless(RAW)[:-1], RAW, len(RAW))) is WireCode.COMPRESSION
    assert code_of(packed(b"", b"", 0)) is WireCode.COMPRESSION


@pytest.mark.parametrize("name", ["push-100", "push-100-hashed", "pull-100-20"])
def test_a_frame_read_with_another_dictionary_is_refused(name: str) -> None:
    frame = (golden.FOLDER / f"{name}.bin").read_bytes()
    assert code_of(frame[:2] + b"\x00" + frame[3:]) in {WireCode.COMPRESSION, WireCode.CHECKSUM}
    assert code_of(frame[:2] + b"\x02" + frame[3:]) is WireCode.DICTIONARY


def test_a_dictionary_that_is_not_there_is_refused_when_writing_too() -> None:
    with pytest.raises(WireError, match=r"dictionary is 2, allowed 0\.\.1"):
        encode(golden.MESSAGES["push-100"], 2)


@pytest.mark.parametrize("major", [0, *range(2, 16)])
def test_other_versions_are_named_as_such(major: int) -> None:
    frame = (golden.FOLDER / "push-5.bin").read_bytes()
    assert code_of(bytes([0xE0 | major]) + frame[1:]) is WireCode.VERSION


def test_every_beginning_of_a_frame_is_refused() -> None:
    for frame in golden.frames().values():
        for end in range(len(frame)):
            code_of(frame[:end])


def test_every_flipped_bit_is_refused_or_changes_nothing() -> None:
    for name, frame in golden.frames().items():
        meaning = in_wire_order(golden.MESSAGES[name])
        for bit in range(8 * len(frame)):
            flipped = bytearray(frame)
            flipped[bit >> 3] ^= 1 << (bit & 7)
            try:
                assert decode(bytes(flipped), max_bytes=PULL_LIMIT) == meaning
            except WireError:
                continue


def test_mutations_are_refused_or_mean_what_they_say() -> None:
    """Half of them get a right checksum; what is then taken must be a message that can be told again."""
    random = Random(4)
    frames = list(golden.frames().items())
    meanings = {name: in_wire_order(message) for name, message in golden.MESSAGES.items()}
    taken = {True: 0, False: 0}
    codes = set()
    for turn in range(MUTATIONS):
        name, frame = frames[turn % len(frames)]
        honest = bool(random.getrandbits(1))
        mutated = mutate(random, frame, frames[random.randrange(len(frames))][1])
        if honest:
            mutated = mutated[:-4] + zlib.crc32(mutated[:-4]).to_bytes(4, "little")
        try:
            found = decode(mutated, max_bytes=PULL_LIMIT)
        except WireError as refusal:
            codes.add(refusal.code)
            continue
        taken[honest] += 1
        if not honest:
            assert found in meanings.values(), name
        assert decode(encode(found), max_bytes=1 << 20) == found
    assert taken[True] > MUTATIONS // 100
    assert codes == set(WireCode)


def mutate(random: Random, frame: bytes, other: bytes) -> bytes:
    """Change a frame in one to three places: bits, bytes, varints, pieces left out, doubled or taken from another."""
    data = bytearray(frame)
    for _ in range(random.randrange(1, 4)):
        at, size = random.randrange(len(data) + 1), random.randrange(1, 12)
        match random.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 1 if at < len(data):
                data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFA, 0xFF, random.randrange(256)))
            case 2:
                data[at:at] = random.randbytes(size)
            case 3:
                del data[at : at + size]
            case 4:
                data[at:at] = data[at : at + size]
            case 5:
                piece = random.randrange(len(other))
                data[at : at + size] = other[piece : piece + size]
            case _:
                data[at : at + 1] = random.choice(VARINTS)
    return bytes(data)
