"""Patterns: how each title went in each context, as sums that are counted for ever.

After ReasoningBank (Ouyang et al., 2025): outcomes are kept with what they came from, failures included, and looked up
where the same is considered again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import SLOTS, time_and_day

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats

PRIOR_WATCHES = 0.3
"""Indifferent watches that a record is mixed with before it is believed."""
_HALF_ALIKE, _UNLIKE = 0.2, 0.05
"""What a watch in a context of the same time or the same sort of day says of this one, and in any other."""


def context_shares(slot: int) -> NDArray[np.float64]:
    """Return (8,) how much what happened in each context says of this one: 1 for itself."""
    asked = time_and_day(slot)
    alike = [sum(a == b for a, b in zip(asked, time_and_day(other), strict=True)) for other in range(SLOTS)]
    return np.array([_UNLIKE, _HALF_ALIKE, 1.0])[alike]


def own_record(own: NDArray[np.float64], shares: NDArray[np.float64]) -> Floats:
    """Return (n,) -.5...5: how much better than half each title went with the household itself; 0 with no watch.

    `own` (n, 8, 2) holds watches and their gains over one half; a mean over contexts by their `shares` (8,), mixed with
    .3 indifferent watches.
    """
    counts, gains = own[:, :, 0] @ shares, own[:, :, 1] @ shares
    record: Floats = (gains / (counts + PRIOR_WATCHES)).astype(np.float32)
    return record
