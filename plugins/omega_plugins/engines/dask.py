"""Workers of dask.distributed: on this machine, or on many at a scheduler's address."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from omega.core.errors import InputError, MissingExtraError, OmegaError, TransportError, shown
from omega.core.hooks import hookimpl
from omega.core.ports import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

MOST_WORKERS = 256
_AHEAD = 2
_TIMEOUT_S = 30
_SCHEMES = "tcp://", "tls://"


class Dask(Engine):
    """Workers of dask.distributed, of one's own on this machine or at a scheduler's address."""

    NAME: ClassVar[str] = "dask"

    def __init__(self, client: Any, cluster: Any, workers: int) -> None:
        """Use `open`."""
        self._client, self._cluster, self._workers = client, cluster, workers

    @classmethod
    def open(cls, workers: int = 1, address: str = "") -> Self:
        """Start so many workers and a scheduler on loopback, or join the scheduler at tcp:// or tls:// and an address.

        Raises InputError, MissingExtraError, and TransportError when nobody answers there.
        """
        if not 1 <= workers <= MOST_WORKERS or (address and not address.startswith(_SCHEMES)):
            told = f"workers is {workers}, address {shown(address)}"
            raise InputError(f"{told}, allowed: 1..{MOST_WORKERS}, and none or tcp:// or tls:// and an address")
        try:
            import distributed  # noqa: PLC0415  (half a second that a listing of plugins doesn't need)
        except ImportError as error:
            raise MissingExtraError("distributed", "dask") from error
        cluster = None if address else _own(distributed, workers)
        try:
            client = distributed.Client(cluster or address, timeout=_TIMEOUT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise TransportError(
                f"dask's scheduler at {shown(address)} can't be reached: {shown(str(error))}"
            ) from error
        return cls(client, cluster, workers)

    def map(self, function: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
        """Yield what the function returns of each part, in their order. Raises OmegaError for workers that die."""
        import distributed  # noqa: PLC0415

        rest, running = iter(parts), deque[Any]()
        most = _AHEAD * max(len(self._client.scheduler_info().get("workers", ())), self._workers)

        def submitted(count: int) -> list[Any]:
            return [self._client.submit(function, part, pure=False) for part in islice(rest, count)]

        try:
            running.extend(submitted(most))
            while running:
                yield running.popleft().result()
                running.extend(submitted(1))
        except (distributed.scheduler.KilledWorker, distributed.CancelledError) as error:
            raise OmegaError(f"dask's workers died over a part ({shown(str(error))}): give them more memory") from error
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """Leave the scheduler, or end it with its workers where they are our own."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _own(distributed: Any, workers: int) -> Any:
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=40,
    )


@hookimpl
def omega_engines() -> list[type[Engine]]:
    """Offer Dask."""
    return [Dask]
