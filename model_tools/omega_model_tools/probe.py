"""One fresh process that runs one model folder: its memory, and how long texts of given lengths take.

Run by `evaluate.bench` as `python -m omega_model_tools.probe`, JSON on standard input and output.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omega.core.machine import peak_rss_bytes, rss_bytes
from omega.core.model_folder import read_model_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Run = Callable[[NDArray[np.int64]], object]

SEED = 7


def memory_mb() -> dict[str, float]:
    """Return this process's resident memory and its peak so far, in MB of 10**6 bytes."""
    return {"rss_mb": round(rss_bytes() / 1e6, 1), "peak_rss_mb": round(peak_rss_bytes() / 1e6, 1)}


def opened(folder: Path, threads: int) -> Run:
    """Return what embeds ids (1, tokens), int64, by the model folder of either kind."""
    if read_model_folder(folder).kind == "static":
        table = np.load(folder / "table.npy", mmap_mode="r", allow_pickle=False)
        scales = np.load(folder / "scales.npy", allow_pickle=False)

        def summed(ids: NDArray[np.int64]) -> object:
            total = scales[ids[0]] @ table[ids[0]].astype(np.float32)
            return total / np.linalg.norm(total)

        return summed
    from omega_model_tools.session import open_session  # noqa: PLC0415 - a static model shall not pay for ONNX Runtime

    session = open_session(folder / "model.onnx", threads)
    return lambda ids: session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]


def timed_ms(run: Run, batches: list[NDArray[np.int64]]) -> dict[str, float]:
    """Return median and 99th percentile of the time to run each of `batches` after three to warm up, in ms."""
    for ids in batches[:3]:
        run(ids)
    taken = []
    for ids in batches:
        start = time.perf_counter()
        run(ids)
        taken.append((time.perf_counter() - start) * 1e3)
    return {"p50_ms": round(float(np.quantile(taken, 0.5)), 3), "p99_ms": round(float(np.quantile(taken, 0.99)), 3)}


def measured(folder: Path, threads: int, runs: dict[int, int]) -> dict[str, Any]:
    """Return load time, latency by length and memory; `runs` says how many texts of each length, in tokens, to time."""
    random = np.random.default_rng(SEED)
    start = time.perf_counter()
    run = opened(folder, threads)
    loaded_ms = (time.perf_counter() - start) * 1e3
    latency = {}
    for length, count in runs.items():
        ids = random.integers(1996, 30_000, (count, 1, length))
        ids[:, 0, 0], ids[:, 0, -1] = 101, 102
        latency[length] = timed_ms(run, list(ids))
    return {"load_ms": round(loaded_ms, 1), "latency": latency, **memory_mb()}


def main() -> None:
    """Read folder, threads and runs as JSON, measure, write JSON."""
    asked = json.load(sys.stdin)
    runs = {int(length): count for length, count in asked["runs"].items()}
    json.dump(measured(Path(asked["folder"]), asked["threads"], runs), sys.stdout)


if __name__ == "__main__":
    main()
