from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the formula needs the extra federation")

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.errors import InputError
from omega.core.types import ContentType
from omega.evaluation.baselines import HALF_LIVES_DAYS, Popularity
from omega.evaluation.contenders import Plan
from omega.evaluation.embeddings import Embeddings
from omega.evaluation.evaluate import evaluate
from omega.evaluation.log import assemble
from omega.evaluation.metrics import judged
from omega.evaluation.protocol import moments, steps
from omega.evaluation.report.page import page
from omega.evaluation.report.svg import Scale
from omega.evaluation.simulated import simulated_log
from tests.evaluation.conftest import titles, vectors

if TYPE_CHECKING:
    from omega.evaluation.log import Log
    from omega.evaluation.results import Result

FROM = date(2013, 4, 5)


@pytest.fixture(scope="module")
def result(log: Log) -> Result:
    return evaluate(log, Embeddings(log.titles, vectors(60)), Plan(score_from=FROM, k=10, seed=4))


def test_the_figures_are_those_of_a_plain_replay(log: Log, result: Result) -> None:
    method, ndcg = Popularity(2), []
    found = list(steps(log, "daily", moments(log, "daily", FROM)))
    for step in found:
        method.learn(step.past)
        ndcg.append(judged(method.rank(step.at_s, step.viewers, 10), step).ndcg)
    figures = result.method("popularity-2d")
    assert figures.ndcg == pytest.approx(np.concatenate(ndcg).mean())
    assert (result.steps, result.viewers) == (len(found), sum(len(step.viewers) for step in found))
    np.testing.assert_allclose(figures.ndcg_by_step, [day.mean() for day in ndcg], atol=1e-5)


def test_the_comparison_is_with_the_popularity_that_is_best_in_hindsight(result: Result) -> None:
    popular = {figures.name: figures.ndcg for figures in result.methods if figures.name.startswith("popularity")}
    best = result.best_popularity.hindsight
    assert popular[best] == max(popular.values())
    assert result.best_popularity.before in popular
    for figures in result.methods:
        gain = figures.vs_best_popularity
        assert gain.mean == pytest.approx(figures.ndcg / popular[best] - 1)
        assert gain.low <= gain.mean <= gain.high
        asked = sum(figures.lift_histogram)
        assert asked == len({int(viewer) for viewer in range(asked)})
    assert result.method(best).vs_best_popularity.high == 0


def test_the_formula_beats_popularity_where_tribes_differ(result: Result) -> None:
    assert result.method("formula").vs_best_popularity.mean > 0.02
    assert result.method("formula-no-audience").ndcg <= result.method("formula").ndcg + 0.02
    assert result.fit is not None
    assert all(loss >= result.fit.loss - 1e-6 for loss in result.fit.loss_without.values())


def test_the_same_seed_gives_the_same_result(log: Log, result: Result) -> None:
    again = evaluate(log, Embeddings(log.titles, vectors(60)), Plan(score_from=FROM, k=10, seed=4))
    assert [(f.name, f.ndcg, f.vs_best_popularity) for f in again.methods] == [
        (f.name, f.ndcg, f.vs_best_popularity) for f in result.methods
    ]


def test_the_page_is_well_formed_and_whole(result: Result) -> None:
    html = page(result)
    for start in range(html.count("<svg")):
        picture = html.split("<svg")[start + 1].split("</svg>")[0]
        root = ET.fromstring(f"<svg{picture}</svg>")  # noqa: S314  (it is ours)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for mark in root.iter("text"):
            assert 0 <= float(mark.attrib["x"]) <= width
            assert 0 <= float(mark.attrib["y"]) <= height
        for box in root.iter("rect"):
            assert 0 <= float(box.attrib["x"]) <= float(box.attrib["x"]) + float(box.attrib["width"]) <= width
    assert html.count("<svg") == 5
    assert html.count("<tr>") == len(result.methods) + 1
    assert "http" not in html
    assert "prefers-color-scheme:dark" in html
    assert f"{result.method('formula').ndcg:.4f}" in html


def test_scales_are_round() -> None:
    assert Scale(0, 0.23, 0, 100).ticks() == [0, 0.05, 0.1, 0.15, 0.2]
    assert Scale(0.004, 1.3, 0, 100, log=True).ticks() == [0.01, 0.1, 1.0]
    assert Scale(0.01, 1, 0, 100, log=True)(0.1) == pytest.approx(50)


def test_nobody_to_ask_is_said(log: Log) -> None:
    few = assemble(
        titles(5), np.array([0, 1, 0]), np.array([0, 1, 2]), np.ones(3), np.array([0, 86_400, 400_000]), seed=0
    )
    with pytest.raises(InputError, match="nobody is asked from"):
        evaluate(few, Embeddings(few.titles, vectors(5)), Plan())
    with pytest.raises(InputError, match="k is 0"):
        Plan(k=0)
    with pytest.raises(InputError, match="no list has a hit"):
        evaluate(log, Embeddings(log.titles, vectors(60)), Plan(score_from=date(2013, 3, 1)))


def test_households_are_simulated() -> None:
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    log = simulated_log(catalog, households=6, weeks=2, seed=3)
    assert log.viewer_count == 6
    assert {title.id for title in log.titles} == {title.id for title in catalog}
    assert len(set(zip(log.viewers.tolist(), log.watched.tolist(), strict=True))) == len(log)
    assert {title.kind for title in log.titles} == set(ContentType)
    assert 0 <= log.ratings.min() < log.ratings.max() <= 5
    assert (np.diff(log.times_s) >= 0).all()


def test_what_is_not_installed_is_left_out_with_a_line() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['implicit', 'scipy'])); sys.path.insert(0, '.')\n"
        "from tests.evaluation.conftest import drawn, vectors\n"
        "from omega.evaluation.embeddings import Embeddings\n"
        "from omega.evaluation.contenders import Plan\n"
        "from omega.evaluation.evaluate import evaluate\n"
        "log = drawn(events=400)\n"
        "found = evaluate(log, Embeddings(log.titles, vectors(60)), Plan())\n"
        "print(*(figures.name for figures in found.methods)); print(*found.left_out, sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    names, *left_out = done.stdout.splitlines()
    assert set(names.split()) == {
        "random",
        "popularity",
        *(f"popularity-{days:g}d" for days in HALF_LIVES_DAYS),
    }
    assert [line.split(":")[0] for line in left_out] == ["formula", "item-knn, ease", "als"]
    assert all("pip install 'exogenesis-omega[" in line for line in left_out)
