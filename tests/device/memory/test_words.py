"""Habits and evidence in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.device.memory.episodes import Critique, genre_facet
from omega.device.memory.skills import Skill
from omega.device.memory.words import date_words, evidence_words, facet_words, habits, skill_words

if TYPE_CHECKING:
    from omega.core.catalog import Catalog

NOW = datetime(2026, 3, 20, 20, tzinfo=UTC)
FRIDAYS = Skill(4, 2, "genre:thriller", 9, 7, 0.8, 0.8, 0.0, 0)


def test_a_habit_says_when_what_and_how_it_goes() -> None:
    assert skill_words(FRIDAYS) == "Friday evenings: thrillers, 7 of 9 finished"
    weekdays = Skill(7, 0, "kind:documentary", 12, 5, 0.8, 0.8, 0.0, 0)
    assert skill_words(weekdays) == "weekday mornings: documentaries, watched 12 times"


def test_habits_begin_with_the_one_that_succeeded_most() -> None:
    rare = msgspec.structs.replace(FRIDAYS, count=3, finished=3, success=0.99, day=8, time=3)
    assert habits([rare, FRIDAYS]) == [
        "Friday evenings: thrillers, 7 of 9 finished",
        "weekend nights: thrillers, 3 of 3 finished",
    ]


@pytest.mark.parametrize(
    ("genre", "expected"),
    [
        ("Sci-Fi", "science fiction"),
        ("documentary", "documentaries"),
        ("family", "family titles"),
        ("horror", "horror"),
        ("film-noir", "film noir"),
        ("Krimi: Nord", "krimi: nord"),
        ("चलचित्र", "चलचित्र"),
    ],
)
def test_any_operators_genre_can_be_said(genre: str, expected: str) -> None:
    assert facet_words(genre_facet(genre)) == expected


def test_the_example_catalogs_genres_read_well_in_a_habit(example: Catalog) -> None:
    said = {genre: facet_words(genre_facet(genre)) for genre in example.genre_shares()}
    plain = {genre for genre, words in said.items() if words == genre}
    uncountable = {"action", "animation", "crime", "fantasy", "history", "horror", "music", "nature", "reality"}
    assert plain == uncountable | {"science", "sport", "war"}


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 3, 6, 21, tzinfo=UTC), "Fri 6 Mar"),
        (datetime(2026, 3, 7, 4, 59, tzinfo=UTC), "Fri 6 Mar"),
        (datetime(2026, 1, 1, 1, tzinfo=UTC), "Wed 31 Dec 2025"),
    ],
)
def test_a_date_is_that_of_the_evening_with_its_year_when_that_is_another(moment: datetime, expected: str) -> None:
    assert date_words(moment, NOW) == expected


@pytest.mark.parametrize(
    ("critique", "expected"),
    [
        (Critique.FINISHED, "you finished Heat on Fri 6 Mar"),
        (Critique.ENJOYED, "you enjoyed Heat on Fri 6 Mar"),
        (Critique.LUKEWARM, "you left Heat half-way on Fri 6 Mar"),
        (Critique.GIVEN_UP, "you gave up Heat on Fri 6 Mar"),
    ],
)
def test_evidence_names_what_was_done_and_when(critique: Critique, expected: str) -> None:
    assert evidence_words("Heat", critique, datetime(2026, 3, 6, 21, tzinfo=UTC), NOW) == expected
