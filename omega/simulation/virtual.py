"""An event loop whose time passes only while nobody has anything to do; what a thread would do is done at once."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

from omega.core.errors import OmegaError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
STORED_S = 0.02
"""Between a commit and its answer: who is killed meanwhile has stored, and told nobody."""


class _Waiting(selectors.SelectSelector):
    """Waits for nothing but time, and that not really."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise OmegaError("a simulation waits for something that never comes: report this with its seed")
        self.now_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at 0 s. Nothing in it may wait for a socket, a thread or the clock of the machine."""

    def __init__(self) -> None:
        """Begin."""
        self._virtual = _Waiting()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual seconds."""
        return self._virtual.now_s

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # noqa: ARG002
        """Run it at once, in this thread; what came of it is known STORED_S later."""
        future: asyncio.Future[T] = self.create_future()
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001  (whoever waits for it gets it)
            self.call_later(STORED_S, _told, future.set_exception, future, error)
        else:
            self.call_later(STORED_S, _told, future.set_result, future, result)
        return future


def _told(tell: Callable[[Any], None], future: asyncio.Future[Any], what: object) -> None:
    if not future.done():
        tell(what)
