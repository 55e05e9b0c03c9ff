"""Households drawn by lot: one to four persons, workers, shift workers, pensioners and children, with their habits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import ContentType, TimeSlot
from omega.fleet.households import WEEKDAYS, WEEKEND, Habit, Person, Persona

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GENRES = (
    *("action", "adventure", "animation", "biography", "comedy", "crime", "drama", "family"),
    *("fantasy", "history", "horror", "music", "mystery", "nature", "reality", "romance"),
    *("science", "sci-fi", "sport", "thriller", "war", "western"),
)
CHILDRENS = ("adventure", "animation", "comedy", "family", "fantasy", "music", "nature", "sci-fi", "sport")
_MOVIE, _SERIES, _DOCUMENTARY = ContentType
_MORNING, _AFTERNOON, _EVENING, _NIGHT = TimeSlot
_RITUALS = (
    ("action", _MOVIE),
    ("biography", _DOCUMENTARY),
    ("comedy", _MOVIE),
    ("crime", _SERIES),
    ("fantasy", _MOVIE),
    ("history", _DOCUMENTARY),
    ("horror", _MOVIE),
    ("mystery", _SERIES),
    ("nature", _DOCUMENTARY),
    ("reality", _SERIES),
    ("romance", _MOVIE),
    ("sci-fi", _MOVIE),
    ("science", _DOCUMENTARY),
    ("sport", _MOVIE),
    ("thriller", _MOVIE),
    ("western", _MOVIE),
)
"""What an evening of the week may be for."""
_ANY = {_MOVIE: 0.8, _SERIES: 1.0, _DOCUMENTARY: 0.6}
_AFTER_WORK = {_MOVIE: 0.4, _SERIES: 1.0, _DOCUMENTARY: 0.3}
_FREE_DAY = {_MOVIE: 1.0, _SERIES: 0.5, _DOCUMENTARY: 0.4}

_FREE: dict[str, tuple[tuple[TimeSlot, ...], tuple[int, ...], int, int]] = {
    "worker": ((_NIGHT, _EVENING), (*WEEKDAYS, *WEEKEND), 1, 2),
    "shift worker": ((_MORNING, _AFTERNOON, _NIGHT), (*WEEKDAYS, *WEEKEND), 3, 4),
    "pensioner": ((_MORNING, _AFTERNOON), WEEKDAYS, 3, 5),
}
"""When an adult watches alone: times, days, and on how many of them at least and at most."""


def generated(seed: int) -> Persona:
    """Return the household of this seed: one or two adults, up to two children, each with habits of their own."""
    random = np.random.default_rng([seed, 1_000_003])
    adults = int(random.choice([1, 2], p=[0.4, 0.6]))
    children = int(random.choice([0, 1, 2], p=[0.5, 0.25, 0.25]))
    lives = [_life(random, children) for _ in range(adults)]
    young = [int(random.choice([6, 12])) for _ in range(children)]
    persons = [_adult(random) for _ in lives] + [_child(random, age) for age in young]
    habits = _together(random, adults)
    for who, life in enumerate(lives):
        habits += _alone(random, who, life)
    if children:
        habits += _childrens(random, tuple(range(adults, len(persons))))
    for _ in range(int(random.integers(1, 4))):
        everybody = random.random() < 0.5
        habits = _with_ritual(random, habits, persons, range(len(persons) if everybody else adults))
    about = ", ".join([*lives, *(f"child up to {age}" for age in young)])
    return Persona(f"household-{seed}", about, tuple(habits), tuple(persons))


def _life(random: np.random.Generator, children: int) -> str:
    """Return what an adult does all day; nobody with small children has retired."""
    odds = [0.8, 0.2, 0.0] if children else [0.6, 0.2, 0.2]
    return str(random.choice(["worker", "shift worker", "pensioner"], p=odds))


def _adult(random: np.random.Generator) -> Person:
    names = list(random.permutation(GENRES))
    likings = dict(zip(names, random.normal(0, 0.1, len(names)), strict=True))
    likings |= _drawn(random, names[:3], 0.6, 1.0) | _drawn(random, names[3:6], 0.2, 0.5)
    likings |= _drawn(random, names[6:9], -1.0, -0.4)
    kinds = {_MOVIE: random.uniform(0.5, 1), _SERIES: random.uniform(0.5, 1), _DOCUMENTARY: random.uniform(0.2, 1)}
    return Person({str(name): float(liking) for name, liking in likings.items()}, kinds)


def _child(random: np.random.Generator, oldest_age: int) -> Person:
    names = list(random.permutation(CHILDRENS))
    likings = dict.fromkeys(GENRES, -0.3) | _drawn(random, names[:3], 0.6, 1.0) | _drawn(random, names[3:], -0.2, 0.4)
    kinds = {_MOVIE: random.uniform(0.5, 1), _SERIES: random.uniform(0.7, 1), _DOCUMENTARY: random.uniform(0.1, 0.5)}
    return Person({str(name): float(liking) for name, liking in likings.items()}, kinds, oldest_age)


def _together(random: np.random.Generator, adults: int) -> list[Habit]:
    """Return the adults' evenings."""
    who = tuple(range(adults))
    evenings = _days(random, WEEKDAYS, int(random.integers(2, 5)))
    after_work = Habit(_EVENING, evenings, random.uniform(0.6, 1.2), _leaning(random), _AFTER_WORK, who)
    weekend = Habit(_EVENING, WEEKEND, random.uniform(0.8, 1.6), _leaning(random), _FREE_DAY, who)
    return [after_work, weekend]


def _alone(random: np.random.Generator, who: int, life: str) -> list[Habit]:
    """Return what an adult watches alone."""
    times, days, fewest, most = _FREE[life]
    count = int(random.integers(fewest, most + 1))
    time = times[int(random.integers(len(times)))]
    return [Habit(time, _days(random, days, count), random.uniform(0.5, 1.2), _leaning(random), _ANY, (who,))]


def _childrens(random: np.random.Generator, who: tuple[int, ...]) -> list[Habit]:
    """Return what the children watch after school and on weekend mornings."""
    days = _days(random, WEEKDAYS, int(random.integers(2, 6)))
    after_school = Habit(_AFTERNOON, days, random.uniform(0.6, 1.2), {}, _AFTER_WORK, who)
    mornings = Habit(_MORNING, WEEKEND, random.uniform(0.8, 1.8), _leaning(random, CHILDRENS), _ANY, who)
    return [after_school, mornings]


def _with_ritual(
    random: np.random.Generator, habits: Sequence[Habit], persons: Sequence[Person], who: range
) -> list[Habit]:
    """Return the habits with an evening or Sunday afternoon set apart for one sort of title that those like who watch.

    A ritual takes its hour from the other habits.
    """
    day = int(random.choice(7, p=[0.08, 0.08, 0.08, 0.08, 0.24, 0.22, 0.22]))
    time = _AFTERNOON if day in WEEKEND and random.random() < 0.4 else _EVENING
    likings = np.array([sum(persons[one].genres[genre] for one in who) / len(who) for genre, _ in _RITUALS])
    odds = np.exp(2 * likings)
    genre, kind = _RITUALS[int(random.choice(len(_RITUALS), p=odds / odds.sum()))]
    kinds = {**dict.fromkeys(ContentType, 0.1), kind: 1.0}
    ritual = Habit(time, (day,), random.uniform(0.8, 1.4), {genre: 1.0}, kinds, tuple(who))
    others = [_without(habit, day) if habit.time is time else habit for habit in habits]
    return [*(habit for habit in others if habit.days), ritual]


def _without(habit: Habit, day: int) -> Habit:
    days = tuple(other for other in habit.days if other != day)
    return Habit(habit.time, days, habit.per_day, habit.genres, habit.kinds, habit.who)


def _drawn(random: np.random.Generator, names: Sequence[str], low: float, high: float) -> dict[str, float]:
    return {name: float(random.uniform(low, high)) for name in names}


def _leaning(random: np.random.Generator, genres: Sequence[str] = GENRES) -> Mapping[str, float]:
    """Return what an hour adds: two genres that suit it better, one that doesn't."""
    more, also, less = (str(name) for name in random.choice(genres, 3, replace=False))
    return {more: 0.5, also: 0.3, less: -0.4}


def _days(random: np.random.Generator, days: Sequence[int], count: int) -> tuple[int, ...]:
    return tuple(sorted(int(day) for day in random.choice(days, count, replace=False)))
