"""`omega plan`: what it prints and writes from costs that were kept, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.planning.test_files import COSTS

if TYPE_CHECKING:
    from tests.cli.conftest import Omega

ASKED = ("--devices", "400000000", "--concurrent", "10000000", "--interval", "10m", "--costs", "costs.json")


@pytest.fixture(autouse=True)
def _costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("costs.json").write_text(json.dumps(COSTS), encoding="utf-8")


def test_the_json_holds_all_that_a_plan_is_made_of(omega: Omega) -> None:
    found = omega("plan", *ASKED, "--json").json
    assert found["rate_per_s"] == pytest.approx(10_000_000 / 600)
    assert found["shards"] == 100
    assert found["monthly_total"] == pytest.approx(sum(found["monthly"].values()))
    assert found["costs"] == COSTS
    assert {one["basis"] for one in found["figures"]} == {"asked", "measured", "extrapolated", "assumed"}


def test_the_table_and_what_it_comes_to(omega: Omega) -> None:
    lines = omega("plan", *ASKED).out.splitlines()
    assert lines[0].startswith("400,000,000 TVs, measured on a machine")
    assert any(line.startswith("syncs ") and "16,667" in line for line in lines)
    assert lines[-1].startswith("100 shards, ")


def test_prices_are_written_edited_and_used(omega: Omega) -> None:
    before = omega("plan", *ASKED, "--write-prices", "prices.json", "--json").json
    prices = json.loads(Path("prices.json").read_text(encoding="utf-8"))
    Path("prices.json").write_text(json.dumps(prices | {"core_hour": 3 * prices["core_hour"]}), encoding="utf-8")
    after = omega("plan", *ASKED, "--prices", "prices.json", "--json").json
    assert after["monthly"]["shards"] == pytest.approx(3 * before["monthly"]["shards"])
    assert after["monthly"]["disk"] == before["monthly"]["disk"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--devices", "0"), "error: devices is 0, allowed: 1..10,000,000,000"),
        (("--devices", "5", "--concurrent", "6"), "error: concurrent is 6, allowed: 1..5, the devices"),
        (("--devices", "5", "--interval", "0s"), "error: interval is 0 s, allowed: 1 s..24h"),
        (("--devices", "5", "--interval", "often"), "error: interval is 'often', allowed: a number with"),
        (("--devices", "5", "--costs", "none.json"), "error: none.json"),
        (("--devices", "5", "--costs", "costs.json", "--postgres"), "error: costs comes with postgres"),
        (
            ("--devices", "5", "--costs", "costs.json", "--write-prices", "costs.json/prices.json"),
            "error: costs.json/prices.json can't be written",
        ),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(omega: Omega, arguments: tuple[str, ...], complaint: str) -> None:
    assert omega("plan", *arguments, code=2).complaint.startswith(complaint)
