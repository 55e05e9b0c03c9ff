"""What the others enjoy, as arrays that ranking computes with; n titles, in order of their ordinals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from omega.core.audience import AUDIENCE_NUMBERS
from omega.core.wire import ArtifactKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from omega.core.audience import Basis
    from omega.core.neighbors import Neighbors
    from omega.core.ports import Floats, Integers
    from omega.core.wire import Similar, Trend
    from omega.device.sync.trends import Trends

Told = TypeVar("Told", "Trend", "Similar")
PRIOR_OPINIONS = 5.0
"""So many indifferent households are mixed into what is said of a title's success."""
PRIOR_SAMPLES = 20.0
"""Of a trend: so many count half of what any number would.

Discounting each title by its own households instead cost 6 % of NDCG by replay: premieres are what few have seen yet.
"""
_STEPS_PER_DOUBLING = 8
"""Of a pull's momentum, which is 8 log2(1 + trend)."""
_LEAST_MOMENTUM = 0.5
"""What a pull names is on the rise, were it by so little that its momentum rounds to 0."""
_POINTS = 5.0
"""Quality is told in points 0..5, as viewers rate."""


@dataclass(frozen=True, slots=True)
class Audiences:
    """Where the audiences of m titles are."""

    titles: Integers
    """(m,) ordinals."""
    points: Floats
    """(m, 12) float32."""


@dataclass(frozen=True, slots=True)
class Others:
    """What a shard says of the titles, or before it said anything, what their operator ships."""

    shares: Floats
    """(n,) float32, 0..1: each title's share of what is watched lately."""
    households: Integers
    """(n,) how many at least watch it lately, as the shard says; 0 where it says nothing."""
    quality: Floats
    """(n,) float32: points, 0..5, by which it is watched further than the mean, the less certain the nearer to 0."""
    nearness: Floats
    """(n,) float32, 0..1: cosine of its audience with this household's taste, of the titles that are near; else 0."""

    audiences: Audiences | None = None
    """Where titles' audiences are on the map that the TV has; None without codes, or without their map."""
    neighbors: Neighbors | None = None
    """Titles with audiences of like taste; they rank nothing."""

    @classmethod
    def shipped(cls, popularity: Floats) -> Others:
        """Return what the catalog's own popularity (n,) says, all that is known before the first pull."""
        nothing = np.zeros(len(popularity), np.float32)
        return cls(popularity, np.zeros(len(popularity), np.int64), nothing, nothing)

    @property
    def alike(self) -> NDArray[np.bool_]:
        """(n,) whether those are households of a like taste."""
        return self.nearness > 0


def heard(popularity: Floats, trends: Trends, basis: Basis | None = None, neighbors: Neighbors | None = None) -> Others:
    """Return what a pull says, in place of the operator's popularity (n,) if it names any title.

    Its audience codes count if they are of the `basis` that the TV has: the pull names the version.

    A title's share is its part of the trend of all that the pull names, with PRIOR_SAMPLES of nothing in particular
    mixed in: a street's trend is no country's. What it doesn't name has none. Titles that this catalog doesn't have yet
    are passed over; they count once it has them.
    """
    count = len(popularity)
    trending, similar = _whole(trends.trending, count), _whole(trends.similar, count)
    if not trending and not similar:
        return Others.shipped(popularity)
    momentum, nearness = np.zeros(count), np.zeros(count, np.float32)
    households, success = np.zeros(count, np.int64), np.zeros(count)
    for title, near in similar.items():
        households[title], success[title] = near.households, near.success
        nearness[title] = max(near.nearness / 127.5 - 1, 0.0)
    for title, trend in trending.items():
        households[title], success[title] = max(households[title], trend.households), trend.success
        momentum[title] = 2.0 ** (max(trend.momentum, _LEAST_MOMENTUM) / _STEPS_PER_DOUBLING) - 1
    named = households > 0
    mean = float(success @ households / households.sum())
    certain = households / (households + PRIOR_OPINIONS)
    quality = np.where(named, _POINTS * (success - mean) / 1000 * certain, 0.0)
    shares = momentum / (momentum.sum() + PRIOR_SAMPLES)
    audiences = _audiences(trending, basis) if basis and _named_basis(trends) == basis.version else None
    return Others(shares.astype(np.float32), households, quality.astype(np.float32), nearness, audiences, neighbors)


def likeness(audiences: Audiences | None, place: Floats | None, count: int) -> Floats:
    """Return (count,) float32: the log odds, up to a factor, that a household at `place` (12,) is in each audience.

    x . a - |a|^2 / 2, Fisher's linear discriminant where all audiences are as wide; 0 where nothing is known.
    """
    odds = np.zeros(count, np.float32)
    if audiences is not None and place is not None:
        points = audiences.points
        odds[audiences.titles] = points @ place - (points * points).sum(axis=1) / 2
    return odds


def unpacked(codes: Sequence[bytes]) -> Floats:
    """Return (n, AUDIENCE_NUMBERS) float32, -8..7, of n audience codes."""
    halves = np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), AUDIENCE_NUMBERS // 2)
    return np.stack([halves & 15, halves >> 4], axis=2).reshape(len(codes), AUDIENCE_NUMBERS).astype(np.float32) - 8


def _named_basis(trends: Trends) -> int:
    versions = [artifact.version for artifact in trends.artifacts if artifact.kind == ArtifactKind.AUDIENCE_BASIS]
    return max(versions, default=0)


def _audiences(trending: dict[int, Trend], basis: Basis) -> Audiences:
    told = {title: trend.audience for title, trend in trending.items() if trend.audience}
    points = unpacked(list(told.values())) * np.array(basis.scale, np.float32)
    return Audiences(np.array(list(told), np.int64), points)


def _whole(told: Iterable[Told], count: int) -> dict[int, Told]:
    """Return what is said of each title in all contexts together, else the most that is said of it in one."""
    found: dict[int, Told] = {}
    for one in told:
        known = found.get(one.title)
        if one.title < count and (known is None or _weight(one) > _weight(known)):
            found[one.title] = one
    return found


def _weight(one: Trend | Similar) -> tuple[bool, int]:
    return one.slot is None, one.households
