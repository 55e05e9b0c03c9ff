"""What machinery costs, and how much of it is left idle: a file that users edit."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from omega.core.errors import InputError, shown
from omega.core.files import read_bounded

SHIPPED_PATH = Path(__file__).parent.parent / "data" / "prices.json"
_MAX_FILE_BYTES = 100_000
_FORMAT = 1
_LARGEST = 1e12


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices in `currency`, and what a plan assumes."""

    omega_prices: int
    """The file's format."""
    as_of: str
    source: str
    currency: str
    core_hour: float
    memory_gib_hour: float
    disk_gib_month: float
    iops_month: float
    traffic_gib: float
    """Sent to TVs."""
    busy: float
    """Which part of a core is planned for; the rest is for peaks."""
    devices_per_shard: int
    """Rows of TVs in one shard's store."""
    copies: int
    """Postgres servers of a shard, standby included."""
    checkpoint_s: float
    """How often Postgres writes changed pages back."""
    commits_per_s: float
    """Of one shard, whose syncs share commits."""
    answer_bytes: int
    """Of a sync at least: a pull that names 200 titles is no longer than 787 (claim `pull-bytes`)."""
    connection_bytes: int
    """What a new TLS connection sends to a TV beside the answer: certificate, tickets, heads, packets."""
    file_bytes_per_device_week: int
    """Catalog patches, factors and neighbors that a TV fetches in a week."""
    reserve: float
    """How much more memory and disk is taken than computed."""

    def __post_init__(self) -> None:
        """Raise InputError for a figure that no plan can be made of."""
        if self.omega_prices != _FORMAT:
            raise InputError(
                f"omega_prices is {shown(self.omega_prices)}, allowed: {_FORMAT}: start from the shipped file"
            )
        for name in _FREE:
            self._check(name, 0, _LARGEST)
        for name in ("devices_per_shard", "copies", "reserve"):
            self._check(name, 1, _LARGEST)
        for name in ("checkpoint_s", "commits_per_s"):
            self._check(name, 1e-3, _LARGEST)
        self._check("busy", 0.01, 1)

    def _check(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        if not (math.isfinite(value) and least <= value <= most):
            raise InputError(f"{name} is {value}, allowed: {least:g}..{most:g}: mend the price file")


_FREE = (
    "core_hour",
    "memory_gib_hour",
    "disk_gib_month",
    "iops_month",
    "traffic_gib",
    "answer_bytes",
    "connection_bytes",
    "file_bytes_per_device_week",
)


def read_prices(path: Path = SHIPPED_PATH) -> Prices:
    """Read a price file, the shipped one by default; raises InputError."""
    try:
        return msgspec.json.decode(read_bounded(path, _MAX_FILE_BYTES), type=Prices)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"{path.name} holds no prices ({error}): start from omega plan --write-prices FILE") from error
