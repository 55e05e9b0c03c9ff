"""What travels on a stream: a question, then an answer, each to its end. docs/quic.md shows both, byte by byte."""

from __future__ import annotations

import struct
from typing import TypeAlias

import msgspec

from omega.core.errors import InputError
from omega.core.ports import MAX_FRAME_BYTES
from omega_plugins.transports.answers import MAX_RETRY_AFTER_S

MAX_TOKEN_BYTES = 1_024
MAX_PATH_BYTES = 512
MAX_ETAG_BYTES = 255
_SYNC, _GET = 1, 2
_NAME = struct.Struct(">BH")
_PART = struct.Struct(">BQQ")
_HEAD = struct.Struct(">HIQQB")
_NEVER = 0xFFFF_FFFF
MAX_QUESTION_BYTES = _NAME.size + MAX_TOKEN_BYTES + MAX_FRAME_BYTES
_MOST_OFFSET = 2**63 - 1


class Sync(msgspec.Struct, frozen=True):
    """A frame, and who sends it; without a token a question to be enrolled."""

    token: str
    frame: bytes


class Get(msgspec.Struct, frozen=True):
    """A file, or a part of one."""

    path: str
    etag: str = ""
    part: range | None = None


Question: TypeAlias = Sync | Get


class Head(msgspec.Struct, frozen=True):
    """What stands before an answer's bytes."""

    status: int
    coming_bytes: int
    size_bytes: int
    """Of the whole file."""
    retry_after_s: int | None = None
    etag: str = ""


def sealed(question: Question) -> bytes:
    """Return a question's bytes. Raises InputError for what is too long."""
    name = (question.token if isinstance(question, Sync) else question.path).encode()
    most = MAX_TOKEN_BYTES if isinstance(question, Sync) else MAX_PATH_BYTES
    if len(name) > most:
        raise InputError(f"{'token' if isinstance(question, Sync) else 'path'} is {len(name):,} B, allowed: {most:,} B")
    if isinstance(question, Sync):
        return _NAME.pack(_SYNC, len(name)) + name + question.frame
    etag, part = question.etag.encode(), question.part
    if len(etag) > MAX_ETAG_BYTES:
        raise InputError(f"etag is {len(etag):,} B, allowed: {MAX_ETAG_BYTES} B")
    span = _PART.pack(1, part.start, part.stop) if part is not None else _PART.pack(0, 0, 0)
    return _NAME.pack(_GET, len(name)) + name + span + etag


def opened(data: bytes) -> Question:
    """Return the question of these bytes. Raises InputError for what is none."""
    if len(data) < _NAME.size:
        raise InputError(f"the question is {len(data)} B, allowed: {_NAME.size} B or more")
    kind, length = _NAME.unpack_from(data)
    name, rest = data[_NAME.size : _NAME.size + length], data[_NAME.size + length :]
    if len(name) < length:
        raise InputError(f"the question ends in its name, after {len(name)} of {length} B")
    if not (name.isascii() and name.decode("ascii").isprintable()):
        raise InputError("the question's name has other characters than printable ASCII")
    if kind == _SYNC and length <= MAX_TOKEN_BYTES:
        return Sync(name.decode("ascii"), rest)
    if kind == _GET and length <= MAX_PATH_BYTES and len(rest) >= _PART.size:
        return _get(name.decode("ascii"), rest)
    raise InputError(f"the question is of kind {kind} and its name {length:,} B, allowed: as in docs/quic.md")


def _get(path: str, rest: bytes) -> Get:
    asked, start, stop = _PART.unpack_from(rest)
    etag = rest[_PART.size :]
    if len(etag) > MAX_ETAG_BYTES or not (etag.isascii() and etag.decode("ascii").isprintable()):
        raise InputError(f"the etag is {len(etag)} B, allowed: {MAX_ETAG_BYTES} B of printable ASCII")
    if asked > 1 or (asked and not start < stop <= _MOST_OFFSET):
        raise InputError(f"the part is {start}..{stop}, allowed: a byte or more of less than 2^63")
    return Get(path, etag.decode("ascii"), range(start, stop) if asked else None)


def headed(head: Head) -> bytes:
    """Return the bytes that stand before an answer's."""
    etag, told = head.etag.encode("ascii", "replace")[:MAX_ETAG_BYTES], head.retry_after_s
    retry_after_s = _NEVER if told is None else min(told, MAX_RETRY_AFTER_S)
    return _HEAD.pack(head.status, retry_after_s, head.coming_bytes, head.size_bytes, len(etag)) + etag


def head_of(data: bytes | bytearray) -> tuple[Head, int] | None:
    """Return an answer's head and its length; None as long as bytes of it are missing."""
    if len(data) < _HEAD.size:
        return None
    status, retry_after_s, coming_bytes, size_bytes, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if len(data) < end:
        return None
    etag = bytes(data[_HEAD.size : end]).decode("ascii", "replace")
    told = None if retry_after_s == _NEVER else min(retry_after_s, MAX_RETRY_AFTER_S)
    return Head(status, coming_bytes, size_bytes, told, etag), end
