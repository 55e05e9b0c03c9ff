"""What each part of the ranking brings: generated households watch, then are asked with all parts and without each.

All variants rank for the same households, so that the differences are paired; the intervals come from drawing whole
households anew (Efron, 1979), since the questions of one household are no independent witnesses. The households choose
what they watch without looking at what a TV recommends.
"""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.device.ranking import Weights
from omega.fleet.demo import START, Clock
from omega.fleet.generated import generated
from omega.fleet.households import HOURS, Household

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from omega.core.catalog import Catalog
    from omega.core.types import TimeSlot
    from omega.device.brain import Brain

PARTS = {
    "patterns": ("habit", "own"),
    "skills": ("skill",),
    "episodes": ("content", "given_up"),
    "taste": ("genre", "content"),
    "context": ("context_genre", "context_kind"),
    "continue": ("resume",),
    "variety": ("variety",),
}
"""Parts of the ranking, and the weights that are 0 without them."""
MEMORIES = ("patterns", "skills", "episodes")
"""The parts that are memories of their own."""
FULL = "full"
_JUDGED = 10
"""How many titles at the top of a list are judged."""
_DRAWS = 4000


class Row(msgspec.Struct, frozen=True):
    """One variant's figures: means over households of the means over each one's questions."""

    variant: str
    """All parts, or the one that was left out."""
    appeal: float
    """Hidden appeal of the ten titles shown, 0..1."""
    ndcg: float
    """Discounted appeal of the ten against that of the ten best there are, 0..1 (Jarvelin and Kekalainen, 2002)."""
    given_up: float
    """Share of the titles shown that the household gave up before."""
    brings: float
    """Appeal of all parts less this variant's."""
    low: float
    """Low end of the 95 % interval of `brings`."""
    high: float
    """High end of the 95 % interval of `brings`."""


class Table(msgspec.Struct, frozen=True):
    """What was found."""

    seeds: tuple[int, int]
    """The first household's seed, and the last's."""
    weeks: int
    events: int
    questions: int
    any_appeal: float
    """Hidden appeal of a title picked blindly from what isn't finished."""
    best_appeal: float
    """Hidden appeal of the ten best."""
    rows: tuple[Row, ...]

    def row(self, variant: str) -> Row:
        """Return the row of a variant."""
        return next(row for row in self.rows if row.variant == variant)


def variants(weights: Weights | None = None) -> dict[str, Weights]:
    """Return the weights of each variant: all parts, and each part left out."""
    full = weights or Weights()
    return {FULL: full} | {part: msgspec.structs.replace(full, **dict.fromkeys(w, 0.0)) for part, w in PARTS.items()}


def ablation(
    open_brain: Callable[[str, Clock], Brain],
    catalog: Catalog,
    *,
    seeds: Sequence[int],
    weeks: int,
    asked: Mapping[str, Weights],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Table:
    """Let the households of these seeds watch for some weeks, and compare the variants `asked`, one of them FULL.

    `open_brain` opens a household's brain, with an empty store, by name and clock; `progress` gets households done and
    in all.
    """
    judged, events, questions = [], 0, 0
    for done, seed in enumerate(seeds):
        progress(done, len(seeds))
        clock, household = Clock(), Household(generated(seed), catalog, seed)
        with closing(open_brain(household.persona.name, clock)) as brain:
            events += watch(brain, clock, household, weeks)
            answers = [_judged(brain, clock, household, sitting, asked) for sitting in household.persona.sittings]
        questions += len(answers)
        judged.append(np.mean(answers, axis=0))
    figures = np.array(judged)
    full = list(asked).index(FULL)
    random = np.random.default_rng(len(seeds))
    return Table(
        seeds=(seeds[0], seeds[-1]),
        weeks=weeks,
        events=events,
        questions=questions,
        any_appeal=round(float(figures[:, full, 3].mean()), 4),
        best_appeal=round(float(figures[:, full, 4].mean()), 4),
        rows=tuple(_row(name, figures[:, at], figures[:, full, 0], random) for at, name in enumerate(asked)),
    )


def watch(brain: Brain, clock: Clock, household: Household, weeks: int) -> int:
    """Let a brain observe what a household watches in some weeks from START, and return how many events that were."""
    events = 0
    for day in range(7 * weeks):
        for event in household.day(START + timedelta(days=day)):
            clock.moment = event.at or clock.moment
            brain.observe(event)
            events += 1
    clock.moment = START + timedelta(weeks=weeks)
    return events


def interval(differences: NDArray[np.float64], random: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the mean of (h,) differences, one of each household, by drawing households anew."""
    draws = random.integers(len(differences), size=(_DRAWS, len(differences)))
    low, high = np.percentile(differences[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _judged(
    brain: Brain,
    clock: Clock,
    household: Household,
    sitting: tuple[int, TimeSlot],
    asked: Mapping[str, Weights],
) -> NDArray[np.float64]:
    """Return (v, 5): of each variant's list at a sitting its appeal, ndcg, share given up; then any and best appeal."""
    day, time = sitting
    appeal = household.appeal(day, time)
    still_open = appeal[~household.finished]
    best = np.sort(still_open)[: -_JUDGED - 1 : -1]
    discounts = 1 / np.log2(np.arange(2, _JUDGED + 2))
    after = clock.moment
    clock.moment = after + timedelta(days=day, hours=HOURS[time])
    found = []
    for weights in asked.values():
        brain.weights = msgspec.structs.replace(weights, explore=0.0)  # chance is no part
        rows = [household.row(title.content_id) for title in brain.recommend(k=_JUDGED)]
        ndcg = float(appeal[rows] @ discounts) / float(best @ discounts)
        found.append((appeal[rows].mean(), ndcg, household.given_up[rows].mean(), still_open.mean(), best.mean()))
    clock.moment = after
    return np.array(found)


def _row(variant: str, figures: NDArray[np.float64], full: NDArray[np.float64], random: np.random.Generator) -> Row:
    """Return a variant's row from its figures (h, 5) and the appeals (h,) of all parts."""
    differences = full - figures[:, 0]
    low, high = interval(differences, random)
    appeal, ndcg, given_up = (round(float(figure), 4) for figure in figures[:, :3].mean(axis=0))
    brings = round(float(differences.mean()), 4)
    return Row(variant, appeal, ndcg, given_up, brings, round(low, 4), round(high, 4))
