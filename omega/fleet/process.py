"""A server in a process of its own, for as long as a block lasts; nothing of it is left, however the block ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from omega.core.child import Child
from omega.core.errors import OmegaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.core.child import Serve

END_S = 10.0


@contextmanager
def served(serve: Serve) -> Iterator[Any]:
    """Run a server until the block ends, then end it by SIGTERM; gives what it told when it was ready.

    Ctrl-C reaches this process alone, and the block's end the server. Raises OmegaError, with what kept it from
    serving.
    """
    child = Child(serve)
    try:
        try:
            told = child.told()
        except OmegaError as error:
            told = f"no server could be started on this machine ({error}): leave it out, or try again"
            raise OmegaError(told) from error
        yield told
    finally:
        child.end(END_S)
