"""Price and cost files: what is shipped, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from omega.core.errors import InputError
from omega.planning.costs import Costs, read_costs
from omega.planning.prices import SHIPPED_PATH, read_prices

if TYPE_CHECKING:
    from pathlib import Path

COSTS = {
    "machine": "a machine",
    "measured_at": "2026-11-23T00:00:00+00:00",
    "store": "sqlite",
    "server_us": {"http": 200.0},
    "store_us": None,
    "rate_per_s": {"http": 1_000.0},
    "sent_bytes": 24.0,
    "received_bytes": 60.0,
    "row_bytes": 70.0,
    "process_bytes": 100_000_000,
}


def test_costs_come_back_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    made = msgspec.convert(COSTS, Costs)
    file.write_bytes(msgspec.json.encode(made))
    assert read_costs(file) == made


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"omega_prices": 2}, "omega_prices is 2, allowed: 1"),
        ({"busy": 0}, "busy is 0"),
        ({"busy": 2}, "busy is 2"),
        ({"core_hour": -1}, "core_hour is -1"),
        ({"copies": 0}, "copies is 0"),
        ({"commits_per_s": 0}, "commits_per_s is 0"),
        ({"traffic_gib": "free"}, "holds no prices"),
        ({"discount": 1}, "holds no prices"),
    ],
)
def test_prices_that_are_none(tmp_path: Path, changed: dict[str, Any], complaint: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(json.loads(SHIPPED_PATH.read_text(encoding="utf-8")) | changed), encoding="utf-8")
    with pytest.raises(InputError, match=complaint) as refused:
        read_prices(file)
    assert "prices.json" in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"server_us": {}}, "server_us holds nothing, allowed: http"),
        ({"server_us": {"http": 1, "smtp": 2}}, "server_us holds http, smtp"),
        ({"row_bytes": -1}, "row_bytes is -1"),
        ({"server_us": {"http": 1e300}}, "server_us.http is 1e"),
        ({"store": "paper"}, "holds no costs"),
    ],
)
def test_costs_that_are_none(tmp_path: Path, changed: dict[str, Any], complaint: str) -> None:
    file = tmp_path / "costs.json"
    file.write_text(json.dumps(COSTS | changed), encoding="utf-8")
    with pytest.raises(InputError, match=complaint):
        read_costs(file)


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 90_000, b"\xff\xfe"])
def test_a_file_of_something_else(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "some.json"
    file.write_bytes(raw)
    for read in (read_prices, read_costs):
        with pytest.raises(InputError, match=r"some\.json"):
            read(file)
