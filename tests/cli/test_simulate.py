"""`omega simulate`: what it says, and with which exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Omega


def test_a_simulation_that_holds_says_so(omega: Omega) -> None:
    out = omega("simulate", "--devices", "60", "--days", "1", "--seed", "2").out
    assert "every sum exact" in out
    told = json.loads(omega("simulate", "--devices", "60", "--days", "1", "--seed", "2", "--json").out)
    assert told["digest"] in out
    assert told["offences"] == []


def test_a_planted_bug_is_said_with_its_seed(omega: Omega) -> None:
    out = omega("simulate", "--devices", "200", "--days", "3", "--plant", "early-ack", code=1).out
    assert "BROKEN shard-" in out
    assert "--seed 1" in out


def test_what_cannot_be_played_is_told(omega: Omega) -> None:
    assert "devices is 0, allowed: 1..200,000" in omega("simulate", "--devices", "0", code=2).complaint
    assert "plant is 'moths', allowed: aggregate" in omega("simulate", "--plant", "moths", code=2).complaint
