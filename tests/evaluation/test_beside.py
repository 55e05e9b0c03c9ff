"""What is judged in a process of its own is what is judged in this one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the fit needs the extra federation")

from omega.core.errors import OmegaError
from omega.evaluation.beside import Job, judged, judging
from omega.evaluation.contenders import Plan
from omega.evaluation.embeddings import Embeddings
from omega.evaluation.protocol import moments
from tests.evaluation.conftest import drawn, vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Floats
    from omega.core.types import Title


def job(*, loop: bool) -> Job:
    log = drawn(viewers=30, events=500, days=16)
    at = moments(log, "daily")
    return Job(
        log, Embeddings(log.titles, vectors(len(log.titles))), Plan(k=10, audit=True, loop=loop), at[2:8], at[8:11]
    )


class Deadly(Embeddings):
    """Ends the process that reads it."""

    def __init__(self) -> None:
        """Stand for vectors that take more memory than there is."""

    def of(self, titles: Sequence[Title]) -> Floats:
        """Return vectors that no other process survives."""
        return np.asarray(vectors(len(titles))).view(Killing)


class Killing(np.ndarray):
    """Vectors whose arrival ends a process."""

    def __reduce__(self) -> tuple[object, ...]:
        """Have the reader of the pickle exit."""
        return os._exit, (9,)


def test_another_process_finds_what_this_one_finds() -> None:
    told: list[str] = []
    with judging(job(loop=True), lambda done, total, what: told.append(what), least_events=1) as beside:
        found = beside()
    here = judged(job(loop=True))
    assert told == []
    assert found.weights == here.weights
    assert found.fit == here.fit
    assert found.audit == here.audit
    assert list(found.left_out) == list(here.left_out)
    for name in ("popular_before", "popular", "others"):
        for one, two in zip(getattr(found, name), getattr(here, name), strict=True):
            assert one.name == two.name
            np.testing.assert_array_equal(one.ndcg_sums, two.ndcg_sums)
            np.testing.assert_array_equal(one.shown.counts, two.shown.counts)


@pytest.mark.parametrize(("loop", "least_events"), [(False, 1), (True, 501)])
def test_what_would_gain_nothing_is_done_here(*, loop: bool, least_events: int) -> None:
    told: set[str] = set()
    with judging(job(loop=loop), lambda done, total, what: told.add(what), least_events=least_events) as beside:
        assert told == set()
        assert beside().random.judged
    assert "replay" in told


def test_a_process_that_dies_is_told_of_without_a_traceback() -> None:
    given = job(loop=True)
    deadly = Job(given.log, Deadly(), given.plan, given.before, given.scored)
    with judging(deadly, lambda *_: None, least_events=1) as beside, pytest.raises(OmegaError, match="was killed"):
        beside()
