"""The operator's catalog in a replay: a title joins it on the day that somebody watches it for the first time."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.catalog import Catalog
from omega.device.titles import KINDS, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.types import Title
    from omega.device.titles import TitleArrays


class Growing:
    """A catalog epoch by epoch, with what brains compute with."""

    def __init__(self, titles: Sequence[Title], arrays: TitleArrays) -> None:
        """`arrays` are of all titles, in order of their numbers; nothing of them is known before it is added."""
        self.catalog: Catalog
        """Unset as long as it has no title."""
        self.arrays = arrays
        """Of the catalog's titles."""
        self.numbers: NDArray[np.int64] = np.empty(0, np.int64)
        """(n,) each ordinal's number."""
        self.ordinals = np.full(len(titles), -1)
        """(t,) each number's ordinal, -1 where it isn't known yet."""
        self._titles, self._whole = titles, arrays

    def add(self, watched: NDArray[np.int64]) -> bool:
        """Add what is new among titles (n,) in the order in which they were watched; say whether that made an epoch."""
        first = np.sort(np.unique(watched, return_index=True)[1])
        fresh = watched[first][self.ordinals[watched[first]] < 0]
        if not len(fresh):
            return False
        before = self.catalog if len(self.numbers) else None
        self.ordinals[fresh] = len(self.numbers) + np.arange(len(fresh))
        self.numbers = np.concatenate([self.numbers, fresh])
        added = [msgspec.structs.replace(self._titles[number], popularity=0.0) for number in fresh]
        self.catalog = Catalog.build([*(before or ()), *added], before)
        self.arrays = self._of(self.numbers)
        return True

    def _of(self, numbers: NDArray[np.int64]) -> TitleArrays:
        whole = self._whole
        vectors, genres, kinds = whole.vectors[numbers], whole.genres[numbers], whole.kinds[numbers]
        mean = vectors.mean(axis=0)
        return dataclasses.replace(
            whole,
            vectors=vectors,
            mean=mean,
            centered=unit(vectors - mean),
            genres=genres,
            genre_shares=genres.mean(axis=0),
            kinds=kinds,
            ages=whole.ages[numbers],
            kind_shares=(np.bincount(kinds, minlength=len(KINDS)) / len(kinds)).astype(np.float32),
            popularity=np.zeros(len(numbers), np.float32),
            years=whole.years[numbers],
        )
