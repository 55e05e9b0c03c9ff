"""Claims about who is who: what it costs a shard to know which device speaks."""

from __future__ import annotations

import base64
import gc
import hashlib
import time
from typing import TYPE_CHECKING

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.core.errors import DeniedError
from omega.core.identity.keyring import KeyRing
from omega.core.identity.tokens import Tokens

if TYPE_CHECKING:
    from omega.claims.bench import Bench

claims = Claims()
_TOKENS = 1000
_ROUNDS = 20
_BLOCK = 64
_NOW = 1_790_000_000


@claims.add(
    "token-check",
    what="telling from its token which device speaks, of 1,000 devices in turn, p50",
    target=50,
    unit="us",
    bound="at most",
    oracle="HMAC by RFC 2104's own formula on plain SHA-256: the same for 1,000 good and 1,000 altered tokens",
)
def token_check(bench: Bench) -> Measured:  # noqa: ARG001  (every check gets the bench)
    """Check every token 20 times, each check timed by itself."""
    random = np.random.default_rng(11)
    ring = KeyRing.fresh(_NOW - 100).rotated(_NOW - 50)
    revoked: dict[int, int] = {}
    tokens = Tokens(ring, 3, lambda slot: revoked.get(slot, 0))
    slots = random.permutation(4_000_000)[:_TOKENS].tolist()
    good = [tokens.give(slot, _NOW) for slot in slots]
    altered = [_altered(token, random) for token in good]
    oracle = [_by_formula(ring, token) for token in good + altered]
    ours = [_checked(tokens, token) for token in good + altered]
    expected = [*slots, *[None] * _TOKENS]
    times_us = _times_us(tokens, good * _ROUNDS)
    refusals_us = _times_us(tokens, altered)
    details = {
        "p99_us": float(np.percentile(times_us, 99)),
        "refusal_p50_us": float(np.median(refusals_us)),
        "checks": len(times_us),
        "good": sum(slot is not None for slot in oracle[:_TOKENS]),
        "altered": sum(slot is None for slot in oracle[_TOKENS:]),
        "token_bytes": len(good[0]),
    }
    return Measured(float(np.median(times_us)), details, agrees=ours == oracle == expected)


def _altered(token: str, random: np.random.Generator) -> str:
    """Return the token with one bit of it flipped."""
    raw = bytearray(base64.urlsafe_b64decode(token))
    bit = int(random.integers(8 * len(raw)))
    raw[bit // 8] ^= 1 << bit % 8
    return base64.urlsafe_b64encode(raw).decode()


def _checked(tokens: Tokens, token: str) -> int | None:
    try:
        return tokens.check(token, _NOW)
    except DeniedError:
        return None


def _by_formula(ring: KeyRing, token: str) -> int | None:
    """Return the slot if the tag is what RFC 2104 says it is, for some key of the ring."""
    raw = base64.urlsafe_b64decode(token)
    for key in ring.keys:
        named = raw[:4] == bytes([1]) + key.id.to_bytes(3, "big")
        if named and _hmac(_hmac(key.secret, b"omega token 1"), raw[:14] + bytes(4))[:16] == raw[14:]:
            return int.from_bytes(raw[6:10], "big")
    return None


def _hmac(key: bytes, message: bytes) -> bytes:
    """Return H(K xor opad, H(K xor ipad, message)) with SHA-256, whose blocks are 64 B."""
    padded = key.ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()


def _times_us(tokens: Tokens, asked: list[str]) -> list[float]:
    """Return what each check took; the clock's own two calls are in it."""
    gc.collect()
    spent = []
    for token in asked:
        started = time.perf_counter_ns()
        _checked(tokens, token)
        spent.append((time.perf_counter_ns() - started) / 1000)
    return spent
