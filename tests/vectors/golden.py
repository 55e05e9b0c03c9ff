"""The golden frames: messages, their bytes, and bytes that must be refused; other languages read the files.

`python tests/vectors/golden.py` writes them anew. A frame that was published keeps its bytes: a change here that alters
one is a new version of the format.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from omega.core.errors import WireCode
from omega.core.wire.frames import decode, encode
from omega.core.wire.messages import (
    Ack,
    Artifact,
    ArtifactKind,
    Header,
    Pull,
    Push,
    Reason,
    Resync,
    Row,
    Similar,
    Trend,
    Trial,
)
from omega.core.wire.samples import pulled, pushed

if TYPE_CHECKING:
    from omega.core.wire.messages import Message

FOLDER = Path(__file__).parent
_HEADER = Header(space=0x0A0B0C, lineage=0x6DD2CE, epoch=1)
_TASTE, _OTHER = bytes(range(22)), bytes(range(100, 122))
_HASH = 0x12_3456_789A

MESSAGES: dict[str, Message] = {
    "push-empty": Push(header=_HEADER, incarnation=7, base=0),
    "push-5": Push(
        header=_HEADER,
        incarnation=0xC0FFEE01,
        base=300,
        known_pull=70,
        contributed=(
            Row(3, 4, 20_700, 1000, _TASTE),
            Row(17, 4, 20_700, 964, _TASTE),
            Row(17, 5, 20_700, 0, _TASTE),
            Row(300, 4, 20_700, 120, _TASTE),
            Row(799, 6, 20_700, 500, _TASTE),
        ),
    ),
    "push-everything": Push(
        header=_HEADER,
        incarnation=0xFFFFFFFF,
        base=2**40,
        step=3,
        known_pull=1,
        contributed=(
            Row(0, 0, 20_700, 0),
            Row(0, 0, 20_701, 4),
            Row(5, 7, 20_698, 1000, _OTHER),
            Row(5, 7, 20_700, 1000, _OTHER),
            Row(2**32 - 1, 7, 0, 1000, _TASTE),
            Row(_HASH, 1, 20_700, 8, _TASTE, hashed=True),
            Row(_HASH, 2, 20_700, 8, _TASTE, hashed=True),
        ),
        retracted=(Row(9, 0, 65_535, 400), Row(2**40 - 1, 0, 20_600, 400, _OTHER, hashed=True)),
        asks=_OTHER,
    ),
    "push-trials": Push(
        header=_HEADER,
        incarnation=0xC0FFEE01,
        base=301,
        trials=(
            Trial(0, 7, 0, 255, 255, 1_440),
            Trial(0xDEADBEEF, 0, 20_700, 3, 1, 127),
            Trial(0xDEADBEEF, 1, 20_700, 0, 0, 0),
        ),
        trials_retracted=(Trial(2**32 - 1, 0, 65_535, 1, 0, 90),),
    ),
    "push-100": pushed(Random(100), range(800), 100),
    "push-100-hashed": pushed(Random(101), [Random(i).getrandbits(40) for i in range(800)], 100, hashed=True),
    "ack": Ack(header=_HEADER, incarnation=0xC0FFEE01, version=301, horizon=290, next_sync_s=600),
    "ack-everything": Ack(
        header=_HEADER,
        incarnation=0,
        version=2**62,
        horizon=0,
        retry_after_s=3600,
        next_sync_s=900,
        similar_allowed=True,
        resolved=((_HASH, 801), (_HASH + 1, 0)),
    ),
    "resync": Resync(header=_HEADER, incarnation=0xC0FFEE01, version=299, reason=Reason.GAP),
    "pull-empty": Pull(header=_HEADER, pull_id=1),
    "pull-everything": Pull(
        header=_HEADER,
        pull_id=71,
        trending=(
            Trend(3, None, 3, 800, 0, b"abcdef"),
            Trend(3, 0, 300, 1000, 255),
            Trend(799, 7, 2**32 - 1, 0, 128, b"\xff" * 6),
        ),
        similar=(Similar(1, None, 3, 800, 255), Similar(2, 5, 6, 900, 0)),
        removed=(0, 44, 2**32 - 1),
        artifacts=(
            Artifact(ArtifactKind.CATALOG, 2, bytes(range(16)), 127_482),
            Artifact(ArtifactKind.CATALOG, 2, bytes(range(1, 17)), 0),
            Artifact(255, 2**62, bytes(16), 2**62),
        ),
    ),
    "pull-100-20": pulled(Random(102), range(800), trending=20, similar=100),
}


def frames() -> dict[str, bytes]:
    """The bytes of each message."""
    return {name: encode(message) for name, message in MESSAGES.items()}


def sealed(body: bytes) -> bytes:
    """A frame that isn't compressed, with the right checksum whatever its bytes."""
    return body + zlib.crc32(body).to_bytes(4, "little")


def refused() -> dict[str, tuple[bytes, WireCode]]:
    """Frames that no receiver may take, each with the code of the refusal."""
    empty, five, resync = (frames()[name][:-4] for name in ("push-empty", "push-5", "resync"))
    packed = frames()["push-100"]
    flipped = bytearray(packed)
    flipped[-1] ^= 1
    group = five[five.index(b"\x16") :]
    doubled = b"\x01" + bytes([2 * len(group)]) + 2 * group
    return {
        "nothing": (b"", WireCode.SIZE),
        "foreign": (sealed(b"\x28" + empty[1:]), WireCode.MAGIC),
        "major-2": (sealed(b"\xe2" + empty[1:]), WireCode.VERSION),
        "kind-0": (sealed(empty[:1] + b"\x00" + empty[2:]), WireCode.KIND),
        "kind-7": (sealed(empty[:1] + b"\x07" + empty[2:]), WireCode.KIND),
        "flag-0x20": (sealed(empty[:1] + b"\x21" + empty[2:]), WireCode.FLAGS),
        "step-of-a-resync": (sealed(resync[:1] + b"\x13" + resync[2:]), WireCode.FLAGS),
        "checksum": (bytes(flipped), WireCode.CHECKSUM),
        "dictionary-255": (packed[:2] + b"\xff" + packed[3:], WireCode.DICTIONARY),
        "raw-too-long": (packed[:3] + b"\x81\x80\x04" + packed[5:], WireCode.VALUE),
        "raw-one-short": (packed[:3] + bytes([packed[3] - 1]) + packed[4:], WireCode.COMPRESSION),
        "raw-one-long": (packed[:3] + bytes([packed[3] + 1]) + packed[4:], WireCode.COMPRESSION),
        "bytes-behind-zstd": (packed[:-4] + b"\x00" + packed[-4:], WireCode.COMPRESSION),
        "unknown-odd-section": (sealed(empty + b"\x09\x01\x00"), WireCode.SECTION),
        "section-0": (sealed(empty + b"\x00\x00"), WireCode.SECTION),
        "section-twice": (sealed(empty + b"\x0a\x00\x0a\x00"), WireCode.SECTION),
        "resync-without-reason": (sealed(resync[:-3]), WireCode.SECTION),
        "reason-0": (sealed(resync[:-1] + b"\x00"), WireCode.VALUE),
        "long-form": (sealed(empty + b"\x8a\x00\x00"), WireCode.NUMBER),
        "count-2-63": (sealed(empty + b"\x01\x0a" + b"\xff" * 9 + b"\x01"), WireCode.NUMBER),
        "count-2-62": (sealed(empty + b"\x01\x09" + b"\xfe" + b"\xff" * 7 + b"\x3f"), WireCode.VALUE),
        "no-rows": (sealed(empty + b"\x01\x00"), WireCode.COUNT),
        "group-of-0": (sealed(empty + b"\x01\x02\x00\xf8"), WireCode.COUNT),
        "section-past-end": (sealed(empty + b"\x01\x7f\x04"), WireCode.TRUNCATED),
        "bytes-behind-question": (sealed(empty + b"\x08\x17" + bytes(23)), WireCode.TRAILING),
        "title-twice": (sealed(empty + b"\x01\x07\x08\xf8\x0a\x05\x00\xfa\xfa"), WireCode.ORDER),
        "success-251": (sealed(empty + b"\x01\x05\x04\xf8\x0a\x05\xfb"), WireCode.VALUE),
        "taste-twice": (sealed(five[: -len(group) - 2] + doubled), WireCode.ORDER),
        "ordinal-2-32": (sealed(empty + b"\x01\x09\x04\xf8\x0a\x80\x80\x80\x80\x80\x01\xfa"), WireCode.VALUE),
    }


def described(value: Any) -> Any:
    """A message as JSON values; bytes as hex digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: described(item) for name, item in value.items()}
    return [described(item) for item in value] if isinstance(value, (list, tuple)) else value


def index() -> bytes:
    """The content of frames.json: a line for each frame, its message in the order of the wire."""
    lines = [
        {
            "name": name,
            "kind": type(MESSAGES[name]).__name__.lower(),
            "bytes": len(frame),
            "message": described(msgspec.to_builtins(decode(frame, max_bytes=len(frame)), builtin_types=(bytes,))),
        }
        for name, frame in frames().items()
    ]
    lines += [
        {"name": name, "code": int(code), "why": code.name, "frame": frame.hex()}
        for name, (frame, code) in refused().items()
    ]
    return b"[\n" + b",\n".join(msgspec.json.encode(line) for line in lines) + b"\n]\n"


if __name__ == "__main__":
    for frame_name, frame in frames().items():
        (FOLDER / f"{frame_name}.bin").write_bytes(frame)
    (FOLDER / "frames.json").write_bytes(index())
