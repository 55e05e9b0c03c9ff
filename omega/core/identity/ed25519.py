"""Ed25519, RFC 8032: what the rest of Omega uses of `cryptography`, which is an extra."""

from __future__ import annotations

from omega.core.errors import MissingExtraError

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
except ImportError as missing:
    raise MissingExtraError("cryptography", "device") from missing

SEED_BYTES = PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


def public_of(seed: bytes) -> bytes:
    """Return the public key, 32 B, of a private seed of 32 B."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, data: bytes) -> bytes:
    """Return the signature, 64 B."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(data)


def is_signed(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether the holder of this public key signed the data; False, too, where the key is no key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
