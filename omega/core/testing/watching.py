"""Titles, events and vectors to try a device's store with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.records import Recorded, WatchRecord
from omega.core.testing.contracts import DIMENSIONS, random_units
from omega.core.types import CONTEXT_SHARE, SLOTS, ContentType, Title, title_key

if TYPE_CHECKING:
    from omega.core.ports import DeviceStore, Floats
    from omega.core.records import Selection

SPACE, OTHER = "space-1", "space-2"
CONTEXTS = random_units(SLOTS, seed=3)
DAY = 20_000
SHARD = "shard-a", 1


def a_title(content_id: str = "heat-1995", kind: ContentType = ContentType.MOVIE) -> Title:
    """Return a title of this id."""
    return Title(content_id, f"Name of {content_id}", 1995, kind, ("crime", "drama"), 170, 16)


def a_watch(
    content_id: str = "heat-1995", at: int = 1_700_000_000, slot: int = 4, milli: int = 900, profile: int = 0
) -> WatchRecord:
    """Return one event."""
    return WatchRecord(content_id, at, slot, milli, profile=profile)


def a_vector(content_id: str, dimensions: int = DIMENSIONS) -> Floats:
    """Return the unit vector of a title, its own."""
    vector: Floats = random_units(1, dimensions, seed=title_key(content_id))[0]
    return vector


def tell(store: DeviceStore, *events: WatchRecord, day: int | None = None, local: bool = False) -> Recorded:
    """Record events of titles made by `a_title`, with vectors made by `a_vector`; return what became of the last."""
    for event in events:
        title, vector = a_title(event.content_id), a_vector(event.content_id)
        last = store.record(event, title, vector, local=local, day=day)
    return last


def similarity(query: Floats, title: Floats, slot: int) -> float:
    """Return the cosine of `query` and a pattern, by its definition in float64."""
    vector = title.astype(np.float64) + CONTEXT_SHARE * CONTEXTS[slot].astype(np.float64)
    return float(vector @ query.astype(np.float64) / np.linalg.norm(vector))


def a_household(events: int = 60) -> list[WatchRecord]:
    """Return events of 7 titles in 4 contexts by 3 profiles, none twice; times from 1000, not in order."""
    return [
        WatchRecord(f"t{i % 7}", 1000 + i * 37 % 101, i % 4, i * 131 % 1001, profile=i * 5 % 3, season=i % 2 or None)
        for i in range(events)
    ]


def selected(event: WatchRecord, selection: Selection) -> bool:
    """Say whether an event satisfies all that is given."""
    return (
        selection.content_id in (None, event.content_id)
        and selection.profile in (None, event.profile)
        and (selection.since is None or selection.since <= event.at)
        and (selection.until is None or event.at < selection.until)
    )
