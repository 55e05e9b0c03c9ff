"""What a sync costs, as it was measured on a machine: kept in a file, or measured anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from omega.core.errors import InputError
from omega.core.files import read_bounded

if TYPE_CHECKING:
    from pathlib import Path

WAYS = ("http", "https", "grpc", "quic")
"""Kept connections behind a balancer; a new TLS connection for each sync; kept channels; a new QUIC one for each."""
_MAX_FILE_BYTES = 100_000


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured on a machine."""

    machine: str
    measured_at: str
    store: Literal["sqlite", "postgres"]
    server_us: dict[str, float]
    """CPU of the shard's process a durable, authenticated sync, by one of WAYS; those that could be measured."""
    store_us: float | None
    """CPU of Postgres a sync; None on SQLite, where the process above does it."""
    rate_per_s: dict[str, float]
    """At which rate that was measured."""
    sent_bytes: float
    """Of a sync's answer."""
    received_bytes: float
    """Of its question."""
    row_bytes: float
    """Of a TV in the store."""
    process_bytes: int
    """Memory of a shard's process."""

    def __post_init__(self) -> None:
        """Raise InputError for costs that no measurement finds."""
        if "http" not in self.server_us or not set(self.server_us) <= set(WAYS):
            found = ", ".join(self.server_us) or "nothing"
            raise InputError(f"server_us holds {found}, allowed: http, and perhaps {', '.join(WAYS[1:])}")
        values = {
            **{f"server_us.{way}": us for way, us in self.server_us.items()},
            "store_us": self.store_us or 0.0,
            "sent_bytes": self.sent_bytes,
            "received_bytes": self.received_bytes,
            "row_bytes": self.row_bytes,
            "process_bytes": self.process_bytes,
        }
        for name, value in values.items():
            if not 0 <= value <= 1e12:
                raise InputError(f"{name} is {value}, allowed: 0..1e12: measure the costs anew")


def read_costs(path: Path) -> Costs:
    """Read what `omega plan --write-costs` wrote; raises InputError."""
    try:
        return msgspec.json.decode(read_bounded(path, _MAX_FILE_BYTES), type=Costs)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(
            f"{path.name} holds no costs ({error}): write them by omega plan --write-costs FILE"
        ) from error
