"""A shard on Postgres in what isn't every day: as many TVs as it takes and ten minutes of medium, claimed; a storm."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.claims.loads import held, met, told
from omega.compose import connect
from omega.core.errors import TransportError
from omega.core.identity.device_key import DeviceKey
from omega.device.sync.entry import Passport
from omega.device.sync.memberships import Memberships
from omega.fleet.load.processes import held_bytes
from omega.fleet.load.scenarios import MAX_DEVICES, SCENARIOS, planned
from omega.shards import make_code, open_shard_store

if TYPE_CHECKING:
    from omega.claims.bench import Bench
    from omega.fleet.load.scenarios import Load
    from omega.loadtests.asked import Result
    from omega.loadtests.running import Moment
    from omega.loadtests.shards import Met

claims = Claims()
_FULL = "this shard is full"
_MOST_BYTES = 10**9
_MINUTE_S = 60
_SERVED_S = 30
"""About when a TV that is put off comes again."""
_SLOWER = 1.5
"""Between a minute and a later one, p99 at most."""


@claims.add(
    "shard-storm",
    what=f"time until all are served when {SCENARIOS['storm'].about}",
    target=_SERVED_S,
    unit="s",
    bound="at most",
    oracle="the generator counts acknowledged TVs second by second; acks, sums and rows as in load-medium",
    slow=True,
)
def shard_storm(bench: Bench) -> Measured:
    """Let a storm come in full size."""
    return storm(bench, planned(scenario="storm", duration_s=_MINUTE_S))


def storm(bench: Bench, load: Load) -> Measured:
    """Let all come back at once, and see when the last one is served."""
    result = met(bench, load)
    acknowledged = np.cumsum([second.ok for second in result.seconds])
    served_s = int(np.searchsorted(acknowledged, load.devices)) + 1
    agrees = held(result) and served_s <= len(acknowledged) and served_s < load.interval_s / 2
    busiest = max(second.ok for second in result.seconds)
    return Measured(served_s, told(result, busiest_second=busiest, reasons=result.reasons), agrees=agrees)


@claims.add(
    "shard-capacity",
    what=f"p99 from the due time of medium for a minute, on a shard that {MAX_DEVICES:,} TVs enrolled at, as many as "
    "it takes",
    target=SCENARIOS["medium"].thresholds.p99_ms or 0.0,
    unit="ms",
    bound="at most",
    oracle="the database has so many rows; one TV more, with a code that is good, is told over HTTP that the shard is "
    "full, and gets no row; its process never holds more than a gigabyte; acks, sums and rows as in load-medium",
    slow=True,
)
def shard_capacity(bench: Bench) -> Measured:
    """Fill a shard in full size."""
    return capacity(bench, planned(scenario="medium"), enrolled=MAX_DEVICES)


def capacity(bench: Bench, load: Load, *, enrolled: int) -> Measured:
    """Fill a shard, let one more knock, and let a load meet it."""
    knocked: list[str] = []
    counts: list[int] = []

    def knock(shard: Met) -> None:
        knocked.append(_refusal(shard))
        with closing(open_shard_store(shard.location, create=False)) as store:
            counts.append(store.device_count())

    result = met(bench, load, enrolled=enrolled, on_met=knock)
    sound = held(result, expected=load.rate_per_s * load.duration_s)
    small = (result.shard_memory_bytes or _MOST_BYTES) < _MOST_BYTES
    agrees = sound and small and counts == [enrolled] and all(_FULL in word for word in knocked)
    details = told(result, rows=counts[0], one_more=knocked[0])
    return Measured(result.latency_ms.p99, details, agrees=agrees)


def _refusal(shard: Met) -> str:
    """Return what a new TV with a good code is told; nothing if it is admitted."""
    code, _ = make_code(shard.location)
    with tempfile.TemporaryDirectory(prefix="omega-knock-") as folder:
        memberships = Memberships(Path(folder) / "memberships.json")
        passport = Passport(DeviceKey(secrets.token_bytes(32)), memberships, code=code)

        async def ask() -> None:
            client = connect(shard.url, token=str, ca=shard.ca)
            try:
                await passport.enrol(shard.url, client)
            finally:
                await client.close()

        try:
            asyncio.run(ask())
        except TransportError as error:
            return str(error)
    return ""


@claims.add(
    "load-soak",
    what="what a shard's memory grows by under medium for ten minutes on Postgres, after the first of them",
    target=1,
    unit="MiB/min",
    bound="at most",
    oracle="the kernel's count each second, by least squares; the p99 of the last minute, the median of its seconds', "
    "is at most 1.5 times the second minute's, and medium's bound holds; acks, sums and rows as in load-medium",
    slow=True,
)
def load_soak(bench: Bench) -> Measured:
    """Soak in full size."""
    return soak(bench, planned(scenario="soak"))


def soak(bench: Bench, load: Load, *, minute_s: int = _MINUTE_S) -> Measured:
    """Run a long load, and see what memory and latency come to; a `minute_s` may be shorter."""
    met_by: list[Met] = []
    samples: list[tuple[float, int]] = []

    def second(moment: Moment) -> None:
        samples.append((moment.passed_s, held_bytes(met_by[0].pids)))

    result = met(bench, load, on_met=met_by.append, on_second=second)
    seconds_s, sizes = np.asarray([one for one in samples if minute_s < one[0] <= load.duration_s]).T
    slope_mib = float(np.polyfit(seconds_s / minute_s, sizes / 2**20, 1)[0])
    early_ms, late_ms = (_p99_ms(result, minute, minute_s) for minute in (1, int(load.duration_s // minute_s) - 1))
    sound = held(result, expected=load.rate_per_s * load.duration_s)
    promised_ms = load.thresholds.p99_ms
    swift = promised_ms is None or result.latency_ms.p99 <= promised_ms
    agrees = sound and swift and late_ms <= _SLOWER * early_ms
    p99_ms = {"second_minute": early_ms, "last_minute": late_ms}
    details: dict[str, Any] = told(result, p99_ms=p99_ms, mib=[sizes[0] / 2**20, sizes[-1] / 2**20])
    return Measured(slope_mib, details, agrees=agrees)


def _p99_ms(result: Result, minute: int, minute_s: int) -> float:
    """Return the median of the p99 of a minute's seconds."""
    seconds = result.seconds[minute * minute_s : (minute + 1) * minute_s]
    return float(np.median([second.p99_ms for second in seconds if second.ok]))
