"""Operator keys: Ed25519 (RFC 8032). A TV pins one or several public ones, so that they can be changed in turn."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from omega.core.errors import ArtifactError, InputError, shown
from omega.core.files import read_bounded, write_atomically
from omega.core.identity.secret_file import make_secret

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PUBLIC_SUFFIX = ".pub"
_MAX_FILE_BYTES = 16_384
_PUBLIC = re.compile(r"[0-9a-f]{64}")


class SigningKey:
    """An operator's private key; nothing here prints it."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Use `generate` or `read`."""
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        """32 bytes."""
        self.id = key_id(self.public)
        """16 hex digits."""

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key from the system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """Read a private key file, PEM without a password. Raises ArtifactError."""
        pem = read_bounded(path, _MAX_FILE_BYTES, ArtifactError)
        try:
            private = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ArtifactError(
                f"{path} is no private key in PEM: give the file that omega artifact keygen made"
            ) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise ArtifactError(f"{path} holds another sort of key, allowed: Ed25519: make one, omega artifact keygen")
        return cls(private)

    def write(self, path: Path) -> Path:
        """Write the private key, for its owner alone, and beside it the public one, whose path is returned.

        Raises InputError when either is there already: a key is never overwritten.
        """
        public = path.with_name(path.name + PUBLIC_SUFFIX)
        for file in (path, public):
            if file.exists():
                raise InputError(f"{file} is there already, allowed: a new name: a key is never overwritten")
        pem = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        if not make_secret(path, pem):  # taken meanwhile
            raise InputError(f"{path} is there already, allowed: a new name: a key is never overwritten")
        write_atomically(public, self.public.hex().encode() + b"\n")
        return public

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._private.sign(data)


class Keyring:
    """The public keys that are trusted."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """`keys` are 32 bytes each; with none at all nothing is ever trusted."""
        self._keys = {key_id(key): Ed25519PublicKey.from_public_bytes(key) for key in keys}

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Keyring:
        """Read public key files, 64 hex digits a line. Raises ArtifactError."""
        return cls(key for path in paths for key in _public_keys(path))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, as they were given."""
        return tuple(self._keys)

    def check(self, key: str, signature: bytes, data: bytes) -> None:
        """Raise ArtifactError unless the key of this id is trusted and signed the data."""
        if (public := self._keys.get(key)) is None:
            raise ArtifactError(f"signed by key {shown(key)}, allowed: {', '.join(self.ids) or 'none is trusted yet'}")
        try:
            public.verify(signature, data)
        except InvalidSignature as error:
            raise ArtifactError(f"signature by key {key} doesn't fit: fetch it again, or publish it again") from error


def key_id(public: bytes) -> str:
    """Return the 16 hex digits that name a public key: the start of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def _public_keys(path: Path) -> list[bytes]:
    lines = read_bounded(path, _MAX_FILE_BYTES, ArtifactError).decode(errors="replace").split()
    if not lines or (wrong := next((line for line in lines if not _PUBLIC.fullmatch(line)), None)) is not None:
        found = shown(wrong) if lines else "nothing"
        raise ArtifactError(f"{path} holds {found}, allowed: public keys of 64 hex digits, one a line")
    return [bytes.fromhex(line) for line in lines]
