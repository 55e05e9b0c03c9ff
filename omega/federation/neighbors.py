"""Neighbors: titles whose audiences have a like taste, from sums over audiences alone.

Likeness is the cosine of two audiences' points in the whitened space (see `audience`). Nothing here is of a household:
an audience is what all viewers of a title add up to, of LEAST_HOUSEHOLDS at least, and it is looked at anew only when
the title's shown figures are replaced, which takes as many further ones. So no single visit is seen in a neighbor.

Pure functions on arrays, in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from omega.core.neighbors import MOST_NEIGHBORS, MOST_TITLES, Neighbors
from omega.core.shard_records import LEAST_HOUSEHOLDS, TASTE_NUMBERS
from omega.federation.audience import audiences_alone, points
from omega.federation.board import heard_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Doubles, Integers
    from omega.federation.merging import Merged
    from omega.federation.showing import Showing

LEAST_LIKENESS: Final = 0.5
"""Cosine below which two audiences aren't called alike: 60 degrees."""
NEIGHBORS_S: Final = 7 * 24 * 3600
"""Neighbors are published again so seldom; earlier only once GROWN as many titles have some."""
GROWN: Final = 1.5
BLOCK: Final = 1_024
"""So many titles are compared with all others at a time: 8 MB a thousand others."""


class Audiences(NamedTuple):
    """The audiences of the titles that are shown, n of them, each as it was when its figures were last replaced."""

    titles: Integers
    """(n,) ascending"""
    heard: Doubles
    """(n, 1 + TASTE_NUMBERS): as `Merged.heard`."""

    @classmethod
    def empty(cls) -> Audiences:
        """Return nothing."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 1 + TASTE_NUMBERS)))


def audiences(before: Audiences, merged: Merged, was: Showing, shown: Showing) -> Audiences:
    """Return the audiences of what is shown now: fresh where a title's figures were replaced, else as they were.

    `was` and `shown` are what the last round and this one show.
    """
    titles = shown.titles[shown.households >= LEAST_HOUSEHOLDS]
    households = shown.households[shown.households >= LEAST_HOUSEHOLDS]
    known, place = _found(before.titles, titles)
    told, row = _found(was.titles, titles)
    same = known & told
    same[same] = was.households[row[same]] == households[same]
    heard = heard_of(merged, titles)
    heard[same] = before.heard[place[same]]
    return Audiences(titles, heard)


def neighbors(lineage: str, of: Audiences, block: int = BLOCK) -> Neighbors:
    """Return each title's neighbors, of a catalog by its lineage: the MOST_NEIGHBORS nearest that are alike.

    Titles of fewer than LEAST_HOUSEHOLDS taste codes have none and are none. Ties are broken by the title's number.
    """
    enough = np.flatnonzero(of.heard[:, 0] >= LEAST_HOUSEHOLDS)
    enough = np.sort(enough[np.argsort(-of.heard[enough, 0], kind="stable")][:MOST_TITLES])
    titles, heard = of.titles[enough], of.heard[enough]
    if not len(titles):
        return Neighbors.of(lineage, {})
    found = points(heard, audiences_alone(heard))
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    units = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)
    rows: dict[int, list[int]] = {}
    for start in range(0, len(titles), block):
        likeness = units[start : start + block] @ units.T
        likeness[np.arange(len(likeness)), start + np.arange(len(likeness))] = -np.inf
        order = np.argsort(-likeness, axis=1, kind="stable")[:, :MOST_NEIGHBORS]
        alike = np.take_along_axis(likeness, order, axis=1) >= LEAST_LIKENESS
        for at, (near, some) in enumerate(zip(order, alike, strict=True), start):
            if some.any():
                rows[int(titles[at])] = titles[near[some]].tolist()
    return Neighbors.of(lineage, rows)


def are_due(found: Neighbors, last: tuple[bytes, int, float] | None, now: float) -> bool:
    """Say whether neighbors are to be published: when they changed, and a week has passed or many more have some.

    `last` are the bytes that were published, how many titles they name, and when, in Unix seconds.
    """
    if last is None:
        return bool(found.titles)
    data, titles, at = last
    late = now - at >= NEIGHBORS_S or len(found.titles) >= GROWN * titles
    return late and found.encode() != data


def _found(among: Integers, titles: Integers) -> tuple[NDArray[np.bool_], Integers]:
    """Return (n,) whether each title is among the ascending others, and its place there."""
    if not len(among):
        return np.zeros(len(titles), bool), np.zeros(len(titles), np.int64)
    place = np.minimum(np.searchsorted(among, titles), len(among) - 1)
    return among[place] == titles, place
