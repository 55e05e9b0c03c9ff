"""One federation at a time works in a home; the lease is let go by whoever dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from omega.core.errors import BusyError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "lease.lock"


@contextmanager
def lease(home: Path) -> Iterator[None]:
    """Hold the lease of a home, which is made, within the block. Raises BusyError while another process does."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (home / FILE).open("a+")
    except OSError as error:
        raise InputError(f"{home} can't be written: {error.strerror or error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise BusyError(
                f"process {file.read().strip()} runs a round in {home}, allowed: one: wait for it"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
