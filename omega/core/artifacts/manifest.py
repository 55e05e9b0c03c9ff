"""The manifest: what an artifact is, which bytes it has, and who signed for it.

A manifest file is one JSON object in one spelling only: {"manifest": {...}, "signature": 128 hex digits}. The signature
covers a line that says what is signed and the manifest's bytes as they stand in the file.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from omega.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omega.core.artifacts.keys import Keyring, SigningKey

FORMAT: Final = 1
MAX_MANIFEST_BYTES: Final = 4096
"""A larger one is refused before it is decoded; with three patches it has about 1 kB."""
MAX_PATCHES: Final = 8
NAMED_BYTES: Final = 16
"""How much of a sha256 a pull names: no other file with the same start can be made."""
_SIGNED: Final = b"omega artifact manifest 1\n"
"""No other thing that an operator's key signs begins like this."""

Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Base = Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
Signature = Annotated[str, Meta(pattern=r"\A[0-9a-f]{128}\Z")]
KeyId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
Name = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
Version = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Size = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Kind(StrEnum):
    """What an artifact is for; `naming` has the number that travels for each."""

    CATALOG = "catalog"
    WEIGHTS = "weights"
    MODEL = "model"
    FACTORS = "factors"
    AUDIENCE = "audience"
    NEIGHBORS = "neighbors"
    PRIVACY = "privacy"
    EXPERIMENTS = "experiments"
    BOARD = "board"
    """What shards tell together: they read it, no TV is ever sent one, and the wire has no number for it."""


LIMIT_BYTES: Final[Mapping[Kind, int]] = MappingProxyType(
    {
        Kind.CATALOG: 64 * 2**20,
        Kind.WEIGHTS: 2**16,
        Kind.MODEL: 64 * 2**20,
        Kind.FACTORS: 16 * 2**20,
        Kind.AUDIENCE: 2**20,
        Kind.NEIGHBORS: 16 * 2**20,
        Kind.PRIVACY: 2**12,
        Kind.EXPERIMENTS: 2**16,
        Kind.BOARD: 16 * 2**20,
    }
)
"""How large one of each kind may be."""
TV_LIMIT_BYTES: Final[Mapping[Kind, int]] = MappingProxyType(
    {kind: limit for kind, limit in LIMIT_BYTES.items() if kind is not Kind.BOARD}
)
"""What a TV takes of each kind at most; it holds two of a kind on disk and works on one in memory."""


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shorter way to the artifact's bytes."""

    base: Base
    """The sha256 of what it applies to; empty where it needs nothing, and only compresses."""
    sha256: Digest
    """Of the patch's own bytes."""
    size_bytes: Size


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of one artifact."""

    format: Literal[1] = FORMAT
    kind: Kind
    name: Name
    """Which one of its kind; versions of a (kind, name) only grow. A catalog's name is its lineage."""
    version: Version
    sha256: Digest
    size_bytes: Size
    made_at: Annotated[int, Meta(ge=0, le=2**40)]
    """Unix seconds; told, never judged by: a TV's clock may be wrong."""
    patches: Annotated[tuple[Patch, ...], Meta(max_length=MAX_PATCHES)]
    key: KeyId

    @property
    def named(self) -> Named:
        """What a pull says of it."""
        return Named(self.kind, bytes.fromhex(self.sha256)[:NAMED_BYTES], self.size_bytes, self.version)

    @property
    def file(self) -> str:
        """The name of the manifest's file."""
        return self.named.file


class Named(msgspec.Struct, frozen=True):
    """An artifact as a pull names it: enough to know whether it is wanted, and to ask for its manifest."""

    kind: Kind
    start: bytes
    """The first 16 bytes of its sha256."""
    size_bytes: int
    version: int

    @property
    def file(self) -> str:
        """The name of the manifest's file: the same bytes for ever, so that it may be cached anywhere."""
        return f"{self.start.hex()}-{self.version}.json"


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    manifest: Manifest
    signature: Signature


def seal(manifest: Manifest, key: SigningKey) -> bytes:
    """Return the manifest's file, signed. Raises ArtifactError when a field is out of range."""
    signature = key.sign(_SIGNED + msgspec.json.encode(manifest)).hex()
    data = msgspec.json.encode(_Sealed(manifest, signature))
    _decoded(data)
    return data


def unseal(data: bytes, keys: Keyring) -> Manifest:
    """Return the manifest of a file that a trusted key signed. Raises ArtifactError."""
    sealed = _decoded(data)
    found = sealed.manifest
    keys.check(found.key, bytes.fromhex(sealed.signature), _SIGNED + msgspec.json.encode(found))
    return found


def read_unverified(data: bytes) -> Manifest:
    """Return the manifest of a file that may be signed by anybody. Raises ArtifactError."""
    return _decoded(data).manifest


def digest(data: bytes) -> str:
    """Return the sha256 in hex."""
    return hashlib.sha256(data).hexdigest()


def check_content(manifest: Manifest, data: bytes) -> None:
    """Raise ArtifactError unless these are the very bytes that the manifest names."""
    if len(data) != manifest.size_bytes:
        raise ArtifactError(
            f"{manifest.kind} {manifest.name} is {len(data):,} B, its manifest says {manifest.size_bytes:,} B: "
            "fetch it again"
        )
    if (found := digest(data)) != manifest.sha256:
        raise ArtifactError(
            f"{manifest.kind} {manifest.name} has sha256 {found[:16]}..., its manifest says "
            f"{manifest.sha256[:16]}...: fetch it again"
        )


def _decoded(data: bytes) -> _Sealed:
    if len(data) > MAX_MANIFEST_BYTES:
        raise ArtifactError(f"manifest is {len(data):,} B, allowed: {MAX_MANIFEST_BYTES:,} B: publish it again")
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"manifest is none of format {FORMAT} ({error}): publish it again, or update omega") from (
            error
        )
    if msgspec.json.encode(sealed) != data:
        raise ArtifactError("manifest is spelled in another way than omega writes it: publish it again")
    return sealed
