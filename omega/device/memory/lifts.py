"""What the skills' sums say for every title in a context: how much more its genres and kind succeed then.

The same rows that habits are read from, as arrays; here those below a skill's bounds speak as well, for and against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from omega.device.memory.contexts import DAYS, any_day
from omega.device.memory.episodes import genre_facet, kind_facet
from omega.device.memory.skills import HALF_LIFE_S
from omega.device.titles import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.device.memory.skills import Key, Sums

PRIOR = 2.0
"""Successes of no particular sort that a count is mixed with before it is believed."""
KIND_SHARE = 1.67
"""What a title's kind says beside its genres."""
_LEAST_SHARE = 1e-3
"""No facet's share is less, so that logs stay small."""


_TYPES = np.array([any_day(day) for day in range(len(DAYS))])


@dataclass(frozen=True, slots=True)
class SumArrays:
    """Rows of sums whose facets titles can have, r of them; f facets: the g genres of a catalog, then the kinds."""

    facets: NDArray[np.intp]
    """(f,): each facet's column; genres that are spelled differently share one."""
    columns: NDArray[np.intp]
    """(r,): each row's column."""
    days: NDArray[np.int64]
    times: NDArray[np.int64]
    last_at: NDArray[np.int64]
    episodes: NDArray[np.float64]
    successes: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Mapping[Key, Sums], genre_names: Sequence[str]) -> Self:
        """Return the arrays of rows; to be built again when a row changes."""
        facets = [*map(genre_facet, genre_names), *map(kind_facet, KINDS)]
        column = {facet: i for i, facet in enumerate(facets)}
        known = [(key, sums) for key, sums in rows.items() if key.facet in column]
        return cls(
            facets=np.array([column[facet] for facet in facets], np.intp),
            columns=np.array([column[key.facet] for key, _ in known], np.intp),
            days=np.array([key.day for key, _ in known], np.int64),
            times=np.array([key.time for key, _ in known], np.int64),
            last_at=np.array([sums.last_at for _, sums in known], np.int64),
            episodes=np.array([sums.episodes for _, sums in known], np.float64),
            successes=np.array([sums.successes for _, sums in known], np.float64),
        )


def lifts(sums: SumArrays, day: int, time: int, now: float) -> Floats:
    """Return (f,) natural logs: how much more each facet succeeds on this day than on such days at this time at all.

    lift = ln((s + 2 share) / (n + 2) / share): s are the facet's decayed successes on the day at the time and n those
    of all facets; share is the facet's part of the slot's successes (weekday evenings), itself mixed with 2 successes
    spread as all are. So the term says what the day adds to the slot, which the term `context` knows; a question for
    any weekday has none. A success rate would not do: what is never watched on Fridays never fails there.
    """
    worth = 2.0 ** (np.minimum(sums.last_at - now, 0) / HALF_LIFE_S) * sums.successes
    in_slot = (sums.times == time) & (_TYPES[sums.days] == _TYPES[day])
    everywhere, total = _counted(sums, worth)
    in_this, slot_total = _counted(sums, worth * in_slot)
    then, day_total = _counted(sums, worth * (in_slot & (sums.days == day)))
    overall = np.maximum(everywhere / max(total, 1e-9), _LEAST_SHARE)
    share = (in_this + PRIOR * overall) / (slot_total + PRIOR)
    found: Floats = np.log((then + PRIOR * share) / (day_total + PRIOR) / share)[sums.facets].astype(np.float32)
    return found


def _counted(sums: SumArrays, worth: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return (f,) sums of the rows' worth (r,) by facet, and of all episodes; each has one kind, but several genres."""
    counts = np.bincount(sums.columns, worth, len(sums.facets)).astype(np.float64)
    return counts, float(counts[-len(KINDS) :].sum())


def skill_term(lift: Floats, genres: Floats, kinds: NDArray[np.int64]) -> Floats:
    """Return (n,) float32 of n titles with genre weights (n, g) and kinds (n,): genres @ lifts + 1.67 x the kind's."""
    g = genres.shape[1]
    term: Floats = genres @ lift[:g] + KIND_SHARE * lift[g:][kinds]
    return term


def skill_shares(lift: Floats, genres: Floats, kind: int) -> Floats:
    """Return (f,): what each facet adds to the term of one title with genre weights (g,)."""
    own = np.zeros(len(KINDS), np.float32)
    own[kind] = KIND_SHARE
    shares: Floats = np.concatenate([genres, own]) * lift
    return shares
