"""A plan against one worked by hand, and what must hold of any."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import InputError
from omega.planning.costs import Costs
from omega.planning.plan import Demand, Plan, planned
from omega.planning.prices import read_prices

PRICES = msgspec.structs.replace(
    read_prices(),
    core_hour=0.1,
    memory_gib_hour=0.01,
    disk_gib_month=0.2,
    iops_month=0.5,
    traffic_gib=0.25,
    busy=0.5,
    devices_per_shard=1_000,
    copies=2,
    checkpoint_s=100,
    commits_per_s=5,
    answer_bytes=0,
    connection_bytes=1_000,
    file_bytes_per_device_week=2**20,
    reserve=2,
)
COSTS = Costs(
    machine="a machine",
    measured_at="2026-11-23T00:00:00+00:00",
    store="postgres",
    server_us={"http": 200, "https": 1_200, "quic": 3_000},
    store_us=100,
    rate_per_s={"http": 1_000, "https": 100, "quic": 50},
    sent_bytes=24,
    received_bytes=60,
    row_bytes=256,
    process_bytes=2**28,
)


def figures(plan: Plan) -> dict[str, float]:
    return {f"{one.name}, {one.unit}": one.value for one in plan.figures}


def test_a_plan_worked_by_hand() -> None:
    """60,000 of 8,000 x 1,024 TVs sync every 6 s: 10,000 a second."""
    plan = planned(Demand(devices=8_192_000, concurrent=60_000, interval_s=6), COSTS, PRICES)
    assert (plan.rate_per_s, plan.shards) == (10_000, 8_192)
    found = figures(plan)
    assert found["cores, all over http, "] == pytest.approx(4)  # 10,000 x 200 us = 2, half busy
    assert found["cores, all over quic, "] == pytest.approx(60)
    assert found["cores of shards, "] == 8_192  # one each, though four would do
    assert found["cores of Postgres, "] == 16_384
    assert found["cores for TLS, "] == pytest.approx(20)
    rows_gib = 8_192_000 * 256 / 2**30  # 1.953125
    assert found["disk, GiB"] == pytest.approx(rows_gib * 2 * 2)
    assert found["memory, GiB"] == pytest.approx((8_192 * 0.25 + rows_gib * 2) * 2)
    # a checkpoint: 100 s x 10,000 rows, but only 8,192,000 x 256 / 8,192 = 256,000 pages; commits: all 10,000 alone
    assert found["writes, a second"] == pytest.approx((2_560 + 10_000) * 2)
    assert found["syncs' traffic, GiB a month"] == pytest.approx(10_000 * 2_628_000 * 1_024 / 2**30)
    assert found["files' traffic, GiB a month"] == pytest.approx(8_192_000 / 1_024 * 730 / 168)
    assert plan.monthly["shards"] == pytest.approx(8_192 * 73)
    assert plan.monthly["iops"] == pytest.approx(25_120 * 0.5)
    assert plan.monthly["sync_traffic"] == pytest.approx(found["syncs' traffic, GiB a month"] / 4)
    assert plan.monthly_total == pytest.approx(sum(plan.monthly.values()))


def test_cpu_decides_where_rows_do_not() -> None:
    plan = planned(Demand(devices=100_000, concurrent=100_000, interval_s=5), COSTS, PRICES)
    assert plan.shards == 100  # by rows; by CPU eight
    few = planned(
        Demand(devices=100_000, concurrent=100_000, interval_s=5),
        COSTS,
        msgspec.structs.replace(PRICES, devices_per_shard=1_000_000),
    )
    assert few.shards == 8
    assert figures(few)["cores of shards, "] == pytest.approx(8)


def test_a_file_needs_no_core_beside_and_what_was_not_measured_costs_nothing() -> None:
    costs = msgspec.structs.replace(COSTS, store="sqlite", store_us=None, server_us={"http": 200})
    plan = planned(Demand(devices=1_000, concurrent=10, interval_s=600), costs, PRICES)
    assert plan.monthly["postgres"] == plan.monthly["tls"] == 0
    assert not {"cores of Postgres, ", "cores for TLS, ", "cores, all over quic, "} & set(figures(plan))


@given(
    devices=st.integers(1, 10**9),
    share=st.floats(0.001, 1),
    interval_s=st.floats(1, 86_400),
)
def test_more_tvs_never_need_less(devices: int, share: float, interval_s: float) -> None:
    concurrent = max(int(devices * share), 1)
    less = planned(Demand(devices=devices, concurrent=concurrent, interval_s=interval_s), COSTS, PRICES)
    more = planned(Demand(devices=2 * devices, concurrent=2 * concurrent, interval_s=interval_s), COSTS, PRICES)
    assert all(more.monthly[part] >= amount for part, amount in less.monthly.items())


@pytest.mark.parametrize(
    ("demand", "complaint"),
    [
        ({"devices": 0}, "devices is 0, allowed: 1..10,000,000,000"),
        ({"concurrent": 11}, "concurrent is 11, allowed: 1..10, the devices"),
        ({"concurrent": 0}, "concurrent is 0, allowed: 1..10"),
        ({"interval_s": 0}, "interval is 0 s, allowed: 1 s..24h"),
        ({"interval_s": float("nan")}, "interval is nan s, allowed"),
    ],
)
def test_a_population_that_can_not_be(demand: dict[str, float], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint.replace("(", "\\(")):
        msgspec.convert({"devices": 10, "concurrent": 5, "interval_s": 60, **demand}, Demand)
