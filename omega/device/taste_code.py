"""Where a household stands among viewers: 44 numbers of 4 bits that travel with what it contributes.

A shard adds them up per title and drops them; the mean over a title's viewers is its audience. 32 numbers say which
sorts of titles were watched lately, 6 how old those were; 6 are kept for how popular they were, and are 0.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.shard_records import TASTE_SPACE
from omega.device.titles import AGES, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.factors import Factors
    from omega.core.ports import Floats

AXES = 32
_KEPT_FREE = 6
NUMBERS = AXES + AGES + _KEPT_FREE
DECAY = 0.955
"""Of a title's weight with each title that was watched after it."""
AGE_DECAY = 0.95
LATEST_TITLES = 100
"""So many are looked at; what is older weighs less than 1/100."""
STEPS = np.repeat(np.array((0.08, 1 / 7), np.float32), (AXES, NUMBERS - AXES))
"""(44,) what one step of each number is worth: a coordinate among 32 rarely exceeds .5, one share among 6 may be 1.

By replay of real viewers .08 loses nothing against exact numbers, .1 a third of a point.
"""
_AXES_FILE = "taste_axes.npy"


@cache
def axes_of(space: str) -> Floats | None:
    """Return (384, 32) float32, unit columns, along which centered title vectors are told; None in another space.

    They are the first principal axes of the example catalog's titles in TASTE_SPACE: codes of two spaces are never
    compared, and a TV with another model tells none.
    """
    if space != TASTE_SPACE:
        return None
    with (files("omega") / "data" / _AXES_FILE).open("rb") as opened:
        axes: Floats = np.load(opened, allow_pickle=False).astype(np.float32)
    return axes


class Rows(NamedTuple):
    """Item factors as a TV computes with them."""

    places: dict[int, int]
    """Of each title's row, by ordinal."""
    rows: NDArray[np.int8]
    """(n, 32)"""

    @classmethod
    @lru_cache(maxsize=2)
    def of(cls, factors: Factors) -> Rows:
        """Read an artifact; all brains of a process share its rows."""
        titles = np.frombuffer(factors.titles, "<u4").tolist()
        return cls(
            {title: row for row, title in enumerate(titles)}, np.frombuffer(factors.rows, np.int8).reshape(-1, AXES)
        )


def principal_axes(centered: Floats) -> Floats:
    """Return (d, 32) float32: the principal axes of vectors (n, d), greatest variance first (Pearson, 1901).

    Each points to where its largest part is, so that the same vectors give the same signs.
    """
    _, _, axes = np.linalg.svd(centered - centered.mean(axis=0), full_matrices=False)
    rows = axes[:AXES]
    largest = np.abs(rows).argmax(axis=1)
    found: Floats = (rows * np.sign(rows[np.arange(len(rows)), largest])[:, None]).T.astype(np.float32)
    return found


def told_by(axes: Floats, factors: Rows | None, centered: Floats, titles: Sequence[int]) -> Floats:
    """Return (m, 32) float32, unit rows: titles by their factors where they have any, else along `axes` (384, 32).

    `centered` (m, 384) unit rows, `titles` (m,) ordinals.
    """
    told = unit(centered @ axes)
    if factors is not None:
        places = [factors.places.get(title, -1) for title in titles]
        known = np.flatnonzero(np.array(places) >= 0)
        told[known] = unit(factors.rows[[places[at] for at in known]].astype(np.float32))
    return told


def standing(told: Floats, ages: Sequence[int | None]) -> Floats:
    """Return (44,) float32: a household with these latest titles, the last one first; all 0 without any.

    `told` (m, 32) unit rows, `ages` their age classes, None where the year is unknown.
    """
    found = np.zeros(NUMBERS, np.float32)
    if len(told):
        found[:AXES] = unit((DECAY ** np.arange(len(told))).astype(np.float32) @ told)
        weights = np.zeros(AGES, np.float32)
        known = [(AGE_DECAY**k, age) for k, age in enumerate(ages) if age is not None]
        for weight, age in known:
            weights[age] += weight
        found[AXES : AXES + AGES] = unit(weights)
    return found


def code_of(numbers: Floats) -> bytes:
    """Return the 22 bytes of (44,) numbers: each as -8..7 steps, the lower half of a byte first."""
    nibbles = (np.clip(np.round(numbers / STEPS), -8, 7) + 8).astype(np.uint8)
    halves = nibbles[::2] | nibbles[1::2] << 4
    return bytes(halves)


def numbers_of(code: bytes) -> Floats:
    """Return the (44,) float32 that a code stands for."""
    halves = np.frombuffer(code, np.uint8)
    nibbles = np.stack([halves & 15, halves >> 4], axis=1).reshape(NUMBERS).astype(np.float32)
    numbers: Floats = ((nibbles - 8) * STEPS).astype(np.float32)
    return numbers
