"""Files that hold secrets: their owner's alone, written whole, made once."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from omega.core.errors import InputError
from omega.core.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OTHERS = stat.S_IRWXO | stat.S_IWGRP
"""What nobody else may do. A group may read: that is how a cluster mounts a secret for its service."""


def read_secret(path: Path, limit_bytes: int) -> bytes:
    """Return the file's bytes. Raises InputError when others may read or change it, or as `read_bounded` does."""
    raw = read_bounded(path, limit_bytes)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise InputError(f"{path} has mode {mode:04o}, allowed: 0600, for it holds a secret: chmod 600 {path}")
    return raw


def replace_secret(path: Path, data: bytes) -> None:
    """Write the file, mode 0600, in place of what stood there. Raises InputError when it can't be written."""
    with _written_beside(path, data) as temporary:
        temporary.replace(path)


def make_secret(path: Path, data: bytes) -> bool:
    """Write the file, mode 0600, and return True; False when one is there, which stays. Raises InputError."""
    with _written_beside(path, data) as temporary:
        try:
            path.hardlink_to(temporary)  # of two processes one succeeds, and both then read the same secret
        except FileExistsError:
            return False
    return True


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """Give a file beside `path` that holds the data on the disk; afterwards no file of this name is left."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    except OSError as cause:
        raise InputError(f"{path} can't be written: {cause.strerror or cause}") from cause
    finally:
        with suppress(OSError):
            temporary.unlink()
