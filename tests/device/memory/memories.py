"""Episodes for tests: drawn by hypothesis, or told in a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from msgspec.structs import replace

from omega.device.memory.contexts import day_and_time
from omega.device.memory.episodes import Episode
from omega.device.memory.skills import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from omega.device.memory.skills import Key, Sums

FRIDAY = datetime(2026, 3, 6, 20, tzinfo=UTC)
"""A Friday evening."""
DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
GENRES = ("genre:thriller", "genre:comedy", "kind:movie")


def an_episode(
    at: datetime = FRIDAY, milli: int = 1000, facets: Sequence[str] = GENRES[:1], *, offered: bool = False, id_: int = 1
) -> Episode:
    """Return an episode that ended at a local time."""
    day, time = day_and_time(at)
    return Episode(id_, int(at.timestamp()), day, time, milli, tuple(facets), offered=offered)


def weekly(times: int, milli: int = 1000, since: datetime = FRIDAY) -> list[Episode]:
    """Return one episode a week, beginning at `since`."""
    return [an_episode(since + i * WEEK, milli, id_=i + 1) for i in range(times)]


_EPISODES = st.builds(
    Episode,
    id=st.just(0),
    at=st.integers(1_770_000_000, 1_833_000_000),
    day=st.integers(0, 6),
    time=st.integers(2, 3),
    watched_milli=st.integers(0, 1000),
    facets=st.sampled_from([(), GENRES[:1], GENRES[1:], GENRES]),
    engagement_milli=st.sampled_from((None, 0, 1000)),
    offered=st.booleans(),
    profile=st.integers(0, 1),
)


def episode_lists(most: int = 20) -> st.SearchStrategy[list[Episode]]:
    """Draw episodes of two years in a few contexts, in order of recording, which is not that of time."""
    return st.lists(_EPISODES, max_size=most).map(numbered)


def numbered(episodes: list[Episode]) -> list[Episode]:
    """Return the episodes with ids from 1."""
    return [replace(episode, id=i) for i, episode in enumerate(episodes, 1)]


def rebuild(episodes: Iterable[Episode]) -> dict[Key, Sums]:
    """Return all rows of these episodes and nothing else."""
    return fold({}, episodes)
