"""Who may manage a shard: names, roles, and what their tokens hash to. The tokens themselves are kept nowhere."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec

from omega.core.errors import InputError, shown
from omega.core.identity.secret_file import read_secret, replace_secret

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_PREFIX = "omega-admin-"
"""So that people, and scanners for secrets, know one when they see it."""
_SECRET_BYTES = 32
TOKEN_CHARS = len(_PREFIX) + 43
MAX_ADMINS = 256
_MAX_FILE_BYTES = 65_536
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Role(StrEnum):
    """What an admin may do."""

    VIEWER = "viewer"
    """Read."""
    OPERATOR = "operator"
    """Read, and shut devices out."""
    FEDERATION = "federation"
    """Read the sums of all titles, those of one household among them, and nothing else: for the machine that runs
    rounds, which lets nobody see them. An operator may as well."""


class Admin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody with a token."""

    name: Annotated[str, msgspec.Meta(pattern=rf"\A{_NAME.pattern}\Z")]
    role: Role
    digest: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """SHA-256 of the token: with 256 random bits in it, nothing slower is needed."""


def role_of(text: str) -> Role:
    """Return the role of this name. Raises InputError."""
    if text not in list(Role):
        raise InputError(f"role is {shown(text)}, allowed: {', '.join(Role)}")
    return Role(text)


def read_admins(path: Path) -> tuple[Admin, ...]:
    """Return the admins in a file, none where it isn't there. Raises InputError."""
    if not path.exists():
        return ()
    try:
        admins = msgspec.json.decode(read_secret(path, _MAX_FILE_BYTES), type=tuple[Admin, ...])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        allowed = "a JSON list of objects with name, role and digest: write it with omega shard admin"
        raise InputError(f"{path} is refused, {shown(str(error))}, allowed: {allowed}") from error
    if len({admin.name for admin in admins}) < len(admins) or len(admins) > MAX_ADMINS:
        allowed = f"each once, {MAX_ADMINS} at most: leave some out"
        raise InputError(f"{path} names {len(admins)} admins, some of them twice perhaps, allowed: {allowed}")
    return admins


def add_admin(path: Path, name: str, role: Role) -> str:
    """Add an admin to a file, which is made on first use, and return the token, which nobody can tell again.

    Raises InputError.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"name is {shown(name)}, allowed: 1..64 of A-Z a-z 0-9 . _ @ -, a letter or digit first")
    known = read_admins(path)
    if any(admin.name == name for admin in known):
        raise InputError(f"admin {name} is there already, allowed: a new name: revoke that one first")
    if len(known) >= MAX_ADMINS:
        raise InputError(f"there are {len(known)} admins, allowed: {MAX_ADMINS}: revoke one first")
    token = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    _write(path, (*known, Admin(name, role, _digest(token))))
    return token


def revoke_admin(path: Path, name: str) -> Admin:
    """Remove an admin from a file, and return who it was. Raises InputError."""
    known = read_admins(path)
    found = next((admin for admin in known if admin.name == name), None)
    if found is None:
        there = ", ".join(admin.name for admin in known[:5]) or "nobody"
        raise InputError(f"admin is {shown(name)}, allowed: one of {path} ({there}): list them with --list")
    _write(path, (admin for admin in known if admin is not found))
    return found


def holder(admins: Iterable[Admin], token: str) -> Admin | None:
    """Return whose token it is; takes as long for each that is there, found or not."""
    digest = _digest(token if len(token) == TOKEN_CHARS else "")
    found = None
    for admin in admins:
        if hmac.compare_digest(admin.digest, digest):
            found = admin
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _write(path: Path, admins: Iterable[Admin]) -> None:
    replace_secret(path, msgspec.json.format(msgspec.json.encode(tuple(admins)), indent=2) + b"\n")
