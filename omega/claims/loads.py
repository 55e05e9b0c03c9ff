"""Claims about a shard on Postgres under load: how long a sync takes from when it is due, and that none is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omega.claims.claim import Claims, Measured
from omega.compose import extra_module
from omega.fleet.load.scenarios import SCENARIOS, planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.claims.bench import Bench
    from omega.fleet.load.scenarios import Load
    from omega.loadtests.asked import Result
    from omega.loadtests.running import Moment
    from omega.loadtests.shards import Met

claims = Claims()
_FEW_SIGMA, _RATE_OFF = 5.0, 0.05
"""How far chance, and the first round's knots, take the number of syncs from what was asked for."""
_RETURNS = 2.03
"""Intervals, and a little: each TV comes back, some twice."""
_LEAST_EARLY = 0.5
_ORACLE = (
    "the shard counts as many answers as the generator, its sums hold every acknowledged row, and each TV's row, read "
    "by SQL once the shard has ended, is as far as the TV was acknowledged; none failed, the rate is the one that was "
    "asked for, and the generator was never the limit"
)


def met(
    bench: Bench,
    load: Load,
    *,
    transport: str = "http",
    enrolled: int = 0,
    on_second: Callable[[Moment], None] = lambda moment: None,
    on_met: Callable[[Met], None] = lambda met: None,
) -> Result:
    """Let a load meet a shard on a Postgres of its own."""
    running, asked = (extra_module(f"omega.loadtests.{name}", "load") for name in ("running", "asked"))

    def second(moment: Moment) -> None:
        bench.progress(min(round(moment.passed_s), round(load.duration_s)), round(load.duration_s), "load testing")
        on_second(moment)

    given = asked.Asked(settings=bench.settings, load=load, transport=transport, postgres=True, enrolled=enrolled)
    found: Result = running.run(given, on_second=second, progress=bench.progress, on_met=on_met)
    return found


def held(result: Result, *, expected: float | None = None) -> bool:
    """Say whether a run counts: nothing lost or failed, and as many syncs due as `expected`.

    Latency, which a claim's bound is for, isn't looked at.
    """
    checks = all(check.held for check in result.checks if not check.name.startswith("p99"))
    counted = result.stored_rows == result.acknowledged_rows > 0 and result.shard_answered == result.answered
    expected = result.due if expected is None else expected
    offered = abs(result.due - expected) <= _FEW_SIGMA * expected**0.5 + _RATE_OFF * expected
    return checks and counted and result.behind == 0 and result.failed == 0 and offered and not result.saturated


def told(result: Result, **more: Any) -> dict[str, Any]:
    """Return what is told of a run beside its figure."""
    return {
        "devices": result.devices,
        "seconds": result.duration_s,
        "due": result.due,
        "acknowledged": result.ok,
        "a_second": result.rate_per_s,
        "latency_ms": {"p50": result.latency_ms.p50, "p99": result.latency_ms.p99, "max": result.latency_ms.max},
        "failed": result.failed,
        "refused": result.refused,
        "rows_lost": None if result.stored_rows is None else result.acknowledged_rows - result.stored_rows,
        "tvs_behind": result.behind,
        "cores": {"generator": result.generator_cpu, "shard": result.shard_cpu, "postgres": result.store_cpu},
        "shard_mib": (result.shard_memory_bytes or 0) / 2**20,
        "late": result.late,
        "void": result.saturated,
        "broken": [check.name for check in result.checks if not check.held],
        **more,
    }


def steady(
    bench: Bench,
    scenario: str,
    *,
    transport: str = "http",
    returns: float = _RETURNS,
    devices: int | None = None,
    interval_s: float | None = None,
) -> Measured:
    """Run a scenario for so many intervals, in its own size unless another is given; measures p99 in ms."""
    interval_s = interval_s or SCENARIOS[scenario].interval_s
    load = planned(scenario=scenario, devices=devices, interval_s=interval_s, duration_s=returns * interval_s)
    result = met(bench, load, transport=transport)
    agrees = held(result, expected=load.rate_per_s * load.duration_s)
    early = result.connections.get("early", 0)
    if transport == "quic":
        agrees = agrees and early > _LEAST_EARLY * result.sent
    details = told(result, syncs_a_tv=result.ok / result.devices, early=early)
    return Measured(result.latency_ms.p99, details, agrees=agrees)


def _add_steady(name: str, scenario: str, way: str, **how: Any) -> None:
    def check(bench: Bench) -> Measured:
        """Run it in full size."""
        return steady(bench, scenario, **how)

    found = SCENARIOS[scenario]
    claims.add(
        name,
        what=f"p99 from the due time of {found.about}, {found.devices / found.interval_s:,.0f} syncs a second{way}",
        target=found.thresholds.p99_ms or 0.0,
        unit="ms",
        bound="at most",
        oracle=_ORACLE,
        slow=True,
    )(check)


for _scenario in ("light", "medium", "heavy", "burst"):
    _add_steady(f"load-{_scenario}", _scenario, ", for two intervals")
_MINUTE = 60 / SCENARIOS["light"].interval_s
_add_steady("load-light-quic", "light", ", over QUIC, new connections with 0-RTT", transport="quic", returns=_MINUTE)
_add_steady("load-light-grpc", "light", ", over gRPC", transport="grpc", returns=_MINUTE)
