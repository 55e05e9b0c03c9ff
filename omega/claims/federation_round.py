"""Runs in a process of its own: a round over files in a folder. Arguments: the folder, and how many of its shards."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from omega.core.machine import peak_rss_bytes
from omega.core.settings import resolve
from omega.federations import Federating, run_once


def measure(folder: Path, shards: int) -> dict[str, object]:
    """Run one; return its seconds, outcome and the peak of the process's memory in MiB."""
    settings = resolve({"catalog": str(folder / "catalog.jsonl"), "home": str(folder / f"home-{shards}")}).settings
    files = tuple(str(folder / f"{shard}.sums") for shard in range(shards))
    made = Federating(
        settings=settings, shards=files, artifacts=folder / f"shelf-{shards}", key=folder / "operator.key"
    )
    report = run_once(made)
    told = {"seconds": report.seconds, "outcome": report.outcome, "answered": report.answered, "rows": report.rows}
    return {**told, "peak_mib": peak_rss_bytes() / 2**20}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
