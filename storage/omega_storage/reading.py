"""Opening a database where nothing can be written: a read-only mount or folder, a full disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from omega.core.errors import StoreError
from omega_storage.engine import apsw
from omega_storage.pages import Pages

if TYPE_CHECKING:
    from typing import Self

_TRIES = 5
_READ_ONLY = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


class _Prepare(Protocol):
    def __call__(self, connection: apsw.Connection, *, write: bool) -> apsw.Connection: ...


class Copy(apsw.Connection):
    """A database in memory, read from a file and its log."""

    _path = ""

    @classmethod
    def of(cls, path: Path) -> Self:
        """Copy the file as it is at one moment. Raises StoreError while another process keeps on writing."""
        copy = cls(":memory:")
        copy._path = str(path)
        copy.deserialize("main", _image(path))
        return copy

    @property
    def filename(self) -> str:  # type: ignore[override]
        """The file that was copied."""
        return self._path


def opened(path: Path, prepare: _Prepare) -> apsw.Connection:
    """Open `path` for reading and let `prepare` set the connection up.

    SQLite reads a file with a log only beside an index of that log (-shm). Where that can't be made the file is read in
    place if nobody can write, since the mount is read-only and no log is left; else it is copied into memory, and what
    another process writes from then on is seen when the store is opened again.
    """
    log = Path(f"{path}-wal")
    unchanging = os.statvfs(path).f_flag & os.ST_RDONLY and not (log.exists() and log.stat().st_size)
    option = "immutable=1" if unchanging else "mode=ro"
    try:
        return prepare(apsw.Connection(f"{path.absolute().as_uri()}?{option}", flags=_READ_ONLY), write=False)
    except (apsw.CantOpenError, apsw.FullError, apsw.IOError, apsw.ReadOnlyError):
        return prepare(Copy.of(path), write=False)


def _image(path: Path) -> bytes:
    for _ in range(_TRIES):
        before = _state(path)
        try:
            image = Pages(path).image()
        except OSError as error:
            raise StoreError(f"{path} can't be read: {error.strerror}: make it readable") from error
        if _state(path) == before:
            return image
    raise StoreError(f"{path} is written to by another process and can't be written here: stop that one, or try again")


def _state(path: Path) -> list[tuple[int, int]]:
    files = [file for file in (path, Path(f"{path}-wal")) if file.exists()]
    return [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
