"""The strategy `private`: its noise is what it says, and so is what it costs."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from omega.core.errors import InputError
from omega.core.testing.federation_contract import moments_of_shards
from omega_plugins.strategies.private import RELEASES_A_YEAR, Private, rho_of

SIGMA_BY_HAND = 37.9127
"""Of epsilon 4 at delta 1e-6: rho (sqrt(L + 4) - sqrt(L))^2 = .253936 with L = 13.8155; sqrt(2 / (2 rho / 365))."""


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 1e-6), (21.0, 1e-6), (1.0, 0.0), (1.0, 0.01), (math.nan, 1e-6)])
def test_budgets_that_mean_nothing_are_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(InputError, match="allowed"):
        Private(epsilon, delta)


@pytest.mark.parametrize(("epsilon", "exact"), [(0.1, 0.067122), (4.0, 3.33654)])
def test_the_budget_is_above_what_a_year_of_gaussians_costs_by_their_exact_formula(
    epsilon: float, exact: float
) -> None:
    # An oracle of its own: 365 Gaussians are one whose deviation is smaller by sqrt(365), and of one the exact epsilon
    # at a delta is known (B. Balle, Y.-X. Wang, ICML 2018, theorem 8). The bound by rho may only be above it.
    # dp-accounting 0.6 says 3.33654 of epsilon 4.
    rho = rho_of(epsilon, 1e-6)
    assert rho + 2 * math.sqrt(rho * math.log(1e6)) == pytest.approx(epsilon)
    sigma = math.sqrt(RELEASES_A_YEAR / (2 * rho)) / math.sqrt(RELEASES_A_YEAR)
    low, high = 0.0, 2 * epsilon
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _delta(sigma, middle) > 1e-6 else (low, middle)
    assert high <= epsilon
    assert high == pytest.approx(exact, rel=1e-3)


def _delta(sigma: float, epsilon: float) -> float:
    """Return the delta of one Gaussian whose sensitivity is 1."""
    half, shift = 1 / (2 * sigma), epsilon * sigma
    return _normal(half - shift) - math.exp(epsilon) * _normal(-half - shift)


def _normal(at: float) -> float:
    return math.erfc(-at / math.sqrt(2)) / 2


def test_products_of_taste_codes_are_told_of_nobody() -> None:
    moments = moments_of_shards(3)
    assert moments.any()
    assert not Private().merge_moments(moments).any()


def test_noise_has_the_stated_deviation_and_no_drift() -> None:
    releasing = Private().releasing()
    assert releasing.deviation == pytest.approx(SIGMA_BY_HAND, abs=1e-4)
    assert releasing.rho * RELEASES_A_YEAR == pytest.approx(releasing.budget)
    came = np.tile(np.asarray([[7_000, 3_000]]), (10_000, 1))
    noise = (releasing.noised(came) - came) / 1000
    deviation, count = releasing.deviation, noise.size
    # OpenDP draws from the system's randomness, without a seed: bounds that fail once in a million runs.
    assert abs(noise.mean()) < 5 * deviation / math.sqrt(count)
    assert abs(noise.var() / deviation**2 - 1) < 5 * math.sqrt(2 / count)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 5 / math.sqrt(len(noise))
    counts = np.histogram(noise / deviation, [-np.inf, -2, -1, 0, 1, 2, np.inf])[0]
    expected = [count * (high - low) for low, high in pairwise([0, *map(_normal, (-2, -1, 0, 1, 2)), 1])]
    assert counts == pytest.approx(expected, abs=5 * math.sqrt(count / 4))
