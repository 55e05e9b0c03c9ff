"""Operator keys: written once, for their owner alone; trusted by name."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.errors import ArtifactError, InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_is_read_as_it_was_written(tmp_path: Path, key: SigningKey) -> None:
    public = key.write(tmp_path / "new" / "operator.key")
    again = SigningKey.read(tmp_path / "new" / "operator.key")
    assert (again.id, again.public) == (key.id, key.public)
    Keyring.read([public]).check(key.id, again.sign(b"x"), b"x")
    assert stat.S_IMODE((tmp_path / "new" / "operator.key").stat().st_mode) == 0o600
    assert {file.name for file in public.parent.iterdir()} == {"operator.key", "operator.key.pub"}


@pytest.mark.parametrize("taken", ["operator.key", "operator.key.pub"])
def test_no_key_is_overwritten(tmp_path: Path, key: SigningKey, taken: str) -> None:
    (tmp_path / taken).write_bytes(b"precious")
    with pytest.raises(InputError, match="is there already, allowed: a new name"):
        key.write(tmp_path / "operator.key")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"precious"]


def test_a_folder_that_cant_be_written_is_told(tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="can't be written"):
        key.write(tmp_path / "file" / "operator.key")


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"hello")
    with pytest.raises(ArtifactError, match="no private key in PEM"):
        SigningKey.read(tmp_path / "text")
    pem = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "ec").write_bytes(pem)
    with pytest.raises(ArtifactError, match="another sort of key, allowed: Ed25519"):
        SigningKey.read(tmp_path / "ec")
    with pytest.raises(ArtifactError, match="can't be read"):
        SigningKey.read(tmp_path / "none")


@pytest.mark.parametrize("text", ["", "hello", "A" * 64, "a" * 63, "a" * 64 + " b"])
def test_what_is_no_public_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pub").write_text(text)
    with pytest.raises(ArtifactError, match="allowed: public keys of 64 hex digits"):
        Keyring.read([tmp_path / "pub"])


def test_each_pinned_key_is_trusted_and_no_other(key: SigningKey, other_key: SigningKey) -> None:
    both = Keyring([key.public, other_key.public])
    assert both.ids == (key.id, other_key.id)
    for trusted in (key, other_key):
        both.check(trusted.id, trusted.sign(b"x"), b"x")
    with pytest.raises(ArtifactError, match="doesn't fit"):
        both.check(key.id, other_key.sign(b"x"), b"x")
    with pytest.raises(ArtifactError, match=f"signed by key '{other_key.id}', allowed: {key.id}"):
        Keyring([key.public]).check(other_key.id, other_key.sign(b"x"), b"x")
    with pytest.raises(ArtifactError, match="none is trusted yet"):
        Keyring([]).check(key.id, key.sign(b"x"), b"x")
