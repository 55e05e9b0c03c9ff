"""The mean over shards without the quarter at either end, title by title.

D. Yin, Y. Chen, K. Ramchandran, P. Bartlett, "Byzantine-robust distributed learning: towards optimal statistical
rates", ICML 2018, section 4.2: the coordinate-wise trimmed mean, with beta = 1/4, and one at either end from three
shards on. Its breakdown point is max(s // 4, 1) of s shards, none of two; it wavers less than the median where all
are honest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from omega.core.hooks import hookimpl
from omega_plugins.strategies.shares import Shares

if TYPE_CHECKING:
    from omega.core.ports import Integers, Strategy


class TrimmedMean(Shares):
    """The mean of the middle half of the shards, title by title: withstands a quarter of them."""

    NAME: ClassVar[str] = "trimmed-mean"

    @staticmethod
    def cut(counts: Integers) -> Integers:
        """Return how many are left out at either end: a quarter, at least one of three and more."""
        cut: Integers = np.where(counts >= 3, np.maximum(counts // 4, 1), 0)
        return cut


@hookimpl
def omega_strategies() -> list[type[Strategy]]:
    """Offer TrimmedMean."""
    return [TrimmedMean]
