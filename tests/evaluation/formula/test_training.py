from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the fit needs the extra federation")

from omega.core.ranking_weights import NAMES
from omega.evaluation.formula import training
from omega.evaluation.formula.factors import co_watch, co_watch_factors
from omega.evaluation.formula.facts import facts_of
from omega.evaluation.formula.features import Features
from omega.evaluation.log import Log
from omega.evaluation.protocol import moments, steps
from tests.evaluation.conftest import START_S, drawn, vectors


def test_the_co_watch_matrix_is_that_of_a_loop() -> None:
    log = drawn(viewers=30, count=20, events=260, days=20, seed=8)
    past = log.before(START_S + 18 * 86_400)
    histories = [past.watched[past.viewers == viewer].tolist()[-100:] for viewer in range(log.viewer_count)]
    expected = np.zeros((20, 20))
    for one in range(20):
        for two in range(20):
            both = [history for history in histories if one in history and two in history]
            if one != two and len(both) >= 3:
                scale = (past.counts[one] * past.counts[two]) ** -0.4
                expected[one, two] = scale * sum(1 / len(history) for history in both)
    found = co_watch(past)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)
    assert found.nnz == (expected > 0).sum()
    values, directions = np.linalg.eigh(expected)
    factors = co_watch_factors(past)
    top = directions[:, values > 1e-9]
    top[~expected.any(axis=1)] = 0
    lengths = np.linalg.norm(top, axis=1, keepdims=True)
    unit = top / np.where(lengths > 0, lengths, 1)
    np.testing.assert_allclose(factors @ factors.T, unit @ unit.T, atol=1e-4)
    assert 1 < top.shape[1] < 20


def test_lists_do_not_depend_on_what_was_watched_after_them(log: Log) -> None:
    at = moments(log, "daily")[30:40]
    swapped = Log(log.titles, log.viewer_count, log.viewers, log.watched.copy(), log.ratings, log.times_s)
    last = list(steps(log, "daily", at))[-1]
    after = slice(len(last.past), len(log))
    swapped.watched[after] = np.random.default_rng(0).integers(60, size=after.stop - after.start)
    found = []
    for one in (log, swapped):
        features = Features(facts_of(one.titles, vectors(60)), co_watch_factors)
        found.append(training.lists_of(features, steps(one, "daily", at[:-1]), seed=1))
    for part, other in zip(found[0], found[1], strict=True):
        np.testing.assert_array_equal(part.features, other.features)
        np.testing.assert_array_equal(part.hits, other.hits)


def test_a_fit_on_the_small_world_finds_what_moves_it(log: Log) -> None:
    features = Features(facts_of(log.titles, vectors(60)), co_watch_factors)
    lists = training.lists_of(features, steps(log, "daily", moments(log, "daily")[25:]), seed=1)
    assert sum(len(part.features) for part in lists) > 100
    assert all((part.hits <= part.open).all() and part.hits.any(axis=1).all() for part in lists)
    weights, found = training.fitted(lists)
    assert weights.trend > 0.1, "fashions come and go there"
    without, worse = training.fitted(lists, ["trend"])
    assert worse.loss > found.loss + 0.05
    assert (without.trend, without.surge) == (0, 0)
    assert len(weights.values) == len(NAMES)
