"""Runs in a process of its own, whose children watch until they are killed.

Argument: settings and ids of titles as JSON. For each line that it reads, the number of the first event, it forks: the
child prints its process id, and after each event how many are stored; once the child is dead the parent prints `dead`.
A fork spares each child the imports.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from omega.compose import extra_module, open_brain, registry
from omega.core.settings import resolve
from omega.core.types import ViewingEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.core.settings import Settings
    from omega.device.brain import Brain

_START = datetime(2025, 1, 6, tzinfo=UTC)


def event(number: int, ids: Sequence[str]) -> ViewingEvent:
    """Return what is watched as number 0, 1, ..: each title again and again, five hours later each time."""
    at = _START + timedelta(hours=5 * number)
    return ViewingEvent(content_id=ids[number * 7 % len(ids)], watch_pct=number % 1001 / 1000, at=at)


def opened(settings: Settings) -> Brain:
    """Open the TV's brain, late enough for all that is watched to be past."""
    return open_brain(settings, now=lambda: _START + timedelta(days=36_500))


def watch(brain: Brain, ids: Sequence[str], first: int, stored: Callable[[int], None]) -> None:
    """Watch for ever, and tell after each event how many are stored."""
    for number in count(first):
        brain.observe(event(number, ids))
        stored(number + 1)


def serve(settings: Settings, ids: Sequence[str]) -> None:
    """Fork a child for each line of the input."""
    registry().embedder(settings.embedder)
    for module in ("omega.device.brain", "omega_storage.device_sqlite"):
        extra_module(module, "device")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _tell(os.getpid())
            watch(opened(settings), ids, int(line), _tell)
        os.waitpid(child, 0)
        _tell("dead")


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    serve(resolve(given["settings"], {}).settings, given["ids"])
