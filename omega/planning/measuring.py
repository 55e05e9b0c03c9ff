"""What a sync costs on this machine: short loads against real shards, which say what CPU they took."""

from __future__ import annotations

import platform
import time
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omega.compose import extra_module
from omega.core.errors import OmegaError
from omega.fleet.load.scenarios import planned as load_of
from omega.loadtests.asked import Asked
from omega.loadtests.shards import enrolled, own_store
from omega.planning.costs import WAYS, Costs
from omega.shards import open_shard_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.settings import Settings
    from omega.loadtests.asked import Result

LOAD_S = 4.0
RATES_PER_S = {"http": 1_000.0, "https": 150.0, "grpc": 300.0, "quic": 60.0}
"""Each some tenths of a core: enough to count, and no queue."""
_NEEDS = {"http": "uvicorn", "https": "uvicorn", "grpc": "grpc", "quic": "aioquic"}
ROWS = 50_000
"""TVs whose rows are weighed; the first pages weigh little among so many."""
_TVS_A_SYNC = 0.6
"""So that some come a second time."""


def able() -> tuple[str, ...]:
    """Return the ways that this installation can measure."""
    return tuple(way for way in WAYS if find_spec(_NEEDS[way]))


def measured(
    settings: Settings,
    *,
    postgres: bool,
    ways: tuple[str, ...],
    load_s: float = LOAD_S,
    rows: int = ROWS,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Costs:
    """Return what syncs cost over `ways`, some of WAYS with http among them; takes `load_s` and a bit for each.

    Raises MissingExtraError, StoreError, OmegaError where a load's shard loses anything.
    """
    running = extra_module("omega.loadtests.running", "load")
    found: dict[str, Result] = {}
    for done, way in enumerate(ways):
        progress(done, len(ways) + 1, f"syncs over {way}")
        found[way] = _sound(way, running.run(_asked(settings, way, load_s, postgres=postgres)))
    progress(len(ways), len(ways) + 1, f"{rows:,} TVs enrol")
    http = found["http"]
    return Costs(
        machine=_machine(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        store="postgres" if postgres else "sqlite",
        server_us={way: _us(result.shard_cpu, result) for way, result in found.items()},
        store_us=_us(http.store_cpu, http) if postgres else None,
        rate_per_s={way: result.rate_per_s for way, result in found.items()},
        sent_bytes=http.bytes_down / http.ok,
        received_bytes=http.bytes_up / http.ok,
        row_bytes=_row_bytes(rows, postgres=postgres),
        process_bytes=http.shard_memory_bytes or 0,
    )


def _asked(settings: Settings, way: str, load_s: float, *, postgres: bool) -> Asked:
    rate_per_s = RATES_PER_S[way]
    devices = max(round(rate_per_s * load_s * _TVS_A_SYNC), 1)
    return Asked(
        settings=settings,
        load=load_of(scenario="light", devices=devices, rate_per_s=rate_per_s, duration_s=load_s),
        transport="http" if way == "https" else way,
        tls="full" if way == "https" else "none",
        postgres=postgres,
    )


def _sound(way: str, result: Result) -> Result:
    """Return a load's result unless what it says of costs is wrong: then OmegaError."""
    lost = result.stored_rows != result.acknowledged_rows or result.behind
    if result.failed or result.refused or not result.ok or lost:
        reasons = ", ".join(result.reasons) or f"{result.acknowledged_rows - (result.stored_rows or 0)} rows not stored"
        raise OmegaError(f"the load over {way} went wrong ({reasons}): look with omega loadtest --scenario light")
    return result


def _us(cores: float | None, result: Result) -> float:
    """Return the microseconds of CPU a sync."""
    return 1e6 * (cores or 0.0) / result.rate_per_s


def _row_bytes(rows: int, *, postgres: bool) -> float:
    """Return what a TV takes in a store on which so many enrolled."""
    with TemporaryDirectory(prefix="omega-plan-") as folder, own_store(Path(folder), postgres=postgres) as (place, _):
        with closing(open_shard_store(place)) as store:
            empty_bytes = _size_bytes(place, Path(folder))
            enrolled(store, rows, int(time.time()))
        return (_size_bytes(place, Path(folder)) - empty_bytes) / rows


def _size_bytes(place: str, folder: Path) -> int:
    if place.startswith("sqlite:"):
        return sum(file.stat().st_size for file in folder.iterdir())
    with extra_module("psycopg", "postgres").connect(place) as connection:
        [size] = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(size)


def _machine() -> str:
    """Return what the costs were measured on, in words."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ", ".join(part for part in (name or platform.machine(), f"Python {platform.python_version()}") if part)
