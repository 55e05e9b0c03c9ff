"""The demonstration: what it reports, that its seed decides it, and the stores that it keeps."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from omega.fleet.demo import ASKED
from omega.fleet.households import PERSONAS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Omega, Screen

    Kept = tuple[Any, Path]


def titled(recommendation: dict[str, Any]) -> str:
    return f"{recommendation['title']} {recommendation['kind']}, {recommendation['year']}"


@pytest.mark.slow
def test_it_reports_what_every_household_learned(kept: Kept) -> None:
    report, _ = kept
    assert (report["seed"], report["weeks"], report["titles"]) == (1, 6, 800)
    assert 0 < report["seconds"] < 60
    assert [outcome["household"] for outcome in report["households"]] == [persona.name for persona in PERSONAS]
    for outcome in report["households"]:
        assert outcome["events"] >= outcome["patterns"] > 0
        assert outcome["about"]
        assert outcome["habits"]
        assert [answer["asked"] for answer in outcome["answers"]] == [asked for asked, _ in ASKED]
        for title in (title for answer in outcome["answers"] for title in answer["titles"]):
            assert math.isclose(math.fsum(r["weight"] for r in title["reasons"]), title["score"], abs_tol=1e-6)


@pytest.mark.slow
def test_recommendations_please_more_than_any_title_does(kept: Kept) -> None:
    for outcome in kept[0]["households"]:
        assert 0 < 2 * outcome["appeal_any"] < outcome["appeal_recommended"] <= outcome["appeal_best"] <= 1


@pytest.mark.slow
def test_its_timings_are_in_order(kept: Kept) -> None:
    timings = kept[0]["timings"]
    assert all(value > 0 for value in timings.values())
    assert timings["recommend_cold_p50_ms"] <= timings["recommend_cold_p99_ms"]
    assert timings["recommend_warm_p50_ms"] <= timings["recommend_warm_p99_ms"]
    assert timings["recommend_warm_p50_ms"] < timings["recommend_cold_p50_ms"], "a context asked for before is cached"


@pytest.mark.slow
def test_the_same_seed_gives_the_same_titles_in_words(kept: Kept, omega: Omega) -> None:
    text = omega("demo", "--seed", "1").out
    for outcome in kept[0]["households"]:
        part = text[text.index(f"\n{outcome['household']}: {outcome['about']}") :]
        for answer in outcome["answers"]:
            listed = part[part.index(f"   {answer['asked']}  ") :].splitlines()[1:6]
            assert [re.split(r" {2,}", line.strip())[1] for line in listed] == [
                titled(title) for title in answer["titles"][:5]
            ]
        assert all(f"learned {habit}" in part for habit in outcome["habits"])
    assert f"{PERSONAS[0].name}: week 6" in text


@pytest.mark.slow
def test_another_seed_gives_other_titles_and_a_terminal_a_timeline(kept: Kept, screen: Screen) -> None:
    shown = screen("demo", "--seed", "2", "--weeks", "1")
    assert "█" in shown
    assert "day 7" in shown
    first = [titled(title) for outcome in kept[0]["households"] for title in outcome["answers"][0]["titles"][:5]]
    assert any(title not in shown for title in first)


@pytest.mark.slow
def test_the_stores_that_it_kept_open(kept: Kept, omega: Omega) -> None:
    report, folder = kept
    for outcome in report["households"]:
        status = omega("device", "status", "--store", folder / outcome["household"], "--json").json
        assert (status["events"], status["patterns"]) == (outcome["events"], outcome["patterns"])
    titles = omega("device", "recommend", "--store", folder / "night-owl", "--json").json
    assert len(titles) == 20
    assert {reason["kind"] for title in titles for reason in title["reasons"]} >= {"taste"}


@pytest.mark.slow
def test_a_folder_with_stores_is_refused_and_left_as_it_is(kept: Kept, omega: Omega) -> None:
    _, folder = kept
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*.db")}
    assert "is there already, allowed: a new name" in omega("demo", "--keep", folder, code=2).complaint
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.db")} == before
