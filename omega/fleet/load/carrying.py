"""The seam between what is due and the bytes that leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.fleet.load.devices import Told

TIMEOUT_S = 10.0
"""How long a TV waits for an answer."""


class Visit:
    """One sync on its way; times are of `time.perf_counter`."""

    __slots__ = ("device", "due_s", "line", "over", "pause_s", "sent_s", "token", "told")

    def __init__(self, device: int, due_s: float, told: Told, token: str, pause_s: float = 0.0) -> None:
        """`pause_s` is how long it stops in the middle of its push, which counts as no latency."""
        self.device, self.due_s, self.told, self.token, self.pause_s = device, due_s, told, token, pause_s
        self.sent_s = 0.0
        """When its first byte left."""
        self.over = False
        """Whether its carrier has told what became of it."""
        self.line: object = None
        """The connection that carries it."""


class Ends(Protocol):
    """Who hears what became of a visit; one of the two is called, once."""

    def answered(self, visit: Visit, status: int, body: bytes, retry_after_s: float) -> None:
        """Take an answer with an HTTP status; 0 s is no wish."""

    def lost(self, visit: Visit, reason: str) -> None:
        """Take note that none will come, for a reason in a few words."""


class Carrier(Protocol):
    """Carries visits to a shard; for one running loop."""

    def send(self, visit: Visit) -> bool:
        """Send it now, or once a connection is free; say whether it left. Notes `sent_s` and tells `Ends`."""

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""

    @property
    def figures(self) -> dict[str, int]:
        """What is to be told of its connections."""

    async def close(self) -> None:
        """Let go of every connection; who isn't answered yet never will be."""


if TYPE_CHECKING:
    OpenCarrier = Callable[[Ends], Carrier]
    """Makes a carrier in the running loop."""
