"""What is known of titles whenever it is asked: years, genres, vectors of their texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from omega.core import audience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.core.types import Title

AGE_CLASSES = len(audience.AGE_CLASSES) + 1


@dataclass(frozen=True, slots=True)
class Facts:
    """t titles, g genres."""

    years: NDArray[np.int64]
    """(t,)"""
    genres: Floats
    """(t, g) float32: 1 where a title has the genre."""
    vectors: Floats
    """(t, d) float32, unit rows: the embeddings of the titles' texts."""

    @property
    def genre_means(self) -> Floats:
        """(t, g) float32: 1 over the number of its genres where a title has the genre, so that a product is a mean."""
        means: Floats = self.genres / np.maximum(self.genres.sum(axis=1, keepdims=True), 1)
        return means


def facts_of(titles: Sequence[Title], vectors: Floats) -> Facts:
    """Return the facts of titles whose texts have these vectors (t, d)."""
    names = sorted({genre for title in titles for genre in title.genres})
    column = {name: at for at, name in enumerate(names)}
    genres = np.zeros((len(titles), len(names)), np.float32)
    for row, title in enumerate(titles):
        genres[row, [column[genre] for genre in title.genres]] = 1
    return Facts(np.array([title.year for title in titles], np.int64), genres, vectors)


def year_of(at_s: int) -> int:
    """Return the year of Unix seconds."""
    return datetime.fromtimestamp(at_s, UTC).year


def years_of(times_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the years of Unix seconds (n,)."""
    return times_s.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970


def age_classes(years_old: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `audience.age_class` of each of these ages in years."""
    return np.searchsorted(audience.AGE_CLASSES, years_old)
