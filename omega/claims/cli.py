"""Claims about the command line."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from omega.claims.claim import Claims, Measured
from omega.core.machine import run_fresh

if TYPE_CHECKING:
    from omega.claims.bench import Bench

claims = Claims()
_ROUNDS = 9


@claims.add(
    "help-time",
    what="omega --help, median of 9",
    target=300,
    unit="ms",
    bound="at most",
    oracle="a python that does nothing, in turn",
)
def help_time(bench: Bench) -> Measured:  # noqa: ARG001  (every check gets the bench)
    """Time the command as a shell would start it."""
    ours, bare = [], []
    for _ in range(_ROUNDS):
        ours.append(_ms([sys.executable, "-m", "omega_cli", "--help"]))
        bare.append(_ms([sys.executable, "-c", "pass"]))
    return Measured(float(np.median(ours)), {"all_ms": ours, "bare_python_ms": float(np.median(bare))})


def _ms(command: list[str]) -> float:
    started = time.perf_counter()
    run_fresh(command)
    return 1000 * (time.perf_counter() - started)
