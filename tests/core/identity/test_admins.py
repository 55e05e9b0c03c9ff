from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.errors import InputError
from omega.core.identity.admins import (
    MAX_ADMINS,
    TOKEN_CHARS,
    Role,
    add_admin,
    holder,
    read_admins,
    revoke_admin,
    role_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_token_is_told_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "admins.json"
    assert read_admins(path) == ()
    tokens = {name: add_admin(path, name, role) for name, role in (("ana", Role.OPERATOR), ("vic", Role.VIEWER))}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    known = read_admins(path)
    assert [(admin.name, admin.role) for admin in known] == [("ana", "operator"), ("vic", "viewer")]
    assert [admin.digest for admin in known] == [hashlib.sha256(token.encode()).digest() for token in tokens.values()]
    for name, token in tokens.items():
        assert len(token) == TOKEN_CHARS
        assert token not in path.read_text()
        assert token.removeprefix("omega-admin-") not in path.read_text()
        found = holder(known, token)
        assert found
        assert found.name == name
        for wrong in (
            token[:-1],
            token + "A",
            token.swapcase(),
            token[:-1] + "~",
            "",
            "\u00e9" * TOKEN_CHARS,
            "\udc80",
        ):
            assert holder(known, wrong) is None
    assert holder((), tokens["ana"]) is None


def test_who_was_revoked_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "admins.json"
    token, other = add_admin(path, "ana", Role.OPERATOR), add_admin(path, "vic", Role.VIEWER)
    assert revoke_admin(path, "ana").role is Role.OPERATOR
    assert holder(read_admins(path), token) is None
    assert holder(read_admins(path), other) is not None
    again = add_admin(path, "ana", Role.VIEWER)
    assert holder(read_admins(path), token) is None
    assert holder(read_admins(path), again) is not None


def test_refusals_say_what_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "admins.json"
    add_admin(path, "ana", Role.VIEWER)
    for name in ("", "a b", "-a", "a\n", "x" * 65, "\u00e9"):
        with pytest.raises(InputError, match=r"allowed: 1\.\.64 of"):
            add_admin(path, name, Role.VIEWER)
    with pytest.raises(InputError, match="ana is there already, allowed: a new name"):
        add_admin(path, "ana", Role.OPERATOR)
    with pytest.raises(InputError, match=r"admin is 'bob', allowed: one of .*admins.json \(ana\)"):
        revoke_admin(path, "bob")
    with pytest.raises(InputError, match="role is 'root', allowed: viewer, operator"):
        role_of("root")


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 30_000,
        b'[{"name":"a","role":"root","digest":"' + b"A" * 44 + b'"}]',
        b'[{"name":"a b","role":"viewer","digest":"' + b"A" * 43 + b'="}]',
        b'[{"name":"a","role":"viewer","digest":"AAAA"}]',
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "admins.json"
    path.write_bytes(written)
    path.chmod(0o600)
    with pytest.raises(InputError, match=r"admins.json is refused, .*allowed: a JSON list"):
        read_admins(path)


def test_a_file_that_others_may_read_or_that_names_one_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "admins.json"
    add_admin(path, "ana", Role.VIEWER)
    path.chmod(0o644)
    with pytest.raises(InputError, match="mode 0644, allowed: 0600"):
        read_admins(path)
    path.chmod(0o600)
    [one] = read_admins(path)
    path.write_bytes(msgspec.json.encode([one, one]))
    with pytest.raises(InputError, match="names 2 admins"):
        read_admins(path)
    many = [msgspec.structs.replace(one, name=f"a{number}") for number in range(MAX_ADMINS)]
    path.write_bytes(msgspec.json.encode(many))
    with pytest.raises(InputError, match="there are 256 admins, allowed: 256"):
        add_admin(path, "one-more", Role.VIEWER)
