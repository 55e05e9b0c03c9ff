"""A device's key: made once whoever comes first, private, and judged by another implementation."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from omega.core.errors import InputError
from omega.core.identity.device_key import DeviceKey, id_of
from omega.core.identity.ed25519 import is_signed

if TYPE_CHECKING:
    from pathlib import Path

# RFC 8032, section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
    "387b2eaeb4302aeeb00d291612bb0c00"
)


def test_the_rfcs_example() -> None:
    key = DeviceKey(SEED)
    assert key.public_key == PUBLIC
    assert key.sign(b"\x72") == SIGNATURE
    assert is_signed(PUBLIC, SIGNATURE, b"\x72")
    assert not is_signed(PUBLIC, SIGNATURE, b"\x73")
    assert key.id == hashlib.sha256(PUBLIC).digest()[:16] == id_of(PUBLIC)


def test_what_is_no_key_signed_nothing() -> None:
    for public in (b"", b"short", bytes(33), b"\xff" * 32):
        assert not is_signed(public, SIGNATURE, b"\x72")
    for signature in (b"", SIGNATURE[:-1], SIGNATURE + b"\0", bytes(64)):
        assert not is_signed(PUBLIC, signature, b"\x72")


def test_a_key_is_made_on_first_use_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "tv" / "device.key"
    key = DeviceKey.open(path)
    assert DeviceKey.open(path).id == key.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    Ed25519PublicKey.from_public_bytes(key.public_key).verify(key.sign(b"x"), b"x")
    assert DeviceKey.open(tmp_path / "other").id != key.id


def test_whoever_comes_first_makes_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for turn in range(40):
            opened = pool.map(DeviceKey.open, [tmp_path / f"{turn}.key"] * 8)
            assert len({key.id for key in opened}) == 1
    assert len(list(tmp_path.iterdir())) == 40


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    DeviceKey.open(tmp_path / "k")
    (tmp_path / "k").chmod(0o644)
    with pytest.raises(InputError, match="k has mode 0644, allowed: 0600, for it holds a secret: chmod 600 "):
        DeviceKey.open(tmp_path / "k")


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "k"
    DeviceKey.open(path)
    for raw, complaint in ((b"", "is 0 B, allowed: 32 B"), (b"x" * 31, "is 31 B"), (b"x" * 33, "is 33 B, allowed: 32")):
        path.write_bytes(raw)
        with pytest.raises(InputError, match=complaint):
            DeviceKey.open(path)
        assert path.read_bytes() == raw


def test_a_key_shows_its_id_alone() -> None:
    assert repr(DeviceKey(SEED)) == f"DeviceKey({id_of(PUBLIC).hex()})"


def test_without_cryptography_the_extra_is_named_and_tokens_still_work() -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from omega.core.identity.tokens import Tokens\n"
        "from omega.core.identity.keyring import KeyRing\n"
        "tokens = Tokens(KeyRing.fresh(1e9), 1, lambda slot: 0)\n"
        "print(tokens.check(tokens.give(5, 1e9), 1e9))\n"
        "from omega.core.errors import MissingExtraError\n"
        "try:\n    import omega.core.identity.device_key\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slot, message = done.stdout.splitlines()
    assert slot == "5"
    assert message.endswith("pip install 'exogenesis-omega[device]'")
