"""Who watched what, and when: a log of events in order of time, and the part of it that came before some moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from omega.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.types import Title

DAY_S = 86_400


@dataclass(frozen=True)
class Log:
    """n events in order of time; no viewer has a title twice, since only what is new to somebody is predicted.

    Titles and viewers are numbered at random: ids are often in order of release, and ties that are broken by them tell
    of the future.
    """

    titles: tuple[Title, ...]
    """By number; `id` is the one of the file."""
    viewer_count: int
    viewers: NDArray[np.int64]
    """(n,)"""
    watched: NDArray[np.int64]
    """(n,) numbers of titles."""
    ratings: NDArray[np.float64]
    """(n,) 0..5."""
    times_s: NDArray[np.int64]
    """(n,) Unix seconds, ascending."""

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.viewers)

    def before(self, at_s: int) -> Past:
        """Return what came before a moment."""
        return Past(self, int(np.searchsorted(self.times_s, at_s, side="left")), at_s)

    def since(self, at_s: int) -> Log:
        """Return the log of the events from a moment on, with the same numbers."""
        first = int(np.searchsorted(self.times_s, at_s, side="left"))
        cut = {name: getattr(self, name)[first:] for name in ("viewers", "watched", "ratings", "times_s")}
        return replace(self, **cut)

    def between(self, start_s: int, end_s: int) -> slice:
        """Return which events came from `start_s` on and before `end_s`."""
        first, last = np.searchsorted(self.times_s, [start_s, end_s], side="left")
        return slice(int(first), int(last))


class Past:
    """The events of a log before a moment, and nothing of what came later. What is worked out of them is kept."""

    def __init__(self, log: Log, count: int, at_s: int) -> None:
        """`count` events came before `at_s`."""
        self.at_s = at_s
        self.titles = log.titles
        self.viewer_count = log.viewer_count
        self.viewers = log.viewers[:count]
        self.watched = log.watched[:count]
        self.ratings = log.ratings[:count]
        self.times_s = log.times_s[:count]
        self._seen: tuple[bytes, NDArray[np.bool_]] | None = None

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.viewers)

    @cached_property
    def age_days(self) -> NDArray[np.float64]:
        """(n,): how long ago each event was."""
        return (self.at_s - self.times_s) / DAY_S

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(t,): how many viewers have watched each title."""
        return np.bincount(self.watched, minlength=len(self.titles))

    @cached_property
    def candidates(self) -> NDArray[np.bool_]:
        """(t,): whether somebody has watched the title; who knows more titles than these knows the future."""
        return self.counts > 0

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(v,): how many titles each viewer has watched."""
        return np.bincount(self.viewers, minlength=self.viewer_count)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """(n,): the events viewer by viewer, each one's in order of time."""
        return np.argsort(self.viewers, kind="stable")

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(v + 1,): where each viewer's events begin in `order`."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @cached_property
    def earlier(self) -> NDArray[np.int64]:
        """(n,): how many titles the viewer of each event had watched before it."""
        found = np.empty(len(self), np.int64)
        found[self.order] = np.arange(len(self)) - np.repeat(self.starts[:-1], self.lengths)
        return found

    def decayed(self, half_life_days: float, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return (t,) the sum over each title's events of 2^(-age / half-life), times `weights` (n,) if given."""
        decay = np.exp2(-self.age_days / half_life_days)
        return totals(self.watched, decay if weights is None else decay * weights, len(self.titles))

    def histories(self, viewers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the events of some viewers: (h,) rows of `viewers`, (h,) events, (h,) how many came after each."""
        lengths = self.lengths[viewers]
        rows = np.repeat(np.arange(len(viewers)), lengths)
        place = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        events = self.order[np.repeat(self.starts[viewers], lengths) + place]
        return rows, events, np.repeat(lengths, lengths) - 1 - place

    def seen(self, viewers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (v, t) which titles each of the viewers has watched."""
        key = viewers.tobytes()
        if self._seen is None or self._seen[0] != key:
            rows, events, _ = self.histories(viewers)
            seen = np.zeros((len(viewers), len(self.titles)), np.bool_)
            seen[rows, self.watched[events]] = True
            self._seen = (key, seen)
        return self._seen[1]


def totals(places: NDArray[np.int64], weights: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return (count,) the sums of weights (n,) by place (n,)."""
    return np.bincount(places, weights, minlength=count).astype(np.float64)


def assemble(
    titles: Sequence[Title],
    viewers: NDArray[np.int64],
    watched: NDArray[np.int64],
    ratings: NDArray[np.float64],
    times_s: NDArray[np.int64],
    *,
    seed: int,
) -> Log:
    """Return the log of events (n,) in any order; viewers and titles get new numbers, ties a new order, by `seed`.

    Of a title that somebody watched twice the first time counts: the last is still to come when the first happens.
    Raises InputError where nothing can be learned: no event, one viewer.
    """
    if not len(viewers):
        raise InputError("the ratings hold no event of a known title, allowed: one or more: do the two files belong?")
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(viewers))
    order = shuffled[np.argsort(times_s[shuffled], kind="stable")]
    pairs = viewers[order] * np.int64(len(titles)) + watched[order]
    order = order[np.sort(np.unique(pairs, return_index=True)[1])]
    names, number = np.unique(viewers[order], return_inverse=True)
    if len(names) == 1:
        raise InputError("all events are of one viewer, allowed: two or more: there is nobody to learn from")
    new_viewer, new_title = random.permutation(len(names)), random.permutation(len(titles))
    by_number = np.argsort(new_title)
    return Log(
        titles=tuple(titles[old] for old in by_number),
        viewer_count=len(names),
        viewers=new_viewer[number],
        watched=new_title[watched[order]],
        ratings=ratings[order].astype(np.float64),
        times_s=times_s[order].astype(np.int64),
    )
