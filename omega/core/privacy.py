"""The account of privacy, as a federation publishes it for TVs: Kind.PRIVACY.

It says what the figures of other homes cost where they have noise. One without releases takes the last one back: from
then on figures have none.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from omega.core.artifacts.manifest import LIMIT_BYTES, Kind
from omega.core.errors import ArtifactError


class Account(msgspec.Struct, frozen=True, kw_only=True, tag="omega privacy 1", tag_field="format"):
    """The account of what was told with noise."""

    releases: Annotated[int, Meta(ge=0, lt=2**53)]
    """With noise of their own, ever."""
    released_at: Annotated[int, Meta(ge=0, le=2**40)]
    """The last one, Unix seconds; 0: none."""
    epsilon_spent: Annotated[float, Meta(ge=0)]
    """Of the releases of the last 365 days together."""
    epsilon_a_year: Annotated[float, Meta(ge=0)]
    """The budget."""
    delta: Annotated[float, Meta(ge=0, le=1)]
    floor: Annotated[int, Meta(ge=0, lt=2**53)]
    """Fewer samples of a title aren't told."""
    why: Annotated[str, Meta(max_length=200)] = ""
    """Why the last round released nothing new, if so."""

    def encode(self) -> bytes:
        """Return the artifact's bytes."""
        return msgspec.msgpack.encode(self)


def decode_privacy(data: bytes) -> Account:
    """Return the account of an artifact's bytes. Raises ArtifactError."""
    if len(data) > LIMIT_BYTES[Kind.PRIVACY]:
        raise ArtifactError(f"account is {len(data):,} B, allowed: {LIMIT_BYTES[Kind.PRIVACY]:,} B: publish it again")
    try:
        return msgspec.msgpack.decode(data, type=Account)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"account is none of format 1 ({error}): publish it again, or update omega") from error


def withdrawn() -> Account:
    """Return what takes an account back."""
    return Account(releases=0, released_at=0, epsilon_spent=0.0, epsilon_a_year=0.0, delta=0.0, floor=0)
