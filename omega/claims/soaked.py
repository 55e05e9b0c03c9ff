"""Runs in a process of its own, whose memory nothing else moves: soaks a TV and prints what came of it.

Argument: options as JSON.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec

from omega.compose import STORE_FILE, open_brain, open_catalog
from omega.core.settings import resolve
from omega.fleet.demo import Clock
from omega.fleet.soak import Soaked, soak


def measure(options: str) -> Soaked:
    """Soak a TV in the store that the options name, with so many events in so many seconds at most."""
    asked = json.loads(options)
    settings = resolve(asked["settings"], {}).settings
    clock = Clock()
    with closing(open_brain(settings, now=clock)) as brain:
        return soak(
            brain,
            clock,
            open_catalog(settings),
            events=asked["events"],
            seed=asked["seed"],
            budget_s=asked["budget_s"],
            live_bytes=lambda: live_bytes(settings.store / STORE_FILE),
            tend=brain.tend,
        )


def live_bytes(file: Path) -> int:
    """Return what a database takes without unused pages: the size of a fresh copy, made by another connection.

    It can't write: one that moves the log into the file would pass for another process, and all would be read again.
    """
    uri = f"{file.resolve().as_uri()}?mode=ro"
    with (
        tempfile.TemporaryDirectory(prefix="omega-live-") as folder,
        closing(sqlite3.connect(uri, uri=True)) as connection,
    ):
        copy = Path(folder) / "copy.db"
        connection.execute("VACUUM INTO ?", (str(copy),))
        return copy.stat().st_size


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(measure(sys.argv[1])).decode())
