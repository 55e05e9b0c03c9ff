"""Reasons in words, from the numbers that made them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.records import Watched, WatchRecord
from omega.core.testing.watching import a_title
from omega.core.types import ContentType
from omega.device import words
from omega.device.taste import Leanings

if TYPE_CHECKING:
    from omega.device.titles import TitleArrays


def leanings(titles: TitleArrays, genres: dict[str, float], kinds: tuple[float, float, float] = (0, 0, 0)) -> Leanings:
    row = np.array([genres.get(name, 0.0) for name in titles.genre_names], np.float32)
    return Leanings(np.zeros(384, np.float32), 5.0, row, row, np.array(kinds, np.float32), np.zeros(6, np.float32))


def weights(titles: TitleArrays, *genres: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array([(name in genres) / len(genres) for name in titles.genre_names], np.float32)


def test_names_are_listed_as_one_says_them() -> None:
    assert [words.listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_contexts_have_names() -> None:
    assert words.slot_words(0) == "weekday mornings"
    assert words.slot_words(7) == "weekend nights"


@pytest.mark.parametrize(
    ("likings", "value", "expected"),
    [
        ({"war": 0.5, "drama": 0.2, "history": 0.9}, 1.0, "you enjoy history and war"),
        ({"war": -0.5, "drama": 0.2}, -1.0, "you rarely watch war at times like this"),
        ({"comedy": 1.0}, 1.0, "close to what you enjoyed lately"),
        ({"comedy": 1.0}, -1.0, "unlike what you enjoyed lately at times like this"),
    ],
)
def test_taste_names_the_genres_that_made_it(
    arrays: TitleArrays, likings: dict[str, float], value: float, expected: str
) -> None:
    found = words.taste_words(arrays, leanings(arrays, likings), weights(arrays, "war", "drama", "history"), value)
    assert found == expected


@pytest.mark.parametrize(
    ("likings", "kinds", "value", "expected"),
    [
        ({"war": 0.5}, (0.4, 0, 0), 1.0, "war and movies on weekend evenings"),
        ({}, (0.4, 0, 0), 1.0, "movies on weekend evenings"),
        ({"war": -0.5}, (0.4, 0, 0), -1.0, "seldom war on weekend evenings"),
        ({}, (0, 0, 0), 1.0, "something on weekend evenings"),
    ],
)
def test_a_contexts_habit_names_genres_and_kind(
    arrays: TitleArrays, likings: dict[str, float], kinds: tuple[float, float, float], value: float, expected: str
) -> None:
    found = words.context_words(arrays, leanings(arrays, likings, kinds), 5, weights(arrays, "war", "drama"), 0, value)
    assert found == expected


def test_a_mood_a_pattern_and_a_place_in_words() -> None:
    assert words.mood_words("cozy", 0.1) == "sounds cozy"
    assert words.mood_words("cozy", -0.1) == "does not sound cozy"
    assert words.habit_words("Heat", 4, 0.8, same=True) == "Heat went well on weekday evenings"
    assert words.habit_words("Heat", 4, 0.4, same=False) == "like Heat, which was given up on weekday evenings"
    movie, series = a_title(), a_title("dark", ContentType.SERIES)
    assert words.resume_words(movie, Watched.first(WatchRecord("heat", 0, 0, 455))) == "you left it at 45 %"
    assert (
        words.resume_words(series, Watched.first(WatchRecord("dark", 0, 0, 455)))
        == "you are in the middle of the series"
    )
    assert (
        words.resume_words(series, Watched.first(WatchRecord("dark", 0, 0, 1, 2, 7)))
        == "goes on with season 2, episode 7"
    )


def test_who_liked_nothing_yet_is_not_told_of_joys(arrays: TitleArrays) -> None:
    nothing = replace(leanings(arrays, {}), liked=0.0)
    assert words.taste_words(arrays, nothing, weights(arrays, "war"), 1.0) == "unlike what you gave up lately"
    assert words.taste_words(arrays, nothing, weights(arrays, "war"), -1.0) == "close to what you gave up lately"
