"""Bearer tokens: 40 characters that say which device of a shard is speaking, for a day, checked without a look-up.

A token is base64url of 30 B, no padding and no spare bit, so that one token has one spelling:

    0      version, 1
    1..3   key id
    4..5   shard
    6..9   device's slot
    10..13 end, unix seconds; it was given TOKEN_S before
    14..29 HMAC-SHA256 of the above and of 4 B that don't travel, its first 16 B

These 4 B say since when the slot's tokens count, unix seconds. Who put back one backup, and then a newer one of before,
would else hand a slot with its tokens of meanwhile to the device that has it there.
"""

from __future__ import annotations

import hmac
import secrets
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable  # noqa: TC003  (it types a name of the module)
from hmac import compare_digest
from struct import Struct
from typing import NoReturn

from omega.core.errors import DeniedError, InputError
from omega.core.identity.keyring import SECRET_BYTES, SKEW_S, TOKEN_S, KeyRing, SigningKey

TOKEN_CHARS = 40
TAG_BYTES = 16
MAX_SHARD = (1 << 16) - 1
MAX_SLOT = (1 << 32) - 1
FOR_GOOD = (1 << 32) - 1
"""A device whose tokens count from here on is revoked for good."""
_VERSION = 1
_HEAD = Struct(">IHII")
_unpacked: Callable[[bytes], tuple[int, int, int, int]] = _HEAD.unpack_from
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/\0\0")
_PURPOSE = b"omega token 1"


class Tokens:
    """Gives and checks the tokens of one shard."""

    def __init__(self, ring: KeyRing, shard: int, counts_from: Callable[[int], int]) -> None:
        """`counts_from` tells of a slot since when its tokens count, unix seconds; 0: nothing was revoked.

        It is asked once for every token, so it should be a look into memory. Raises InputError.
        """
        if not 0 <= shard <= MAX_SHARD:
            raise InputError(f"shard id is {shard}, allowed: 0..{MAX_SHARD}")
        self.shard = shard
        self._counts_from = counts_from
        self._unknown = _mac(secrets.token_bytes(SECRET_BYTES)), SigningKey(0, bytes(SECRET_BYTES), 0)
        self.use(ring)

    def use(self, ring: KeyRing) -> None:
        """Take the ring as it is now: after a rotation, or a revocation."""
        self.ring = ring
        self._keys = {_VERSION << 24 | key.id: (_mac(key.secret), key) for key in ring.keys}

    def give(self, slot: int, now: float) -> str:
        """Return a token for the device in this slot; it ends TOKEN_S from `now`, unix seconds."""
        word = _VERSION << 24 | self.ring.signing(now).id
        head = _HEAD.pack(word, self.shard, slot, int(now) + TOKEN_S)
        raw = head + _tag(self._keys[word][0], head, self._counts_from(slot))
        return b2a_base64(raw, newline=False).translate(_TO_URL).decode()

    def check(self, token: str, now: float) -> int:
        """Return the slot of the device that the token was given to, or raise DeniedError."""
        raw = _bytes_of(token)
        word, shard, slot, end = _unpacked(raw)
        mac, key = self._keys.get(word, self._unknown)  # an unknown key costs the same time as a known one
        since = self._counts_from(slot)
        if not compare_digest(_tag(mac, raw[: _HEAD.size], since), raw[_HEAD.size :]):
            _deny("forged")
        given = end - TOKEN_S
        if shard != self.shard:
            _deny("shard")
        if end <= now or key.ended(now):
            _deny("expired")
        if given > now + SKEW_S or not (key.begun(now) or key is self.ring.signing(now)):
            _deny("early")  # the only key signs, though a clock that was set back since says that it mayn't yet
        if since == FOR_GOOD:
            _deny("revoked")  # a token of before any other moment has another tag, unless the clock was set back
        return slot


def claimed_slot(token: str) -> int:
    """Return the slot that a token says it was given to, true or not. Raises DeniedError."""
    return _unpacked(_bytes_of(token))[2]


def _bytes_of(token: str) -> bytes:
    if len(token) != TOKEN_CHARS:
        _deny("malformed")
    try:
        return a2b_base64(token.encode("ascii").translate(_FROM_URL), strict_mode=True)
    except ValueError:  # not base64, or not even ASCII
        _deny("malformed")


def _mac(secret: bytes) -> hmac.HMAC:
    """Return the HMAC that has taken in its key already; a copy of it is 0.7 us cheaper than a new one."""
    return hmac.new(hmac.digest(secret, _PURPOSE, "sha256"), digestmod="sha256")


def _tag(mac: hmac.HMAC, head: bytes, since: int) -> bytes:
    mine = mac.copy()
    mine.update(head + since.to_bytes(4, "big"))
    return mine.digest()[:TAG_BYTES]


def _deny(reason: str) -> NoReturn:
    raise DeniedError("token is refused, allowed: one that this shard gave in the last 24 hours: enrol again", reason)
