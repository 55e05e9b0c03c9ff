"""Frames: a header, a body of sections, a checksum. docs/wire.md tells every byte.

`encode` and `decode` are pure functions of bytes and values; what is refused is a WireError with a code, nothing else.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

from omega.core.errors import WireCode, WireError
from omega.core.wire.compression import MAX_RAW_BYTES, NEWEST, compress, decompress
from omega.core.wire.messages import Ack, Header, Kind, Pull, Push, Resync
from omega.core.wire.numbers import MOST, Reader, checked, put_varint
from omega.core.wire.sections import put_sections, put_state, read_sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omega.core.wire.messages import Message
    from omega.core.wire.sections import Fields

MAGIC, MAJOR = 0xE0, 0x01
PUSH_LIMIT, PULL_LIMIT = 1_024, 5_120
REPLY_LIMIT = 8_192
"""An ACK or RESYNC, a PULL and the answer to a question, with their lengths."""
MAX_FRAMES = 4
"""Frames in a reply at most."""
_KINDS: dict[type, Kind] = {Push: Kind.PUSH, Ack: Kind.ACK, Resync: Kind.RESYNC, Pull: Kind.PULL}
_KIND_BITS, _ZSTD, STEP = 0x07, 0x08, 0x10
_CRC_BYTES = 4
_LEAST_BYTES = 14
_WORTH_COMPRESSING = 48
"""Bytes of a body; shorter ones don't get smaller."""
_U24, _U32 = (1 << 24) - 1, (1 << 32) - 1


def encode(message: Message, dictionary: int = NEWEST) -> bytes:
    """Return a message's frame: compressed with this dictionary (0: none) where that is shorter, else as it is.

    Raises WireError for a field out of its range, and for a dictionary that this program doesn't have.
    """
    if isinstance(message, Ack) and not message.resolved:
        return _plain_ack(message)
    body = bytearray()
    put_sections(body, message)
    if len(body) > MAX_RAW_BYTES:
        raise WireError(WireCode.SIZE, f"body is {len(body)} B, allowed {MAX_RAW_BYTES} B: send it in parts")
    head = _head(message)
    if len(body) >= _WORTH_COMPRESSING:
        raw = bytes(body)
        packed = compress(raw, dictionary)
        packed_head = _head_of_packed(head, len(raw), dictionary)
        if len(packed_head) + len(packed) < len(head) + len(raw):
            return packed_head + packed + _crc(zlib.crc32(raw, zlib.crc32(packed_head)))
    head += body
    return bytes(head + _crc(zlib.crc32(head)))


def decode(frame: bytes, *, max_bytes: int) -> Message:
    """Return the message of a frame of at most `max_bytes`. Raises WireError alone, whatever the bytes are."""
    return decode_with(Reader, frame, max_bytes=max_bytes)


def decode_with(make: Callable[[bytes, int, int], Reader], frame: bytes, *, max_bytes: int) -> Message:
    """Do what `decode` does, with another Reader: one that takes notes for a page that tells the bytes."""
    if not _LEAST_BYTES <= len(frame) <= max_bytes:
        raise WireError(
            WireCode.SIZE, f"frame is {len(frame)} B, allowed {_LEAST_BYTES}..{max_bytes} B: send fewer patterns"
        )
    reader = make(frame, 0, len(frame) - _CRC_BYTES)
    kind, flags = _read_kind(reader)
    dictionary = reader.fixed(1, "dictionary") if flags & _ZSTD else 0
    raw_bytes = reader.varint("length of the body before compression", MAX_RAW_BYTES) if flags & _ZSTD else 0
    fields = _read_head(reader, kind, flags)
    if flags & _ZSTD:
        head = frame[: reader.at]
        raw = decompress(reader.take(reader.end - reader.at, "compressed body"), dictionary, raw_bytes)
        _check(frame, zlib.crc32(raw, zlib.crc32(head)))
        reader = make(raw, 0, len(raw))
    else:
        _check(frame, zlib.crc32(frame[:-_CRC_BYTES]))
    return _message(kind, fields | read_sections(reader, kind))


def join(frames: Iterable[bytes]) -> bytes:
    """Return a reply: each frame behind its length as a varint."""
    return b"".join([part for frame in frames for part in (_varint(len(frame)), frame)])


def split(reply: bytes, *, max_bytes: int = REPLY_LIMIT) -> list[bytes]:
    """Return the frames that `join` was given, 1 to 4 of them. Raises WireError."""
    if len(reply) > max_bytes:
        raise WireError(WireCode.SIZE, f"reply is {len(reply)} B, allowed {max_bytes} B: send fewer titles")
    reader = Reader(reply, 0, len(reply))
    frames: list[bytes] = []
    while reader.at < reader.end and len(frames) < MAX_FRAMES:
        frames.append(reader.take(reader.varint("length of a frame"), "frame"))
    if reader.at < reader.end or not frames:
        left = reader.end - reader.at
        raise WireError(
            WireCode.COUNT,
            f"reply has {len(frames)} frames and {left} B more, allowed 1..{MAX_FRAMES} frames: send these",
        )
    return frames


def _plain_ack(ack: Ack) -> bytes:
    """Return the frame of what nearly every sync is answered with; its section is that of many others."""
    incarnation, version, horizon = ack.incarnation, ack.version, ack.horizon
    if not (0 <= horizon <= version <= MOST and 0 <= incarnation <= _U32):
        checked(version, "version", MOST)
        checked(incarnation, "incarnation", _U32)
        checked(version - horizon, "versions since the horizon", version)
    state = _state_of(version - horizon, ack.retry_after_s, ack.next_sync_s, ack.similar_allowed)
    frame = _start(Kind.ACK, ack.header) + incarnation.to_bytes(4, "little") + _varint(version) + state
    return frame + zlib.crc32(frame).to_bytes(_CRC_BYTES, "little")


@lru_cache(4_096)
def _varint(value: int) -> bytes:
    put_varint(out := bytearray(), value)
    return bytes(out)


@lru_cache(4_096)
def _state_of(behind: int, retry_after_s: int, next_sync_s: int, similar_allowed: bool) -> bytes:  # noqa: FBT001  (a cache's key)
    """Return an ACK's section."""
    state = put_state(behind, retry_after_s, next_sync_s, similar_allowed=similar_allowed)
    return bytes((1, len(state))) + state


def _head(message: Message) -> bytearray:
    """Return the header as it is without compression."""
    out = bytearray(_start(_KINDS[type(message)], message.header))
    if not isinstance(message, Pull):
        out += checked(message.incarnation, "incarnation", _U32).to_bytes(4, "little")
    if isinstance(message, Push):
        put_varint(out, checked(message.base, "base", MOST))
        if message.step != 1:
            out[1] |= STEP
            put_varint(out, checked(message.step, "step", _U32))
        checked(message.version, "version", MOST)
        put_varint(out, checked(message.known_pull, "known_pull", MOST))
    elif isinstance(message, Pull):
        put_varint(out, checked(message.pull_id, "pull_id", MOST))
    else:
        put_varint(out, checked(message.version, "version", MOST))
    return out


@lru_cache(64)
def _start(kind: Kind, header: Header) -> bytes:
    """Return what a program's frames of one kind all begin with."""
    out = bytearray((MAGIC | MAJOR, kind))
    out += checked(header.space, "space", _U24).to_bytes(3, "little")
    out += checked(header.lineage, "lineage", _U24).to_bytes(3, "little")
    put_varint(out, checked(header.epoch, "epoch", _U32))
    return bytes(out)


def _head_of_packed(head: bytearray, raw_bytes: int, dictionary: int) -> bytes:
    out = bytearray((head[0], head[1] | _ZSTD, dictionary))
    put_varint(out, raw_bytes)
    return bytes(out + head[2:])


def _read_kind(reader: Reader) -> tuple[Kind, int]:
    first = reader.fixed(1, "magic and version")
    if first & 0xF0 != MAGIC:
        raise WireError(WireCode.MAGIC, f"first byte is {first:#04x}, allowed {MAGIC | MAJOR:#04x}: send a frame")
    if first & 0x0F != MAJOR:
        raise WireError(WireCode.VERSION, f"version is {first & 0x0F}, allowed {MAJOR}: update the older side")
    flags = reader.fixed(1, "kind and flags")
    if (number := flags & _KIND_BITS) not in _MESSAGES:
        raise WireError(WireCode.KIND, f"kind is {number}, allowed {min(Kind)}..{max(Kind)}: update omega")
    kind = Kind(number)
    allowed = _KIND_BITS | _ZSTD | (STEP if kind is Kind.PUSH else 0)
    if flags & ~allowed:
        raise WireError(
            WireCode.FLAGS, f"flags of a {kind.name} are {flags:#04x}, allowed bits {allowed:#04x}: clear the others"
        )
    return kind, flags


def _read_head(reader: Reader, kind: Kind, flags: int) -> Fields:
    space, lineage = reader.fixed(3, "space"), reader.fixed(3, "lineage")
    fields: Fields = {"header": Header(space=space, lineage=lineage, epoch=reader.varint("epoch", _U32))}
    if kind is not Kind.PULL:
        fields["incarnation"] = reader.fixed(4, "incarnation")
    if kind is Kind.PUSH:
        fields["base"] = reader.varint("base")
        if flags & STEP:
            fields["step"] = _step(reader.varint("step", _U32))
        checked(fields["base"] + fields.get("step", 1), "version", MOST)
        fields["known_pull"] = reader.varint("known_pull")
    else:
        name = "pull_id" if kind is Kind.PULL else "version"
        fields[name] = reader.varint(name)
    return fields


def _step(step: int) -> int:
    if step == 1:
        raise WireError(WireCode.FLAGS, "step is 1 and stands there, allowed: another one: clear bit 4 instead")
    return step


def _message(kind: Kind, fields: Fields) -> Message:
    if kind is Kind.ACK:
        version = fields["version"]
        fields["horizon"] = version - checked(fields.pop("behind"), "versions since the horizon", version)
    return _MESSAGES[kind](**fields)


_MESSAGES: dict[int, type[Message]] = {kind: cls for cls, kind in _KINDS.items()}


def _check(frame: bytes, found: int) -> None:
    if (crc := int.from_bytes(frame[-_CRC_BYTES:], "little")) != found:
        raise WireError(WireCode.CHECKSUM, f"checksum is {crc:08x}, the bytes give {found:08x}: send the frame again")


def _crc(value: int) -> bytes:
    return value.to_bytes(_CRC_BYTES, "little")
