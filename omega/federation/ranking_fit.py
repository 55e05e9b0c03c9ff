"""Fits the weights of a ranking: a listwise softmax (Cao et al., 2007), which is convex, so that the best is found.

The loss of one list is the mean over its hits of -log softmax(scores); lists count alike. Weights are standardised by
their feature's deviation within lists, and shrunk a little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from omega.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats

L2 = 1e-3
_OPTIONS = {"maxiter": 500, "ftol": 1e-9, "gtol": 1e-6}


@dataclass(frozen=True, slots=True)
class Lists:
    """Some lists of c titles each, of which a few were watched."""

    features: Floats
    """(l, c, f) float32."""
    open: NDArray[np.bool_]
    """(l, c): which titles could be watched."""
    hits: NDArray[np.bool_]
    """(l, c): which were; in each list one at least."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found."""

    weights: NDArray[np.float64]
    """(f,) in the features' own units."""
    loss: float
    """Mean over the lists, nats; without the shrinkage."""
    lists: int
    iterations: int


def fit(
    parts: Sequence[Lists],
    used: NDArray[np.bool_] | None = None,
    l2: float = L2,
    start: NDArray[np.float64] | None = None,
) -> Fit:
    """Return the weights (f,) of least loss over all lists; those not `used` (f,) are 0. Raises InputError.

    A `start` (f,) near the end is only quicker.

    The loss is the mean over lists plus l2 / 2 times the sum of squares of standardised weights.
    """
    count = sum(len(part.features) for part in parts)
    if not count:
        raise InputError("no list has a hit among its titles, allowed: one or more: fit on more events")
    deviations = spread(parts)
    chosen = deviations > 0 if used is None else used & (deviations > 0)
    scale = np.where(chosen, 1 / np.where(deviations > 0, deviations, 1), 0.0)

    def objective(standardised: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = 0.0, np.zeros(len(scale))
        for part in parts:
            value, gradient = loss(part, standardised * scale)
            total += value
            slope += gradient
        shrunk = l2 / 2 * float(standardised @ standardised)
        return total / count + shrunk, slope * scale / count + l2 * standardised

    first = np.zeros(len(scale)) if start is None else start * deviations * chosen
    found = minimize(objective, first, jac=True, method="L-BFGS-B", options=_OPTIONS)
    shrinkage = l2 / 2 * float(found.x @ found.x)
    return Fit(found.x * scale, float(found.fun) - shrinkage, count, int(found.nit))


def loss(part: Lists, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the sum of the lists' losses and its gradient (f,)."""
    count, titles, width = part.features.shape
    flat = part.features.reshape(-1, width)
    scores = (flat @ weights.astype(np.float32)).reshape(count, titles)
    scores[~part.open] = -np.inf
    highest = scores.max(axis=1, keepdims=True)
    odds = np.exp(scores - highest)
    totals = odds.sum(axis=1, keepdims=True)
    rows, columns = np.nonzero(part.hits)
    shares = (1 / part.hits.sum(axis=1))[rows]
    value = (np.log(totals) + highest).sum(dtype=np.float64) - float(scores[rows, columns] @ shares)
    odds /= totals
    odds[rows, columns] -= shares.astype(np.float32)
    return float(value), (odds.reshape(-1) @ flat).astype(np.float64)


def spread(parts: Sequence[Lists]) -> NDArray[np.float64]:
    """Return (f,) the features' standard deviations within lists, over open titles; 0 where it is only rounding."""
    squares, count, largest = 0.0, 0, 0.0
    for part in parts:
        mask = part.open[:, :, None]
        sizes = part.open.sum(axis=1)[:, None]
        means = np.where(mask, part.features, 0).sum(axis=1, dtype=np.float64) / np.maximum(sizes, 1)
        apart = np.where(mask, part.features - means[:, None, :], 0)
        squares = squares + np.square(apart).sum(axis=(0, 1), dtype=np.float64)
        largest = np.maximum(largest, np.abs(np.where(mask, part.features, 0)).max(axis=(0, 1), initial=0))
        count += int(sizes.sum())
    deviations = np.sqrt(np.asarray(squares) / max(count, 1))
    return np.where(deviations > 1e-6 * np.maximum(largest, 1e-12), deviations, 0.0)
