"""Manifests: signed in one spelling, refused when a single bit is another."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.manifest import (
    LIMIT_BYTES,
    MAX_MANIFEST_BYTES,
    Kind,
    Manifest,
    Patch,
    check_content,
    digest,
    read_unverified,
    seal,
    unseal,
)
from omega.core.errors import ArtifactError

KEY = SigningKey.generate()
KEYS = Keyring([KEY.public])
PATCHES = (Patch("", "1" * 64, 80), Patch("2" * 64, "3" * 64, 20))
MANIFEST = Manifest(
    kind=Kind.CATALOG,
    name="4f1c5a0c2b6d7e80",
    version=7,
    sha256=digest(b"hello"),
    size_bytes=5,
    made_at=1_790_000_000,
    patches=PATCHES,
    key=KEY.id,
)
SEALED = seal(MANIFEST, KEY)


def test_a_sealed_manifest_is_what_was_sealed() -> None:
    assert unseal(SEALED, KEYS) == read_unverified(SEALED) == MANIFEST
    assert MANIFEST.file == f"{digest(b'hello')[:32]}-7.json" == MANIFEST.named.file
    assert set(LIMIT_BYTES) == set(Kind)
    assert len(SEALED) < 1000


def test_every_flipped_bit_is_refused() -> None:
    for place in range(len(SEALED)):
        for bit in range(8):
            flipped = bytearray(SEALED)
            flipped[place] ^= 1 << bit
            with pytest.raises(ArtifactError):
                unseal(bytes(flipped), KEYS)


def test_every_cut_and_every_addition_is_refused() -> None:
    cuts = [SEALED[:end] for end in range(len(SEALED))]
    spelled = [SEALED + b"\n", b" " + SEALED, SEALED.replace(b":7,", b":7.0,"), SEALED.replace(b":7,", b": 7,")]
    more = [SEALED[:-1] + b',"x":1}', SEALED.replace(b'"version":7', b'"version":7,"version":7')]
    for data in (*cuts, *spelled, *more):
        with pytest.raises(ArtifactError):
            unseal(data, KEYS)


@given(st.binary(max_size=2 * MAX_MANIFEST_BYTES))
def test_anything_else_is_refused_cleanly(data: bytes) -> None:
    with pytest.raises(ArtifactError):
        unseal(data, KEYS)


@pytest.mark.parametrize("data", [b"[" * MAX_MANIFEST_BYTES, b'{"manifest":' * 300, b"9" * 4000])
def test_deep_and_long_ones_are_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError):
        unseal(data, KEYS)


def test_an_oversize_one_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ArtifactError, match="manifest is 5,000 B, allowed: 4,096 B"):
        unseal(b"[" * 5000, KEYS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("version", 2**53),
        ("size_bytes", 0),
        ("size_bytes", 2**31),
        ("made_at", -1),
        ("name", ""),
        ("name", "../x"),
        ("name", "a\n"),
        ("sha256", "A" * 64),
        ("sha256", "a" * 63),
        ("sha256", "a" * 64 + "\n"),
        ("kind", "firmware"),
        ("format", 2),
        ("patches", PATCHES * 5),
        ("key", "x"),
    ],
)
def test_what_is_out_of_range_is_neither_signed_nor_read(field: str, value: object) -> None:
    wrong = msgspec.structs.replace(MANIFEST, **{field: value})
    with pytest.raises(ArtifactError, match="none of format 1"):
        seal(wrong, KEY)


def test_only_the_very_bytes_are_the_content() -> None:
    check_content(MANIFEST, b"hello")
    with pytest.raises(ArtifactError, match="is 4 B, its manifest says 5 B"):
        check_content(MANIFEST, b"hell")
    with pytest.raises(ArtifactError, match=r"has sha256 \w{16}\.\.\., its manifest says"):
        check_content(MANIFEST, b"hallo")
