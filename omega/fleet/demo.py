"""The demonstration: simulated households watch for weeks, through a real brain, store and model; then they are asked.

With a street of neighbors they meet at real shards, which hold a round; they hear of each other and are asked again. A
household's hidden appeal (see `households`) is the oracle: how much it would like what is recommended, against any
title and against the best there is.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.types import DayType, TimeSlot, ViewContext
from omega.fleet.households import PERSONAS, Household, day_type
from omega.fleet.report import Answer, Day, Heard, NewAnswer, Outcome, Report, risen
from omega.fleet.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from omega.core.catalog import Catalog
    from omega.core.ports import Embedder
    from omega.device.brain import Brain
    from omega.fleet.report import Met
    from omega.fleet.street import Street

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


class Clock:
    """Simulated time, moved by hand."""

    def __init__(self, start: datetime = START) -> None:
        """Start on a Monday at midnight."""
        self.moment = start

    def __call__(self) -> datetime:
        """Return the moment."""
        return self.moment


def latest_start(weeks: int, now: datetime) -> datetime:
    """Return the Monday midnight from which that many weeks are the last whole ones before `now`, an aware time.

    A shard whose clock is right then counts what was watched as the news that it is, and a store that is kept is asked
    where its household left off.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=now.weekday(), weeks=weeks)


@dataclass(slots=True)
class Tv:
    """A household before its TV, between two moments of simulated time."""

    household: Household
    brain: Brain
    clock: Clock
    start: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Begin at the clock's moment; nothing is drawn, so that a seed decides the same on any day."""
        self.start = self.clock.moment
        self.brain.weights = msgspec.structs.replace(self.brain.weights, explore=0.0)

    @property
    def name(self) -> str:
        """The household's name."""
        return self.household.persona.name

    def live(self, weeks: int, watch: Stopwatch) -> Iterator[Day]:
        """Watch, and give each day as it ends; the clock then stands at the end of the last one."""
        for day in range(7 * weeks):
            titles = []
            for event in self.household.day(self.start + timedelta(days=day)):
                self.clock.moment = event.at or self.clock.moment
                titles.append(watch.time("observe", partial(self.brain.observe, event)).title)
            events, patterns = self.brain.counts()
            yield Day(self.name, day + 1, 7 * weeks, tuple(titles), events, patterns)
        self.clock.moment = self.start + timedelta(weeks=weeks)

    def answers(self) -> tuple[Answer, ...]:
        """Return the lists for ASKED."""
        return tuple(Answer(asked, tuple(self.brain.recommend(context))) for asked, context in ASKED)

    def judged(self, catalog: Catalog) -> tuple[float, float, float]:
        """Return the hidden appeal of what is recommended, of any title and of the best: means over the contexts."""
        recommended, any_, best = np.array(list(self._judged(catalog))).mean(axis=0).tolist()
        return round(recommended, 3), round(any_, 3), round(best, 3)

    def _judged(self, catalog: Catalog) -> Iterator[tuple[float, float, float]]:
        for habit in self.household.persona.habits:
            appeal = self.household.appeal(habit.days[0], habit.time)
            still_open = appeal[~self.household.finished]
            titles = self.brain.recommend(ViewContext(time=habit.time, day=day_type(habit.days[0])), _JUDGED)
            recommended = appeal[[catalog.ordinals[title.content_id] for title in titles]].mean()
            yield recommended, still_open.mean(), np.sort(still_open)[-_JUDGED:].mean()


def run(
    open_brain: Callable[[str, Clock], Brain],
    open_embedder: Callable[[], Embedder],
    catalog: Catalog,
    *,
    seed: int,
    weeks: int,
    on_day: Callable[[Day], None],
    start: datetime = START,
    street: Street | None = None,
) -> Report:
    """Let every household of PERSONAS watch for some weeks and judge what its TV then recommends.

    `open_brain` opens a household's brain by name and clock; `on_day` sees each day; `start` is a Monday's midnight.
    With a `street` its neighbors watch too, all meet at its shards, and the households are asked and judged once more.
    """
    started = time.perf_counter()
    watch = Stopwatch()
    if street:
        street.watch(catalog, seed, weeks, start)
    with ExitStack() as opened:
        tvs, outcomes = [], []
        for persona in PERSONAS:
            clock = Clock(start)
            brain = opened.enter_context(closing(open_brain(persona.name, clock)))
            tvs.append(tv := Tv(Household(persona, catalog, seed), brain, clock))
            for day in tv.live(weeks, watch):
                on_day(day)
            outcomes.append(_outcome(tv, catalog))
            if street:
                street.sync(tv.name, brain)
        _measure(tvs, open_embedder, catalog, watch)
        met = _meet(street, tvs, outcomes, catalog) if street else None
        timings = watch.timings()
    seconds = round(time.perf_counter() - started, 2)
    return Report(seed, start, weeks, len(catalog), seconds, tuple(outcomes), timings, met)


def _outcome(tv: Tv, catalog: Catalog) -> Outcome:
    recommended, any_, best = tv.judged(catalog)
    status = tv.brain.status()
    return Outcome(
        household=tv.name,
        about=tv.household.persona.about,
        events=status.events,
        patterns=status.patterns,
        habits=status.habits,
        answers=tv.answers(),
        appeal_recommended=recommended,
        appeal_any=any_,
        appeal_best=best,
        store_bytes=status.store_bytes,
    )


def _measure(tvs: list[Tv], open_embedder: Callable[[], Embedder], catalog: Catalog, watch: Stopwatch) -> None:
    for tv, mood, (time_, day) in product(tvs, MOODS, product(TimeSlot, DayType)):
        for what in ("cold", "warm"):
            context = ViewContext(time=time_, day=day, mood=mood)
            watch.time(what, partial(tv.brain.recommend, context))
    with closing(open_embedder()) as embedder:
        for title in catalog.titles[:100]:
            watch.time("embed", partial(embedder.embed, [title.text]))


def _meet(street: Street, tvs: list[Tv], outcomes: list[Outcome], catalog: Catalog) -> Met:
    """Let the TVs hear what the shards make of what all have told, and ask them again."""
    held = street.confer(catalog)
    for tv in tvs:
        street.sync(tv.name, tv.brain)
    return street.met(held, tuple(_heard(tv, before, catalog) for tv, before in zip(tvs, outcomes, strict=True)))


def _heard(tv: Tv, before: Outcome, catalog: Catalog) -> Heard:
    pairs = zip(before.answers, tv.answers(), strict=True)
    answers = tuple(NewAnswer(new.asked, new.titles, risen(old.titles, new.titles)) for old, new in pairs)
    return Heard(tv.name, answers, tv.judged(catalog)[0])
