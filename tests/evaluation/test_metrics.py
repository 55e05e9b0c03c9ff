from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.errors import OmegaError
from omega.evaluation.baselines import Random
from omega.evaluation.intervals import relative_gain
from omega.evaluation.method import NOTHING, Method, best, best_unseen
from omega.evaluation.metrics import Shown, judged
from omega.evaluation.protocol import Step, moments, step_at, steps
from omega.evaluation.replay import replay
from tests.evaluation.conftest import START_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.evaluation.log import Log, Past


def step_with(log: Log, wanted: list[list[int]]) -> Step:
    """A step at which the first viewers want these titles."""
    past = log.before(START_S + 40 * 86_400)
    rows = np.array([row for row, found in enumerate(wanted) for _ in found])
    return Step(past, np.arange(len(wanted)), rows, np.array([title for found in wanted for title in found]))


def test_a_case_worked_by_hand(log: Log) -> None:
    found = judged(np.array([[7, 8, 9, 10], [1, 2, 3, 4], [5, 6, 20, NOTHING]]), step_with(log, [[8, 10], [50], [20]]))
    ideal = 1 / math.log2(2) + 1 / math.log2(3)
    np.testing.assert_allclose(found.ndcg, [(1 / math.log2(3) + 1 / math.log2(5)) / ideal, 0, 1 / math.log2(4)])
    np.testing.assert_allclose(found.recall, [1, 0, 1])
    np.testing.assert_allclose(found.reciprocal_rank, [1 / 2, 0, 1 / 3])


def test_more_to_be_found_than_the_list_is_long(log: Log) -> None:
    found = judged(np.array([[1, 2, 3]]), step_with(log, [[1, 2, 3, 4, 5]]))
    assert (found.ndcg[0], found.recall[0]) == (pytest.approx(1), 1)


def naive(row: list[int], wanted: set[int], k: int) -> tuple[float, float, float]:
    dcg = sum(1 / math.log2(place + 2) for place, title in enumerate(row) if title in wanted)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
    first = next((1 / (place + 1) for place, title in enumerate(row) if title in wanted), 0.0)
    return dcg / ideal, sum(title in wanted for title in row) / min(k, len(wanted)), first


def test_random_lists_against_a_second_implementation(log: Log) -> None:
    random = np.random.default_rng(3)
    for k in (1, 3, 20):
        wanted = [random.choice(60, int(random.integers(1, 30)), replace=False).tolist() for _ in range(40)]
        lists = np.array([random.permutation(60)[:k] for _ in range(40)])
        found = judged(lists, step_with(log, wanted))
        expected = [naive(row.tolist(), set(titles), k) for row, titles in zip(lists, wanted, strict=True)]
        np.testing.assert_allclose(np.stack([found.ndcg, found.recall, found.reciprocal_rank], 1), expected)


def test_what_is_shown_against_a_count_by_hand(log: Log) -> None:
    step = step_with(log, [[1], [2], [3]])
    counts = step.past.counts
    lists = np.array([[0, 1], [0, 2], [0, NOTHING]])
    shown = Shown(60)
    for _ in range(2):
        shown.add(lists, step)
    assert (shown.coverage(60), shown.coverage(60, 5), shown.places) == (3 / 60, 1 / 60, 10)
    shares = np.array([6, 2, 2]) / 10
    assert shown.entropy == pytest.approx(math.exp(-sum(share * math.log(share) for share in shares)))
    bits = [-math.log2(counts[title] / len(step.past)) for title in (0, 1, 0, 2, 0)]
    assert shown.novelty == pytest.approx(sum(bits) / 5)
    assert shown.cold_share == pytest.approx(np.mean([counts[title] < 3 for title in (0, 1, 0, 2, 0)]))


def test_the_best_are_those_of_a_full_sort() -> None:
    random = np.random.default_rng(4)
    scores = random.normal(size=(30, 50)).astype(np.float32)
    scores[random.random(scores.shape) < 0.3] = -np.inf
    for k in (1, 7, 50, 60):
        for row, found in zip(scores, best(scores, k), strict=True):
            allowed = [title for title in np.argsort(-row, kind="stable") if row[title] > -np.inf][:k]
            assert found.tolist() == allowed + [NOTHING] * (k - len(allowed))


def test_the_best_unseen_are_the_best_of_what_is_left(log: Log) -> None:
    past = log.before(START_S + 20 * 86_400)
    viewers, scores = np.arange(log.viewer_count), past.decayed(2.0)
    barred = np.where(past.seen(viewers) | ~past.candidates, -np.inf, scores)
    for k in (3, 20, 60):
        np.testing.assert_array_equal(best_unseen(scores, past, viewers, k), best(barred, k))


def test_the_gain_and_its_interval_against_a_loop() -> None:
    random = np.random.default_rng(5)
    ours, theirs = random.random(12) + 0.1, random.random(12)
    found = relative_gain(ours, theirs, seed=1)
    assert found.mean == pytest.approx(ours.sum() / theirs.sum() - 1)
    drawn = np.random.default_rng(2)
    gains = []
    for _ in range(4000):
        days = drawn.integers(12, size=12)
        gains.append(sum(ours[day] for day in days) / sum(theirs[day] for day in days) - 1)
    np.testing.assert_allclose([found.low, found.high], np.percentile(gains, [2.5, 97.5]), atol=0.05)
    assert relative_gain(theirs, theirs, seed=1).high == 0
    assert relative_gain(ours, np.zeros(12), seed=1).mean == 0


class Bad(Method):
    """Lists what a test tells it to."""

    name = "bad"

    def __init__(self, what: str) -> None:
        self.what = what

    def learn(self, past: Past) -> None:
        self.past = past

    def rank(self, at_s: int, viewers: NDArray[np.int64], k: int) -> NDArray[np.int64]:
        seen, unseen = self.past.seen(viewers), ~self.past.seen(viewers) & self.past.candidates
        lists = np.full((len(viewers), k), NOTHING)
        if self.what == "a title twice":
            lists[:, 0] = lists[:, 2] = unseen.argmax(axis=1)
        elif self.what == "what its viewer has watched":
            lists[:, 0] = seen.argmax(axis=1)
        else:
            lists[:, 0] = np.flatnonzero(~self.past.candidates)[0]
        return lists


@pytest.mark.parametrize("what", ["a title twice", "what its viewer has watched", "what nobody has watched"])
def test_lists_that_mean_nothing_are_refused(log: Log, what: str) -> None:
    at = next(at for at in moments(log, "daily") if len(step_at(log, "daily", at).viewers))
    with pytest.raises(OmegaError, match=what):
        replay([Bad(what)], steps(log, "daily", [at]), titles=60, k=5)


def test_a_tally_is_the_mean_over_all_lists(log: Log) -> None:
    found = list(steps(log, "daily", moments(log, "daily")))
    (tally,) = replay([Random(1)], found, titles=60, k=10)
    method, figures, viewers = Random(1), [], []
    for step in found:
        method.learn(step.past)
        figures.append(judged(method.rank(step.at_s, step.viewers, 10), step).ndcg)
        viewers.append(step.viewers)
    everything, who = np.concatenate(figures), np.concatenate(viewers)
    assert tally.mean("ndcg") == pytest.approx(everything.mean())
    np.testing.assert_allclose(tally.ndcg_sums, [step.sum() for step in figures])
    asked, means = tally.by_viewer()
    assert asked.tolist() == sorted(set(who.tolist()))
    np.testing.assert_allclose(means, [everything[who == viewer].mean() for viewer in asked])
