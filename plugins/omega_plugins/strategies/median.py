"""The median over shards, title by title: fewer than half of them may say what they like.

D. Yin, Y. Chen, K. Ramchandran, P. Bartlett, "Byzantine-robust distributed learning: towards optimal statistical
rates", ICML 2018, section 4.1: the coordinate-wise median. Its breakdown point is (s - 1) // 2 of s shards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from omega.core.hooks import hookimpl
from omega_plugins.strategies.shares import Shares

if TYPE_CHECKING:
    from omega.core.ports import Integers, Strategy


class Median(Shares):
    """The middle shard, title by title: withstands any fewer than half of the shards."""

    NAME: ClassVar[str] = "median"

    @staticmethod
    def cut(counts: Integers) -> Integers:
        """Return how many are left out at either end: all but the middle one or two."""
        cut: Integers = np.maximum((counts - 1) // 2, 0)
        return cut


@hookimpl
def omega_strategies() -> list[type[Strategy]]:
    """Offer Median."""
    return [Median]
