from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy", reason="neighbors need the extra federation")

from omega.evaluation.baselines import Popularity, Random, popularities
from omega.evaluation.neighbors import Ease, ItemNeighbors, ease_weights, nearest, similarities, watched_matrix
from tests.evaluation.conftest import START_S

if TYPE_CHECKING:
    from omega.evaluation.log import Log

AT_S = START_S + 30 * 86_400
EVERYBODY = np.arange(40)


def test_popularity_is_a_count_by_hand(log: Log) -> None:
    past = log.before(AT_S)
    for method in popularities():
        method.learn(past)
        half_life = None if method.name == "popularity" else float(method.name[11:-1])
        sums = np.zeros(60)
        for title, at in zip(past.watched, past.times_s, strict=True):
            sums[title] += 1 if half_life is None else 2 ** (-(AT_S - at) / 86_400 / half_life)
        found = method.rank(AT_S, EVERYBODY, 10)
        for viewer in EVERYBODY:
            seen = set(past.watched[past.viewers == viewer].tolist())
            allowed = [title for title in np.argsort(-sums, kind="stable") if title not in seen and past.counts[title]]
            assert found[viewer].tolist() == allowed[:10]
    assert Popularity(0.25).name == "popularity-0.25d"


def test_chance_is_the_same_for_the_same_seed_and_hits_all_titles(log: Log) -> None:
    lists = []
    for seed in (1, 1, 2):
        method = Random(seed)
        method.learn(log.before(AT_S))
        lists.append(method.rank(AT_S, EVERYBODY, 20))
    assert (lists[0] == lists[1]).all()
    assert (lists[0] != lists[2]).any()
    assert len(np.unique(lists[0])) > 50


def test_neighbors_are_those_of_dense_brute_force(log: Log) -> None:
    past = log.before(AT_S)
    dense = np.zeros((40, 60))
    dense[past.viewers, past.watched] = 1
    expected = np.zeros((60, 60))
    for one in range(60):
        for two in range(60):
            both = (dense[:, one] * dense[:, two]).sum()
            if one != two and both:
                cosine = both / np.sqrt(dense[:, one].sum() * dense[:, two].sum())
                expected[one, two] = cosine * both / (both + 10)
    similar = similarities(watched_matrix(past))
    np.testing.assert_allclose(similar.toarray(), expected, rtol=1e-5)
    for count in (1, 5):
        kept = nearest(similar, count).toarray()
        for row in range(60):
            assert (kept[row] > 0).sum() == min(count, (expected[row] > 0).sum())
            np.testing.assert_allclose(np.sort(kept[row])[-count:], np.sort(expected[row])[-count:], rtol=1e-5)
    method = ItemNeighbors()
    method.learn(past)
    np.testing.assert_allclose(method.scores(EVERYBODY), dense @ expected, rtol=1e-4, atol=1e-6)


def test_ease_is_the_best_linear_model_without_a_diagonal(log: Log) -> None:
    past = log.before(AT_S)
    dense = np.zeros((40, 60))
    dense[past.viewers, past.watched] = 1
    found = ease_weights((dense.T @ dense).astype(np.float32), 100.0)
    for title in range(0, 60, 7):  # each column is a ridge regression on the others
        others = [other for other in range(60) if other != title]
        gram = dense[:, others].T @ dense[:, others] + 100 * np.eye(59)
        expected = np.linalg.solve(gram, dense[:, others].T @ dense[:, title])
        np.testing.assert_allclose(found[others, title], expected, atol=1e-4)
        assert found[title, title] == 0
    method = Ease()
    method.learn(past)
    known = past.candidates
    np.testing.assert_allclose(method.scores(EVERYBODY)[:, known], (dense @ found)[:, known], atol=1e-3)
    assert np.isneginf(method.scores(EVERYBODY)[:, ~known]).all()


def test_als_finds_the_tribe_of_a_viewer(log: Log) -> None:
    pytest.importorskip("implicit", reason="ALS needs the extra eval")
    from omega.evaluation.als import ImplicitAls  # noqa: PLC0415  (an extra)

    past = log.before(AT_S)
    lists = []
    for _ in range(2):
        method = ImplicitAls(seed=1, threads=1, factors=3, regularization=0.1)
        method.learn(past)
        lists.append(method.rank(AT_S, EVERYBODY, 10))
    np.testing.assert_array_equal(lists[0], lists[1])
    sides = np.array([int(title.id[1:]) % 2 for title in log.titles])
    tribes = np.array([sides[past.watched[past.viewers == viewer]].mean() > 0.5 for viewer in EVERYBODY])
    own = (sides[lists[0]] == tribes[:, None]).mean()
    assert own > 0.65, "chance is a half"
