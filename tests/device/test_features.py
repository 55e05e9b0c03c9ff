"""The ten features, on numbers that fit into the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.ranking_weights import NAMES
from omega.device.features import features, settled, trends
from omega.device.others import Others

if TYPE_CHECKING:
    from collections.abc import Sequence


def others(*shares: float, quality: Sequence[float] = ()) -> Others:
    n = len(shares)
    told = np.array(quality or [0] * n, np.float32)
    return Others(np.array(shares, np.float32), np.zeros(n, np.int64), told, np.zeros(n, np.float32))


def test_the_trend_is_a_log_above_its_floor_and_once_more_for_what_is_well_known() -> None:
    trend, surge = trends(others(0, 0.0001, 0.0999))
    assert np.allclose(trend, [0, np.log(2), np.log(1000)], atol=1e-4)
    assert np.allclose(surge, [0, 0, np.log(25)], atol=1e-4)


def test_a_household_is_settled_by_the_titles_it_is_known_by() -> None:
    assert [settled(known) for known in (0, 15, 10**9)] == pytest.approx([-0.6, -0.1, 0.4])


def test_every_feature_stands_in_its_column() -> None:
    told = others(0, 0.0999, quality=(0.5, -1))
    columns = {"genre": [1, 2], "content": [3, 4], "novelty": [5, 6], "likeness": [7, 8]}
    found = features(told, np.array([0, 1]), **{name: np.array(c, np.float32) for name, c in columns.items()}, known=15)
    expected = {
        "trend": [0, np.log(1000)],
        "surge": [0, np.log(25)],
        "this_year": [1, 0],
        "last_year": [0, 1],
        "quality": [0.5, -1],
        "genre": [1, 2],
        "content": [3, 4],
        "novelty": [5, 6],
        "audience": [7, 8],
        "audience_settled": [-0.7, -0.8],
    }
    assert found.dtype == np.float32
    assert np.allclose(found, np.array([expected[name] for name in NAMES]).T, atol=1e-4)
