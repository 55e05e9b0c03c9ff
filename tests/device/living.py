"""Households that watch for some weeks, and what is asked of their TV."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from omega.core.types import ContentType, DayType, TimeSlot, ViewContext, ViewingEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.catalog import Catalog
    from omega.core.testing.fakes import Clock
    from omega.core.types import Recommendation
    from omega.device.brain import Brain

CONTEXTS = [
    ViewContext(),
    ViewContext(time=TimeSlot.MORNING, day=DayType.WEEKEND),
    ViewContext(mood="crime drama"),
    ViewContext(kind=ContentType.SERIES, mood="war"),
]


def live(
    brain: Brain, catalog: Catalog, clock: Clock, events: int = 60, genre: str = "crime", profile: str | None = None
) -> None:
    """Let a household that prefers a genre watch for some weeks."""
    draw = random.Random(genre)
    preferred = [title for title in catalog if genre in title.genres]
    for _ in range(events):
        clock.advance(hours=draw.choice([3, 8, 20]))
        title = draw.choice(preferred if draw.random() < 0.7 else catalog.titles)
        liked = draw.random() < (0.9 if genre in title.genres else 0.3)
        share = draw.uniform(0.7, 1) if liked else draw.uniform(0, 0.3)
        episode = draw.randint(1, 9) if title.kind == "series" else None
        season = 1 if title.kind == "series" else None
        brain.observe(
            ViewingEvent(content_id=title.id, watch_pct=share, season=season, episode=episode, profile=profile)
        )


def ids(recommendations: Sequence[Recommendation]) -> list[str]:
    return [recommendation.content_id for recommendation in recommendations]


def lists(brain: Brain) -> list[list[Recommendation]]:
    return [brain.recommend(context, 30) for context in CONTEXTS]


def share_of(genre: str, recommendations: Sequence[Recommendation], catalog: Catalog) -> float:
    rows = [catalog.titles[catalog.ordinals[content_id]] for content_id in ids(recommendations)]
    return sum(genre in title.genres for title in rows) / len(rows)
