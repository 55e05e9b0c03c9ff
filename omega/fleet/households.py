"""Simulated households: persons with hidden tastes, who choose, finish, continue and give up titles by them.

What a household would like at an hour of the week is what a brain is to find out, and what its recommendations are
judged by; the brain never sees it. What is assumed of people, and all that is assumed:

- A person likes or dislikes genres and kinds, and has a mind of their own about each single title (a quirk).
- An hour of the week adds a leaning of its own: a film night of thrillers, documentaries on Sundays. Several persons
  before one TV like what they like on average; nothing is watched that is too old for the youngest.
- They choose at random, far more often what they like; they know what they like, not what a TV recommends.
- What is liked is watched to the end; the less it is liked, the more often it is given up soon, and loses most of its
  appeal by that. Now and then a title is interrupted.
- The next episode, or the rest of what was interrupted, is wanted until they tire of it, at hours for its kind.
- Tastes drift a little every week. Now and then a guest watches something that says nothing about the household.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import ContentType, DayType, TimeSlot, ViewingEvent, slot_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from omega.core.catalog import Catalog
    from omega.core.types import Title

HOURS = {TimeSlot.MORNING: 8, TimeSlot.AFTERNOON: 15, TimeSlot.EVENING: 20, TimeSlot.NIGHT: 23}
"""When a sitting starts."""
WEEKDAYS, WEEKEND = (0, 1, 2, 3, 4), (5, 6)
"""Days of the week; 0 is Monday."""
SHARPNESS = 5.0
"""How much more often a household picks what it likes: e^5 times from the least to the most liked title."""
INDIFFERENT = 0.4
"""The appeal of a title of the right kind whose genres say nothing."""
QUIRK = 0.1
"""Standard deviation of what a person thinks of a single title beyond its genres and kind."""
GIVEN_UP = 0.3
"""What is left of a title's appeal once it was given up."""
RETURN = 0.6
"""What being in the middle of something adds to its appeal."""
TIRED = 0.05
"""How often a series that went well isn't continued all the same."""
INTERRUPTED = 0.07
"""How often a title that is liked is left in the middle."""
DRIFT = 0.03
"""Standard deviation of a genre's liking's change in a week: .2 in a year."""
GUESTS = 0.03
"""How often a guest decides."""


def day_type(day: int) -> DayType:
    """Return whether a day of the week (0 is Monday) is one of the weekend."""
    return DayType.WEEKEND if day in WEEKEND else DayType.WEEKDAY


@dataclass(frozen=True, slots=True)
class Person:
    """What somebody likes at any time."""

    genres: Mapping[str, float] = field(default_factory=dict)
    """Liking of genres, -1..1; genres that aren't named have 0."""
    kinds: Mapping[ContentType, float] = field(default_factory=lambda: dict.fromkeys(ContentType, 1.0))
    """Liking of kinds, 0..1."""
    oldest_age: int = 21
    """Nothing is watched with this person that is meant for older viewers."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What is watched at one time of some days."""

    time: TimeSlot
    days: tuple[int, ...]
    """Days of the week; 0 is Monday."""
    per_day: float
    """Mean number of titles on such a day."""
    genres: Mapping[str, float]
    """What the hour adds to the persons' liking of genres, -1..1."""
    kinds: Mapping[ContentType, float]
    """Liking of kinds at this hour, 0..1; kinds that aren't named have 0."""
    who: tuple[int, ...] = (0,)
    """Who watches, by place among the household's persons."""

    @property
    def slots(self) -> frozenset[int]:
        """The contexts that it falls in."""
        return frozenset(slot_of(self.time, day_type(day)) for day in self.days)


@dataclass(frozen=True, slots=True)
class Persona:
    """A household by its habits and persons."""

    name: str
    about: str
    habits: tuple[Habit, ...]
    persons: tuple[Person, ...] = (Person(),)

    @property
    def sittings(self) -> tuple[tuple[int, TimeSlot], ...]:
        """The days and times at which something is watched, in order of the week."""
        found = {(day, habit.time) for habit in self.habits for day in habit.days}
        return tuple(sorted(found, key=lambda sitting: (sitting[0], HOURS[sitting[1]])))


_MOVIE, _SERIES, _DOCUMENTARY = ContentType
_MORNING, _AFTERNOON, _EVENING, _NIGHT = TimeSlot

PERSONAS = (
    Persona(
        "family",
        "two adults, two small children",
        (
            Habit(
                _MORNING,
                WEEKDAYS,
                1.1,
                {"animation": 1, "family": 1, "crime": -1, "horror": -1},
                {_SERIES: 1, _MOVIE: 0.1},
            ),
            Habit(
                _MORNING,
                WEEKEND,
                2.4,
                {"animation": 1, "family": 1, "adventure": 0.5, "horror": -1},
                {_MOVIE: 0.8, _SERIES: 0.7},
            ),
            Habit(
                _EVENING,
                WEEKDAYS,
                0.8,
                {"comedy": 0.9, "reality": 0.6, "romance": 0.3, "war": -1},
                {_SERIES: 1, _MOVIE: 0.3},
            ),
            Habit(_EVENING, WEEKEND, 1.6, {"adventure": 1, "fantasy": 0.8, "comedy": 0.4, "horror": -1}, {_MOVIE: 1}),
        ),
        (Person(oldest_age=12),),
    ),
    Persona(
        "night-owl",
        "one adult who works late",
        (
            Habit(_NIGHT, WEEKDAYS, 1.4, {"crime": 1, "thriller": 0.9, "mystery": 0.7, "family": -1}, {_SERIES: 1}),
            Habit(_EVENING, WEEKEND, 2.1, {"horror": 1, "sci-fi": 0.9, "thriller": 0.4, "family": -1}, {_MOVIE: 1}),
            Habit(_MORNING, WEEKDAYS, 0.7, {"science": 1, "history": 0.6, "nature": 0.4}, {_DOCUMENTARY: 1}),
        ),
    ),
    Persona(
        "retired",
        "a retired couple",
        (
            Habit(
                _MORNING, WEEKDAYS, 1.0, {"nature": 1, "history": 0.8, "science": 0.4}, {_DOCUMENTARY: 1, _SERIES: 0.1}
            ),
            Habit(_AFTERNOON, WEEKDAYS, 1.0, {"western": 0.9, "war": 0.6, "history": 0.6, "horror": -1}, {_MOVIE: 1}),
            Habit(
                _EVENING,
                WEEKDAYS,
                1.1,
                {"crime": 0.8, "mystery": 1, "horror": -1, "animation": -1},
                {_SERIES: 1, _MOVIE: 0.2},
            ),
            Habit(_EVENING, WEEKEND, 1.4, {"romance": 1, "music": 0.8, "drama": 0.4, "horror": -1}, {_MOVIE: 1}),
        ),
    ),
)


class Household:
    """One simulated household over a catalog of n titles; deterministic for a seed."""

    def __init__(self, persona: Persona, catalog: Catalog, seed: int) -> None:
        """`seed` decides what is watched when, and what the persons think of single titles."""
        self.persona = persona
        self.finished = np.zeros(len(catalog), bool)
        """(n,) movies and documentaries that were watched to the end."""
        self.given_up = np.zeros(len(catalog), bool)
        """(n,) titles that were given up the last time."""
        self._catalog = catalog
        self._random = np.random.default_rng([seed, *persona.name.encode()])
        self._titles = _Titles(catalog.titles)
        named = self._titles.genre_names
        self._likings = np.array([[person.genres.get(name, 0.0) for name in named] for person in persona.persons])
        people = (len(persona.persons), len(catalog))
        self._quirks = self._random.normal(0, QUIRK, people)
        self._left = np.zeros(people, bool)
        self._waiting = np.zeros(people, bool)
        self._episodes: dict[str, int] = {}
        self._known: dict[tuple[int, int], NDArray[np.float64]] = {}

    def appeal(self, day: int, time: TimeSlot) -> NDArray[np.float64]:
        """Return (n,) the hidden liking of each title on a day of the week (0 is Monday) at a time of day, 0..1.

        Where several habits share the hour, it is their mean by how much they watch; where there is none, the mean of
        all.
        """
        here = [h for h in self.persona.habits if h.time is time and day in h.days] or list(self.persona.habits)
        shares = [habit.per_day for habit in here]
        mean: NDArray[np.float64] = np.average([self._wish(habit).clip(0, 1) for habit in here], axis=0, weights=shares)
        return mean

    def row(self, content_id: str) -> int:
        """Return a title's place in the catalog."""
        return self._catalog.ordinals[content_id]

    def day(self, date: datetime) -> Iterator[ViewingEvent]:
        """Give what is watched on the day of `date`, aware midnight, in order of time; days are asked for in turn."""
        if date.weekday() == 0:
            self._drift()
        for time, hour in HOURS.items():
            at = date + timedelta(hours=hour)
            for habit in self.persona.habits:
                if habit.time is time and date.weekday() in habit.days:
                    for _ in range(self._random.poisson(habit.per_day)):
                        at += timedelta(minutes=int(self._random.integers(5, 20)))
                        yield self._watch(habit, at)

    def _drift(self) -> None:
        self._likings += self._random.normal(0, DRIFT, self._likings.shape)
        self._known.clear()

    def _wish(self, habit: Habit) -> NDArray[np.float64]:
        """Return (n,) the appeal at a habit's hour; more than 1 for what waits to be continued."""
        wish = np.zeros(len(self._catalog))
        for who in habit.who:
            kind, liking = self._kinds(habit, who), self._liking(habit, who)
            own = liking * np.where(self._left[who], GIVEN_UP, 1.0) + RETURN * self._waiting[who]
            wish += kind * own / len(habit.who)
        youngest = min(self.persona.persons[who].oldest_age for who in habit.who)
        return np.where(self._titles.ages <= youngest, wish, 0)

    def _kinds(self, habit: Habit, who: int) -> NDArray[np.float64]:
        """Return (n,) 0..1, how far each title's kind suits somebody at a habit's hour."""
        own = self.persona.persons[who].kinds
        suits = np.array([own.get(kind, 0.0) * habit.kinds.get(kind, 0.0) for kind in ContentType])
        each: NDArray[np.float64] = suits[self._titles.kinds]
        return each

    def _liking(self, habit: Habit, who: int) -> NDArray[np.float64]:
        """Return (n,) 0..1, what somebody likes of the right kind at a habit's hour, whatever was watched before."""
        key = (self.persona.habits.index(habit), who)
        if key not in self._known:
            hour = np.array([habit.genres.get(name, 0.0) for name in self._titles.genre_names])
            genre = self._titles.by_genre(np.clip(self._likings[who] + hour, -1, 1))
            self._known[key] = (INDIFFERENT + (1 - INDIFFERENT) * genre + self._quirks[who]).clip(0, 1)
        return self._known[key]

    def _watch(self, habit: Habit, at: datetime) -> ViewingEvent:
        if self._random.random() < GUESTS:
            row, share = self._picked(np.ones(len(self._catalog))), float(self._random.uniform(0.9, 1))
        else:
            row, share = self._choose(habit)
        title = self._catalog.titles[row]
        series = title.kind is ContentType.SERIES
        self.finished[row] |= share >= 0.9 and not series
        count = self._episodes.get(title.id, 0)
        if share >= 0.9:
            self._episodes[title.id] = count + 1
        season, episode = (count // 8 + 1, count % 8 + 1) if series else (None, None)
        return ViewingEvent(content_id=title.id, watch_pct=round(share, 3), at=at, season=season, episode=episode)

    def _choose(self, habit: Habit) -> tuple[int, float]:
        """Return the row of what is chosen, by appeal, and the share of it that is watched."""
        wish = self._wish(habit)
        row = self._picked(wish)
        series = self._catalog.titles[row].kind is ContentType.SERIES
        appeal, who = min(float(wish[row]), 1.0), list(habit.who)
        fate = self._random.random()
        leaves = fate < (1 - appeal) ** 2
        interrupted = fate > 1 - INTERRUPTED
        low, high = (0.02, 0.3) if leaves else (0.3, 0.85) if interrupted else (0.9, 1.0)
        self._left[who, row] = self.given_up[row] = leaves
        self._waiting[who, row] = not leaves and (interrupted or (series and self._random.random() >= TIRED))
        return row, float(self._random.uniform(low, high))

    def _picked(self, wish: NDArray[np.float64]) -> int:
        """Return a row by a wish (n,): what is finished if nothing else will do, then what suits nobody."""
        tiers = (~self.finished & (wish > 0), wish > 0, wish == 0)
        odds = next(tier for tier in tiers if tier.any()) * np.exp(SHARPNESS * wish)
        return int(self._random.choice(len(odds), p=odds / odds.sum()))


class _Titles:
    """What is known of n titles, as arrays; g genres, at most m of them per title."""

    def __init__(self, titles: Sequence[Title]) -> None:
        self.genre_names = sorted({genre for title in titles for genre in title.genres})
        column = {name: at for at, name in enumerate(self.genre_names)}
        most = max(2, *(len(title.genres) for title in titles))
        self._genres = np.full((len(titles), most), len(column))
        for row, title in enumerate(titles):
            self._genres[row, : len(title.genres)] = [column[genre] for genre in title.genres]
        self._counted = np.minimum([max(len(title.genres), 1) for title in titles], 2)
        self.kinds = np.array([tuple(ContentType).index(title.kind) for title in titles])
        self.ages = np.array([title.age for title in titles])

    def by_genre(self, likings: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) -1..1: the mean of the two genres of each title about which `likings` (g,) say most."""
        each = np.append(likings, 0.0)[self._genres]
        strongest = np.take_along_axis(each, np.argsort(-np.abs(each), axis=1)[:, :2], axis=1)
        mean: NDArray[np.float64] = strongest.sum(axis=1) / self._counted
        return mean
