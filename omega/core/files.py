"""Files read within bounds and written whole."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from omega.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def read_bounded(path: Path, limit_bytes: int, error: type[InputError] = InputError) -> bytes:
    """Return the file's bytes, or raise `error` when it is missing, unreadable or larger than `limit_bytes`."""
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            plain, size_bytes = stat.S_ISREG(facts.st_mode), facts.st_size
            raw = file.read() if plain and size_bytes <= limit_bytes else b""
    except (OSError, ValueError) as cause:  # a ValueError for a name with a NUL in it
        raise error(f"{path} can't be read: {getattr(cause, 'strerror', cause)}") from cause
    if not plain:
        raise error(f"{path} can't be read: it is no plain file")
    if size_bytes > limit_bytes:
        raise error(f"{path} is {size_bytes:,} B, allowed: {limit_bytes:,} B")
    return raw


@contextmanager
def atomic_path(path: Path, *, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well, and vanishes otherwise.

    `mode` is the new file's, less the umask. Raises InputError when it can't be written, for want of a name, of
    permission or of space.
    """
    if not path.name:
        raise InputError(f"{path} can't be written: it is no file's name: name a file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield temporary
        temporary.replace(path)
    except OSError as cause:
        raise InputError(f"{path} can't be written: {cause.strerror or cause}") from cause
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path, *, replaces: Callable[[Path], bool] = lambda folder: False) -> Iterator[Path]:
    """Give an empty folder beside `path` that takes its place when the block ends well, and vanishes otherwise.

    An empty folder is replaced, and one for which `replaces` says so. Raises InputError when `path` holds anything
    else, before or after the block, or can't be written.
    """
    _refuse_unless_free(path, replaces)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        _refuse_unless_free(path, replaces)
        _swap(temporary, path)
    except OSError as cause:
        raise InputError(f"{path} can't be written: {cause.strerror or cause}") from cause
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write the file so that a reader, or a crash, finds the old bytes or the new ones, never a half."""
    with atomic_path(path, mode=mode) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _refuse_unless_free(path: Path, replaces: Callable[[Path], bool]) -> None:
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or replaces(path))):
        raise InputError(f"{path} is there already, allowed: a new name: give another or remove it")


def _swap(folder: Path, path: Path) -> None:
    """Move the folder to `path`; what stood there is deleted once that is done, and put back if it can't be."""
    older = folder.with_suffix(".older")
    if path.exists():
        path.rename(older)
    try:
        folder.rename(path)
    except OSError:
        if older.exists():
            older.rename(path)
        raise
    shutil.rmtree(older, ignore_errors=True)
