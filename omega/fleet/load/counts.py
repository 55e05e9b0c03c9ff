"""What is told of a run, as values: counts, percentiles, a line for each second."""

from __future__ import annotations

import msgspec


class Percentiles(msgspec.Struct, frozen=True):
    """Of all that were acknowledged, in milliseconds; 0 without any."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0


class Second(msgspec.Struct, frozen=True):
    """What happened within one second of a run."""

    second: int
    due: int
    sent: int
    ok: int
    refused: int
    failed: int
    p50_ms: float
    p99_ms: float
    """From the due time, of those that were acknowledged within this second."""


class Totals(msgspec.Struct):
    """How many, since the run began."""

    due: int = 0
    sent: int = 0
    ok: int = 0
    """Acknowledged."""
    refused: int = 0
    """Answered, but not counted: the device comes again."""
    failed: int = 0
    """No answer, or a wrong one."""
    answered: int = 0
    """With status 200, whatever the answer says."""
    late: int = 0
    """Left later than they should have, by the generator's own fault."""
    queued: int = 0
    """Found no free connection when they were due."""
    contributed: int = 0
    retracted: int = 0
    """Rows in what was acknowledged."""
    bytes_up: int = 0
    bytes_down: int = 0
    """Of frames and replies, without what a transport adds."""
