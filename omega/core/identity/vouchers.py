"""What speaks for a device that a shard doesn't know yet: its maker's certificate, or a code that it was told."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Annotated

import msgspec

from omega.core.errors import InputError, shown
from omega.core.files import read_bounded
from omega.core.identity import ed25519
from omega.core.identity.device_key import id_of
from omega.core.identity.messages import MAX_MESSAGE_BYTES, Certificate, decode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from omega.core.identity.device_key import DeviceKey

_WHAT_A_MAKER_SIGNS = b"omega maker 1\0"
_MAX_MAKERS_BYTES = 1_000_000
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that a person takes for a digit."""
_READ_AS = str.maketrans("OIL", "011", "- ")
_CODE_CHARS = 16
_CODE_GROUP = 4


class Maker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who makes TVs, and whose certificates a shard takes."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    public_key: Annotated[bytes, msgspec.Meta(min_length=ed25519.PUBLIC_BYTES, max_length=ed25519.PUBLIC_BYTES)]
    quota: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    """So many devices the shard takes on this maker's word, ever: what a stolen key can do is bounded."""

    @property
    def id(self) -> bytes:
        """What certificates call the maker, 16 B."""
        return id_of(self.public_key)


class Code(msgspec.Struct, frozen=True):
    """A one-time code as a shard's store keeps it: not the code, but what it hashes to."""

    digest: bytes
    """32 B."""
    uses: int
    """Devices that it still admits."""
    ends_at: int
    """Unix seconds."""

    def live(self, now: float) -> bool:
        """Return whether it admits a device now."""
        return self.uses > 0 and now < self.ends_at


def certify(maker: DeviceKey, device_public_key: bytes) -> Certificate:
    """Return the certificate that a maker's key gives to a device's; made once, in the factory."""
    return Certificate(maker.id, maker.sign(_WHAT_A_MAKER_SIGNS + device_public_key))


def is_certified(certificate: Certificate, maker: Maker, device_public_key: bytes) -> bool:
    """Return whether this maker signed this device's key."""
    signed = _WHAT_A_MAKER_SIGNS + device_public_key
    return ed25519.is_signed(maker.public_key, certificate.signature, signed)


def read_makers(path: Path) -> tuple[Maker, ...]:
    """Return the makers in a JSON list of name, public_key (base64) and quota. Raises InputError."""
    try:
        makers = msgspec.json.decode(read_bounded(path, _MAX_MAKERS_BYTES), type=tuple[Maker, ...])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"{path} is refused, {shown(str(error))}, allowed: a JSON list of objects with name, public_key, quota"
        ) from error
    if len({maker.id for maker in makers}) < len(makers):
        raise InputError(f"{path} names a public key twice, allowed: once: leave one of the two out")
    return makers


def encode_makers(makers: Iterable[Maker]) -> bytes:
    """Return what `read_makers` reads."""
    return msgspec.json.format(msgspec.json.encode(tuple(makers)), indent=2) + b"\n"


def encode_certificate(certificate: Certificate) -> bytes:
    """Return what `read_certificate` reads."""
    return msgspec.json.encode(certificate) + b"\n"


def read_certificate(path: Path) -> Certificate:
    """Return the certificate in a file, as `certify` made it. Raises InputError."""
    return decode(read_bounded(path, MAX_MESSAGE_BYTES), Certificate)


def new_code(now: float, *, uses: int, lifetime_s: int) -> tuple[str, Code]:
    """Return a code of 80 random bits, to be told to a person, and what the store keeps of it.

    Raises InputError when `uses` or `lifetime_s` is below 1.
    """
    for name, value in (("uses", uses), ("lifetime_s", lifetime_s)):
        if value < 1:
            raise InputError(f"{name} is {value}, allowed: 1 or more")
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_CHARS))
    groups = (text[start : start + _CODE_GROUP] for start in range(0, _CODE_CHARS, _CODE_GROUP))
    return "-".join(groups), Code(code_digest(text), uses, int(now) + lifetime_s)


def code_digest(text: str) -> bytes:
    """Return what the store knows a code by, 32 B, however a person spelled it."""
    return hashlib.sha256(text.upper().translate(_READ_AS).encode(errors="surrogatepass")).digest()
