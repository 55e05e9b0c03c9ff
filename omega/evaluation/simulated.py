"""Generated households as a log, where there are no files: what they watch of the catalog in some weeks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from omega.evaluation.log import Log, assemble
from omega.fleet.demo import START
from omega.fleet.generated import generated
from omega.fleet.households import Household

if TYPE_CHECKING:
    from collections.abc import Callable

    from omega.core.catalog import Catalog

HOUSEHOLDS, WEEKS = 150, 10


def simulated_log(
    catalog: Catalog,
    *,
    households: int = HOUSEHOLDS,
    weeks: int = WEEKS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Log:
    """Return what generated households watch; a title's rating is how much of it was watched, 0..5.

    These don't look at each other: nothing is in fashion among them, and whoever follows a trend follows chance.
    """
    rows: list[tuple[int, int, float, int]] = []
    for viewer in range(households):
        progress(viewer, households)
        household = Household(generated(seed + viewer), catalog, seed + viewer)
        for day in range(7 * weeks):
            for event in household.day(START + timedelta(days=day)):
                at = event.at or START
                share = 0.0 if event.watch_pct is None else event.watch_pct
                rows.append((viewer, catalog.ordinals[event.content_id], 5 * share, int(at.timestamp())))
    viewers, watched, ratings, times_s = zip(*rows, strict=True) if rows else ((), (), (), ())
    return assemble(
        catalog.titles,
        np.array(viewers, np.int64),
        np.array(watched, np.int64),
        np.array(ratings, np.float64),
        np.array(times_s, np.int64),
        seed=seed,
    )
