"""A server in a process of its own: started, heard when it is ready, ended; it ends itself when its parent is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from omega.core.errors import OmegaError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

READY_S = 60.0


class Serve(Protocol):
    """A server; it must be picklable."""

    def __call__(self, *, ready: Callable[[Any], None]) -> None:
        """Serve until SIGTERM, and tell `ready` once where. Raises OmegaError."""


class Child:
    """One such process; Ctrl-C doesn't reach it, so that its parent decides when it ends."""

    def __init__(self, serve: Serve, *, has_children: bool = False) -> None:
        """Start it, with SIGINT held back, which it inherits: an interrupted import would print a traceback.

        One that `has_children` of its own must be ended before this process ends, which else waits for it.
        """
        spawn = multiprocessing.get_context("spawn")
        self._receiver, sender = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_serve, args=(serve, sender), daemon=not has_children)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        except BaseException:
            self._receiver.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            sender.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    @property
    def ended(self) -> int:
        """A descriptor that can be read once it has ended."""
        return self._process.sentinel

    @property
    def exit_code(self) -> int | None:
        """What it ended with; minus a signal's number; None while it runs."""
        return self._process.exitcode

    def told(self, timeout_s: float = READY_S) -> Any:
        """Wait until it is ready, and return what it told. Raises OmegaError with what keeps it from serving."""
        if not self._receiver.poll(timeout_s):
            raise OmegaError(f"it wasn't ready within {timeout_s:g} s")
        try:
            found = self._receiver.recv()
        except EOFError:
            told = "it ended at once, as where a script starts it outside of `if __name__ == '__main__':`"
            raise OmegaError(told) from None
        if isinstance(found, OmegaError):
            raise found
        return found

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def end(self, timeout_s: float) -> None:
        """Ask it to end, wait so long, then kill it."""
        self._process.terminate()
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._receiver.close()


def _serve(serve: Serve, sender: Connection) -> None:
    """In the new process: serve, and say what prevents it."""
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        serve(ready=sender.send)
    except OmegaError as error:
        sender.send(OmegaError(str(error)))


def _end_with_parent() -> None:
    """Serve nobody whose process is gone: a parent that was killed can't end this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
