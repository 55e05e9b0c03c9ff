"""Claims about the load generator itself: that it hides no stall, and what a million TVs cost it."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from omega.claims.claim import Claims, Measured
from omega.compose import extra_module
from omega.core.machine import run_fresh
from omega.fleet.load.scenarios import planned

if TYPE_CHECKING:
    from omega.claims.bench import Bench
    from omega.loadtests.asked import Result
    from omega.loadtests.running import Moment

claims = Claims()
STALL_S, DURATION_S, INTERVAL_S, DEVICES = 0.5, 5.0, 30.0, 6_000
_LEAST_FRAMES = 5_000
_FEW_SIGMA, _TIMES = 5.0, 1.5
_MOST_BYTES = 64


@claims.add(
    "generator-honest",
    what="p99 from the due time of a load test of 5 s whose generator stands still for half a second of it",
    target=430,
    unit="ms",
    bound="at least",
    oracle="1 % of such a run is due in the first 50 ms of the stall; the latency from send doesn't show it, nor a "
    "run without one; the rate is the one that was asked for, within chance; the shard counts as many answers, and its "
    "database holds every acknowledged row; the stalled run is called void",
)
def honest(bench: Bench) -> Measured:
    """Run the same load twice, once with the generator's own loop held up in the second second."""
    plain, stalled = _run(bench, 0.0), _run(bench, STALL_S)
    expected = DEVICES * DURATION_S / INTERVAL_S
    counts_agree = all(
        run.shard_answered == run.answered and run.stored_rows == run.acknowledged_rows and not run.failed
        for run in (plain, stalled)
    )
    rate_agrees = all(abs(run.due - expected) < _FEW_SIGMA * expected**0.5 for run in (plain, stalled))
    shows = plain.latency_ms.p99 < stalled.latency_ms.p99 / _TIMES and stalled.service_ms.p90 < 1000 * STALL_S / 2
    details = {
        "p99_from_due_ms": {"plain": plain.latency_ms.p99, "stalled": stalled.latency_ms.p99},
        "p90_from_send_ms": {"plain": plain.service_ms.p90, "stalled": stalled.service_ms.p90},
        "syncs": [plain.due, stalled.due],
        "expected": expected,
        "counts_agree": counts_agree,
        "rate_agrees": rate_agrees,
        "void": [plain.saturated, stalled.saturated],
    }
    agrees = counts_agree and rate_agrees and shows and stalled.verdict == "void"
    return Measured(stalled.latency_ms.p99, details, agrees=agrees)


def _run(bench: Bench, stall_s: float) -> Result:
    stalls = [stall_s]

    def second(moment: Moment) -> None:
        bench.progress(round(moment.passed_s), round(DURATION_S), "load testing a shard")
        if moment.passed_s > DURATION_S / 3 and stalls:
            time.sleep(stalls.pop())

    running, asked = (extra_module(f"omega.loadtests.{name}", "load") for name in ("running", "asked"))
    load = planned(scenario="medium", devices=DEVICES, interval_s=INTERVAL_S, duration_s=DURATION_S)
    found: Result = running.run(asked.Asked(settings=bench.settings, load=load), on_second=second)
    return found


@claims.add(
    "generator-cost",
    what="peak memory of a load generator's process with a million TVs",
    target=150,
    unit="MiB",
    bound="at most",
    oracle="the kernel's peak of a fresh process, in which thousands of these TVs made their frames; the arrays take "
    "64 B a TV at most",
)
def cost(_bench: Bench) -> Measured:
    """Make a million TVs in a fresh process, and let two seconds' worth of them tell."""
    extra_module("hdrh.histogram", "load")
    found = json.loads(run_fresh([sys.executable, "-m", "omega.claims.generator_million"]))
    agrees = found["bytes_per_device"] <= _MOST_BYTES and found["frames"] >= _LEAST_FRAMES
    return Measured(found.pop("peak_mib"), found, agrees=agrees)
