"""What a load test is asked for, and what it found."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from omega.core.errors import InputError, shown
from omega.core.settings import Settings
from omega.fleet.load.counts import Percentiles, Second
from omega.fleet.load.scenarios import Load, Thresholds, Tls

Verdict: TypeAlias = Literal["passed", "failed", "void"]
TRANSPORTS = ("http", "grpc", "quic")
TLS = ("none", "resume", "full")
CONNECTIONS = 4_096
"""In flight is rate times latency: 2,000 were too few above 150 ms at 13,333 syncs a second."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A load, and the shard that it meets."""

    settings: Settings
    load: Load
    transport: str = "http"
    """One of TRANSPORTS."""
    tls: Tls = "none"
    """`resume` and `full` make a TLS connection for each sync."""
    connections: int = CONNECTIONS
    """Of HTTP, at most."""
    postgres: bool = False
    """Whether the shard that is started keeps its sums in a Postgres of its own, instead of a file."""
    workers: int = 1
    """Processes of the shard that is started."""
    enrolled: int = 0
    """TVs that know the shard that is started at least; those of the load are spread among them."""
    target: str | None = None
    """A shard that runs already, instead of one that is started;"""
    keys: Path | None = None
    """with the folder of its secrets,"""
    store: str | None = None
    """and its store, where the TVs enrol."""

    def __post_init__(self) -> None:
        """Refuse what doesn't go together. Raises InputError."""
        if self.transport not in TRANSPORTS:
            raise InputError(f"transport is {shown(self.transport)}, allowed: {', '.join(TRANSPORTS)}")
        if self.tls not in TLS:
            raise InputError(f"tls is {shown(self.tls)}, allowed: {', '.join(TLS)}")
        if self.tls != "none" and self.transport != "http":
            raise InputError(f"tls is {self.tls} with {self.transport}, allowed: none: it is for http")
        if self.workers > 1 and not self.postgres and self.target is None:
            raise InputError(f"workers is {self.workers}, allowed: 1 on a file: share a Postgres with --postgres")
        if self.target is None and (self.keys or self.store):
            raise InputError(
                "keys or store come without a target, allowed: with one: the shard that is started has its own"
            )
        if self.target is not None:
            self._refuse_half_a_target(self.target)

    def _refuse_half_a_target(self, target: str) -> None:
        if not (self.keys and self.store):
            told = "target comes without keys and store, allowed: with both: its key signs the TVs' tokens"
            raise InputError(f"{told}: --keys FOLDER --store URL")
        if self.postgres or self.workers != 1:
            raise InputError(
                "target comes with postgres or workers, allowed: without: they are for a shard that is started"
            )
        scheme = target.partition(":")[0]
        schemes = {"http": ("http", "https"), "grpc": ("grpc", "grpcs"), "quic": ("quic",)}[self.transport]
        if scheme not in schemes or "," in target:
            raise InputError(
                f"target is {shown(target)}, allowed with {self.transport}: one URL of {' or '.join(schemes)}"
            )
        if self.tls != "none" and scheme != "https":
            raise InputError(f"target is {shown(target)} with tls {self.tls}, allowed: an https URL")


class Check(msgspec.Struct, frozen=True):
    """One threshold, and what was found."""

    name: str
    found: float
    allowed: float
    held: bool


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a load test found. Its first fields are those of `--json`, in their order."""

    scenario: str
    devices: int
    interval_s: float
    duration_s: float
    transport: str
    store: str
    """sqlite, postgres, or target for one that was not started here."""
    due: int
    sent: int
    ok: int
    refused: int
    failed: int
    late: int
    rate_per_s: float
    """Acknowledged a second, from the start to the last answer."""
    latency_ms: Percentiles
    """From the due time."""
    service_ms: Percentiles
    """From the moment the question left."""
    bytes_up: int
    bytes_down: int
    generator_cpu: float
    """Cores."""
    shard_cpu: float | None
    """Cores; None for a target."""
    saturated: bool
    thresholds: Thresholds
    verdict: Verdict
    store_cpu: float | None
    """Cores of Postgres; None without."""
    shard_memory_bytes: int | None
    """The most that its processes held; None for a target."""
    lag_ms: Percentiles
    """From the due time to the moment that the generator sent it, or queued it for a connection."""
    late_ms: float
    """From which lag on a sync is late."""
    queued: int
    unserved: int
    reasons: dict[str, int]
    """Why syncs were refused or failed."""
    connections: dict[str, int]
    acknowledged_rows: int
    """Contributed less retracted, of all that was acknowledged."""
    stored_rows: int | None
    """What the shard's sums grew by; None for a target."""
    behind: int | None
    """TVs that were acknowledged more than their row in the database has; None if that can't be read."""
    shard_answered: int | None
    """Syncs that the shard counted as answered; None for a target, and for several workers."""
    answered: int
    """Syncs whose answer came with status 200."""
    bytes_per_device: float
    """What the generator keeps of a TV."""
    seed: int
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    seconds: tuple[Second, ...]
    curves: dict[str, list[tuple[float, float]]]
    """Percentiles and milliseconds, of latency and of service."""
