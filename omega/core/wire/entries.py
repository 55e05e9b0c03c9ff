"""The columns of a pull and of an answer: trends, similar titles, removed ones, artifacts, resolved hashes."""

from __future__ import annotations

from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from omega.core.errors import WireCode, WireError
from omega.core.types import SLOTS
from omega.core.wire.messages import AUDIENCE_BYTES, DIGEST_BYTES, HASH_BITS, SUCCESS_STEP, Artifact, Similar, Trend
from omega.core.wire.numbers import checked, put_ascending, put_varint, put_varints
from omega.core.wire.rows import MAX_ORDINAL, MAX_ROWS, MAX_SUCCESS, read_hashes, successes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.wire.numbers import Reader

MAX_ENTRIES = 1024
"""Trends, similar titles or removed ones in one frame at most, whatever their bytes."""
MAX_ARTIFACTS = 64
_PLACES = SLOTS + 1
"""A title's place is 0 for all contexts together, else the context + 1."""
_U32 = (1 << 32) - 1
_Entry = TypeVar("_Entry", Trend, Similar)


def put_trends(out: bytearray, trends: Sequence[Trend]) -> None:
    """Append n, the figures' columns, a bit for each that has an audience code, and these codes."""
    ordered = _put_figures(out, trends, "momentum")
    bits = 0
    for index, trend in enumerate(ordered):
        if trend.audience:
            checked(len(trend.audience), "length of an audience code", AUDIENCE_BYTES, AUDIENCE_BYTES)
            bits |= 1 << index
    out += bits.to_bytes((len(trends) + 7) // 8, "little")
    out += b"".join([trend.audience for trend in ordered])


def read_trends(reader: Reader) -> tuple[Trend, ...]:
    """Return what `put_trends` wrote, sorted by title and context."""
    keys, households, shares, momenta = _read_figures(reader, "momenta")
    n = len(keys)
    bits = reader.fixed((n + 7) // 8, "marks of audience codes")
    if bits >> n:
        raise WireError(WireCode.VALUE, f"marks of audience codes go beyond the {n} titles: leave the last bits zero")
    audiences = [reader.take(AUDIENCE_BYTES, "audience code") if bits >> i & 1 else b"" for i in range(n)]
    columns = zip(keys, households, shares, momenta, audiences, strict=True)
    return tuple([Trend(k // _PLACES, _slot(k), h, s << 2, m, a) for k, h, s, m, a in columns])


def put_similar(out: bytearray, similar: Sequence[Similar]) -> None:
    """Append n and the figures' columns."""
    _put_figures(out, similar, "nearness")


def read_similar(reader: Reader) -> tuple[Similar, ...]:
    """Return what `put_similar` wrote, sorted by title and context."""
    columns = zip(*_read_figures(reader, "nearnesses"), strict=True)
    return tuple([Similar(k // _PLACES, _slot(k), h, s << 2, near) for k, h, s, near in columns])


def put_removed(out: bytearray, ordinals: Sequence[int]) -> None:
    """Append n and the ordinals, ascending."""
    put_varint(out, checked(len(ordinals), "removed titles", MAX_ENTRIES))
    put_ascending(out, _ascending(sorted(checked(ordinal, "ordinal", MAX_ORDINAL) for ordinal in ordinals)))


def read_removed(reader: Reader) -> tuple[int, ...]:
    """Return the ordinals that `put_removed` wrote."""
    return tuple(reader.ascending(_count(reader, MAX_ENTRIES), "removed title", MAX_ORDINAL))


def put_artifacts(out: bytearray, artifacts: Sequence[Artifact]) -> None:
    """Append n, then kind, version, digest and size of each, ascending."""
    put_varint(out, checked(len(artifacts), "artifacts", MAX_ARTIFACTS))
    ordered = sorted(artifacts, key=attrgetter("kind", "version", "digest"))
    for artifact in ordered:
        out.append(checked(artifact.kind, "kind of an artifact", 255, 1))
        put_varint(out, checked(artifact.version, "version of an artifact"))
        checked(len(artifact.digest), "length of a digest", DIGEST_BYTES, DIGEST_BYTES)
        out += artifact.digest
        put_varint(out, checked(artifact.size_bytes, "size of an artifact"))
    _refuse_unsorted(ordered)


def read_artifacts(reader: Reader) -> tuple[Artifact, ...]:
    """Return what `put_artifacts` wrote."""
    artifacts = tuple([_artifact(reader) for _ in range(_count(reader, MAX_ARTIFACTS))])
    if not all(artifact.kind for artifact in artifacts):
        raise WireError(WireCode.VALUE, "kind of an artifact is 0, allowed 1..255: send one of these")
    _refuse_unsorted(artifacts)
    return artifacts


def put_resolved(out: bytearray, resolved: Sequence[tuple[int, int]]) -> None:
    """Append n, the hashes, ascending, and the ordinals."""
    put_varint(out, checked(len(resolved), "resolved titles", MAX_ROWS))
    hashes = _ascending([checked(hash_, "hash", (1 << HASH_BITS) - 1) for hash_, _ in sorted(resolved)])
    out += b"".join([hash_.to_bytes(HASH_BITS // 8, "big") for hash_ in hashes])
    put_varints(out, [checked(ordinal, "ordinal", MAX_ORDINAL) for _, ordinal in sorted(resolved)])


def read_resolved(reader: Reader) -> tuple[tuple[int, int], ...]:
    """Return the pairs that `put_resolved` wrote."""
    n = _count(reader, MAX_ROWS)
    hashes = _ascending(read_hashes(reader, n))
    return tuple(zip(hashes, reader.varints(n, "ordinal", MAX_ORDINAL), strict=True))


def _put_figures(out: bytearray, entries: Sequence[_Entry], last: str) -> list[_Entry]:
    """Append n, the places, households and successes, and a byte of the attribute `last`; return the entries sorted."""
    put_varint(out, checked(len(entries), "entries of a section", MAX_ENTRIES))
    ordered = sorted(entries, key=_key)
    put_ascending(out, _ascending([_key(entry) for entry in ordered]))
    put_varints(out, [checked(entry.households, "households", _U32) for entry in ordered])
    out += bytes([_quarter(entry.success) for entry in ordered])
    out += bytes([checked(getattr(entry, last), last, 255) for entry in ordered])
    return ordered


def _read_figures(reader: Reader, last: str) -> tuple[list[int], list[int], bytes, bytes]:
    n = _count(reader, MAX_ENTRIES)
    keys = reader.ascending(n, "title and context", MAX_ORDINAL * _PLACES + SLOTS)
    return keys, reader.varints(n, "households", _U32), successes(reader, n), reader.take(n, last)


def _key(entry: Trend | Similar) -> int:
    place = 0 if entry.slot is None else 1 + checked(entry.slot, "context", SLOTS - 1)
    return checked(entry.title, "ordinal", MAX_ORDINAL) * _PLACES + place


def _slot(key: int) -> int | None:
    return None if key % _PLACES == 0 else key % _PLACES - 1


def _quarter(success: int) -> int:
    if success % SUCCESS_STEP or not 0 <= success <= MAX_SUCCESS * SUCCESS_STEP:
        raise WireError(
            WireCode.VALUE, f"success is {success}, allowed: multiples of 4 in 0..1000: give quantized(success)"
        )
    return success // SUCCESS_STEP


def _artifact(reader: Reader) -> Artifact:
    kind = reader.fixed(1, "kind of an artifact")
    version = reader.varint("version of an artifact")
    digest = reader.take(DIGEST_BYTES, "digest of an artifact")
    return Artifact(kind, version, digest, reader.varint("size of an artifact"))


def _ascending(values: list[int]) -> list[int]:
    if any(low >= high for low, high in pairwise(values)):
        raise WireError(WireCode.ORDER, "titles of a section don't ascend: sort them, and send each once")
    return values


def _refuse_unsorted(artifacts: Sequence[Artifact]) -> None:
    keys = [(artifact.kind, artifact.version, artifact.digest) for artifact in artifacts]
    if any(low >= high for low, high in pairwise(keys)):
        raise WireError(WireCode.ORDER, "artifacts don't ascend: sort them by kind, version, digest; send each once")


def _count(reader: Reader, most: int) -> int:
    n = reader.varint("count of a section")
    if not 1 <= n <= most:
        raise WireError(WireCode.COUNT, f"a section has {n} entries, allowed 1..{most}: send so many, or no section")
    return n
