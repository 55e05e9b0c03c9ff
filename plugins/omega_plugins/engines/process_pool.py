"""Processes of this machine; with one worker, this very process."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from omega.core.errors import InputError, OmegaError, shown
from omega.core.hooks import hookimpl
from omega.core.ports import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

MOST_WORKERS = 256
_AHEAD = 2
"""Parts for each worker that are under way at a time."""


class ProcessPool(Engine):
    """Processes of this machine, or this one alone."""

    NAME: ClassVar[str] = "process-pool"

    def __init__(self, workers: int) -> None:
        """Use `open`."""
        self._workers, self._pool = workers, _pool(workers) if workers > 1 else None

    @classmethod
    def open(cls, workers: int = 1, address: str = "") -> Self:
        """Have so many processes, which start when there is work. Raises InputError."""
        if not 1 <= workers <= MOST_WORKERS or address:
            told = f"workers is {workers}, address {shown(address)}"
            raise InputError(f"{told}, allowed: 1..{MOST_WORKERS} and no address: engine dask has one")
        return cls(workers)

    def map(self, function: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
        """Yield what the function returns of each part, in their order. Raises OmegaError for a worker that dies."""
        if self._pool is None:
            yield from map(function, parts)
            return
        from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415  (see _pool)

        rest, running = iter(parts), deque[Any]()
        try:
            running.extend(self._pool.submit(function, part) for part in islice(rest, _AHEAD * self._workers))
            while running:
                yield running.popleft().result()
                running.extend(self._pool.submit(function, part) for part in islice(rest, 1))
        except BrokenProcessPool as error:
            raise OmegaError("a worker of the process pool died, out of memory perhaps: have fewer workers") from error

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> Any:
    import multiprocessing  # noqa: PLC0415  (20 ms that no TV needs, which loads all plugins)
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))  # a fork beside threads may hang


@hookimpl
def omega_engines() -> list[type[Engine]]:
    """Offer ProcessPool."""
    return [ProcessPool]
