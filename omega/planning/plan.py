"""From what a sync costs to what a population of TVs needs: arithmetic alone, each figure with where it comes from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from omega.core.errors import InputError
from omega.planning.costs import WAYS, Costs
from omega.planning.prices import Prices

if TYPE_CHECKING:
    from collections.abc import Iterator

Basis: TypeAlias = Literal["asked", "measured", "extrapolated", "assumed"]
MAX_DEVICES = 10_000_000_000
MONTH_H = 730.0
MONTH_S = 3600 * MONTH_H
WEEKS_A_MONTH = MONTH_H / 168
PAGE_BYTES = 8_192
_GIB = 2.0**30


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Who comes, and how often."""

    devices: int
    """TVs that a shard knows."""
    concurrent: int
    """Those that are on at once."""
    interval_s: float
    """Between two syncs of a TV that is on."""

    def __post_init__(self) -> None:
        """Raise InputError for a population that can't be."""
        if not 1 <= self.devices <= MAX_DEVICES:
            raise InputError(f"devices is {self.devices:,}, allowed: 1..{MAX_DEVICES:,}: name how many TVs there are")
        if not 1 <= self.concurrent <= self.devices:
            told = f"concurrent is {self.concurrent:,}, allowed: 1..{self.devices:,}, the devices"
            raise InputError(f"{told}: name how many are on at once")
        if not 1 <= self.interval_s <= 86_400:
            raise InputError(f"interval is {self.interval_s:g} s, allowed: 1 s..24h: name how often a TV syncs")

    @property
    def rate_per_s(self) -> float:
        """Syncs a second."""
        return self.concurrent / self.interval_s


class Figure(msgspec.Struct, frozen=True):
    """One line of a plan."""

    name: str
    value: float
    unit: str
    basis: Basis
    how: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed. `omega plan --json` prints it."""

    demand: Demand
    costs: Costs
    prices: Prices
    rate_per_s: float
    shards: int
    monthly: dict[str, float]
    """What each part costs a month, with HTTP behind a balancer that ends TLS."""
    monthly_total: float
    figures: tuple[Figure, ...]


def planned(demand: Demand, costs: Costs, prices: Prices) -> Plan:
    """Return the plan of a demand; traffic and cores are those of the peak, as if it lasted all month."""
    made = _Arithmetic(demand, costs, prices)
    monthly = made.monthly()
    return Plan(
        demand=demand,
        costs=costs,
        prices=prices,
        rate_per_s=demand.rate_per_s,
        shards=made.shards,
        monthly=monthly,
        monthly_total=sum(monthly.values()),
        figures=tuple(made.figures()),
    )


class _Arithmetic:
    """The steps of a plan, each a number."""

    def __init__(self, demand: Demand, costs: Costs, prices: Prices) -> None:
        self._demand, self._costs, self._prices = demand, costs, prices
        self._rate_per_s = demand.rate_per_s
        self.shards = max(self._for_rows, self._for_rate)

    def _cores(self, us: float) -> float:
        """Return the cores that so many microseconds a sync keep busy, with what is left idle."""
        return self._rate_per_s * us / 1e6 / self._prices.busy

    @property
    def _for_rows(self) -> int:
        return math.ceil(self._demand.devices / self._prices.devices_per_shard)

    @property
    def _for_rate(self) -> int:
        """Shards of one process each that the syncs need."""
        return math.ceil(self._cores(self._costs.server_us["http"]))

    @property
    def _shard_cores(self) -> float:
        """A process a shard at least."""
        return max(self._cores(self._costs.server_us["http"]), self.shards)

    @property
    def _store_cores(self) -> float:
        if self._costs.store_us is None:
            return 0.0
        return max(self._cores(self._costs.store_us), self.shards) * self._prices.copies

    @property
    def _tls_cores(self) -> float:
        """What a balancer needs if each sync is a new TLS connection; 0 where that wasn't measured."""
        us = self._costs.server_us
        return self._cores(max(us["https"] - us["http"], 0)) if "https" in us else 0.0

    @property
    def _disk_gib(self) -> float:
        rows_bytes = self._demand.devices * self._costs.row_bytes
        return rows_bytes * self._prices.copies * self._prices.reserve / _GIB

    @property
    def _memory_gib(self) -> float:
        """Processes, and the TVs' rows in the page cache of each copy."""
        processes_bytes = self.shards * self._costs.process_bytes
        rows_bytes = self._demand.devices * self._costs.row_bytes * self._prices.copies
        return (processes_bytes + rows_bytes) * self._prices.reserve / _GIB

    @property
    def _iops(self) -> float:
        """Commits, and at each checkpoint every page on which a TV's row changed since the last."""
        pages = self._demand.devices * self._costs.row_bytes / PAGE_BYTES
        changed = min(self._rate_per_s * self._prices.checkpoint_s, pages) / self._prices.checkpoint_s
        commits = min(self.shards * self._prices.commits_per_s, self._rate_per_s)
        return (commits + changed) * self._prices.copies

    @property
    def _sync_gib(self) -> float:
        """What syncs send to TVs in a month."""
        answer_bytes = max(self._costs.sent_bytes, self._prices.answer_bytes)
        return self._rate_per_s * MONTH_S * (answer_bytes + self._prices.connection_bytes) / _GIB

    @property
    def _files_gib(self) -> float:
        return self._demand.devices * self._prices.file_bytes_per_device_week * WEEKS_A_MONTH / _GIB

    def monthly(self) -> dict[str, float]:
        """Return what each part costs a month."""
        prices = self._prices
        core_month = prices.core_hour * MONTH_H
        return {
            "shards": self._shard_cores * core_month,
            "postgres": self._store_cores * core_month,
            "tls": self._tls_cores * core_month,
            "memory": self._memory_gib * prices.memory_gib_hour * MONTH_H,
            "disk": self._disk_gib * prices.disk_gib_month,
            "iops": self._iops * prices.iops_month,
            "sync_traffic": self._sync_gib * prices.traffic_gib,
            "file_traffic": self._files_gib * prices.traffic_gib,
        }

    def figures(self) -> Iterator[Figure]:
        """Yield all lines in the order of reading."""
        demand, costs, prices = self._demand, self._costs, self._prices
        yield Figure("TVs", demand.devices, "", "asked", "--devices")
        yield Figure("on at once", demand.concurrent, "", "asked", "--concurrent")
        yield Figure("syncs", self._rate_per_s, "a second", "asked", "on at once / interval")
        for way in WAYS:
            if way in costs.server_us:
                told = f"a load of {costs.rate_per_s.get(way, 0):,.0f} a second, {_ABOUT[way]}"
                yield Figure(f"CPU of a sync, {way}", costs.server_us[way], "us", "measured", told)
        if costs.store_us is not None:
            yield Figure("CPU of a sync in Postgres", costs.store_us, "us", "measured", "the same load over http")
        yield Figure("a sync's answer", costs.sent_bytes, "B", "measured", "mean of all")
        yield Figure("a TV in the store", costs.row_bytes, "B", "measured", f"{costs.store}, TVs enrolled")
        for way in WAYS:
            if way in costs.server_us:
                told = f"syncs x CPU / {prices.busy:g} busy"
                yield Figure(f"cores, all over {way}", self._cores(costs.server_us[way]), "", "extrapolated", told)
        rows = f"{self._for_rows:,} by rows of {prices.devices_per_shard:,}, {self._for_rate:,} by CPU"
        yield Figure("shards", self.shards, "", "extrapolated", rows)
        yield Figure("cores of shards", self._shard_cores, "", "extrapolated", "one at least each")
        if costs.store_us is not None:
            copies = f"one at least each, {prices.copies} copies"
            yield Figure("cores of Postgres", self._store_cores, "", "extrapolated", copies)
        if "https" in costs.server_us:
            yield Figure("cores for TLS", self._tls_cores, "", "extrapolated", "https less http, each sync anew")
        yield Figure("memory", self._memory_gib, "GiB", "extrapolated", f"processes and rows, x {prices.reserve:g}")
        yield Figure("disk", self._disk_gib, "GiB", "extrapolated", f"rows x copies x {prices.reserve:g}")
        yield Figure("writes", self._iops, "a second", "assumed", "commits, and changed pages a checkpoint, x copies")
        yield Figure("syncs' traffic", self._sync_gib, "GiB a month", "extrapolated", "the peak, all month")
        yield Figure("files' traffic", self._files_gib, "GiB a month", "assumed", "file_bytes_per_device_week")
        for part, amount in self.monthly().items():
            yield Figure(_PARTS[part], amount, f"{prices.currency} a month", "extrapolated", "x price")


_PARTS = {
    "shards": "cores of shards",
    "postgres": "cores of Postgres",
    "tls": "cores for TLS",
    "memory": "memory",
    "disk": "disk",
    "iops": "writes",
    "sync_traffic": "syncs' traffic",
    "file_traffic": "files' traffic",
}
_ABOUT = {
    "http": "kept connections",
    "https": "a new TLS connection each",
    "grpc": "kept channels",
    "quic": "a new connection each",
}
