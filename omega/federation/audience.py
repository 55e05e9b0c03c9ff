"""Audiences: who watches a title, as a point among tastes, in few numbers.

The linear discriminant of R. A. Fisher, "The use of multiple measurements in taxonomic problems", 1936: with tastes z
of mean mu and covariance S, W = Q / sqrt(lambda + RIDGE mean(lambda)) whitens them, and the log odds that somebody
with a taste is in a title's audience are x . a - |a|^2 / 2, where x = B'W'(z - mu), a is the mean of the audience's
x, drawn towards 0 by PRIOR_CODES indifferent viewers, and B are the directions in which audiences of trending titles
differ most.

Pure functions on arrays, in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.audience import AUDIENCE_NUMBERS, MOST_STEPS, packed_code
from omega.core.shard_records import LEAST_HOUSEHOLDS, TASTE_NUMBERS

if TYPE_CHECKING:
    from omega.core.audience import Basis
    from omega.core.ports import Doubles

PRIOR_CODES = 10.0
RIDGE = 0.1
CODE_SPREAD = 12.0
"""What viewers' taste codes are taken to vary by within one audience, in each direction, where no shard tells."""
_LEAST_VARIANCE = 1e-12
LEAST_SPREAD = 1 / 12
"""Mean variance that whole steps have by rounding alone: codes that vary less are those of one household or two."""


class Whitening(NamedTuple):
    """How tastes are centered and scaled."""

    mean: Doubles
    """(TASTE_NUMBERS,) mu"""
    matrix: Doubles
    """(TASTE_NUMBERS, TASTE_NUMBERS) W: W'(z - mu) has about unit covariance."""


def whitening(heard: Doubles, moments: Doubles) -> Whitening:
    """Return the whitening of viewers' tastes by the second moments (45, 45) of their codes.

    Where these are of fewer than LEAST_HOUSEHOLDS codes, or of codes that hardly vary, by `audiences_alone`.
    """
    number = float(moments[0, 0])
    if number >= LEAST_HOUSEHOLDS:
        mean = moments[0, 1:] / number
        covariance = moments[1:, 1:] / number - np.outer(mean, mean)
        if np.trace(covariance) >= LEAST_SPREAD * TASTE_NUMBERS:
            return Whitening(mean, whitener(covariance))
    return audiences_alone(heard)


def whitener(covariance: Doubles) -> Doubles:
    """Return W (d, d) of S (d, d): eigenvectors over the roots of their eigenvalues, these raised by RIDGE's part."""
    values, vectors = np.linalg.eigh(covariance)
    spread = np.maximum(values, 0.0)
    found: Doubles = vectors / np.sqrt(np.maximum(spread + RIDGE * spread.mean(), _LEAST_VARIANCE))
    return found


def audiences_alone(heard: Doubles) -> Whitening:
    """Return the whitening of viewers' tastes, from their audiences (m, 1 + TASTE_NUMBERS) alone.

    S is put together: how the audiences' means vary, each weighted by its codes and less the noise that a mean of n
    codes has, plus CODE_SPREAD within them. Without any code it changes nothing.
    """
    counts, total = heard[:, 0], float(heard[:, 0].sum())
    if total <= 0:
        return Whitening(np.zeros(TASTE_NUMBERS), np.eye(TASTE_NUMBERS))
    mean = heard[:, 1:].sum(axis=0) / total
    known = counts > 0
    means = heard[known, 1:] / counts[known, None] - mean
    values, vectors = np.linalg.eigh((means * counts[known, None]).T @ means / total)
    noise = CODE_SPREAD * known.sum() / total
    spread = np.maximum(values - noise, 0.0) + CODE_SPREAD
    return Whitening(mean, whitener(vectors * spread @ vectors.T))


def points(heard: Doubles, whitened: Whitening) -> Doubles:
    """Return (m, TASTE_NUMBERS): W'(z - mu) summed over each audience, over its number of codes and PRIOR_CODES."""
    centered = heard[:, 1:] - heard[:, :1] * whitened.mean
    found: Doubles = (centered @ whitened.matrix) / (heard[:, :1] + PRIOR_CODES)
    return found


def directions(found: Doubles) -> Doubles:
    """Return (TASTE_NUMBERS, AUDIENCE_NUMBERS): the axes along which points (m, TASTE_NUMBERS) lie farthest from 0.

    Each axis points to where its largest number is positive, so that the same points give the same axes.
    """
    _, vectors = np.linalg.eigh(found.T @ found)
    axes = vectors[:, ::-1][:, :AUDIENCE_NUMBERS]
    largest = np.abs(axes).argmax(axis=0)
    turned: Doubles = axes * np.where(axes[largest, np.arange(AUDIENCE_NUMBERS)] < 0, -1.0, 1.0)
    return turned


class Fitted(NamedTuple):
    """A basis before it has a version."""

    mean: Doubles
    """(TASTE_NUMBERS,)"""
    projection: Doubles
    """(AUDIENCE_NUMBERS, TASTE_NUMBERS)"""
    scale: Doubles
    """(AUDIENCE_NUMBERS,)"""


def fitted(heard: Doubles, moments: Doubles, trending: Doubles) -> Fitted:
    """Return the basis for all audiences (m, 1 + TASTE_NUMBERS) in which those of trending titles differ most.

    `moments` (1 + TASTE_NUMBERS, 1 + TASTE_NUMBERS) say how their viewers' codes vary; zeros where nobody tells.
    The scale lets the farthest of the trending ones have MOST_STEPS steps in each direction.
    """
    whitened = whitening(heard, moments)
    axes = directions(points(trending, whitened))
    projection = (whitened.matrix @ axes).T
    reach = np.abs(points(trending, whitened) @ axes).max(axis=0, initial=0.0)
    scale = np.where(reach > 1e-3, reach, 1.0) / MOST_STEPS
    return Fitted(whitened.mean, projection, scale)


def codes_of(heard: Doubles, basis: Basis) -> list[bytes]:
    """Return the audience code of each audience (m, 1 + TASTE_NUMBERS); none of fewer than LEAST_HOUSEHOLDS codes."""
    projection = np.asarray(basis.projection)
    centered = heard[:, 1:] - heard[:, :1] * np.asarray(basis.mean)
    places = (centered @ projection.T) / (heard[:, :1] + PRIOR_CODES)
    steps = np.clip(np.rint(places / np.asarray(basis.scale)), -MOST_STEPS, MOST_STEPS).astype(np.int64)
    rows = zip(steps.tolist(), (heard[:, 0] >= LEAST_HOUSEHOLDS).tolist(), strict=True)
    return [packed_code(tuple(row)) if told else b"" for row, told in rows]
