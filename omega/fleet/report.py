"""What the demonstration says, as values."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from omega.core.types import FROM_OTHERS, Recommendation

if TYPE_CHECKING:
    from collections.abc import Sequence


class Day(msgspec.Struct, frozen=True):
    """What happened on one simulated day."""

    household: str
    day: int
    days: int
    watched: tuple[str, ...]
    events: int
    patterns: int


class Step(msgspec.Struct, frozen=True):
    """How far something has got that no simulated day shows."""

    what: str
    done: int
    total: int
    last: str = ""
    """What was done last, where each part is worth a word."""


class Answer(msgspec.Struct, frozen=True):
    """A list for one question."""

    asked: str
    titles: tuple[Recommendation, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What a household's TV learned by itself; appeals are means over the household's contexts, 0..1."""

    household: str
    about: str
    events: int
    patterns: int
    habits: tuple[str, ...]
    answers: tuple[Answer, ...]
    appeal_recommended: float
    """Hidden appeal of the first ten titles recommended."""
    appeal_any: float
    """Hidden appeal of a title picked blindly from the catalog."""
    appeal_best: float
    """Hidden appeal of the ten best titles that may still be recommended."""
    store_bytes: int


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds, over all households."""

    recommend_cold_p50_ms: float
    """A mood that was never asked for, so the context is embedded."""
    recommend_cold_p99_ms: float
    recommend_warm_p50_ms: float
    """A context that was asked for before."""
    recommend_warm_p99_ms: float
    embed_p50_ms: float
    """One title's text."""
    observe_p50_ms: float
    rss_mib: float
    """Of this process, with all three TVs in it."""


class Synced(msgspec.Struct, frozen=True):
    """What one TV and the shard told each other, all its syncs together; bytes are those of the frames alone."""

    household: str
    rows: int
    """References that the shard counted: a title, a context, how it went, a day."""
    waiting: int
    """What the shard, which lets a TV come only so often, has yet to be told."""
    sent_bytes: int
    received_bytes: int
    round_trips: int
    error: str | None = None
    """Of the last sync that failed."""


class NewAnswer(msgspec.Struct, frozen=True):
    """A list for one question that was answered before, now that the others are known."""

    asked: str
    titles: tuple[Recommendation, ...]
    risen: tuple[str, ...]
    """Content ids of those that stand higher now, or are new, and that the shard named."""


class Heard(msgspec.Struct, frozen=True):
    """What hearing of the others changed for a household: nothing else happened since its outcome."""

    household: str
    answers: tuple[NewAnswer, ...]
    appeal_recommended: float
    """Hidden appeal of the first ten titles recommended, as in the outcome."""


class Told(msgspec.Struct, frozen=True):
    """What one shard knew by itself."""

    tvs: int
    """That sync with it."""
    titles_counted: int
    titles_shown: int
    """Those that it would tell by itself, since enough of its own households watched them."""


class Lately(msgspec.Struct, frozen=True):
    """A title that a round tells."""

    content_id: str
    title: str
    households: int
    """That watched it, at all shards."""


class Round(msgspec.Struct, frozen=True):
    """What the shards found together."""

    seconds: float
    shards: tuple[Told, ...]
    titles_counted: int
    titles_shown: int
    """Those that all tell now."""
    titles_together: int
    """Those of them that no shard could tell by itself."""
    audiences: int
    """Those of which it is told who watches them, as a point among tastes."""
    neighbors: int
    """Titles with another whose audience is alike."""
    lately: tuple[Lately, ...]
    """What most households watched."""


class Met(msgspec.Struct, frozen=True):
    """What came of meeting at shards."""

    neighbors: int
    titles_counted: int
    """Titles that any TV told a shard of."""
    titles_shown: int
    """Those of them that all are told of, since enough distinct households watched them."""
    least_households: int
    """How many that are."""
    synced: tuple[Synced, ...]
    """Of every TV, the neighbors' first."""
    heard: tuple[Heard, ...]
    round: Round
    """What the shards made of it between."""


class Report(msgspec.Struct, frozen=True):
    """The demonstration in figures."""

    seed: int
    start: datetime
    """Midnight of the Monday that the simulation began with."""
    weeks: int
    titles: int
    seconds: float
    households: tuple[Outcome, ...]
    timings: Timings
    street: Met | None = None
    """None without neighbors, and so without a shard."""


def risen(before: Sequence[Recommendation], after: Sequence[Recommendation]) -> tuple[str, ...]:
    """Return the content ids of what stands higher in the later list, or is new there, and is watched by others.

    Between two lists of one moment that differ in what is known of the others, that is what they lifted.
    """
    places = {title.content_id: place for place, title in enumerate(before)}
    return tuple(
        title.content_id
        for place, title in enumerate(after)
        if place < places.get(title.content_id, len(after))
        and any(reason.kind in FROM_OTHERS and reason.weight > 0 for reason in title.reasons)
    )
