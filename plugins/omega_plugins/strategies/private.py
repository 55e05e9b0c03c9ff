"""The sum of all shards with noise: central differential privacy, once a day, within a year's budget.

The discrete Gaussian of C. Canonne, G. Kamath, T. Steinke, "The discrete Gaussian for differential privacy", NeurIPS
2020, drawn by OpenDP, and accounted in rho of zero-concentrated differential privacy: M. Bun, T. Steinke, "Concentrated
differential privacy: simplifications, extensions, and lower bounds", TCC 2016. Releases add up their rho (lemma 2.3);
rho is (epsilon, delta) with epsilon = rho + 2 sqrt(rho ln(1 / delta)) (proposition 1.3).

One sample moves a title's samples by 1 and its success by at most 1, so both together by sqrt(2).
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from omega.core.errors import InputError, MissingExtraError
from omega.core.hooks import hookimpl
from omega.core.ports import Releasing
from omega_plugins.strategies.weighted_mean import WeightedMean

if TYPE_CHECKING:
    from omega.core.ports import Doubles, Integers, Strategy

EPSILON_A_YEAR: Final = 4.0
DELTA: Final = 1e-6
RELEASES_A_YEAR: Final = 365
MILLI: Final = 1000
_SENSITIVITY: Final = math.sqrt(2) * MILLI


class Private(WeightedMean):
    """All shards' sums, added up, and released once a day with noise."""

    NAME: ClassVar[str] = "private"

    def __init__(self, epsilon: float = EPSILON_A_YEAR, delta: float = DELTA) -> None:
        """Spend `epsilon` a year, at most, with this `delta`. Raises InputError."""
        if not (0 < epsilon <= 20 and 0 < delta < 1e-3):
            raise InputError(f"epsilon is {epsilon:g}, delta {delta:g}, allowed: above 0 to 20, above 0, below .001")
        self._budget, self._delta = rho_of(epsilon, delta), delta

    def releasing(self) -> Releasing:
        """Return how sums are released. Raises MissingExtraError."""
        rho = self._budget / RELEASES_A_YEAR
        measurement = gaussian(_SENSITIVITY / math.sqrt(2 * rho))
        cost = max(float(measurement.map(_SENSITIVITY)), rho)

        def noised(milli: Integers) -> Integers:
            flat = measurement([int(number) for number in milli.ravel()])
            return np.asarray(flat, np.int64).reshape(milli.shape)

        deviation = _SENSITIVITY / math.sqrt(2 * rho) / MILLI
        return Releasing(cost, self._budget, self._delta, deviation, noised)

    def merge_moments(self, moments: Doubles) -> Doubles:
        """Return zeros: products of taste codes have no noise, so that nothing is told of them."""
        nothing: Doubles = moments[0] * 0.0
        return nothing


def rho_of(epsilon: float, delta: float) -> float:
    """Return the largest rho that is (epsilon, delta): what `epsilon_of` is turned round."""
    log = math.log(1 / delta)
    return float((math.sqrt(log + epsilon) - math.sqrt(log)) ** 2)


def gaussian(scale: float) -> Any:
    """Return OpenDP's measurement of whole numbers with this scale. Raises MissingExtraError."""
    try:
        dp = import_module("opendp.prelude")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "opendp", "private") from error
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    return dp.m.make_gaussian(*space, scale=scale)


@hookimpl
def omega_strategies() -> list[type[Strategy]]:
    """Offer Private."""
    return [Private]
