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
def test_it_reports_what_the_street_told_and_heard(kept: Kept) -> None:
    street = kept[0]["street"]
    assert street["neighbors"] == 9
    assert 0 < street["titles_shown"] < street["titles_counted"] <= 800
    held = street["round"]
    assert (held["titles_counted"], held["titles_shown"]) == (street["titles_counted"], street["titles_shown"])
    assert 0 < held["titles_together"] < held["titles_shown"]
    assert 0 < held["neighbors"] <= held["audiences"] <= held["titles_shown"], "the model's taste codes came along"
    assert [shard["tvs"] for shard in held["shards"]] == [6, 6]
    assert max(one["households"] for one in held["lately"]) == held["lately"][0]["households"] >= 3
    assert [heard["household"] for heard in street["heard"]] == [persona.name for persona in PERSONAS]
    assert any(answer["risen"] for heard in street["heard"] for answer in heard["answers"])
    for synced in street["synced"]:
        assert (synced["error"], synced["waiting"]) == (None, 0)
        assert min(synced[name] for name in ("rows", "sent_bytes", "received_bytes", "round_trips")) > 0


def test_without_neighbors_there_is_no_street(omega: Omega) -> None:
    done = omega("demo", "--weeks", "1", "--neighbors", "0", "--json")
    assert done.json["street"] is None
    assert done.err == ""
    assert "the street" not in omega("demo", "--weeks", "1", "--neighbors", "0").out


def test_a_street_too_few_for_three_of_a_kind_changes_nothing(omega: Omega) -> None:
    text = omega("demo", "--weeks", "1", "--seed", "2", "--neighbors", "1").out
    assert "tell of the 0 that 3 households" in text
    assert "no list changed because of the others" in text


@pytest.mark.parametrize("neighbors", ["-1", "51"])
def test_a_street_too_long_is_refused(omega: Omega, neighbors: str) -> None:
    assert "0<=x<=50" in omega("demo", "--neighbors", neighbors, code=2).err


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
    text = omega("demo", "--seed", "1", "--neighbors", "9").out
    for outcome in kept[0]["households"]:
        part = text[text.index(f"\n{outcome['household']}: {outcome['about']}") :]
        for answer in outcome["answers"]:
            listed = part[part.index(f"   {answer['asked']}  ") :].splitlines()[1:6]
            assert [re.split(r" {2,}", line.strip())[1] for line in listed] == [
                titled(title) for title in answer["titles"][:5]
            ]
        assert all(f"learned {habit}" in part for habit in outcome["habits"])
    assert f"{PERSONAS[0].name}: week 6" in text
    _street_in_words(kept[0], text)


def _street_in_words(report: Any, text: str) -> None:
    street = report["street"]
    assert "neighbors watch and sync: 9 of 9, neighbor-9, " in text
    part = text[text.index("\nthe street: 9 neighbors and these 3 sync with 2 shards\n") :].splitlines()
    told = {line.split()[0]: line.split()[1:] for line in part[3:16]}
    for synced in street["synced"]:
        count, waiting, sent, received, trips = told[synced["household"]]
        assert (count, waiting, trips) == tuple(f"{synced[name]:,}" for name in ("rows", "waiting", "round_trips"))
        assert abs(int(sent.replace(",", "")) - synced["sent_bytes"]) < 10, (
            "which pull was heard first is a matter of time"
        )
        assert int(received) > 0
    assert f"counted {street['titles_counted']} titles and tell of the {street['titles_shown']} that 3" in text
    held = street["round"]
    assert f"{held['titles_together']} of them known to no shard alone" in text
    for number, shard in enumerate(held["shards"], 1):
        told_alone = f"counted {shard['titles_counted']} titles, {shard['titles_shown']} of them"
        assert f"  shard {number}, {shard['tvs']} TVs: {told_alone}" in text
    assert ", ".join(f"{one['title']} ({one['households']})" for one in held["lately"]) in text
    for before, after in zip(report["households"], street["heard"], strict=True):
        figures = f"{after['appeal_recommended']:.2f} of 1, {before['appeal_recommended']:.2f} before it heard"
        assert f"{before['household']} would enjoy the first ten titles {figures}" in text
    rows = [re.split(r" {2,}", line.strip()) for line in part]
    lists = [rows[at + 1 : at + 6] for at, row in enumerate(rows) if row[0] in ("before", "after")]
    answers = [
        (old["titles"], new["titles"], new["risen"])
        for before, after in zip(report["households"], street["heard"], strict=True)
        for old, new in zip(before["answers"], after["answers"], strict=True)
    ]
    [(old, new, risen)] = [a for a in answers if [titled(t) for t in a[0][:5]] == [row[1] for row in lists[0]]]
    places = {title["content_id"]: place for place, title in enumerate(old, 1)}
    assert set(risen) & {title["content_id"] for title in new[:5]}
    for title, row in zip(new[:5], lists[1], strict=True):
        lifted = title["content_id"] in risen
        was = f" was {places[title['content_id']]}" if title["content_id"] in places else " new"
        assert row[1] == titled(title) + (was if lifted else "")
        assert bool(re.match(r"\d+ households watched it lately", row[3])) or not lifted


@pytest.mark.slow
def test_another_seed_gives_other_titles_and_a_terminal_a_timeline(kept: Kept, screen: Screen) -> None:
    shown = screen("demo", "--seed", "2", "--weeks", "1")
    assert "█" in shown
    assert "day 7" in shown
    assert "9 of 9" in shown
    assert "the shards add up" in shown
    assert "the shards hear" in shown
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
