from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the formula needs the extra federation")

from omega.core.ranking_weights import RankingWeights
from omega.evaluation.audit import audit
from omega.evaluation.baselines import popularities
from omega.evaluation.contenders import Plan
from omega.evaluation.embeddings import Embeddings
from omega.evaluation.evaluate import evaluate
from omega.evaluation.method import ScoringMethod
from omega.evaluation.protocol import moments
from tests.evaluation.conftest import vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.evaluation.log import Log
    from omega.evaluation.protocol import Protocol


class Prophet(ScoringMethod):
    """Counts all events there are, with those that are still to come."""

    name = "prophet"

    def __init__(self, log: Log) -> None:
        self.counts = np.bincount(log.watched, minlength=len(log.titles))

    def scores(self, viewers: NDArray[np.int64]) -> Floats:
        return np.tile(self.counts, (len(viewers), 1)).astype(np.float32)


def test_a_planted_leak_is_found_and_named(log: Log) -> None:
    at = moments(log, "daily")[20:35]
    found = audit(log, "daily", at, lambda given: [*popularities(), Prophet(given)], k=10, seed=1)
    assert len(found.leaks) == 1
    assert found.leaks[0].startswith("prophet changes ")
    assert found.steps == 3


def test_who_only_looks_back_is_clean(log: Log) -> None:
    at = moments(log, "weekly")[2:6]
    found = audit(log, "weekly", at, lambda given: popularities(), k=10, seed=1)
    assert (found.leaks, found.after) == ((), "2013-04-07T00:00:00+00:00")


@pytest.mark.parametrize("protocol", ["daily", "onboard"])
def test_no_method_that_ships_knows_the_future(log: Log, protocol: Protocol) -> None:
    weights = RankingWeights.of([0.6, 0.3, 1.5, 1.0, 0.3, 0.5, 0.9, 0.5, 0.7, 0.5])
    start = date(2013, 3, 3) if protocol == "onboard" else None
    plan = Plan(protocol=protocol, score_from=start, weights=weights, audit=True, ablation=False)
    result = evaluate(log, Embeddings(log.titles, vectors(60)), plan)
    assert result.audit is not None
    assert result.audit.leaks == ()
