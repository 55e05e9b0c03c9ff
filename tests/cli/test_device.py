"""One TV through the command line: it is told what was watched, and answers."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Omega, Process

RELAXED = '{"time":"evening","mood":"relaxed"}'
HEAT = '{"content_id":"heat-1995","watch_pct":0.95}'


def test_init_makes_the_store_and_is_harmless_when_done_again(omega: Omega, home: Path) -> None:
    first = omega("device", "init", "--json").json
    assert (home / "tv" / "store.db").is_file()
    assert (first["catalog_titles"], first["events"], first["embedder"]) == (800, 0, "onnx")
    omega("device", "observe", HEAT)
    again = omega("device", "init").out
    assert "800 titles, 1 events" in again
    assert first["space"] in again


def test_observe_then_recommend_with_reasons_that_sum_to_the_score(omega: Omega) -> None:
    seen = omega("device", "observe", "-", stdin=HEAT + "\n")
    assert "Heat" in seen.out
    titles = omega("device", "recommend", "--context", RELAXED, "--json").json
    assert len(titles) == 20
    assert len({title["content_id"] for title in titles}) == 20
    for title in titles:
        assert {"content_id", "title", "kind", "score", "reasons"} <= title.keys()
        assert title["kind"] in {"movie", "series", "documentary"}
        assert all(reason.keys() == {"kind", "text", "weight"} and reason["text"] for reason in title["reasons"])
        assert math.isclose(math.fsum(r["weight"] for r in title["reasons"]), title["score"], abs_tol=1e-6)
    assert "heat-1995" not in {title["content_id"] for title in titles}, "it is finished"
    assert any(reason["kind"] == "mood" for title in titles for reason in title["reasons"])


def test_what_was_watched_changes_what_is_recommended(omega: Omega) -> None:
    before = [title["content_id"] for title in omega("device", "recommend", "--context", RELAXED, "--json").json]
    omega("device", "observe", HEAT)
    assert [t["content_id"] for t in omega("device", "recommend", "--context", RELAXED, "--json").json] != before


def test_as_many_as_asked_of_the_kind_asked_for(omega: Omega) -> None:
    titles = omega("device", "recommend", "--context", '{"kind":"documentary"}', "--k", "7", "--json").json
    assert [title["kind"] for title in titles] == ["documentary"] * 7


def test_recommendations_read_as_a_numbered_list(omega: Omega) -> None:
    omega("device", "observe", HEAT)
    listed = omega("device", "recommend", "--context", RELAXED, "--k", "3", "--json").json
    lines = omega("device", "recommend", "--context", RELAXED, "--k", "3").out.splitlines()
    assert len(lines) == 4
    for number, (title, line) in enumerate(zip(listed, lines[1:], strict=True), 1):
        assert line.split()[0] == str(number)
        assert f"{title['title']} {title['kind']}, {title['year']} " in line
        assert f"{title['score']:+.2f}" in line


def test_every_field_of_an_event_is_taken(omega: Omega) -> None:
    event = {
        "content_id": "home-movie",
        "title": "Summer at the lake",
        "kind": "documentary",
        "genres": ["family"],
        "watch_pct": 1.0,
        "minutes": 12.5,
        "season": 1,
        "episode": 2,
        "at": "2026-02-07T20:30:00+01:00",
    }
    (seen,) = omega("device", "observe", json.dumps(event), "--json").json["observed"]
    assert seen["local"]
    assert seen["title"] == "Summer at the lake"
    assert omega("device", "status", "--json").json["local_titles"] == 1
    assert "stays on this TV" in omega("device", "observe", json.dumps(event)).out


def test_minutes_and_the_titles_length_make_the_share(omega: Omega) -> None:
    omega("device", "observe", '{"content_id":"heat-1995","minutes":85}')
    (watched,) = omega("device", "why", "heat-1995", "--json").json["watched"]
    assert watched["watched_milli"] == 500


def test_a_batch_keeps_its_good_lines_and_names_the_bad_ones(omega: Omega) -> None:
    bad = '{"content_id":"heat-1995","watch_pct":7}'
    lines = [HEAT, "", bad, '{"content_id":"la-battaglia-di-algeri-1966","watch_pct":0.4}', "no json"]
    Path("events.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = omega("device", "observe", "events.jsonl", code=2)
    assert len(done.out.splitlines()) == 2
    third, fifth = done.err.splitlines()
    assert "events.jsonl line 3: watch_pct is 7" in third
    assert "events.jsonl line 5: event is 'no json'" in fifth
    assert omega("device", "status", "--json").json["events"] == 2


def test_a_batch_in_json_names_them_too(omega: Omega) -> None:
    batch = omega("device", "observe", HEAT, "-", "--json", stdin='{"content_id":"heat-1995"}\n', code=2).json
    assert [seen["content_id"] for seen in batch["observed"]] == ["heat-1995"]
    (rejected,) = batch["rejected"]
    assert rejected["place"] == "stdin line 1"
    assert "watch_pct is missing" in rejected["reason"]


def test_a_file_that_is_missing_takes_nothing_of_the_others(omega: Omega) -> None:
    done = omega("device", "observe", HEAT, "missing.jsonl", code=2)
    assert "missing.jsonl" in done.complaint
    assert ("Heat" in done.out) == (omega("device", "status", "--json").json["events"] == 1), "stored, so it is said"


def test_lines_in_dos_style_and_without_an_end_are_read(omega: Omega) -> None:
    speed = '{"content_id":"speed-1994","watch_pct":1}'
    omega("device", "observe", "-", stdin=f"{HEAT}\r\n\r\n{speed}")
    assert omega("device", "status", "--json").json["events"] == 2


def test_why_says_what_speaks_for_a_title_and_against_it(omega: Omega) -> None:
    omega("device", "observe", HEAT)
    found = omega("device", "why", "heat-1995", "--context", RELAXED, "--json").json
    assert found["excluded"] == "finished"
    assert found["rank"] is None
    assert [event["watched_milli"] for event in found["watched"]] == [950]
    text = omega("device", "why", "heat-1995", "--context", RELAXED).out
    assert "not recommended: finished" in text
    assert "watched 95 %" in text


def test_why_and_recommend_agree_on_the_first_place(omega: Omega) -> None:
    omega("device", "observe", HEAT)
    (best,) = omega("device", "recommend", "--context", RELAXED, "--k", "1", "--json").json
    found = omega("device", "why", best["content_id"], "--context", RELAXED, "--json").json
    assert found["rank"] == 1
    assert found["recommendation"] == best


def test_status_tells_figures_and_habits(omega: Omega) -> None:
    assert "no habit yet" in omega("device", "status").out
    monday, now = datetime.now().astimezone(), datetime.now().astimezone()
    monday = monday.replace(hour=20, minute=0) - timedelta(days=now.weekday() + 7)
    evenings = [
        json.dumps({"content_id": content_id, "watch_pct": 1, "at": (monday - timedelta(weeks=week)).isoformat()})
        for week in range(4)
        for content_id in ("heat-1995", "fiddler-on-the-roof-1971")
    ]
    omega("device", "observe", "-", stdin="\n".join(evenings))
    found = omega("device", "status", "--json").json
    assert (found["events"], found["patterns"]) == (8, 2)
    assert found["store_bytes"] > 0
    assert "Monday evenings: movies, 8 of 8 finished" in found["habits"]
    assert "Monday evenings: movies" in omega("device", "status").out


def test_two_stores_know_nothing_of_each_other(omega: Omega) -> None:
    omega("device", "observe", HEAT, "--store", "living-room")
    omega("device", "init", "--store", "bedroom")
    assert omega("device", "status", "--store", "bedroom", "--json").json["events"] == 0
    assert omega("device", "status", "--store", "living-room", "--json").json["events"] == 1


@pytest.mark.parametrize("command", [("status",), ("recommend",), ("why", "heat-1995")])
def test_a_mistyped_store_makes_no_tv(omega: Omega, tmp_path: Path, command: tuple[str, ...]) -> None:
    typo = tmp_path / "livin-room"
    told = omega("device", *command, "--store", typo, code=3).complaint
    assert "livin-room holds no TV's store: make one with omega device init" in told
    assert not typo.exists()


def test_a_store_changes_its_embedder_and_keeps_its_events(omega: Omega) -> None:
    omega("device", "observe", HEAT)
    changed = omega("device", "status", "--embedder", "static", "--json").json
    assert changed["space"].startswith("minilm-static-")
    assert (changed["events"], changed["patterns"]) == (1, 1)


def test_nothing_is_written_outside_the_home(process: Process, home: Path, tmp_path: Path) -> None:
    elsewhere = {
        name: str(tmp_path / f"user-{name}") for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    }
    for folder in elsewhere.values():
        Path(folder).mkdir(exist_ok=True)
    for arguments in (("observe", HEAT), ("recommend", "--k", "3")):
        process("device", *arguments, env=elsewhere)
    written = [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_relative_to(home)]
    assert written == [], "a library keeps an identifier or a record of use"


@pytest.mark.parametrize("k", ["1", "800"])
def test_k_reaches_from_one_to_the_whole_catalog(omega: Omega, k: str) -> None:
    assert len(omega("device", "recommend", "--k", k, "--json").json) == int(k)


def test_a_tv_that_keeps_to_itself_is_told_what_a_sync_needs(omega: Omega, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "shard_url is not set" in omega("device", "sync", code=2).complaint
    monkeypatch.setenv("OMEGA_SHARD_URL", "carrier-pigeon://roof")
    assert (
        "URL begins with 'carrier-pigeon', allowed: grpc, grpcs, http"
        in omega("device", "sync", "--json", code=4).complaint
    )
