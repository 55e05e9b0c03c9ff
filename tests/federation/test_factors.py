"""Factors from audiences: what stays along the same axes, what is orthonormal, what is told of whom."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import polar

from omega.core.errors import ArtifactError
from omega.core.factors import FACTORS, Factors, decode_factors
from omega.federation.factors import COUNT_POWER, HALF_LIFE_DAYS, Heard, arrays_of, learned, longer, new_factors

RANDOM = np.random.default_rng(4)


def heard(titles: int = 60, least: float = 3.0) -> Heard:
    counts = RANDOM.uniform(least, 40, titles)
    codes = RANDOM.normal(size=(titles, 44)) * counts[:, None]
    return Heard(np.arange(titles) * 2, np.hstack([counts[:, None], codes]))


def test_rows_are_the_nearest_orthonormal_matrix_at_length_one() -> None:
    sums = heard()
    counts, codes = sums.heard[:, 0], sums.heard[:, 1:33]
    nearest, _ = polar(codes * counts[:, None] ** COUNT_POWER)
    expected = nearest / np.linalg.norm(nearest, axis=1, keepdims=True)
    assert np.allclose(learned(sums), expected, atol=1e-9)


def test_what_is_orthonormal_already_stays_where_it_is() -> None:
    rows = np.linalg.qr(RANDOM.normal(size=(60, FACTORS)))[0]
    sums = Heard(np.arange(60), np.hstack([np.full((60, 1), 9.0), rows, np.zeros((60, 12))]))
    assert np.allclose(learned(sums), rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-9)


def test_titles_of_fewer_than_three_codes_have_none_and_move_nobody() -> None:
    few, many = heard(5, 0.5), heard()
    few.heard[:, 0] = 2.9
    both = Heard(np.concatenate([many.titles, 1000 + few.titles]), np.vstack([many.heard, few.heard]))
    assert not learned(both)[60:].any()
    assert np.allclose(learned(both)[:60], learned(many), atol=1e-9)
    assert not learned(Heard.empty()).any()


def test_a_longer_half_life_is_worked_out_of_the_shorter_sums() -> None:
    """Codes come on days 0 to 30; the sums of 20 days are seen each day, those of 60 are worked out code by code."""
    days, titles = np.sort(RANDOM.uniform(0, 30, 300)), RANDOM.integers(0, 9, 300)
    codes = np.hstack([np.ones((300, 1)), RANDOM.normal(size=(300, 44))])

    def at(day: float, half_life_days: float) -> Heard:
        found = np.zeros((9, 45))
        np.add.at(found, titles[days <= day], (codes * np.exp2(-(day - days) / half_life_days)[:, None])[days <= day])
        return Heard(np.arange(9), found)

    kept, before, last = at(0.0, HALF_LIFE_DAYS), at(0.0, 20), 0.0
    for day in np.linspace(0, 30, 31):
        kept = longer(kept, before, at(day, 20), day - last)
        before, last = at(day, 20), day
    expected = at(30.0, HALF_LIFE_DAYS).heard
    assert np.abs(kept.heard - expected).max() < 0.02 * np.abs(expected).max(), "a day's events count as its end's"


def test_a_shard_that_is_away_leaves_nothing_below_nothing() -> None:
    now = heard()
    gone = longer(now, now, Heard.empty(), 1.0)
    assert (gone.heard[:, 0] >= 0).all()
    assert not gone.heard[gone.heard[:, 0] == 0].any()


def test_only_what_may_be_told_is_told_and_what_is_shown_unchanged_stays() -> None:
    sums = heard()
    first = new_factors(sums, sums.titles[:40], np.zeros(0, np.int64), None, version=1, space=7)
    assert first is not None
    assert arrays_of(first)[0] == sums.titles[:40].tolist()
    moved = Heard(sums.titles, sums.heard + np.hstack([np.zeros((60, 1)), RANDOM.normal(size=(60, 44)) * 30]))
    second = new_factors(moved, sums.titles, sums.titles[:10], first, version=2, space=7)
    assert second is not None
    before, after = arrays_of(first)[1], arrays_of(second)[1]
    assert (after[:10] == before[:10]).all()
    assert (after[10:40] != before[10:40]).any(axis=1).all()
    expected = np.rint(127 * learned(moved))
    assert (after[10:] == expected[10:]).all()
    assert decode_factors(second.encode()) == second
    assert new_factors(Heard.empty(), sums.titles, sums.titles, None, version=1, space=7) is None


@pytest.mark.parametrize(
    ("titles", "rows", "said"),
    [
        ([1, 2], bytes(33), "8 B of titles, 33 B of rows"),
        ([2, 1], bytes(64), "don't ascend"),
        ([1, 1], bytes(64), "don't ascend"),
    ],
)
def test_what_makes_no_sense_is_refused(titles: list[int], rows: bytes, said: str) -> None:
    made = Factors(version=1, space=7, titles=np.array(titles, "<u4").tobytes(), rows=rows)
    with pytest.raises(ArtifactError, match=said):
        made.encode()


def test_bytes_of_anything_else_are_refused() -> None:
    for data in (b"", b"\x01", b"factors", bytes(17 * 2**20)):
        with pytest.raises(ArtifactError):
            decode_factors(data)
