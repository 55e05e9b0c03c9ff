"""Runs in a process of its own: opens a TV, recommends, and prints the MiB held then. Argument: settings as JSON."""

from __future__ import annotations

import sys
from contextlib import closing

import msgspec

from omega.compose import open_brain
from omega.core.machine import rss_bytes
from omega.core.settings import resolve
from omega.core.types import ViewContext


def measure(settings: str) -> float:
    """Open the brain that the settings name, recommend for three moods, and return the MiB of this process."""
    given: dict[str, object] = msgspec.json.decode(settings)
    with closing(open_brain(resolve(given, {}).settings)) as brain:
        for mood in ("quiet", "thrilling", "funny"):
            brain.recommend(ViewContext(mood=mood))
        return rss_bytes() / 2**20


if __name__ == "__main__":
    sys.stdout.write(f"{measure(sys.argv[1])}")
