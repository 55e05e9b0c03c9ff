from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the fit needs the extra federation")

from scipy.optimize import minimize

from omega.core.errors import InputError
from omega.federation.ranking_fit import L2, Lists, fit, loss, spread


def lists(count: int, seed: int, weights: list[float], titles: int = 30) -> Lists:
    """Lists in which hits are drawn by the softmax of the weights, one to three of each."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, titles, len(weights))).astype(np.float32)
    open_titles = random.random((count, titles)) < 0.9
    hits = np.zeros((count, titles), bool)
    for row in range(count):
        scores = np.where(open_titles[row], features[row] @ np.array(weights), -np.inf)
        odds = np.exp(scores - scores.max())
        for _ in range(int(random.integers(1, 4))):
            hits[row, random.choice(titles, p=odds / odds.sum())] = True
    return Lists(features, open_titles, hits)


def naive(parts: list[Lists], weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The loss as it is written down: a list at a time."""
    total, count = 0.0, 0
    for part in parts:
        for features, open_titles, hits in zip(part.features, part.open, part.hits, strict=True):
            scores = [float(row.astype(float) @ weights) for row in features]
            below = sum(np.exp(score) for score, may in zip(scores, open_titles, strict=True) if may)
            each = [-np.log(np.exp(score) / below) for score, hit in zip(scores, hits, strict=True) if hit]
            total += sum(each) / len(each)
            count += 1
    return total / count


def test_loss_and_gradient_are_those_of_a_loop() -> None:
    part = lists(12, 1, [1.0, -0.5, 0.2])
    at = np.array([0.3, 0.1, -0.7])
    value, gradient = loss(part, at)
    assert value / 12 == pytest.approx(naive([part], at), rel=1e-5)
    for place in range(3):
        step = np.eye(3)[place] * 1e-4
        slope = (naive([part], at + step) - naive([part], at - step)) / 2e-4
        assert gradient[place] / 12 == pytest.approx(slope, abs=1e-4)


def test_the_fit_is_the_minimum_of_the_naive_loss() -> None:
    parts = [lists(40, 2, [1.0, -0.5, 0.2]), lists(25, 3, [1.0, -0.5, 0.2])]
    deviations = spread(parts)
    found = fit(parts)
    expected = minimize(
        lambda weights: naive(parts, weights) + L2 / 2 * float(((weights * deviations) ** 2).sum()),
        np.zeros(3),
        method="BFGS",
    )
    np.testing.assert_allclose(found.weights, expected.x, atol=2e-3)
    assert found.loss == pytest.approx(naive(parts, found.weights), rel=1e-5)
    assert found.lists == 65


def test_planted_weights_are_found_again() -> None:
    planted = [1.2, -0.6, 0.3, 0.0]
    found = fit([lists(3000, 4, planted)])
    np.testing.assert_allclose(found.weights, planted, atol=0.06)


def test_a_features_unit_does_not_matter() -> None:
    part = lists(200, 5, [1.0, -0.5])
    scaled = Lists(part.features * np.array([100, 0.01], np.float32), part.open, part.hits)
    np.testing.assert_allclose(fit([scaled]).weights * [100, 0.01], fit([part]).weights, rtol=1e-3)


def test_unused_and_constant_features_get_nothing() -> None:
    part = lists(200, 6, [1.0, -0.5, 0.4])
    constant = part.features.copy()
    constant[:, :, 1] = 3.7
    found = fit([Lists(constant, part.open, part.hits)], np.array([True, True, False]))
    assert found.weights[1] == found.weights[2] == 0
    assert found.weights[0] > 0.5
    assert fit([part]).loss < found.loss


def test_the_spread_is_that_within_lists() -> None:
    part = lists(50, 7, [1.0, 1.0])
    apart = [features[may] - features[may].mean(axis=0) for features, may in zip(part.features, part.open, strict=True)]
    np.testing.assert_allclose(spread([part]), np.concatenate(apart).std(axis=0), rtol=1e-4)


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(InputError, match="no list has a hit"):
        fit([])
