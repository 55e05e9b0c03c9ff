"""A server in a process of its own, for as long as a block lasts; nothing of it is left, however the block ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from omega.core.errors import OmegaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.connection import Connection

READY_S = 60.0
END_S = 10.0


class Serve(Protocol):
    """A server; it must be picklable."""

    def __call__(self, *, ready: Callable[[int, Mapping[str, int]], None]) -> None:
        """Serve until SIGTERM, and tell `ready` the port, and the others that there are. Raises OmegaError."""


@contextmanager
def served(serve: Serve) -> Iterator[int]:
    """Run a server until the block ends, then end it by SIGTERM; gives its port.

    Ctrl-C reaches this process alone, and the block's end the server. Raises OmegaError, with what kept it from
    serving.
    """
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_serve, args=(serve, sender), daemon=True)
    try:
        _start(process)
        sender.close()
        yield _port(receiver)
    finally:
        receiver.close()
        if process.pid is not None:
            _end(process)


def _start(process: Any) -> None:
    """Start it with SIGINT held back, which it inherits: an interrupted import would print a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(process: Any) -> None:
    process.terminate()
    process.join(END_S)
    if process.exitcode is None:
        process.kill()
        process.join()


def _port(receiver: Connection) -> int:
    try:
        told = receiver.recv() if receiver.poll(READY_S) else f"it wasn't ready within {READY_S:.0f} s"
    except EOFError:
        told = "it ended at once, as where a script starts it outside of `if __name__ == '__main__':`"
    if not isinstance(told, int):
        raise OmegaError(f"no server could be started on this machine ({told}): leave it out, or try again")
    return told


def _serve(serve: Serve, sender: Connection) -> None:
    """In the new process: serve, and say what prevents it."""
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        serve(ready=lambda port, others: sender.send(port))
    except OmegaError as error:
        sender.send(str(error))


def _end_with_parent() -> None:
    """Serve nobody whose process is gone: a parent that was killed can't end this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
