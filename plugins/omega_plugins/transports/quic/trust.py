"""Whom a client believes to be its shard."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

from omega.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def roots(ca: Path | None) -> tuple[str | None, str | None]:
    """Return a file and a folder of authorities, one's own or those that OpenSSL trusts here. Raises InputError."""
    if ca is None:
        paths = ssl.get_default_verify_paths()
        if not (paths.cafile or paths.capath):
            raise InputError("the system has no certificate authorities, allowed: a ca of one's own: name its PEM file")
        return paths.cafile, paths.capath
    try:
        ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError, too
        reason = error.strerror or "it holds no certificate" if isinstance(error, OSError) else error
        raise InputError(f"ca is {ca} ({reason}), allowed: a PEM file of certificates") from error
    return str(ca), None


def digest(ca: Path | None) -> str:
    """Return what tells authorities apart: a ticket that one of them vouched for is nothing to another."""
    return hashlib.sha256(ca.read_bytes()).hexdigest()[:16] if ca else "system"
