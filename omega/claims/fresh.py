"""Runs in a process of its own: opens a TV, recommends, and prints what that took. Argument: options as JSON."""

from __future__ import annotations

import json
import sys
import time
from itertools import islice

from omega.compose import open_brain
from omega.core.machine import peak_rss_bytes, rss_bytes
from omega.core.settings import resolve


def measure(options: str) -> dict[str, float]:
    """Open the brain that the options name, recommend; return the time (unix seconds), patterns and memory (MiB)."""
    asked = json.loads(options)
    brain = open_brain(resolve(asked["settings"], {}).settings)
    opened_at = time.time()
    from omega.claims.device import moods  # noqa: PLC0415  (after the start that is measured)

    for context in islice(moods(), asked["recommendations"]):
        brain.recommend(context)
    memory = {"rss_mib": rss_bytes() / 2**20, "peak_mib": peak_rss_bytes() / 2**20}
    _, patterns = brain.counts()
    brain.close()
    return {"opened_at": opened_at, "patterns": patterns, **memory}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1])))
