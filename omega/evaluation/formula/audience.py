"""Who is in a title's audience: taste codes z of viewers, their mean by title, and the odds of belonging there.

A viewer's z is 32 numbers of what they watched, by a factor v of each title, and 12 of how they watch: how old titles
are when they watch them, and how far up everybody's list. The odds are those of a linear discriminant (Fisher, 1936):
in coordinates in which z has unit covariance, x . a - |a|^2 / 2 with the mean a of the title's viewers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from omega.evaluation.formula.facts import AGE_CLASSES
from omega.evaluation.formula.shares import RANK_CLASSES
from omega.evaluation.formula.taste import unit
from omega.evaluation.log import totals
from omega.federation.audience import whitener

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.log import Past

FACTOR_DECAY, FACET_DECAY = 0.955, 0.95
"""What a title counts less with each one after it."""
FACETS = AGE_CLASSES + RANK_CLASSES
HALF_LIFE_DAYS = 20.0
LEAST_EARLIER = 3
"""Who has watched fewer titles is in no audience: there is no taste yet to add."""
AUDIENCE_PRIOR = 10.0
TRENDING = 200
DIRECTIONS = 12
LEAST_HOUSEHOLDS = 3
_HOUSEHOLD_DAYS = 21.0


@dataclass(frozen=True, slots=True)
class Tastes:
    """The taste codes of n events and v viewers."""

    before: Floats
    """(n, 44) float32: what the viewer of each event was like before it."""
    now: Floats
    """(v, 44) float32: what each viewer is like now."""


@dataclass(frozen=True, slots=True)
class Audiences:
    """What a TV is told: titles' audiences in few directions, and how to get there from a taste code."""

    mean: Floats
    """(44,)"""
    projection: Floats
    """(44, 12): W B."""
    codes: Floats
    """(t, 12) float32; zero where nothing may be told or nothing is known."""

    def positions(self, z: Floats) -> Floats:
        """Return (v, 12) the places of taste codes (v, 44)."""
        found: Floats = ((z - self.mean) @ self.projection).astype(np.float32)
        return found

    def odds(self, z: Floats, titles: NDArray[np.int64]) -> Floats:
        """Return (v, c) the log odds that who has these codes (v, 44) is in the audiences of titles (c,)."""
        codes = self.codes[titles]
        found: Floats = self.positions(z) @ codes.T - (codes * codes).sum(axis=1) / 2
        return found


def tastes(past: Past, factors: Floats, facets: NDArray[np.int64]) -> Tastes:
    """Return the taste codes by factors (t, f) of titles and facets (n, 2) of events: age class and rank class."""
    first, then = running(past, factors[past.watched], FACTOR_DECAY)
    one_hot = np.zeros((len(past), FACETS), np.float32)
    one_hot[np.arange(len(past)), facets[:, 0]] = 1
    one_hot[np.arange(len(past)), AGE_CLASSES + facets[:, 1]] = 1
    second, afterwards = running(past, one_hot, FACET_DECAY)
    return Tastes(np.hstack([unit(first), unit(second)]), np.hstack([unit(then), unit(afterwards)]))


def running(past: Past, rows: Floats, decay: float) -> tuple[Floats, Floats]:
    """Return (n, d) each viewer's decayed sum of rows (n, d) before each event, and (v, d) the one after the last."""
    by_length = np.argsort(-past.lengths, kind="stable")
    starts, lengths = past.starts[:-1][by_length], past.lengths[by_length]
    before = np.zeros((len(past), rows.shape[1]), np.float32)
    state = np.zeros((past.viewer_count, rows.shape[1]), np.float32)
    for place in range(int(lengths.max(initial=0))):
        active = int(np.searchsorted(-lengths, -place, side="left"))
        events = past.order[starts[:active] + place]
        before[events] = state[:active]
        state[:active] = decay * state[:active] + rows[events]
    now = np.empty_like(state)
    now[by_length] = state
    return before, now


def audiences(past: Past, codes: Tastes, trends: NDArray[np.float64]) -> Audiences:
    """Return the audiences of the TRENDING titles by `trends` (t,) that enough households have watched lately."""
    events = np.flatnonzero(past.earlier >= LEAST_EARLIER)
    weights = np.exp2(-past.age_days[events] / HALF_LIFE_DAYS)
    z = codes.before[events].astype(np.float64)
    mean, covariance = moments(z, weights)
    return described(past, events, weights, (z - mean), whitener(covariance), mean, trends)


def moments(z: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (d,) mean and (d, d) covariance of rows (n, d) with weights (n,)."""
    total = max(float(weights.sum()), 1e-300)
    mean = weights @ z / total
    return mean, (z - mean).T @ ((z - mean) * weights[:, None]) / total


def described(
    past: Past,
    events: NDArray[np.int64],
    weights: NDArray[np.float64],
    deviations: NDArray[np.float64],
    whitened: NDArray[np.float64],
    mean: NDArray[np.float64],
    trends: NDArray[np.float64],
) -> Audiences:
    """Return the audiences of events (n,) with weights (n,) and z - mean (n, 44) in whitened coordinates (44, 44)."""
    title_count = len(past.titles)
    counted = totals(past.watched[events], weights, title_count)
    sums = summed_by(past.watched[events], deviations * weights[:, None], title_count)
    means = (sums / (counted + AUDIENCE_PRIOR)[:, None]) @ whitened
    trending = np.argsort(-trends, kind="stable")[:TRENDING]
    _, _, directions = np.linalg.svd(means[trending], full_matrices=False)
    basis = directions[:DIRECTIONS].T
    codes = np.zeros((title_count, basis.shape[1]), np.float32)
    told = trending[recent_households(past)[trending] >= LEAST_HOUSEHOLDS]
    codes[told] = four_bits(means[told] @ basis)
    return Audiences(mean.astype(np.float32), (whitened @ basis).astype(np.float32), codes)


def recent_households(past: Past) -> NDArray[np.int64]:
    """Return (t,) how many viewers have watched each title in the last three weeks."""
    return np.bincount(past.watched[past.age_days <= _HOUSEHOLD_DAYS], minlength=len(past.titles))


def four_bits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values in 15 steps from -7 to 7 of one scale."""
    scale = float(np.abs(values).max(initial=0)) / 7 or 1.0
    return np.rint(values / scale) * scale


def summed_by(places: NDArray[np.int64], rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return (count, d): the sums of rows (n, d) by place (n,)."""
    order = np.argsort(places, kind="stable")
    sums = np.zeros((count, rows.shape[1]))
    if len(order):
        present, starts = np.unique(places[order], return_index=True)
        sums[present] = np.add.reduceat(rows[order], starts, axis=0)
    return sums
