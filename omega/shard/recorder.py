"""What a worker counts of its own work: plain numbers, written as things happen and read when somebody asks.

Nothing here names a device or a title, and no name is added while the shard runs but a transport's.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from omega.core.errors import WireCode
from omega.core.shard_records import Verdict
from omega.core.wire import Reason
from omega.shard.answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omega.core.shard_records import Standing, Tick

LATENCIES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TICK_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000, 4_096)
SYNC_OUTCOMES = {200: "answered", 400: "malformed", 401: "denied", 429: "too-often", 503: "later", 0: "broken-off"}
"""By the status of the answer; 0 where none was made, since who asked had gone or something broke."""
ENROLMENT_OUTCOMES = {200: "admitted", 400: "malformed", 401: "denied", 503: "later", 0: "broken-off"}
OTHER = "other"
_TOKEN = ("malformed", "forged", "shard", "expired", "early", "revoked")
_ENROLMENT = ("forged", "shard", "expired", "early", "signature", "certificate", "replayed", "busy", "revoked")
_ENROLMENT_ENDS = ("quota", "unvouched", "malformed", "full", "store")


class Histogram:
    """How many observations were at most so large, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` ascend; what is beyond the last is counted as well."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one; .2 us."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class DoorFigures:
    """What came by one transport."""

    __slots__ = ("bytes_in", "bytes_out", "challenges", "enrolments", "latency_s", "syncs")

    def __init__(self) -> None:
        """Begin at 0."""
        self.syncs = dict.fromkeys(SYNC_OUTCOMES, 0)
        self.enrolments = dict.fromkeys(ENROLMENT_OUTCOMES, 0)
        self.challenges = 0
        self.bytes_in = self.bytes_out = 0
        """Of frames and messages, without what a transport adds."""
        self.latency_s = Histogram(LATENCIES_S)
        """From a sync's whole frame to its answer."""


class Recorder:
    """The figures of one worker since it started; its event loop writes them, `store_s` and `commit_s` the store's."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.doors: dict[str, DoorFigures] = {}
        self.refusals = dict.fromkeys(_reasons(), 0)
        self.resyncs = dict.fromkeys(Reason, 0)
        self.contributed = self.retracted = 0
        self.tick_moves = Histogram(TICK_SIZES)
        self.store_s = Histogram(LATENCIES_S)
        self.commit_s = Histogram(LATENCIES_S)

    def door(self, transport: str) -> DoorFigures:
        """Return the figures of a transport."""
        return self.doors.setdefault(transport, DoorFigures())

    def refuse(self, stage: str, reason: str) -> None:
        """Count why something was refused."""
        name = f"{stage}-{reason}"
        self.refusals[name if name in self.refusals else OTHER] += 1

    def tick(self, tick: Tick, standings: Sequence[Standing]) -> None:
        """Count what a committed tick held."""
        self.tick_moves.observe(len(standings))
        for move, standing in zip(tick.moves, standings, strict=False):
            if standing.verdict is Verdict.ACCEPTED:
                self.contributed += len(move.contributed)
                self.retracted += len(move.retracted) - standing.refused
        if tick.plain is not None:
            given = zip(tick.plain.count.tolist(), standings[len(tick.moves) :], strict=True)
            self.contributed += sum(count for count, standing in given if standing.verdict is Verdict.ACCEPTED)

    @property
    def syncs(self) -> dict[str, int]:
        """Syncs by outcome, over all transports."""
        doors = self.doors.values()
        return {outcome: sum(door.syncs[status] for door in doors) for status, outcome in SYNC_OUTCOMES.items()}


def _reasons() -> Iterable[str]:
    """Give every reason that there can be, so that a scrape has all of them from the first."""
    yield from (f"token-{reason}" for reason in _TOKEN)
    yield from (f"enrolment-{reason}" for reason in (*_ENROLMENT, *_ENROLMENT_ENDS))
    yield from (f"frame-{code.name.lower()}" for code in WireCode)
    yield from ("frame-no-push", "frame-push", OTHER)
    yield from (f"shard-{refusal}" for refusal in Refusal)
