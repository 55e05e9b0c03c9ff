"""The claims about QUIC: real servers are measured, replays and moves are real, and the oracles can say no."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.claims.bench import Bench
from omega.claims.quic import measured, rebind
from omega.claims.replays import replay
from omega.core.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as made:
        yield made


def test_both_servers_answer_everything_and_take_early_data(bench: Bench) -> None:
    found = measured(bench, 1)
    assert found.details["connections"] == 192
    assert found.details["early_share"] > 0.98
    assert 300 < found.details["bare_us"] < 50_000
    assert 0.3 < found.value < 5
    assert 1 <= found.details["round_trips"] < 10


def test_first_flights_that_are_sent_again_change_nothing(bench: Bench) -> None:
    found = replay(bench)
    assert (found.value, found.agrees) == (0, True)
    assert found.details["resent"] == 100
    assert found.details["answered"] >= 4, "servers that had forgotten the connection took the flight up, and refused"
    assert found.details["asked_again_door"] == 0 < found.details["asked_again_bare"]


def test_connections_survive_a_move_by_the_routing_alone(bench: Bench) -> None:
    found = rebind(bench)
    assert (found.value, found.agrees) == (24, True)
    assert 0 < found.details["survived_without_routing"] < 24
