"""What one sync did, in figures, and how they add up over its round trips."""

from __future__ import annotations

import msgspec

from omega.core.wire import Artifact
from omega.device.sync.session import Outcome, Synced


class Report(msgspec.Struct, frozen=True):
    """What one sync did."""

    number: int = 0
    """Counts the syncs of this process, from 1; 0 as long as none has ended."""
    outcome: Outcome | None = None
    """Of its last round trip; None when nothing came back."""
    reason: str | None = None
    """Why the shard counted nothing then."""
    error: str | None = None
    contributed: int = 0
    retracted: int = 0
    pulled: bool = False
    sent_bytes: int = 0
    """Frames alone, without what the transport adds."""
    received_bytes: int = 0
    round_trips: int = 0
    took_ms: float = 0.0
    next_s: float = 0.0
    """Until the next sync, if nothing happens."""
    artifacts: tuple[Artifact, ...] = ()
    """What its pull named."""
    fetched_bytes: int = 0
    """Of files that came beside the frames."""
    catalog_epoch: int = 0
    """Which epoch of the catalog came with them and is in use; 0: none."""
    fetch_error: str | None = None
    """Why a file didn't come or wasn't taken; the sync is none the worse for it."""


class Tally:
    """Adds up the round trips of one sync."""

    def __init__(self) -> None:
        self.sent = self.received = self.trips = self.contributed = self.retracted = 0
        self.pulled = False
        self.last: Synced | None = None
        self.artifacts: tuple[Artifact, ...] = ()
        self.fetched = self.catalog_epoch = 0
        self.fetch_error: str | None = None

    @property
    def changed(self) -> bool:
        """Whether anything was told or heard."""
        return self.pulled or self.contributed + self.retracted > 0

    def add(self, sent_bytes: int, received_bytes: int, synced: Synced) -> None:
        """Add a round trip."""
        self.sent, self.received, self.trips = self.sent + sent_bytes, self.received + received_bytes, self.trips + 1
        self.contributed, self.retracted = self.contributed + synced.contributed, self.retracted + synced.retracted
        self.pulled |= synced.pulled
        self.artifacts = synced.artifacts or self.artifacts
        self.last = synced

    def include(self, other: Tally) -> None:
        """Add another shard's figures; what it answered is its own affair."""
        self.sent, self.received = self.sent + other.sent, self.received + other.received
        self.trips += other.trips
        self.contributed, self.retracted = self.contributed + other.contributed, self.retracted + other.retracted

    def report(self, number: int, *, error: str | None, took_ms: float, next_s: float) -> Report:
        """Return the sums as a report."""
        return Report(
            number=number,
            outcome=self.last.outcome if self.last else None,
            reason=self.last.reason.name.lower() if self.last and self.last.reason else None,
            error=error,
            contributed=self.contributed,
            retracted=self.retracted,
            pulled=self.pulled,
            sent_bytes=self.sent,
            received_bytes=self.received,
            round_trips=self.trips,
            took_ms=took_ms,
            next_s=next_s,
            artifacts=self.artifacts,
            fetched_bytes=self.fetched,
            catalog_epoch=self.catalog_epoch,
            fetch_error=self.fetch_error,
        )
