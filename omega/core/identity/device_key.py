"""A device's key: who it is, for as long as it keeps the file."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from omega.core.errors import InputError
from omega.core.identity import ed25519
from omega.core.identity.secret_file import make_secret, read_secret

if TYPE_CHECKING:
    from pathlib import Path

ID_BYTES = 16


def id_of(public_key: bytes) -> bytes:
    """Return the 16 B that name the holder of a public key, device or maker: the start of its SHA-256."""
    return hashlib.sha256(public_key).digest()[:ID_BYTES]


class DeviceKey:
    """An Ed25519 key pair; `open` keeps it in a file."""

    def __init__(self, seed: bytes) -> None:
        """`seed` is the private key, 32 B."""
        self._seed = seed
        self.public_key = ed25519.public_of(seed)
        self.id = id_of(self.public_key)

    @classmethod
    def open(cls, path: Path) -> DeviceKey:
        """Return the key in this file: 32 B, mode 0600, made on first use. Raises InputError."""
        if not path.exists():
            make_secret(path, secrets.token_bytes(ed25519.SEED_BYTES))
        seed = read_secret(path, ed25519.SEED_BYTES)
        if len(seed) != ed25519.SEED_BYTES:
            raise InputError(
                f"{path} is {len(seed)} B, allowed: {ed25519.SEED_BYTES} B, an Ed25519 key: restore it, or remove it "
                "to become a new device"
            )
        return cls(seed)

    def sign(self, data: bytes) -> bytes:
        """Return the signature, 64 B."""
        return ed25519.sign(self._seed, data)

    def __repr__(self) -> str:
        return f"DeviceKey({self.id.hex()})"
