"""Idle work on the memories: episodes become sums, and what has faded or grown too much goes. No file is touched here.

The caller reads and writes; each step is small, complete in itself, and tells where the next one begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from omega.device.memory.skills import Key, Sums, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from omega.device.memory.episodes import Episode

    Step = TypeVar("Step")

CHUNK = 64
"""Episodes of one step."""
LEAST_EPISODES = 0.5
"""A row whose decayed episodes are fewer has faded."""


class Consolidated(msgspec.Struct, frozen=True):
    """One step, to be written in one transaction."""

    cursor: int
    """The id of the last episode that the sums hold."""
    rows: dict[Key, Sums]
    """The rows that changed, as they are now."""


def consolidate(
    rows: Mapping[Key, Sums], cursor: int, read: Callable[[int, int], Sequence[Episode]]
) -> Iterator[Consolidated]:
    """Fold episodes into sums chunk by chunk, until none is left; begin again at the last written step's cursor.

    `read(after, most)` gives episodes with ids above `after`, ascending. Wherever it is interrupted, the sums end up
    the same to the last bit, as long as each step that was taken is written.
    """
    known = dict(rows)
    while chunk := read(cursor, CHUNK):
        cursor = chunk[-1].id
        changed = fold(known, chunk)
        known |= changed
        yield Consolidated(cursor, changed)


def within(steps: Iterable[Step], budget_ms: float, clock: Callable[[], float]) -> Iterator[Step]:
    """Give steps until the budget is spent by `clock`, in seconds; always one, so that any budget gets on.

    What the caller does with a step counts. A generator that is passed in can be gone on with later.
    """
    end = clock() + budget_ms / 1000
    for step in steps:
        yield step
        if clock() >= end:
            return


def faded(rows: Mapping[Key, Sums], now: float) -> list[Key]:
    """Return the rows that may go: less than half an episode is left of them at `now`, in unix seconds."""
    return [key for key, sums in rows.items() if sums.faded(now) * sums.episodes < LEAST_EPISODES]
