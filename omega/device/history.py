"""What was watched, as the ranking sees it: what is finished, and what waits to be continued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import ContentType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats, Watched
    from omega.core.types import Title

FINISHED_MILLI = 900
"""A movie or documentary that was once watched so far is finished for ever: credits are not watched."""
STARTED_MILLI = 200
"""What was watched less was given up, not interrupted."""
RESUME_HALF_LIFE_S = 14 * 86_400
"""The wish to continue halves in two weeks."""

ELSEWHERE = 0.3
"""How much of that wish is left in another context than the one it was left in: habits set by hand, to be fitted."""


def is_finished(title: Title, watched: Watched) -> bool:
    """Say whether the title was ever watched to its end; a series always has a next episode."""
    return title.kind != ContentType.SERIES and watched.best_milli >= FINISHED_MILLI


def is_waiting(title: Title, watched: Watched) -> bool:
    """Say whether the title was interrupted the last time, neither ever finished nor given up."""
    return watched.watched_milli >= STARTED_MILLI and not is_finished(title, watched)


def resume(left_at_s: NDArray[np.float64], left_slot: NDArray[np.int64], now_s: float, slot: int) -> Floats:
    """Return (n,) 0..1, how much each title waits to be continued: halving in two weeks, less in another context.

    `left_at_s` (n,) is when it was left, -inf for one that doesn't wait; `left_slot` (n,) in which context.
    """
    wish = 2.0 ** (np.minimum(left_at_s - now_s, 0) / RESUME_HALF_LIFE_S)
    fitting: Floats = (wish * np.where(left_slot == slot, 1.0, ELSEWHERE)).astype(np.float32)
    return fitting
