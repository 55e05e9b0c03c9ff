"""Audience codes tell who watches a title: made-up tastes find their titles again through 12 numbers of 4 bits."""

from __future__ import annotations

import numpy as np
import pytest

from omega.core.audience import AUDIENCE_NUMBERS, Basis
from omega.core.shard_records import TASTE_NUMBERS
from omega.device.others import unpacked
from omega.federation.audience import (
    PRIOR_CODES,
    Whitening,
    audiences_alone,
    codes_of,
    directions,
    fitted,
    points,
    whitening,
)
from omega.federation.rates import age_shares, genre_shares
from tests.federation.making import CATALOG

RANDOM = np.random.default_rng(4)
GROUPS = 10
CENTERS = RANDOM.normal(0, 3, (GROUPS, TASTE_NUMBERS))
TASTES = np.clip(np.rint(CENTERS[RANDOM.integers(0, GROUPS, 6_000)] + RANDOM.normal(0, 2, (6_000, 44))), -8, 7)
GROUP = np.argmin(((TASTES[:, None] - CENTERS) ** 2).sum(axis=2), axis=1)


def audiences(titles: int = 100) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return audiences, each of the viewers of one group."""
    heard = np.zeros((titles, 1 + TASTE_NUMBERS))
    for taste, group in zip(TASTES, GROUP, strict=True):
        heard[RANDOM.integers(0, titles // GROUPS) * GROUPS + group] += [1, *taste]
    return heard


def moments_of(
    codes: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    with_one = np.hstack([np.ones((len(codes), 1)), codes])
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = with_one.T @ with_one
    return found


def a_basis(heard: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Basis:
    found = fitted(heard, moments_of(TASTES), heard)
    return Basis(
        version=1,
        space=0,
        mean=tuple(found.mean),
        projection=tuple(map(tuple, found.projection)),
        scale=tuple(found.scale),
        genre_shares={},
        age_shares=(1.0, 0, 0, 0, 0, 0),
    )


def test_a_viewer_is_nearest_to_titles_of_his_own_group() -> None:
    heard = audiences()
    basis = a_basis(heard)
    places = unpacked(codes_of(heard, basis)) * basis.scale
    x = (TASTES - basis.mean) @ np.asarray(basis.projection).T
    odds = x @ places.T - (places**2).sum(axis=1) / 2
    right = (odds.argmax(axis=1) % GROUPS == GROUP).mean()
    assert right > 0.95, right
    by_chance = (odds.argmax(axis=1) % GROUPS == RANDOM.permutation(GROUP)).mean()
    assert by_chance < 0.3


def test_four_bits_lose_little() -> None:
    heard = audiences()
    basis = a_basis(heard)
    exact = (heard[:, 1:] - heard[:, :1] * basis.mean) @ np.asarray(basis.projection).T / (heard[:, :1] + PRIOR_CODES)
    told = unpacked(codes_of(heard, basis)) * basis.scale
    assert np.abs(told - exact).max(axis=0) == pytest.approx(np.asarray(basis.scale) / 2, rel=0.2)
    assert np.abs(told).max() <= 7 * max(basis.scale) + 1e-9


def test_whitened_viewers_have_the_same_spread_everywhere() -> None:
    means = RANDOM.normal(1, np.linspace(0.5, 9, 44), (2_000, 44))
    viewers = means[:, None] + RANDOM.normal(0, 12**0.5, (2_000, 6, 44))
    found = audiences_alone(np.hstack([np.full((2_000, 1), 6.0), viewers.sum(axis=1)]))
    assert found.mean == pytest.approx(np.ones(44), abs=0.6)
    covariance = np.cov(((viewers.reshape(-1, 44) - found.mean) @ found.matrix).T)
    assert np.diag(covariance).max() < 1.05
    assert np.diag(covariance).min() > 0.7, "the ridge takes some where viewers hardly differ"
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.05


def test_moments_give_the_spread_that_viewers_have() -> None:
    found = whitening(audiences(), moments_of(TASTES))
    covariance = np.cov(TASTES.T, bias=True)
    ridge = 0.1 * np.trace(covariance) / 44
    assert found.mean == pytest.approx(TASTES.mean(axis=0), abs=1e-9)
    assert found.matrix @ found.matrix.T == pytest.approx(np.linalg.inv(covariance + ridge * np.eye(44)), abs=1e-9)


@pytest.mark.parametrize("codes", [TASTES[:2], np.tile(TASTES[0], (50, 1))])
def test_moments_of_few_codes_or_of_one_household_are_passed_over(
    codes: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    heard = audiences()
    found, alone = whitening(heard, moments_of(codes)), audiences_alone(heard)
    assert (found.mean == alone.mean).all()
    assert (found.matrix == alone.matrix).all()


def test_what_is_noise_alone_is_not_blown_up() -> None:
    heard = np.hstack([np.full((300, 1), 4.0), RANDOM.normal(0, 12**0.5, (300, 4, 44)).sum(axis=1)])
    assert np.abs(points(heard, audiences_alone(heard))).max() < 1.5


def test_nothing_heard_is_told_as_nothing() -> None:
    nothing = np.zeros((3, 45))
    assert (whitening(nothing, np.zeros((45, 45))).matrix == np.eye(44)).all()
    assert codes_of(nothing, a_basis(audiences())) == [b""] * 3
    few = np.zeros((1, 45))
    few[0, 0] = 2.5
    assert codes_of(few, a_basis(audiences())) == [b""]
    found = fitted(nothing, np.zeros((45, 45)), nothing)
    assert found.projection.shape == (AUDIENCE_NUMBERS, TASTE_NUMBERS)
    assert (found.scale > 0).all()


def test_points_lean_towards_nobody() -> None:
    heard = np.asarray([[10.0, *[20.0] * 44], [990.0, *[1980.0] * 44]])
    found = points(heard, Whitening(np.zeros(44), np.eye(44)))
    assert found[:, 0] == pytest.approx([1.0, 1.98])


def test_the_same_points_give_the_same_axes() -> None:
    places = RANDOM.normal(0, 1, (50, 44))
    axes = directions(places)
    assert directions(places[::-1]) == pytest.approx(axes)
    assert axes.T @ axes == pytest.approx(np.eye(12))
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(12)] > 0).all()


def test_base_rates_are_shares_of_what_was_watched() -> None:
    titles, weights = np.asarray([0, 1]), np.asarray([3.0, 1.0])
    genres = genre_shares(CATALOG, titles, weights)
    assert max(genres.values()) <= 1
    assert genres == dict.fromkeys(CATALOG.titles[0].genres, 1.0)
    year = CATALOG.titles[0].year
    assert age_shares(CATALOG, titles, weights, year) == (1.0, 0, 0, 0, 0, 0)
    assert age_shares(CATALOG, titles, weights, year + 5)[3] == 1.0
    assert sum(age_shares(CATALOG, titles[:0], weights[:0], year)) == pytest.approx(1)
    assert genre_shares(CATALOG, titles[:0], weights[:0]) == CATALOG.genre_shares()
