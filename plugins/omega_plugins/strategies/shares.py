"""What the robust strategies have in common: each title's share of a shard counts, so that none gains by claiming more.

A trimmed mean leaves out the b largest and the b smallest of n numbers; with b = (n - 1) // 2 that is the median.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omega.core.ports import Strategy, SumsOfShards

if TYPE_CHECKING:
    from omega.core.ports import Doubles, Integers, TotalsOfShards

Mask: TypeAlias = NDArray[np.bool_]


class Shares(Strategy):
    """Takes the middle of the shards' shares, rates and mean audiences, title by title.

    All shards count alike, as fits shards that get their TVs by hash. What most of them never heard of isn't told.
    """

    @staticmethod
    @abstractmethod
    def cut(counts: Integers) -> Integers:
        """Return how many of so many numbers are left out at either end, fewer than half."""

    def merge(self, sums: SumsOfShards, totals: TotalsOfShards) -> SumsOfShards:
        """Return the middle share of all samples, the middle rate, and no more households than were kept."""
        samples = np.rint(self._of_all(sums.samples, totals.samples)).astype(np.int64)
        heard = sums.samples > 0
        rates = np.divide(sums.success_milli, sums.samples, out=np.zeros(heard.shape), where=heard)
        success = np.rint(samples * self._middle(rates, heard)).astype(np.int64)
        trends = self._of_all(sums.trends, totals.trends[:, None, :])
        kept = self._kept(sums.households)
        return SumsOfShards(samples[None], np.minimum(success, 1000 * samples)[None], kept[None], trends[None])

    def merge_audiences(self, audiences: Doubles, totals: TotalsOfShards) -> Doubles:
        """Return the middle number of codes, times the middle of the mean codes of the shards that have any."""
        counts = audiences[:, :, 0]
        heard = np.broadcast_to((counts > 0)[:, :, None], audiences[:, :, 1:].shape)
        means = np.divide(audiences[:, :, 1:], counts[:, :, None], out=np.zeros(heard.shape), where=heard)
        number = self._of_all(counts, totals.codes)[:, None]
        return np.concatenate([number, number * self._middle(means, heard)], axis=1)

    def merge_moments(self, moments: Doubles) -> Doubles:
        """Return the middle number of codes, times the middle of the mean products of the shards that have any."""
        counts = moments[:, 0, 0]
        heard = np.broadcast_to((counts > 0)[:, None, None], moments.shape)
        means = np.divide(moments, counts[:, None, None], out=np.zeros(moments.shape), where=heard)
        number = self._middle(counts, counts > 0) * (counts > 0).sum()
        together: Doubles = number * self._middle(means, heard)
        return together

    def _of_all(self, numbers: Doubles | Integers, totals: Doubles | Integers) -> Doubles:
        """Return the middle of the shares (s, n, ...), times what the middle shard has, for each shard."""
        whole = np.asarray(totals, np.float64)
        whole = whole.reshape(whole.shape + (1,) * (numbers.ndim - whole.ndim))
        some = np.broadcast_to(whole > 0, numbers.shape)
        shares = np.divide(numbers, whole, out=np.zeros(numbers.shape), where=some)
        middle: Doubles = self._middle(shares) * len(numbers) * self._middle(whole)
        return middle

    def _middle(self, numbers: Doubles, known: Mask | None = None) -> Doubles:
        """Return the mean (n, ...) of what is left of (s, n, ...) at each place, of those that are known; else 0."""
        known = np.ones(numbers.shape, bool) if known is None else known
        ordered = np.sort(np.where(known, numbers, np.inf), axis=0)
        left = self._left(known)
        total = np.where(left, np.where(np.isfinite(ordered), ordered, 0.0), 0.0).sum(axis=0)
        counts = left.sum(axis=0)
        middle: Doubles = np.divide(total, counts, out=np.zeros(total.shape), where=counts > 0)
        return middle

    def _left(self, known: Mask) -> Mask:
        """Return which places of the sorted numbers are left."""
        counts = known.sum(axis=0)
        place = np.arange(len(known)).reshape((-1,) + (1,) * (known.ndim - 1))
        cut = self.cut(counts)
        left: Mask = (place >= cut) & (place < counts - cut)
        return left

    def _kept(self, households: Integers) -> Integers:
        """Return (n,) the sum of what is left: never more than there are."""
        ordered = np.sort(households, axis=0)
        kept: Integers = np.where(self._left(np.ones(ordered.shape, bool)), ordered, 0).sum(axis=0)
        return kept
