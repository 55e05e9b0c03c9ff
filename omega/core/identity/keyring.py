"""The keys with which a shard signs tokens and seals challenges: several at a time, so that one can follow another.

Exactly one key has no end, the newest. Rotating ends it a token's lifetime after its successor starts to sign, so that
every token that it signed lives out its day. Nothing expires because somebody forgot to rotate.
"""

from __future__ import annotations

import secrets
from string import hexdigits
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from omega.core.errors import InputError, shown
from omega.core.identity.secret_file import make_secret, read_secret, replace_secret

if TYPE_CHECKING:
    from pathlib import Path

TOKEN_S = 24 * 3600
"""Lifetime of a token."""
SKEW_S = 60
"""How far the clocks of two workers of a shard may be apart."""
ROTATION_LEAD_S = 300
"""A new key starts to sign so long after it was made; workers read the ring anew more often than that."""
SECRET_BYTES = 32
MAX_KEYS = 16
_KEY_ID_BITS = 24
_MAX_FILE_BYTES = 16_384

State = Literal["waiting", "signing", "retiring", "ended"]


class SigningKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One secret and the time in which it counts, unix seconds."""

    id: Annotated[int, msgspec.Meta(ge=0, lt=1 << _KEY_ID_BITS)]
    secret: Annotated[bytes, msgspec.Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
    not_before: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    not_after: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)] | None = None
    """What it signed is refused from here on; None: no end is set yet."""

    def begun(self, now: float) -> bool:
        """Return whether what it signed may count: also where another worker's clock is a little ahead."""
        return self.not_before <= now + SKEW_S

    def ended(self, now: float) -> bool:
        """Return whether what it signed no longer counts."""
        return self.not_after is not None and self.not_after <= now

    def __repr__(self) -> str:
        return f"SigningKey({self.id:06x}, not_before={self.not_before}, not_after={self.not_after})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show no secret to rich either."""
        return [("id", f"{self.id:06x}")]


class KeySummary(msgspec.Struct, frozen=True):
    """What may be shown of a key."""

    id: str
    """Six hexadecimal digits."""
    state: State
    not_before: int
    not_after: int | None


class KeyRing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys, oldest first."""

    keys: Annotated[tuple[SigningKey, ...], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]

    @classmethod
    def read(cls, path: Path) -> KeyRing:
        """Return the ring in this file. Raises InputError when it is missing, open to others, or no ring."""
        return _decoded(path, read_secret(path, _MAX_FILE_BYTES))

    @classmethod
    def fresh(cls, now: float) -> KeyRing:
        """Return a ring with one key, which signs at once."""
        return cls((_new_key(int(now), ()),))

    def signing(self, now: float) -> SigningKey:
        """Return the key that signs now: the newest that has begun."""
        for key in reversed(self.keys):
            if key.not_before <= now:
                return key
        return self.keys[0]

    def state(self, key: SigningKey, now: float) -> State:
        """Return what a key of this ring is good for now."""
        if key.ended(now):
            return "ended"
        if key == self.signing(now):
            return "signing"
        return "waiting" if key.not_before > now else "retiring"

    def summary(self, now: float) -> list[KeySummary]:
        """Return the keys without their secrets."""
        return [KeySummary(f"{key.id:06x}", self.state(key, now), key.not_before, key.not_after) for key in self.keys]

    def rotated(self, now: float) -> KeyRing:
        """Return a ring with a new key that will sign in five minutes; what has ended is left out. Raises InputError.

        A key that still waits is to be used first, so that no key ends before it began.
        """
        *older, newest = self.keys
        if newest.not_before > now:
            raise InputError(
                f"key {newest.id:06x} waits {newest.not_before - int(now)} s for its turn, allowed: one that waits: "
                "rotate when it signs"
            )
        successor = _new_key(int(now) + ROTATION_LEAD_S, self.keys)
        retiring = msgspec.structs.replace(newest, not_after=successor.not_before + TOKEN_S)
        kept = [key for key in older if not key.ended(now)]
        if len(kept) + 2 > MAX_KEYS:
            raise InputError(f"the ring holds {len(self.keys)} keys, allowed: {MAX_KEYS}: rotate when one has ended")
        return KeyRing((*kept, retiring, successor))

    def without(self, key_id: int, now: float) -> KeyRing:
        """Return a ring in which nothing that this key signed counts; a new key signs if none is left that can.

        Raises InputError when the ring has no such key.
        """
        if key_id not in {key.id for key in self.keys}:
            known = ", ".join(f"{key.id:06x}" for key in self.keys)
            raise InputError(f"key is {key_id:06x}, allowed: {known}: list them with `omega shard keygen --list`")
        left = [key for key in self.keys if key.id != key_id and not key.ended(now)]
        newest = left.pop() if left and left[-1].not_after is None else None
        at_once = max((int(now), *(key.not_before for key in left)))  # the clock may have been set back
        if newest is None:
            newest = _new_key(at_once, self.keys)
        elif self.signing(now).id == key_id:
            newest = msgspec.structs.replace(newest, not_before=min(at_once, newest.not_before))
        return KeyRing((*left, newest))


def parse_key_id(text: str) -> int:
    """Return a key's id from its six hexadecimal digits. Raises InputError."""
    if len(text) != _KEY_ID_BITS // 4 or not set(text) <= set(hexdigits):
        raise InputError(f"key is {shown(text)}, allowed: six hexadecimal digits, as `--list` shows them")
    return int(text, 16)


def make_ring(path: Path, now: float) -> KeyRing:
    """Write a new ring. Raises InputError when the file is there."""
    ring = KeyRing.fresh(now)
    if not make_secret(path, _encoded(ring)):
        raise InputError(f"{path} is there already, allowed: a new file: use --rotate or --list, or give another")
    return ring


def open_ring(path: Path, now: float) -> KeyRing:
    """Return the ring in this file, made on first use. Raises InputError."""
    if not path.exists():
        make_secret(path, _encoded(KeyRing.fresh(now)))
    return KeyRing.read(path)


def rotate_ring(path: Path, now: float) -> KeyRing:
    """Let a new key follow the one that signs. Raises InputError."""
    return _replaced(path, KeyRing.read(path).rotated(now))


def revoke_key(path: Path, key_id: int, now: float) -> KeyRing:
    """Remove a key: the devices whose tokens it signed enrol again. Raises InputError."""
    return _replaced(path, KeyRing.read(path).without(key_id, now))


def _replaced(path: Path, ring: KeyRing) -> KeyRing:
    replace_secret(path, _encoded(ring))
    return ring


def _encoded(ring: KeyRing) -> bytes:
    return msgspec.json.format(msgspec.json.encode(ring), indent=2) + b"\n"


def _decoded(path: Path, raw: bytes) -> KeyRing:
    try:
        ring = msgspec.json.decode(raw, type=KeyRing)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no key ring, {shown(str(error))}: restore it, or make a new one") from error
    begins = [key.not_before for key in ring.keys]
    endless = [key.not_after is None for key in ring.keys]
    unique = len({key.id for key in ring.keys}) == len(ring.keys)
    if not unique or begins != sorted(begins) or endless != [False] * (len(endless) - 1) + [True]:
        raise InputError(
            f"{path} is no key ring, allowed: keys of different ids, oldest first, the last without not_after: "
            "restore it, or make a new one"
        )
    return ring


def _new_key(not_before: int, others: tuple[SigningKey, ...]) -> SigningKey:
    taken = {key.id for key in others}
    key_id = next(n for n in iter(lambda: secrets.randbits(_KEY_ID_BITS), None) if n not in taken)
    return SigningKey(key_id, secrets.token_bytes(SECRET_BYTES), not_before)
