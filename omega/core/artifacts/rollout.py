"""Who gets a new artifact first: a stable draw of each TV for each artifact."""

from __future__ import annotations

import hashlib
from typing import Final

BUCKETS: Final = 10_000


def bucket(device: bytes, sha256: str) -> int:
    """Return a TV's place 0..9999 in the rollout of the artifact with this sha256 (hex); `device` is the TV's id.

    The same for ever, uniform over TVs, and drawn anew for each artifact, so that no TV is always the first. While an
    artifact is out for a share s, the TVs with a place below 10,000 s take it; a growing share only adds TVs.
    """
    drawn = hashlib.blake2b(device, digest_size=8, key=bytes.fromhex(sha256), person=b"omega-rollout")
    return int.from_bytes(drawn.digest(), "big") % BUCKETS
