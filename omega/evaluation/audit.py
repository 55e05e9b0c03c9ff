"""Looks for knowledge of the future: what comes after a moment is made nonsense, and no list before may change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from omega.evaluation.log import Log, assemble
from omega.evaluation.protocol import step_at
from omega.evaluation.results import Audit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.evaluation.method import Method
    from omega.evaluation.protocol import Protocol

AUDITED_STEPS = 3
"""The moment itself and the steps before it: what leaks at all leaks there."""


def audit(
    log: Log,
    protocol: Protocol,
    moments: Sequence[int],
    make: Callable[[Log], Sequence[Method]],
    *,
    k: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Compare lists at the last of `moments` (s,) and the steps before it, with and without what came after that.

    Both logs are put together from their events anew and `make` gives the methods of each, so that what is done to a
    log before it is replayed is looked at, too. Those are asked who are asked in truth.
    """
    at_s = moments[-1]
    truth, nonsense = (_again(log, given, seed) for given in (log.watched, _nonsense(log, at_s, seed)))
    leaks = _differences(truth.before(at_s), nonsense.before(at_s))
    methods, others = make(truth), make(nonsense)
    compared = moments[-AUDITED_STEPS:]
    for done, moment in enumerate(compared):
        progress(done, len(compared))
        step, other = step_at(truth, protocol, moment), nonsense.before(moment)
        for one, two in zip(methods, others, strict=True):
            one.learn(step.past)
            two.learn(other)
            if len(step.viewers) and leaks == []:
                lists = one.rank(moment, step.viewers, k), two.rank(moment, step.viewers, k)
                if changed := int((lists[0] != lists[1]).any(axis=1).sum()):
                    leaks.append(f"{one.name} changes {changed} of {len(step.viewers)} lists at {_iso(moment)}")
    return Audit(_iso(at_s), len(compared), tuple(leaks))


def _nonsense(log: Log, at_s: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    watched = log.watched.copy()
    after = log.between(at_s, int(log.times_s[-1]) + 1)
    watched[after] = np.random.default_rng([seed, 7]).integers(len(log.titles), size=after.stop - after.start)
    return watched


def _again(log: Log, watched: np.ndarray[tuple[int], np.dtype[np.int64]], seed: int) -> Log:
    return assemble(log.titles, log.viewers, watched, log.ratings, log.times_s, seed=seed)


def _differences(past: object, other: object) -> list[str]:
    names = ("viewers", "watched", "ratings", "times_s")
    same = all(np.array_equal(getattr(past, name), getattr(other, name)) for name in names)
    return [] if same else ["the events before it are others when later ones are"]


def _iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()
