"""Files read within bounds and written whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from omega.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def read_bounded(path: Path, limit_bytes: int, error: type[InputError] = InputError) -> bytes:
    """Return the file's bytes, or raise `error` when it is missing, unreadable or larger than `limit_bytes`."""
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            raw = file.read() if size_bytes <= limit_bytes else b""
    except (OSError, ValueError) as cause:  # a ValueError for a name with a NUL in it
        raise error(f"{path} can't be read: {getattr(cause, 'strerror', cause)}") from cause
    if size_bytes > limit_bytes:
        raise error(f"{path} is {size_bytes:,} B, allowed: {limit_bytes:,} B")
    return raw


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well, and vanishes otherwise.

    Raises InputError when the folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    except OSError as cause:
        raise InputError(f"{path} can't be written: {cause.strerror}") from cause
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _put(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path, *, replaces: Callable[[Path], bool] = lambda folder: False) -> Iterator[Path]:
    """Give an empty folder beside `path` that takes its place when the block ends well, and vanishes otherwise.

    An empty folder is replaced, and one for which `replaces` says so. Raises InputError when `path` holds anything
    else, or can't be written.
    """
    if path.exists() and not (path.is_dir() and (not any(path.iterdir()) or replaces(path))):
        raise InputError(f"{path} is there already, allowed: a new name: give another or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as cause:
        raise InputError(f"{path} can't be written: {cause.strerror}") from cause
    older = temporary.with_suffix(".older")
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            path.rename(older)
        temporary.rename(path)
    finally:
        shutil.rmtree(older, ignore_errors=True)
        shutil.rmtree(temporary, ignore_errors=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file so that a reader, or a crash, finds the old bytes or the new ones, never a half."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put(temporary: Path, path: Path) -> None:
    try:
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as cause:
        raise InputError(f"{path} can't be written: {cause.strerror}") from cause
