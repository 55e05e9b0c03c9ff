"""The terms of a score, by hand; the variety of a list, by brute force."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.catalog import Catalog
from omega.core.ranking_weights import NAMES, RankingWeights, shipped_weights
from omega.core.testing.contracts import random_units
from omega.core.testing.fakes import FakeEmbedder
from omega.core.types import ContentType, Title
from omega.device import ranking
from omega.device.others import Others
from omega.device.ranking import TERMS, Evidence, Known, Weights
from omega.device.taste import Taste
from omega.device.titles import load_or_embed, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.device.titles import TitleArrays


AGE_SHARES = np.full(6, 1 / 6, np.float32)


def one_by_one(
    total: Floats, vectors: Floats, allowed: NDArray[np.bool_], k: int, strength: float
) -> list[tuple[int, float]]:
    """Maximal marginal relevance as it is written down: (row, penalty) for each place."""
    chosen: list[tuple[int, float]] = []
    while len(chosen) < min(k, int(allowed.sum())):
        above = [row for row, _ in chosen]
        best = max(
            (float(total[row]) - max((strength * float(vectors[row] @ vectors[up]) for up in above), default=0.0), -row)
            for row in np.flatnonzero(allowed).tolist()
            if row not in above
        )
        chosen.append((-best[1], float(total[-best[1]]) - best[0]))
    return chosen


@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([0.0, 0.3, 2.0]))
def test_a_diverse_list_is_that_of_brute_force(seed: int, k: int, strength: float) -> None:
    random = np.random.default_rng(seed)
    vectors = np.abs(random_units(30, seed=seed))  # no cosine below 0, where nothing is penalized
    total = random.normal(size=30).astype(np.float32)
    allowed = random.random(30) < 0.8
    rows, variety, _ = ranking.diverse(total, vectors, allowed, k, strength)
    expected = one_by_one(total, vectors, allowed, k, strength)
    assert rows == [row for row, _ in expected]
    assert np.allclose(variety, [-penalty for _, penalty in expected], atol=1e-5)


def test_variety_moves_a_copy_of_the_first_down() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    total = np.array([3, 2.9, 2.5], np.float32)
    everything = np.ones(3, bool)
    assert ranking.diverse(total, vectors, everything, 3, 0.0)[0] == [0, 1, 2]
    rows, variety, _ = ranking.diverse(total, vectors, everything, 3, 0.6)
    assert rows == [0, 2, 1]
    assert np.allclose(variety, [0, 0, -0.6])
    assert ranking.diverse(total, vectors, np.zeros(3, bool), 3, 0.6)[0] == []


@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([0.0, 0.3, 1.0]))
def test_the_last_places_of_a_list_are_the_best_of_the_rest_with_the_trend_turned_down(
    seed: int, k: int, breadth: float
) -> None:
    random = np.random.default_rng(seed)
    vectors = np.abs(random_units(30, seed=seed))
    terms = random.normal(size=(30, len(TERMS))).astype(np.float32)
    scores = ranking.Scores(
        terms, np.zeros((30, 10), np.float32), np.zeros((30, 0), np.float32), np.zeros(30, np.float32)
    )
    allowed = random.random(30) < 0.8
    places = ranking.places(scores, vectors, allowed, k, only(breadth=breadth, variety=0.3))
    rows = [place.row for place in places]
    assert len(set(rows)) == len(rows) == min(k, allowed.sum())
    loud = [place for place in places if not place.quiet]
    first = k - round(breadth * k)
    best_by_score = one_by_one(terms.sum(axis=1), vectors, allowed, first, 0.3)
    assert [place.row for place in loud] == [row for row, _ in best_by_score]
    assert np.allclose([place.variety for place in loud], [-penalty for _, penalty in best_by_score], atol=1e-5)
    turned_down = terms.copy()
    for row, column in itertools.product(range(30), range(2)):
        turned_down[row, column] *= 0.35 if terms[row, column] > 0 else 1
    left = allowed & ~np.isin(np.arange(30), rows[: len(loud)])
    for at, place in enumerate(places[len(loud) :], len(loud)):
        above = vectors[rows[:at]]
        value: dict[int, float] = {
            row: turned_down[row].sum() - max([0.0, *(0.3 * (above @ vectors[row]))])
            for row in np.flatnonzero(left).tolist()
        }
        best = max(value.values())
        assert value[place.row] == pytest.approx(best, abs=1e-4)
        assert place.variety == pytest.approx(best - turned_down[place.row].sum(), abs=1e-4)
        left[place.row] = False
    shown = [float((scores.quiet if p.quiet else terms)[p.row].sum()) + p.variety for p in places]
    assert all(low <= high + 1e-4 for high, low in itertools.pairwise(shown)), "scores fall"


def test_only_the_pool_competes_but_a_long_list_is_whole() -> None:
    total = np.arange(500, 0, -1).astype(np.float32)
    vectors = random_units(500)
    rows, _, _ = ranking.diverse(total, vectors, np.ones(500, bool), 20, 1e6)
    assert max(rows) < ranking.POOL
    rows, _, _ = ranking.diverse(total, vectors, np.ones(500, bool), 500, 0.5)
    assert sorted(rows) == list(range(500))


def test_no_pattern_says_nothing() -> None:
    empty = Evidence(np.empty(0, np.float32), np.empty(0, np.float32), np.empty((0, 2), np.float32))
    assert ranking.habit_shares(np.eye(2, dtype=np.float32), empty).shape == (2, 0)


def test_a_habit_counts_by_nearness_outcome_and_likeness() -> None:
    """Two patterns; the second is .05 further from the context, so it weighs 1/e of the first."""
    evidence = Evidence(
        np.array([0.7, 0.65], np.float32), np.array([0.9, 0.25], np.float32), np.array([[1, 0], [0, 1]], np.float32)
    )
    titles = np.array([[1, 0], [0.6, 0.8], [-1, 0]], np.float32)
    first, second = 1 / (1 + np.exp(-1)), np.exp(-1) / (1 + np.exp(-1))
    expected = [[0.4 * first, 0], [0.6 * 0.4 * first, 0.8 * -0.25 * second], [0, 0]]
    assert np.allclose(ranking.habit_shares(titles, evidence), expected, atol=1e-6)


def others(*shares: float, households: Sequence[int] = (), **more: Sequence[float]) -> Others:
    n = len(shares)
    quality, nearness = (np.array(more.get(name, [0] * n), np.float32) for name in ("quality", "nearness"))
    return Others(np.array(shares, np.float32), np.array(households or [0] * n), quality, nearness)


def only(**weights: float) -> Weights:
    return Weights(**(dict.fromkeys(Weights.__struct_fields__, 0.0) | {"habits": 1.0} | weights))


def test_fitted_weights_take_the_place_of_the_formulas_and_leave_the_others() -> None:
    found = RankingWeights.of(range(1, 11))
    weights = Weights(habit=3.0).fitted(found)
    assert {name: getattr(weights, name) for name in NAMES} == dict(zip(NAMES, range(1, 11), strict=True))
    assert (weights.habit, weights.variety) == (3.0, Weights().variety)


@pytest.fixture(scope="module")
def three() -> TitleArrays:
    movie, series = ContentType.MOVIE, ContentType.SERIES
    rows = [("a", "war", movie, 0.0), ("b", "war", movie, 0.1), ("c", "music", series, 0.0)]
    titles = [Title(i, f"Name {i}", 2000, kind, (genre,), 90, 0, share) for i, genre, kind, share in rows]
    return load_or_embed(Catalog.build(titles), FakeEmbedder(), None)


def test_every_weight_moves_its_own_term(three: TitleArrays) -> None:
    taste = Taste(2, 384)
    for slot in (0, 0, 1):  # a war movie in context 0, a music series in context 1
        taste.add(slot, 1000, three.centered[slot * 2], three.genres[slot * 2], slot, age=3)
    mood = three.genre_vectors[1]
    evidence = Evidence(np.array([0.5], np.float32), np.array([1], np.float32), three.centered[:1])
    resume, given_up = np.array([0, 1, 0], np.float32), np.array([0, 0, -1], np.float32)
    lift, own = np.array([0.5, -0.5, 0.2, 0, 0], np.float32), np.array([0.25, 0, 0], np.float32)
    told = others(0, 0.1, 0, quality=(0, 0, 1), nearness=(0.5, 0, 0))
    ages = np.array([0, 1, 3])
    leanings = taste.leanings(0, three.genre_shares, three.kind_shares, AGE_SHARES)
    likeness = np.array([0, 0, 2], np.float32)
    known = Known(leanings, lift, own, resume, given_up, likeness, 15)

    def terms(weights: Weights) -> Floats:
        scores = ranking.score(three, told, ages, known, mood, evidence, weights)
        assert np.allclose(scores.total, scores.terms.sum(axis=1))
        return scores.terms

    assert not terms(only()).any()
    for field, term in {
        "trend": "trend",
        "surge": "trend",
        "this_year": "fresh",
        "last_year": "fresh",
        "quality": "fresh",
        "alike": "audience",
        "audience": "audience",
        "audience_settled": "audience",
        "novelty": "novelty",
        "genre": "taste",
        "content": "taste",
        "context_genre": "context",
        "context_kind": "context",
        "mood": "mood",
        "skill": "skill",
        "habit": "habit",
        "own": "habit",
        "resume": "continue",
        "given_up": "given_up",
    }.items():
        moved = terms(only(**{field: 1.0}))
        assert [name for column, name in enumerate(TERMS) if moved[:, column].any()] == [term]
        by_habits = np.allclose(terms(only(**{field: 1.0}, habits=0.5)), moved / 2)
        assert by_habits == (field in ("context_genre", "context_kind", "skill", "habit"))


def test_taste_is_the_fitted_sum_of_genre_logs_and_cosine(three: TitleArrays) -> None:
    taste = Taste(2, 384)
    taste.add(0, 1000, three.centered[2], three.genres[2], 1)
    evidence = Evidence(np.empty(0, np.float32), np.empty(0, np.float32), np.empty((0, 384), np.float32))
    nothing = np.zeros(3, np.float32)
    leanings = taste.leanings(0, three.genre_shares, three.kind_shares, AGE_SHARES)
    known = Known(leanings, np.zeros(5, np.float32), nothing, nothing, nothing, nothing, 1)
    found = ranking.score(three, others(0, 0, 0), np.full(3, 4), known, None, evidence, Weights()).terms
    war, music = np.log([(0 + 5 * 2 / 3) / 6 / (2 / 3), (1 + 5 / 3) / 6 / (1 / 3)])
    cosines = three.centered @ three.centered[2]
    fit = shipped_weights()
    taste_term = fit.genre * np.array([war, war, music]) + fit.content * cosines
    assert np.allclose(found[:, TERMS.index("taste")], taste_term, atol=1e-5)
    assert not found[:, TERMS.index("mood")].any()


def test_a_mood_fits_with_mean_0_and_variance_1(three: TitleArrays) -> None:
    music = three.genre_vectors[three.genre_names.index("music")]
    fit = ranking.mood_fit(three, music)
    assert np.allclose([fit.mean(), fit.std()], [0, 1], atol=1e-5)
    assert int(np.argmax(fit)) == 2


def test_a_moods_fit_is_four_fifths_the_genres_and_one_fifth_the_title(three: TitleArrays) -> None:
    """Two war titles share their genre's part; what is left between them is their own texts'."""
    mood = unit(three.genre_vectors[three.genre_names.index("war")] + 1.5 * random_units(1, 384)[0])

    def standard(values: Floats) -> Floats:
        return np.asarray((values - values.mean()) / values.std(), np.float32)

    own = standard(three.centered @ mood)
    war, music = (float(three.genre_vectors[three.genre_names.index(name)] @ mood) for name in ("war", "music"))
    by_genre = standard(np.array([war, war, music], np.float32))
    fit = ranking.mood_fit(three, mood)
    assert np.allclose(fit, standard(0.2 * own + 0.8 * by_genre), atol=1e-4)
    assert not np.allclose(fit, own, atol=0.02)


def test_a_mood_that_no_genre_answers_to_is_not_understood(three: TitleArrays) -> None:
    genres = three.genre_vectors
    mood = random_units(1, 384)[0]
    mood = unit(mood - genres.T @ np.linalg.lstsq(genres.T, mood, rcond=None)[0])
    assert np.allclose(genres @ mood, 0, atol=1e-5)
    assert not ranking.is_understood(three, mood)
    assert ranking.is_understood(three, genres[0])


def test_pairs_that_are_opposed_are_not_rewarded() -> None:
    vectors = np.array([[1, 0], [-1, 0]], np.float32)
    for order in itertools.permutations([1.0, 2.0]):
        _, variety, _ = ranking.diverse(np.array(order, np.float32), vectors, np.ones(2, bool), 2, 0.6)
        assert np.allclose(variety, 0)
