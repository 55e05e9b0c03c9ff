"""What was watched, as the ranking sees it: what is finished, and what waits to be continued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import ContentType
from omega.device.memory.episodes import FINISHED_MILLI, Critique, critique

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.core.records import Watched
    from omega.core.types import Title

RESUME_HALF_LIFE_S = 14 * 86_400
"""The wish to continue halves in two weeks."""

ELSEWHERE = 0.3
"""How much of that wish is left in another context than the one it was left in: habits set by hand, to be fitted."""


def is_finished(title: Title, watched: Watched) -> bool:
    """Say whether the title was ever watched to its end, then for ever; a series always has a next episode."""
    return title.kind != ContentType.SERIES and watched.best_milli >= FINISHED_MILLI


def is_waiting(title: Title, watched: Watched) -> bool:
    """Say whether the title was interrupted the last time, neither ever finished nor given up."""
    return critique(watched.watched_milli) is not Critique.GIVEN_UP and not is_finished(title, watched)


def is_given_up(title: Title, watched: Watched) -> bool:
    """Say whether so little of the title was watched the last time that it was given up; never what was finished."""
    return critique(watched.watched_milli) is Critique.GIVEN_UP and not is_finished(title, watched)


def continues(title: Title, watched: Watched, season: int | None, episode: int | None) -> bool:
    """Say whether an event goes on where the title was left: a later episode, or what was interrupted."""
    if title.kind == ContentType.SERIES and episode is not None and watched.episode is not None:
        return (season or 0, episode) > (watched.season or 0, watched.episode)
    return is_waiting(title, watched)


def next_episode(watched: Watched) -> tuple[int | None, int | None]:
    """Return the season and episode at which a series goes on: the next one, if the last was seen to its end.

    Where a season ends isn't known, so that after its last episode the next number is named all the same.
    """
    if watched.episode is None or watched.watched_milli < FINISHED_MILLI:
        return watched.season, watched.episode
    return watched.season, watched.episode + 1


def resume(left_at_s: NDArray[np.float64], left_slot: NDArray[np.float64], now_s: float, slot: int) -> Floats:
    """Return (n,) 0..1, how much each title waits to be continued: halving in two weeks, less in another context.

    `left_at_s` (n,) is when it was left, -inf for one that doesn't wait; `left_slot` (n,) in which context.
    """
    wish = 2.0 ** (np.minimum(left_at_s - now_s, 0) / RESUME_HALF_LIFE_S)
    fitting: Floats = (wish * np.where(left_slot == slot, 1.0, ELSEWHERE)).astype(np.float32)
    return fitting
