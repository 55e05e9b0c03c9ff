from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.ranking_weights import NAMES, RankingWeights
from omega.evaluation.formula.audience import four_bits, moments
from omega.evaluation.formula.facts import Facts, age_classes, facts_of
from omega.evaluation.formula.features import Features
from omega.evaluation.formula.method import Formula, broad_list
from omega.evaluation.formula.shares import rank_classes
from omega.evaluation.method import NOTHING
from omega.evaluation.protocol import step_at
from omega.federation.audience import whitener
from tests.evaluation.conftest import START_S, drawn, vectors
from tests.evaluation.formula.literal import Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.evaluation.log import Log, Past

AT_S = START_S + 20 * 86_400
WEIGHTS = RankingWeights.of([0.6, 0.3, 1.5, 1.0, 0.3, 0.5, 0.9, 0.5, 0.7, 0.5])


def factors(past: Past) -> NDArray[np.float32]:
    """Factors that were drawn by lot, unit rows."""
    return vectors(len(past.titles), 6)


@pytest.fixture(scope="module")
def small() -> Log:
    return drawn(viewers=14, count=24, events=150, days=22, seed=3)


@pytest.fixture(scope="module")
def facts(small: Log) -> Facts:
    return facts_of(small.titles, vectors(24))


@pytest.fixture(scope="module")
def features(small: Log, facts: Facts) -> Features:
    made = Features(facts, factors)
    for day in (10, 15, 20):  # as a replay does, step by step
        made.learn(small.before(START_S + day * 86_400))
    return made


@pytest.fixture(scope="module")
def literal(small: Log, facts: Facts) -> Literal:
    return Literal(small, AT_S, facts.vectors, vectors(24, 6))


def column(features: Features, viewers: NDArray[np.int64], name: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = features.block(viewers).array()[:, :, NAMES.index(name)]
    return found


EVERYBODY = np.arange(14)


def test_trend_and_freshness_are_those_of_a_loop(features: Features, literal: Literal) -> None:
    for names, ask in ((("trend", "surge"), literal.trend), (("this_year", "last_year", "quality"), literal.fresh)):
        expected = np.array([ask(title) for title in range(24)])
        for place, name in enumerate(names):
            found = column(features, EVERYBODY, name)
            np.testing.assert_allclose(found, np.tile(expected[:, place], (14, 1)), rtol=2e-5, atol=2e-6)


def test_taste_and_novelty_are_those_of_a_loop(features: Features, literal: Literal) -> None:
    known = [viewer for viewer in range(14) if literal.history(viewer)]
    for name in ("genre", "content", "novelty"):
        found = column(features, EVERYBODY, name)
        for viewer in known[:6]:
            expected = [getattr(literal, name)(viewer, title) for title in range(0, 24, 5)]
            np.testing.assert_allclose(found[viewer, ::5], expected, rtol=2e-4, atol=2e-5)


def test_taste_codes_are_those_of_a_loop(features: Features, literal: Literal, small: Log) -> None:
    codes = features.learn(small.before(AT_S)).tastes
    count = len(literal.events)
    for event in range(0, count, 7):
        np.testing.assert_allclose(codes.before[event], literal.code(literal.events[event][0], event), atol=1e-5)
    for viewer in range(14):
        np.testing.assert_allclose(codes.now[viewer], literal.code(viewer, count), atol=1e-5)


def test_the_audience_is_that_of_a_loop(features: Features, literal: Literal) -> None:
    mean, whitened, means = literal.audiences()
    rows = np.array([means[title] for title in range(24)])
    _, _, directions = np.linalg.svd(rows, full_matrices=False)
    basis = directions[:12].T
    told = np.array([literal.households(title) >= 3 for title in range(24)])
    assert 0 < told.sum() < 24
    codes = np.zeros((24, 12))
    exact = rows[told] @ basis
    scale = np.abs(exact).max() / 7
    codes[told] = np.round(exact / scale) * scale
    for viewer in range(14):
        position = (literal.code(viewer, len(literal.events)) - mean) @ whitened @ basis
        expected = codes @ position - (codes**2).sum(axis=1) / 2
        found = column(features, EVERYBODY, "audience")[viewer]
        # A number on the edge between two codes may fall on either side.
        np.testing.assert_allclose(found, expected, atol=float(scale * np.abs(position).max()) + 1e-5)
        assert np.median(np.abs(found - expected)) < 1e-4
        n = len(literal.history(viewer))
        settled = column(features, EVERYBODY, "audience_settled")[viewer]
        np.testing.assert_allclose(settled, found * (n / (n + 15) - 0.6), rtol=1e-4, atol=1e-6)


def test_scores_are_the_features_times_the_weights(features: Features) -> None:
    block = features.block(EVERYBODY)
    expected = block.array() @ np.array(WEIGHTS.values, np.float32)
    np.testing.assert_allclose(block.own(WEIGHTS.values) + block.everybodys(WEIGHTS.values), expected, atol=1e-4)
    part = np.array([3, 9, 21])
    np.testing.assert_allclose(features.block(EVERYBODY, part).array(), block.array()[:, part], atol=1e-6)


def test_the_lists_are_those_of_a_sort(small: Log, facts: Facts) -> None:
    features = Features(facts, factors)
    step = step_at(small, "daily", AT_S)
    plain = Formula("plain", features, WEIGHTS)
    broad = Formula("broad", features, WEIGHTS, broad=True)
    for method in (plain, broad):
        method.learn(step.past)
    block = features.block(EVERYBODY)
    everybodys, own = block.everybodys(WEIGHTS.values), block.own(WEIGHTS.values)
    lists, broads = plain.rank(AT_S, EVERYBODY, 10), broad.rank(AT_S, EVERYBODY, 10)
    for viewer in EVERYBODY:
        open_titles = np.flatnonzero(step.past.candidates & ~step.past.seen(EVERYBODY)[viewer])
        score = {title: own[viewer, title] + everybodys[title] for title in open_titles}
        expected = sorted(open_titles, key=lambda title: -score[title])[:10]
        assert lists[viewer, : len(expected)].tolist() == expected
        rest = [title for title in open_titles if title not in expected[:7]]
        rest.sort(key=lambda title: -(own[viewer, title] + 0.35 * everybodys[title]))
        assert [title for title in broads[viewer] if title != NOTHING] == [*expected[:7], *rest[:3]]


def test_fourteen_and_six() -> None:
    everybodys = np.linspace(10, 0, 60).astype(np.float32)
    own = np.zeros((1, 60), np.float32)
    own[0, 59] = 6
    found = broad_list(everybodys, own, 20)[0]
    assert found[:14].tolist() == list(range(14))
    assert found[14] == 59, "what suits the viewer comes first where fashion counts for a third"
    assert found[15:].tolist() == list(range(14, 19))


def test_a_term_that_is_removed_counts_nothing(features: Features) -> None:
    block = features.block(EVERYBODY)
    left = WEIGHTS.without(["trend", "fresh"])
    assert not block.everybodys(left.values).any()
    assert not block.own(WEIGHTS.without(["audience", "taste", "novelty"]).values).any()


def test_whitened_codes_have_nearly_unit_covariance() -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=(4000, 6)) @ np.diag([3.0, 2, 2, 1, 1, 1]) + 5
    mean, covariance = moments(z, np.ones(4000))
    np.testing.assert_allclose(mean, z.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(z.T, bias=True))
    white = np.cov(((z - mean) @ whitener(covariance)).T)
    values = np.linalg.eigvalsh(covariance)
    np.testing.assert_allclose(np.diag(white), values / (values + 0.1 * values.mean()), rtol=1e-2)
    np.testing.assert_allclose(white - np.diag(np.diag(white)), 0, atol=1e-2)


def test_classes_and_codes() -> None:
    assert age_classes(np.array([-3, 0, 1, 2, 3, 4, 10, 11, 25, 26, 90])).tolist() == [0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    sums = np.concatenate([np.arange(1500, 0, -1.0), [0]])
    assert rank_classes(sums)[[0, 9, 10, 29, 30, 99, 100, 299, 300, 999, 1000, 1500]].tolist() == [
        *(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5)
    ]
    coded = four_bits(np.array([-7.0, 3.4, 3.6, 0.2]))
    np.testing.assert_allclose(coded, [-7, 3, 4, 0])
    assert not four_bits(np.zeros(3)).any()
