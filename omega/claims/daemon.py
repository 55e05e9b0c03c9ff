"""Claims about the daemon: what it costs to ask another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from omega.claims.bench import PATTERNS
from omega.claims.claim import Claims, Measured
from omega.compose import open_brain
from omega.core.errors import OmegaError
from omega.core.types import ContentType, DayType, TimeSlot, ViewContext
from omega.device.daemon.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omega.claims.bench import Bench
    from omega.core.types import Recommendation

T = TypeVar("T")

claims = Claims()
_ROUNDS = 25
_STOP_S = 20


@claims.add(
    "daemon-call",
    what="recommend asked of a daemon with 10,000 patterns over its socket, no mood, p99",
    target=15,
    unit="ms",
    bound="at most",
    oracle="a brain in this process, call by call in turn: the same lists",
)
def call(bench: Bench) -> Measured:
    """Ask both in turn for every context and kind, 25 times; the one that goes first changes with each call."""
    contexts = [ViewContext(time=t, day=d, kind=k) for t, d, k in product(TimeSlot, DayType, (None, *ContentType))]
    socket_ms: list[float] = []
    direct_ms: list[float] = []
    init_ms, status_ms = [], []
    same = True
    with _daemon(bench) as address, Client(address) as client, closing(open_brain(bench.tv)) as brain:
        patterns = client.status().patterns
        for turn, context in enumerate(contexts * _ROUNDS):
            lists: dict[bool, list[str]] = {}
            for direct in (turn % 2 == 0, turn % 2 == 1):
                spent_ms, titles = _timed((brain if direct else client).recommend, context)
                (direct_ms if direct else socket_ms).append(spent_ms)
                lists[direct] = _ids(titles)
            same = same and lists[True] == lists[False]
            init_ms.append(_timed(client.greet)[0])
            status_ms.append(_timed(client.status)[0])
    added_us = 1000 * (np.array(socket_ms) - np.array(direct_ms))
    details = {
        "p50_ms": float(np.median(socket_ms)),
        "in_process_p50_ms": float(np.median(direct_ms)),
        "in_process_p99_ms": float(np.percentile(direct_ms, 99)),
        "overhead_p50_us": float(np.median(added_us)),
        "init_p50_ms": float(np.median(init_ms)),
        "init_p99_ms": float(np.percentile(init_ms, 99)),
        "status_p50_ms": float(np.median(status_ms)),
        "status_p99_ms": float(np.percentile(status_ms, 99)),
        "calls": len(socket_ms),
        "patterns": patterns,
        "lists_equal": same,
    }
    return Measured(float(np.percentile(socket_ms, 99)), details, agrees=same and patterns == PATTERNS)


@contextmanager
def _daemon(bench: Bench) -> Iterator[Path]:
    """Let a process of its own serve the bench's TV, and give its socket."""
    environment = {**os.environ, **{f"OMEGA_{name.upper()}": value for name, value in bench.options().items()}}
    command = [sys.executable, "-m", "omega_cli", "device", "daemon", "--json"]
    errors = (bench.folder / "daemon.log").open("wb+")
    with (
        errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment) as process,
    ):
        assert process.stdout  # noqa: S101  (it was asked for, told to mypy)
        try:
            if not (ready := process.stdout.readline()):
                errors.seek(0)
                raise OmegaError(f"the daemon did not start: {errors.read().decode(errors='replace').strip()}")
            yield Path(json.loads(ready)["socket"])
        finally:
            process.terminate()
            process.wait(_STOP_S)


def _timed(work: Callable[..., T], *arguments: object) -> tuple[float, T]:
    started = time.perf_counter()
    found = work(*arguments)
    return 1000 * (time.perf_counter() - started), found


def _ids(titles: list[Recommendation]) -> list[str]:
    return [title.content_id for title in titles]
