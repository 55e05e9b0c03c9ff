"""Plays a log step by step: every method learns what came before, ranks for who is asked, and is judged."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from omega.core.errors import OmegaError
from omega.evaluation.method import NOTHING
from omega.evaluation.metrics import Judged, Shown, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from omega.evaluation.method import Method
    from omega.evaluation.protocol import Step

_VIEWERS_AT_ONCE = 512
"""Scores of so many viewers for 10,000 titles take 20 MB."""


@dataclass(slots=True)
class Tally:
    """What one method reached."""

    name: str
    shown: Shown
    viewers: list[NDArray[np.int64]] = field(default_factory=list)
    """Of each step (v,)."""
    judged: list[Judged] = field(default_factory=list)
    """Of each step."""
    seconds: float = 0.0

    @property
    def ndcg_sums(self) -> NDArray[np.float64]:
        """(s,): the sum of NDCG over the viewers of each step."""
        return np.array([step.ndcg.sum() for step in self.judged])

    def mean(self, figure: str) -> float:
        """Return the mean over all lists of a field of Judged."""
        return float(np.concatenate([getattr(step, figure) for step in self.judged]).mean()) if self.judged else 0.0

    def by_viewer(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return (u,) who was asked and (u,) their mean NDCG."""
        who, place = np.unique(np.concatenate(self.viewers), return_inverse=True)
        sums = np.bincount(place, np.concatenate([step.ndcg for step in self.judged]))
        return who, sums / np.bincount(place)


def replay(
    methods: Sequence[Method],
    steps: Iterable[Step],
    *,
    titles: int,
    k: int,
    progress: Callable[[Step], None] = lambda step: None,
) -> list[Tally]:
    """Return what each method reaches at the steps, which come in order of time; raises OmegaError for a bad list."""
    tallies = [Tally(method.name, Shown(titles)) for method in methods]
    for step in steps:
        progress(step)
        lists = [np.empty((len(step.viewers), k), np.int64) for _ in methods]
        for method, tally in zip(methods, tallies, strict=True):
            with _timed(tally):
                method.learn(step.past)
        for part in _parts(len(step.viewers)):
            for method, tally, found in zip(methods, tallies, lists, strict=True):
                with _timed(tally):
                    found[part] = method.rank(step.at_s, step.viewers[part], k)
                check(method.name, found[part], step, part)
        for tally, found in zip(tallies, lists, strict=True):
            tally.viewers.append(step.viewers)
            tally.judged.append(judged(found, step))
            tally.shown.add(found, step)
    return tallies


def check(name: str, lists: NDArray[np.int64], step: Step, part: slice) -> None:
    """Raise OmegaError when one of the lists holds what it must not: such figures would mean nothing."""
    titles = np.maximum(lists, 0)
    there = lists != NOTHING
    in_order = np.sort(np.where(there, lists, -1 - np.arange(lists.shape[1])), axis=1)
    wrong = {
        "a title twice": (np.diff(in_order, axis=1) == 0).any(),
        "what its viewer has watched": (
            np.take_along_axis(step.past.seen(step.viewers[part]), titles, 1) & there
        ).any(),
        "what nobody has watched": (~step.past.candidates[titles] & there).any(),
    }
    for what, found in wrong.items():
        if found:
            raise OmegaError(f"method {name} lists {what}, allowed: what others have and its viewer has not: mend it")


def _parts(count: int) -> Iterator[slice]:
    yield from (slice(at, min(at + _VIEWERS_AT_ONCE, count)) for at in range(0, count, _VIEWERS_AT_ONCE))


class _timed:  # noqa: N801  (reads as a function)
    """Adds the time of a block to a tally."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._tally.seconds += time.perf_counter() - self._start
