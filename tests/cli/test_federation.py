"""`omega federation`, with shards as files: what people and programs are told, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.experiments import decode_experiments
from omega.core.shard_records import ALL_SLOTS, TASTE_SPACE, TrialSums
from omega.core.shard_sums import Columns, Facts, ShardSums, trials_that_may_be_told
from omega.core.wire import space_code

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.cli.conftest import Omega

CATALOG = Catalog.read(EXAMPLE_CATALOG_PATH)


def a_file(path: Path, shard: int, households: int, trials: Iterable[TrialSums] = ()) -> Path:
    """Write the sums of a shard where so many households watched title 5."""
    now = int(time.time())
    facts = Facts(
        shard=shard,
        region="",
        lineage=CATALOG.lineage,
        epoch=CATALOG.epoch,
        titles=len(CATALOG),
        space=space_code(TASTE_SPACE),
        day=now // 86_400,
        made_at=now,
    )
    sums, trends = (array("q", [households * each]) for each in (1, 900)), array("d", [float(households)] * 4)
    samples, success = sums
    columns = Columns(
        title=array("I", [5]),
        slot=array("B", [ALL_SLOTS]),
        samples=samples,
        success_milli=success,
        households=samples,
        progress=array("q", [1]),
        trends=trends,
        audience_title=array("I"),
        audience=array("f"),
    )
    path.write_bytes(ShardSums(facts, columns, trials=trials_that_may_be_told(trials)).encode())
    return path


@pytest.fixture
def told(omega: Omega, tmp_path: Path) -> list[str]:
    """Two shards' files and the options that a round needs."""
    omega("artifact", "keygen", tmp_path / "op.key")
    files = [a_file(tmp_path / f"{shard}.sums", shard, 2 - shard) for shard in (0, 1)]
    return [*map(str, files), "--artifacts", str(tmp_path / "shelf"), "--key", str(tmp_path / "op.key")]


def test_a_round_is_run_told_and_remembered(omega: Omega, told: list[str], tmp_path: Path) -> None:
    assert "no round was run yet" in omega("federation", "status").out
    assert omega("federation", "status", "--json").json == {"last": None, "board": 0, "age_s": None}
    out = omega("federation", "run", *told).out
    assert "round 1: published, 2 of 2 shards answered; board 1 shows 1 of 1 titles" in out
    assert out.count("counted") == 2
    report = omega("federation", "run", *told, "--json").json
    assert (report["outcome"], report["number"], report["version"]) == ("unchanged", 2, 0)
    assert [shard["outcome"] for shard in report["shards"]] == ["counted", "counted"]
    status = omega("federation", "status").out
    assert "round 2: unchanged" in status
    assert "board 1 is of" in status
    assert omega("federation", "status", "--json").json["board"] == 1
    rounds = omega("federation", "history", "--limit", "1", "--json").json["rounds"]
    assert [one["number"] for one in rounds] == [2]
    assert omega("federation", "history").out.count("published") == 1
    listed = omega("artifact", "list", tmp_path / "shelf" / "boards", "--json").json
    assert "board" in json.dumps(listed)


def test_an_experiment_is_started_looked_at_and_stopped(omega: Omega, told: list[str], tmp_path: Path) -> None:
    shelf, now = told[2:], int(time.time())
    today = time.strftime("%Y-%m-%d", time.gmtime(now))
    arms = [{"name": "as-ever", "share": 0.5}, {"name": "wide", "share": 0.5, "settings": {"breadth": 0.5}}]
    tried = {"id": "wider", "first_day": today, "last_day": today[:4] + "-12-31", "arms": arms}
    (tmp_path / "wider.json").write_text(json.dumps({"omega_experiments": 1, "experiments": [tried]}))
    experiment = "federation", "experiment"
    assert "nothing is tried" in omega("federation", "experiment", "status", *shelf).out
    out = omega("federation", "experiment", "start", tmp_path / "wider.json", *shelf).out
    assert out == f"wider: {today} to {today[:4]}-12-31, as-ever 50%, wide 50%\n"
    again = omega(*experiment, "start", tmp_path / "wider.json", *shelf, code=2).complaint
    assert "experiment wider stands twice" in again
    code = decode_experiments((tmp_path / "wider.json").read_bytes()).experiments[0].code
    for shard in (0, 1):
        days = [
            TrialSums(code, arm, now // 86_400, 2_000, 2_000, 900, 60_000 + 20_000 * arm, 2_000, 900, 5_000_000)
            for arm in (0, 1)
        ]
        a_file(tmp_path / f"{shard}.sums", shard, 3, days)
    omega("federation", "run", *told)
    shown = omega(*experiment, "status", *shelf).out
    assert "better" in shown
    assert "+10.000" in shown
    [found] = omega(*experiment, "status", *shelf, "--json").json["experiments"]
    assert [(arm["name"], arm["household_days"], arm["mean"]) for arm in found["arms"]] == [
        ("as-ever", 4_000, 30.0),
        ("wide", 4_000, 40.0),
    ]
    assert "allowed: minutes" in omega(*experiment, "status", *shelf, "--outcome", "joy", code=2).complaint
    assert omega("federation", "experiment", "stop", "wider", *shelf).out == f"wider: its last day is {today}\n"
    assert "allowed: wider" in omega(*experiment, "stop", "other", *shelf, "--json", code=2).complaint
    stopped = omega(*experiment, "stop", "wider", *shelf, "--json").json
    assert [one["last_day"] for one in stopped["experiments"]] == [today]
    started = omega(*experiment, "start", tmp_path / "nowhere.json", *shelf, "--json", code=2).complaint
    assert "nowhere.json" in started


def test_bad_shards_are_named_and_too_few_end_with_one(omega: Omega, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "1.sums").write_bytes(b"<html>")
    out = omega("federation", "run", *told).out
    assert "garbage" in out
    assert "1 of 2 shards answered" in out
    done = omega("federation", "run", *told, "--min-share", "0.9", "--json", code=1)
    assert done.json["outcome"] == "too-few"


def test_what_can_never_work_is_one_line(omega: Omega, told: list[str], tmp_path: Path) -> None:
    wrong: list[tuple[list[str], str, int]] = [
        (["http://127.0.0.1:1"], "has no token", 2),
        (["ftp://x", "--tokens", "op.key.pub"], "shard is 'ftp://x'", 2),
        (["--trends", "weekly"], "allowed: hourly, plan", 2),
        (["--strategy", "mode"], "allowed: median, private, trimmed-mean, weighted-mean", 4),
        (["--min-share", "2"], "above 0 to 1", 2),
        (["--engine", "process-pool", "--address", "tcp://x"], "no address", 2),
    ]
    for more, complaint, code in wrong:
        assert complaint in omega("federation", "run", *told, *more, code=code).complaint, more
    (tmp_path / "tokens").write_text("a b c\n")
    tokens = ("--tokens", tmp_path / "tokens")
    assert "line 1 has 3 words" in omega("federation", "run", *told, *tokens, code=2).complaint
    assert "1 to 604,800" in omega("federation", "serve", *told, "--every", "0", code=2).complaint
    assert "log-level" in omega("federation", "serve", *told, "--log-level", "loud", code=2).complaint


def test_it_is_served_until_it_is_told_to_end(told: list[str], home: Path, omega: Omega) -> None:
    command = [sys.executable, "-m", "omega_cli", "federation", "serve", *told]
    process = subprocess.Popen(
        [*command, "--every", "0.02", "--metrics-port", "0", "--json", "--log-json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMEGA_HOME": str(home)},
    )
    assert process.stdout
    ready = json.loads(process.stdout.readline())
    reports: list[dict[str, Any]] = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert ready["pid"] == process.pid
    with urllib.request.urlopen(ready["metrics_url"]) as answer:  # noqa: S310  (its own address)
        metrics = answer.read().decode()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert [report["outcome"] for report in reports] == ["published", "unchanged"]
    assert 'omega_federation_rounds_total{outcome="published"} 1.0' in metrics
    assert "omega_federation_shown_titles 1.0" in metrics
    assert "omega_federation_answered_shards 2.0" in metrics
    assert "omega_federation_board_version 1.0" in metrics
    assert "process_resident_memory_bytes" in metrics
    assert all(json.loads(line)["message"] for line in errors.splitlines())
    assert omega("federation", "status", "--json").json["board"] == 1


def test_what_private_rounds_spend_is_told(omega: Omega, told: list[str], tmp_path: Path) -> None:
    pytest.importorskip("opendp", reason="needs the extra private")
    a_file(tmp_path / "0.sums", 0, 5_000)
    line = "privacy: epsilon 0.1968 of 4 a year at delta 1e-06, 1 release, nothing below 171 samples"
    found = omega("federation", "run", *told, "--strategy", "private")
    assert line in found.out
    assert line in omega("federation", "status").out
    assert "0.1968" in omega("federation", "history").out
    [report] = json.loads(omega("federation", "history", "--json").out)["rounds"]
    assert (report["privacy"]["releases"], report["privacy"]["epsilon_a_year"], report["shown"]) == (1, 4.0, 1)
