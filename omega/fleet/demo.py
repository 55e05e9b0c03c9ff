"""The demonstration: simulated households watch for weeks, through a real brain, store and model; then they are asked.

A household's hidden appeal (see `households`) is the oracle: how much it would like what is recommended, against any
title and against the best there is.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np

from omega.core.machine import rss_bytes
from omega.core.types import DayType, Recommendation, TimeSlot, ViewContext
from omega.fleet.households import PERSONAS, Household, day_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omega.core.catalog import Catalog
    from omega.core.ports import Embedder
    from omega.device.brain import Brain
    from omega.fleet.households import Persona

T = TypeVar("T")

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
ASKED = (
    ("Monday morning", ViewContext(time=TimeSlot.MORNING, day=DayType.WEEKDAY)),
    ("Saturday evening", ViewContext(time=TimeSlot.EVENING, day=DayType.WEEKEND)),
)
MOODS = (
    "relaxed",
    "scary",
    "funny",
    "romantic",
    "exciting",
    "sad",
    "thoughtful",
    "cozy",
    "epic",
    "dark",
    "light",
    "weird",
)
_JUDGED = 10
"""How many titles at the top of a list are judged."""


class Day(msgspec.Struct, frozen=True):
    """What happened on one simulated day."""

    household: str
    day: int
    days: int
    watched: tuple[str, ...]
    events: int
    patterns: int


class Answer(msgspec.Struct, frozen=True):
    """A list for one question."""

    asked: str
    titles: tuple[Recommendation, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What a household's TV learned; appeals are means over the household's contexts, 0..1."""

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


class Report(msgspec.Struct, frozen=True):
    """The demonstration in figures."""

    seed: int
    weeks: int
    titles: int
    seconds: float
    households: tuple[Outcome, ...]
    timings: Timings


class Clock:
    """Simulated time, moved by hand."""

    def __init__(self) -> None:
        """Start on a Monday at midnight."""
        self.moment = START

    def __call__(self) -> datetime:
        """Return the moment."""
        return self.moment


def run(
    open_brain: Callable[[str, Clock], Brain],
    open_embedder: Callable[[], Embedder],
    catalog: Catalog,
    *,
    seed: int,
    weeks: int,
    on_day: Callable[[Day], None],
) -> Report:
    """Let every household of PERSONAS watch for some weeks and judge what its TV then recommends.

    `open_brain` opens a household's brain by name and clock; `on_day` sees each day.
    """
    started = time.perf_counter()
    watch = _Stopwatch()
    outcomes = tuple(_household(persona, open_brain, catalog, seed, weeks, on_day, watch) for persona in PERSONAS)
    with closing(open_embedder()) as embedder:
        for title in catalog.titles[:100]:
            watch.time("embed", partial(embedder.embed, [title.text]))
    return Report(seed, weeks, len(catalog), round(time.perf_counter() - started, 2), outcomes, watch.timings())


class _Stopwatch:
    def __init__(self) -> None:
        self._ms: dict[str, list[float]] = {}

    def time(self, what: str, call: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = call()
        self._ms.setdefault(what, []).append(1000 * (time.perf_counter() - started))
        return result

    def timings(self) -> Timings:
        def at(what: str, percentile: int) -> float:
            return round(float(np.percentile(self._ms[what], percentile)), 3)

        return Timings(
            recommend_cold_p50_ms=at("cold", 50),
            recommend_cold_p99_ms=at("cold", 99),
            recommend_warm_p50_ms=at("warm", 50),
            recommend_warm_p99_ms=at("warm", 99),
            embed_p50_ms=at("embed", 50),
            observe_p50_ms=at("observe", 50),
            rss_mib=round(rss_bytes() / 2**20, 1),
        )


def _household(
    persona: Persona,
    open_brain: Callable[[str, Clock], Brain],
    catalog: Catalog,
    seed: int,
    weeks: int,
    on_day: Callable[[Day], None],
    watch: _Stopwatch,
) -> Outcome:
    clock = Clock()
    with closing(open_brain(persona.name, clock)) as brain:
        household = Household(persona, catalog, seed)
        for day in range(7 * weeks):
            titles = []
            for event in household.day(START + timedelta(days=day)):
                clock.moment = event.at or clock.moment
                titles.append(watch.time("observe", partial(brain.observe, event)).title)
            events, patterns = brain.counts()
            on_day(Day(persona.name, day + 1, 7 * weeks, tuple(titles), events, patterns))
        clock.moment = START + timedelta(weeks=weeks)
        return _outcome(persona, household, brain, catalog, watch)


def _outcome(persona: Persona, household: Household, brain: Brain, catalog: Catalog, watch: _Stopwatch) -> Outcome:
    answers = tuple(Answer(asked, tuple(brain.recommend(context))) for asked, context in ASKED)
    for mood, (time_, day), what in product(MOODS, product(TimeSlot, DayType), ("cold", "warm")):
        context = ViewContext(time=time_, day=day, mood=mood)
        watch.time(what, partial(brain.recommend, context))
    judged = np.array(list(_judged(persona, household, brain, catalog))).mean(axis=0)
    status = brain.status()
    return Outcome(
        household=persona.name,
        about=persona.about,
        events=status.events,
        patterns=status.patterns,
        habits=status.habits,
        answers=answers,
        appeal_recommended=round(float(judged[0]), 3),
        appeal_any=round(float(judged[1]), 3),
        appeal_best=round(float(judged[2]), 3),
        store_bytes=status.store_bytes,
    )


def _judged(
    persona: Persona, household: Household, brain: Brain, catalog: Catalog
) -> Iterator[tuple[float, float, float]]:
    """Give (recommended, any, best) appeal for each of the household's contexts."""
    for habit in persona.habits:
        appeal = household.appeal(habit.days[0], habit.time)
        still_open = appeal[~household.finished]
        titles = brain.recommend(ViewContext(time=habit.time, day=day_type(habit.days[0])), _JUDGED)
        recommended = appeal[[catalog.ordinals[title.content_id] for title in titles]].mean()
        yield recommended, still_open.mean(), np.sort(still_open)[-_JUDGED:].mean()
