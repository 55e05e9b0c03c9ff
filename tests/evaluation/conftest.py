"""A small world of events that fits into the head: 40 viewers, 60 titles, eight weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.types import ContentType, Title
from omega.evaluation.log import Log, assemble

if TYPE_CHECKING:
    from numpy.typing import NDArray

START_S = 1_362_009_600
"""28 February 2013."""
GENRES = ("action", "comedy", "drama", "horror", "sci-fi")


def titles(count: int) -> list[Title]:
    """Titles of several years, with one to three genres each."""
    random = np.random.default_rng(5)
    found = []
    for at in range(count):
        genres = tuple(sorted(str(name) for name in random.choice(GENRES, int(random.integers(1, 4)), replace=False)))
        year = int(random.choice([2013, 2012, 2011, 2006, 1995, 1960], p=[0.35, 0.2, 0.15, 0.1, 0.1, 0.1]))
        found.append(Title(f"t{at}", f"Title {at}", year, ContentType.MOVIE, genres, 100, 0))
    return found


def drawn(viewers: int = 40, count: int = 60, events: int = 900, days: int = 56, seed: int = 0) -> Log:
    """Events by two tribes of viewers with favorites of their own, and fashions that come and go."""
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(START_S, START_S + days * 86_400, events))
    who = random.integers(viewers, size=events)
    what = np.empty(events, np.int64)
    for at in range(events):
        day = (times[at] - START_S) / 86_400
        fashion = np.exp(-0.5 * ((np.arange(count) * days / count - day) / 4) ** 2)
        tribe = np.where(np.arange(count) % 2 == who[at] % 2, 1.0, 0.15)
        odds = (0.05 + fashion) * tribe
        what[at] = random.choice(count, p=odds / odds.sum())
    ratings = random.integers(1, 11, events) / 2
    return assemble(titles(count), who, what, ratings, times, seed=seed)


def vectors(count: int, dimensions: int = 16) -> NDArray[np.float32]:
    """Unit rows that share a direction, as those of titles' texts do."""
    rows = np.random.default_rng(1).normal(size=(count, dimensions)) + 1
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.fixture(scope="session")
def log() -> Log:
    return drawn()
