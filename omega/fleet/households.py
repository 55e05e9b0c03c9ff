"""Simulated households: hidden preferences by context, from which they choose and finish titles.

The preferences are what a brain is to find out, and what its recommendations are judged by; the brain never sees them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import ContentType, DayType, TimeSlot, ViewingEvent, slot_at, slot_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from omega.core.catalog import Catalog
    from omega.core.types import Title

_HOURS = {"morning": 8, "afternoon": 15, "evening": 20, "night": 23}
_SHARPNESS = 5.0
"""How much more often a household picks what it likes: e^5 times from the least to the most liked title."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What is watched in one context."""

    time: TimeSlot
    day: DayType
    per_day: float
    """Mean number of titles on a day of this sort."""
    genres: Mapping[str, float]
    """Liking of genres, -1..1; genres that aren't named have 0."""
    kinds: Mapping[ContentType, float]
    """Liking of kinds, 0..1."""


@dataclass(frozen=True, slots=True)
class Persona:
    """A household by its habits."""

    name: str
    about: str
    habits: tuple[Habit, ...]
    oldest_age: int = 21
    """Nothing is watched that is meant for older viewers."""


_MOVIE, _SERIES, _DOCUMENTARY = ContentType
_WEEKDAY, _WEEKEND = DayType
_MORNING, _AFTERNOON, _EVENING, _NIGHT = TimeSlot

PERSONAS = (
    Persona(
        "family",
        "two adults, two small children",
        (
            Habit(
                _MORNING,
                _WEEKDAY,
                1.1,
                {"animation": 1, "family": 1, "crime": -1, "horror": -1},
                {_SERIES: 1, _MOVIE: 0.1},
            ),
            Habit(
                _MORNING,
                _WEEKEND,
                2.4,
                {"animation": 1, "family": 1, "adventure": 0.5, "horror": -1},
                {_MOVIE: 0.8, _SERIES: 0.7},
            ),
            Habit(
                _EVENING,
                _WEEKDAY,
                0.8,
                {"comedy": 0.9, "reality": 0.6, "romance": 0.3, "war": -1},
                {_SERIES: 1, _MOVIE: 0.3},
            ),
            Habit(_EVENING, _WEEKEND, 1.6, {"adventure": 1, "fantasy": 0.8, "comedy": 0.4, "horror": -1}, {_MOVIE: 1}),
        ),
        oldest_age=12,
    ),
    Persona(
        "night-owl",
        "one adult who works late",
        (
            Habit(_NIGHT, _WEEKDAY, 1.4, {"crime": 1, "thriller": 0.9, "mystery": 0.7, "family": -1}, {_SERIES: 1}),
            Habit(_EVENING, _WEEKEND, 2.1, {"horror": 1, "sci-fi": 0.9, "thriller": 0.4, "family": -1}, {_MOVIE: 1}),
            Habit(_MORNING, _WEEKDAY, 0.7, {"science": 1, "history": 0.6, "nature": 0.4}, {_DOCUMENTARY: 1}),
        ),
    ),
    Persona(
        "retired",
        "a retired couple",
        (
            Habit(
                _MORNING, _WEEKDAY, 1.0, {"nature": 1, "history": 0.8, "science": 0.4}, {_DOCUMENTARY: 1, _SERIES: 0.1}
            ),
            Habit(_AFTERNOON, _WEEKDAY, 1.0, {"western": 0.9, "war": 0.6, "history": 0.6, "horror": -1}, {_MOVIE: 1}),
            Habit(
                _EVENING,
                _WEEKDAY,
                1.1,
                {"crime": 0.8, "mystery": 1, "horror": -1, "animation": -1},
                {_SERIES: 1, _MOVIE: 0.2},
            ),
            Habit(_EVENING, _WEEKEND, 1.4, {"romance": 1, "music": 0.8, "drama": 0.4, "horror": -1}, {_MOVIE: 1}),
        ),
    ),
)


class Household:
    """One simulated household over a catalog of n titles; deterministic for a seed."""

    def __init__(self, persona: Persona, catalog: Catalog, seed: int) -> None:
        """`seed` decides what is watched when."""
        self.persona = persona
        self._catalog = catalog
        self._random = np.random.default_rng([seed, *persona.name.encode()])
        self._appeal = {slot_of(h.time, h.day): _appeal(h, catalog.titles, persona.oldest_age) for h in persona.habits}
        self.finished = np.zeros(len(catalog), bool)
        """(n,) movies and documentaries that were watched to the end."""
        self._episodes: dict[str, int] = {}

    def appeal(self, slot: int) -> NDArray[np.float64]:
        """Return (n,) the hidden liking of each title in a context, 0..1; the mean of all where it has no habit."""
        mean: NDArray[np.float64] = np.mean(list(self._appeal.values()), axis=0)
        return self._appeal.get(slot, mean)

    def day(self, date: datetime) -> Iterator[ViewingEvent]:
        """Give what is watched on the day of `date`, aware midnight, in order of time."""
        for habit in sorted(self.persona.habits, key=lambda h: _HOURS[h.time]):
            if (date.weekday() >= 5) == (habit.day is DayType.WEEKEND):
                for turn in range(self._random.poisson(habit.per_day)):
                    at = date + timedelta(hours=_HOURS[habit.time], minutes=20 * turn + int(self._random.integers(20)))
                    yield self._watch(at)

    def _watch(self, at: datetime) -> ViewingEvent:
        """Pick by appeal, stay with a series that went well, and watch as much as it pleases."""
        appeal = self.appeal(slot_at(at))
        wish = np.where(self.finished | (appeal == 0), 0, np.exp(_SHARPNESS * appeal))
        for content_id in self._episodes:
            wish[self._catalog.ordinals[content_id]] *= 12
        row = int(self._random.choice(len(wish), p=wish / wish.sum()))
        title = self._catalog.titles[row]
        watched = float(np.clip(self._random.normal(0.25 + 0.8 * appeal[row], 0.15), 0.02, 1.0))
        season, episode = self._next_episode(title, liked=watched > 0.6)
        self.finished[row] |= title.kind is not ContentType.SERIES and watched >= 0.9
        return ViewingEvent(content_id=title.id, watch_pct=round(watched, 3), at=at, season=season, episode=episode)

    def _next_episode(self, title: Title, *, liked: bool) -> tuple[int | None, int | None]:
        if title.kind is not ContentType.SERIES:
            return None, None
        count = self._episodes.pop(title.id, 0)
        if liked:
            self._episodes[title.id] = count + 1
        return count // 8 + 1, count % 8 + 1


def _appeal(habit: Habit, titles: Sequence[Title], oldest_age: int) -> NDArray[np.float64]:
    """Return (n,) 0..1 from a title's genres and kind: half for an indifferent one of the right kind."""
    appeal = np.empty(len(titles))
    for row, title in enumerate(titles):
        likings = sorted((habit.genres.get(genre, 0.0) for genre in title.genres), key=abs, reverse=True)
        genre = sum(likings[:2]) / 2 if len(likings) > 1 else likings[0]
        fits = title.age <= oldest_age
        appeal[row] = fits * habit.kinds.get(title.kind, 0.0) * (0.4 + 0.6 * genre)
    return np.clip(appeal, 0, 1)
