"""`omega eval`: what it prints and writes, of a data set that is made here, and how it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.ranking_weights import NAMES, read_weights

pytest.importorskip("scipy", reason="the formula needs the extra federation")

if TYPE_CHECKING:
    from tests.cli.conftest import Omega

FILES = ("--ratings", "ratings.dat", "--movies", "movies.dat")
FIELDS = ["name", "ndcg", "recall", "mrr", "coverage", "cov5", "entropy", "novelty", "cold_share", "vs_best_popularity"]


@pytest.fixture
def files(home: Path) -> None:
    """Ratings of thirty titles by twenty viewers in six weeks, in the working folder."""
    random = np.random.default_rng(1)
    genres = ("Crime", "Drama", "Comedy")
    movies = [f"{at:04}::Film {at} ({2013 - at % 4})::{genres[at % 3]}" for at in range(30)]
    lines = [f"{random.integers(20)}::{random.integers(30):04}::8::{1362096000 + at * 9000}" for at in range(400)]
    Path("movies.dat").write_text("\n".join(movies), encoding="utf-8")
    Path("ratings.dat").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.usefixtures("files")
def test_the_json_has_the_documented_fields(omega: Omega) -> None:
    asked = ("--score-from", "2013-04-02", "--k", "5", "--audit", "--save-weights", "w.json", "--report", "r.html")
    done = omega("eval", *FILES, *asked, "--json")
    found = done.json
    assert list(found)[:4] == ["protocol", "steps", "viewers", "methods"]
    assert (found["protocol"], found["k"], found["score_from"]) == ("daily", 5, "2013-04-02")
    assert found["steps"] == len(found["days"]) > 0
    for figures in found["methods"]:
        assert list(figures)[: len(FIELDS)] == FIELDS
        assert list(figures["vs_best_popularity"]) == ["mean", "low", "high"]
        assert len(figures["ndcg_by_step"]) == found["steps"]
    names = {figures["name"] for figures in found["methods"]}
    assert {"random", "popularity", "popularity-0.25d", "item-knn", "ease", "formula", "formula-14+6"} <= names
    assert {f"formula-no-{term}" for term in ("trend", "fresh", "audience", "taste", "novelty")} <= names
    assert found["audit"]["leaks"] == []
    assert {"omega", "omega-plain", "omega-alone", "omega-no-habits"} <= names
    assert found["loop_weights"] == msgspec.to_builtins(read_weights(Path("w.json")))
    assert set(NAMES) <= set(found["loop_weights"]) <= {*NAMES, "habits"}
    assert found["loop_sizes"]["syncs"] > 0
    assert done.err == ""
    page = Path("r.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert all(name in page for name in names)


@pytest.mark.usefixtures("files")
def test_the_table_and_given_weights(omega: Omega) -> None:
    weights = ", ".join(f'"{name}": 0.5' for name in NAMES)
    Path("w.json").write_text(f'{{"omega_ranking_weights": 1, "weights": {{{weights}}}}}', encoding="utf-8")
    out = omega("eval", *FILES, "--protocol", "weekly", "--weights", "w.json", "--score-from", "2013-03-25").out
    assert out.startswith("weekly: ")
    assert "formula-14+6" in out
    assert "trend 0.500" in out
    assert "Fitted on" not in out


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "name one of the two"),
        ((*FILES, "--simulate"), "name one of the two"),
        (("--ratings", "ratings.dat"), "name one of the two"),
        ((*FILES, "--format", "netflix"), "--format is 'netflix', allowed: movietweetings, movielens, csv"),
        ((*FILES, "--protocol", "yearly"), "--protocol is 'yearly', allowed: daily, weekly, onboard"),
        ((*FILES, "--score-from", "2031-01-01"), "--score-from is 2031-01-01"),
        ((*FILES, "--weights", "nowhere.json"), "nowhere.json can't be read"),
        ((*FILES, "--weights", "movies.dat"), "movies.dat holds no ranking weights"),
        (("--ratings", "movies.dat", "--movies", "ratings.dat"), "bad lines"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(omega: Omega, arguments: tuple[str, ...], complaint: str) -> None:
    assert complaint in omega("eval", *arguments, code=2).complaint
