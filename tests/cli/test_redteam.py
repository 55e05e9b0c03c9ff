"""`omega federation redteam`: what people and programs are told, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Omega

SMALL = "--households", "32", "--poisoned", "10"


def test_draws_a_table_and_says_how_much_of_the_bounds_was_used(omega: Omega) -> None:
    out = omega("federation", "redteam", *SMALL, "--attack", "quiet", "--attack", "sybils", "--strategy", "median").out
    head, *rows, last = out.splitlines()
    assert head.split()[:2] == ["attack", "strategy"]
    assert [row.split()[:2] for row in rows] == [["quiet", "median"], ["sybils", "median"]]
    assert "4 (4 denied)" in rows[1]
    assert last.startswith("shares are of the attack's title")
    assert last.endswith("% was used")


def test_tells_programs_all_of_it(omega: Omega) -> None:
    told = json.loads(
        omega("federation", "redteam", *SMALL, "--attack", "boost", "--seed", "3", "--seed", "4", "--json").out
    )["outcomes"]
    assert [(one["seed"], one["strategy"]) for one in told] == [
        (seed, strategy) for seed in (3, 4) for strategy in ("weighted-mean", "median", "trimmed-mean")
    ]
    for one in told:
        assert one["acts"] == 1024 * one["devices"] == 1024 * 4
        assert one["gained"] == one["trend"][1] - one["trend"][0] <= one["gain_bound"]
        assert 0 < one["of_bound"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--attack", "magic"), "attack is 'magic', allowed: quiet, boost, bury, noise, sybils"),
        (("--poisoned", "60"), "poisoned is 0.6, allowed: above 0 to .5"),
        (("--poisoned", "0"), "poisoned is 0, allowed: above 0 to .5"),
    ],
)
def test_refuses_what_it_cannot_play(omega: Omega, arguments: tuple[str, ...], message: str) -> None:
    refused = omega("federation", "redteam", *arguments, code=2)
    assert message in refused.err
