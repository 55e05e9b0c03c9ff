"""What a device and a shard say to each other when the device enrols: JSON, each at most 4 KiB.

    POST /v1/enrol/challenge   (nothing)  -> Challenge
    POST /v1/enrol             Answer     -> Admission

A device enrols once a day anew, by the same two requests; that it is known then is all that it has to bring.
"""

from __future__ import annotations

import hashlib
from struct import Struct as Layout
from typing import Annotated, TypeVar

import msgspec

from omega.core.errors import InputError, shown

T = TypeVar("T", bound=msgspec.Struct)

MAX_MESSAGE_BYTES = 4096
CHALLENGE_BYTES = 42
HEAD = Layout(">IHI16s")
"""Version << 24 | key id, shard, end (unix seconds), nonce; a tag of 16 B follows."""
_WHAT_IS_SIGNED = b"omega enrolment 1\0"


def _exactly(length: int) -> msgspec.Meta:
    return msgspec.Meta(min_length=length, max_length=length)


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a shard asks a device to sign; to the device all but the shard's id is opaque."""

    challenge: Annotated[bytes, _exactly(CHALLENGE_BYTES)]

    @property
    def shard(self) -> int:
        """The shard that asks."""
        return int(HEAD.unpack_from(self.challenge)[1])


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A maker's word that a device is one of its own."""

    maker: Annotated[bytes, _exactly(16)]
    """`id_of` the maker's public key."""
    signature: Annotated[bytes, _exactly(64)]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A challenge, signed."""

    challenge: Annotated[bytes, _exactly(CHALLENGE_BYTES)]
    public_key: Annotated[bytes, _exactly(32)]
    signature: Annotated[bytes, _exactly(64)]
    certificate: Certificate | None = None
    code: Annotated[str, msgspec.Meta(max_length=32)] | None = None

    def signed_part(self) -> bytes:
        """Return what the device signs, 156 B: nothing in an answer can be exchanged by somebody on the way."""
        maker = self.certificate.maker + self.certificate.signature if self.certificate else b""
        parts = hashlib.sha256(maker).digest() + hashlib.sha256((self.code or "").encode()).digest()
        return _WHAT_IS_SIGNED + self.challenge + self.public_key + parts


class Admission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shard took the device in."""

    token: Annotated[str, msgspec.Meta(max_length=128)]
    shard: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)]
    lifetime_s: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    """Seconds from now, for a TV's clock may be wrong."""


def encode(message: Challenge | Answer | Admission) -> bytes:
    """Return the message as JSON."""
    return msgspec.json.encode(message)


def decode(data: bytes, kind: type[T]) -> T:
    """Return the message of this kind, or raise InputError; what it held isn't repeated, it may be a secret."""
    name = kind.__name__.lower()
    if len(data) > MAX_MESSAGE_BYTES:
        raise InputError(f"{name} is {len(data):,} B, allowed {MAX_MESSAGE_BYTES:,} B: send one JSON object")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        fields = ", ".join(field.name for field in msgspec.structs.fields(kind))
        raise InputError(f"{name} is refused, {shown(str(error))}, allowed: one JSON object with {fields}") from error
