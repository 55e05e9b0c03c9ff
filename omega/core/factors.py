"""Where titles stand among tastes, as an artifact of Kind.FACTORS: learned of who watched them, not of their texts.

A TV tells its taste by these in place of its embeddings' axes, as soon as it has them. Each version goes on along the
axes of the one before, so that taste codes of both may be added up.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from omega.core.artifacts.manifest import LIMIT_BYTES, Kind
from omega.core.errors import ArtifactError

FACTORS: Final = 32
"""Numbers of a title."""
MOST_STEPS: Final = 127
"""A number is -1..1 in so many steps."""
_ORDINAL_BYTES: Final = 4


class Factors(msgspec.Struct, frozen=True, kw_only=True, tag="omega factors 1", tag_field="format"):
    """The rows of n titles."""

    version: Annotated[int, Meta(ge=1, lt=2**53)]
    space: Annotated[int, Meta(ge=0, lt=2**24)]
    """`space_code` of the space that titles without a row are told in."""
    titles: bytes
    """(n,) ordinals of 4 bytes, ascending, little-endian."""
    rows: bytes
    """(n, FACTORS) int8, each a row of about length MOST_STEPS."""

    def __len__(self) -> int:
        """Return the number of titles."""
        return len(self.titles) // _ORDINAL_BYTES

    def encode(self) -> bytes:
        """Return the artifact's bytes. Raises ArtifactError for what no TV takes."""
        data = msgspec.msgpack.encode(self)
        decode_factors(data)
        return data


def decode_factors(data: bytes) -> Factors:
    """Return the factors of an artifact's bytes. Raises ArtifactError."""
    if len(data) > LIMIT_BYTES[Kind.FACTORS]:
        raise ArtifactError(f"factors are {len(data):,} B, allowed: {LIMIT_BYTES[Kind.FACTORS]:,} B")
    try:
        found = msgspec.msgpack.decode(data, type=Factors)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"factors are none of format 1 ({error}): publish them again, or update omega") from error
    count, rest = divmod(len(found.titles), _ORDINAL_BYTES)
    if rest or len(found.rows) != count * FACTORS:
        told = f"{len(found.titles)} B of titles, {len(found.rows)} B of rows"
        raise ArtifactError(f"factors have {told}, allowed: {_ORDINAL_BYTES} and {FACTORS} B a title: publish again")
    ordinals = memoryview(found.titles).cast("I").tolist() if count else []
    if any(one >= other for one, other in itertools.pairwise(ordinals)):
        raise ArtifactError("factors' titles don't ascend, allowed: each title once, in order: publish them again")
    return found
