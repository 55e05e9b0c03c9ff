"""The demonstration: real model, real stores; what was learned is judged by what the households hide."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.device.brain import Brain
from omega.device.memory.contexts import DAYS, any_day
from omega.device.memory.episodes import genre_facet
from omega.device.memory.words import facet_words
from omega.fleet import demo
from omega.fleet.households import PERSONAS, Habit, Persona
from omega.fleet.report import Day, Outcome, Report
from omega_plugins.embedders.onnx import OnnxEmbedder
from omega_storage.device_sqlite import SqliteDeviceStore

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.device.titles import TitleArrays
    from omega.fleet.demo import Clock

WEEKS = 6
END = demo.START + timedelta(weeks=WEEKS)


def played(
    example: Catalog, arrays: TitleArrays, folder: Path, *, seed: int, weeks: int, start: datetime = demo.START
) -> tuple[Report, list[Day]]:
    days: list[Day] = []

    def opened(name: str, clock: Clock) -> Brain:
        return Brain(SqliteDeviceStore.open(folder / f"{name}.db"), OnnxEmbedder.open(), example, arrays, now=clock)

    report = demo.run(opened, OnnxEmbedder.open, example, seed=seed, weeks=weeks, on_day=days.append, start=start)
    return report, days


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_tv_learns_what_its_household_likes(
    example: Catalog, arrays: TitleArrays, tmp_path: Path, seed: int
) -> None:
    report, _ = played(example, arrays, tmp_path, seed=seed, weeks=WEEKS)
    assert [outcome.household for outcome in report.households] == [persona.name for persona in PERSONAS]
    for persona, outcome in zip(PERSONAS, report.households, strict=True):
        assert outcome.appeal_recommended > 1.8 * outcome.appeal_any, outcome.household
        assert outcome.appeal_any < outcome.appeal_recommended <= outcome.appeal_best <= 1
        store = SqliteDeviceStore.open(tmp_path / f"{persona.name}.db")
        with closing(Brain(store, OnnxEmbedder.open(), example, arrays, now=lambda: END)) as brain:
            habits = brain.memories().habits
        assert habits[: len(outcome.habits)] == outcome.habits
        assert learned(persona, habits) >= 2


def learned(persona: Persona, habits: tuple[str, ...]) -> int:
    """Return of how many of the household's habits a genre was learned that it likes then."""
    found = [line.partition(": ") for line in habits]
    times = {name for habit in persona.habits for name in named(habit)}
    assert {name for name, _, _ in found} <= times, "habits are learned where there are some"
    return sum(
        any(
            name in named(habit) and what.startswith(f"{facet_words(genre_facet(genre))}, ")
            for name, _, what in found
            for genre, liking in habit.genres.items()
            if liking > 0
        )
        for habit in persona.habits
    )


def named(habit: Habit) -> set[str]:
    """Return the words for a habit's days at its time: `Friday evenings`, `weekday evenings`."""
    days = {*habit.days, *map(any_day, habit.days)}
    return {f"{DAYS[day]} {habit.time}s" for day in days}


@pytest.fixture(scope="module")
def week(example: Catalog, arrays: TitleArrays, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, list[Day]]:
    return played(example, arrays, tmp_path_factory.mktemp("week"), seed=5, weeks=1)


def lists(report: Report) -> list[tuple[str, list[list[str]]]]:
    return [(o.household, [[t.content_id for t in a.titles] for a in o.answers]) for o in report.households]


def test_a_seed_decides_the_report(
    example: Catalog, arrays: TitleArrays, tmp_path: Path, week: tuple[Report, list[Day]]
) -> None:
    again, days = played(example, arrays, tmp_path, seed=5, weeks=1)
    assert lists(again) == lists(week[0])
    assert days == week[1]
    assert [o.habits for o in again.households] == [o.habits for o in week[0].households]


def test_each_day_is_told_as_it_ends(week: tuple[Report, list[Day]], example: Catalog) -> None:
    report, days = week
    names = {title.title for title in example}
    for outcome in report.households:
        mine = [day for day in days if day.household == outcome.household]
        assert [(day.day, day.days) for day in mine] == [(n, 7) for n in range(1, 8)]
        assert [day.events for day in mine] == sorted(day.events for day in mine)
        assert sum(len(day.watched) for day in mine) == mine[-1].events == outcome.events > 0
        assert mine[-1].patterns == outcome.patterns <= outcome.events
        assert {name for day in mine for name in day.watched} <= names


def test_the_report_answers_and_times(week: tuple[Report, list[Day]]) -> None:
    report, _ = week
    assert (report.seed, report.weeks, report.titles) == (5, 1, 800)
    for outcome in report.households:
        assert [answer.asked for answer in outcome.answers] == ["Monday morning", "Saturday evening"]
        assert all(len(answer.titles) == 20 for answer in outcome.answers)
        assert outcome.store_bytes > 0
    timings = report.timings
    assert 0 < timings.recommend_warm_p50_ms <= timings.recommend_warm_p99_ms
    assert timings.recommend_warm_p50_ms < timings.recommend_cold_p50_ms <= timings.recommend_cold_p99_ms
    assert timings.embed_p50_ms > 0
    assert timings.observe_p50_ms > 0
    assert timings.rss_mib > 50
    assert report.seconds > 0
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_an_outcome_is_judged_on_what_may_still_be_recommended(week: tuple[Report, list[Day]]) -> None:
    for outcome in week[0].households:
        assert isinstance(outcome, Outcome)
        assert 0 < outcome.appeal_any < outcome.appeal_best <= 1


@pytest.mark.parametrize("weeks", [1, 6, 104])
@pytest.mark.parametrize("day", range(7))
def test_the_last_weeks_begin_on_a_monday_and_end_before_now(weeks: int, day: int) -> None:
    now = datetime(2027, 2, 22 + day, 17, 30, tzinfo=UTC)
    start = demo.latest_start(weeks, now)
    assert (start.weekday(), start.hour, start.minute) == (0, 0, 0)
    assert start + timedelta(weeks=weeks) == datetime(2027, 2, 22, tzinfo=UTC) <= now


def test_a_seed_decides_the_same_whenever_it_begins(
    example: Catalog, arrays: TitleArrays, tmp_path: Path, week: tuple[Report, list[Day]]
) -> None:
    later, days = played(example, arrays, tmp_path, seed=5, weeks=1, start=demo.latest_start(1, datetime.now(UTC)))
    assert lists(later) == lists(week[0])
    assert days == week[1]
    assert [o.appeal_recommended for o in later.households] == [o.appeal_recommended for o in week[0].households]
