"""The checks behind the wire's claims see what they judge."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.claims.bench import Bench
from omega.claims.claim import run
from omega.claims.every import claims
from omega.core.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.claims.claim import Result


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = resolve({"home": tmp_path_factory.mktemp("home")}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as made:
        yield made


def held(bench: Bench, name: str) -> Result:
    (found,) = run(claims.chosen([name], slow=False), bench)
    assert found.held is True, found
    return found


def test_the_longest_push_is_of_hashed_titles(bench: Bench) -> None:
    found = held(bench, "push-bytes")
    assert found.measured == found.details["100_hashed_worst"] > found.details["100_worst"] > 5 * 100 / 4
    assert 40 < found.details["5_mean"] <= found.details["5_worst"] <= 64


def test_the_pull_grows_with_its_trends(bench: Bench) -> None:
    found = held(bench, "pull-bytes")
    assert found.details["100_and_200_worst"] > (found.measured or 0) > 100 * 4


def test_the_json_holds_the_embeddings(bench: Bench) -> None:
    found = held(bench, "wire-ratio")
    assert found.details["json_bytes"] > 100 * 384 * 8
    assert found.details["json_zstd19_bytes"] > 10 * found.details["frame_bytes"]


def test_both_ways_are_timed(bench: Bench) -> None:
    (found,) = run(claims.chosen(["codec-time"], slow=False), bench)
    assert found.measured == max(found.details["encode_push_100"], found.details["decode_push_100"])
    assert 0 < found.details["decode_push_5"] < found.details["decode_push_100"]


@pytest.mark.slow
def test_references_stand_for_vectors(bench: Bench) -> None:
    found = held(bench, "reference-fidelity")
    assert 1 < found.details["frames"] < 6
    assert found.details["bytes"] < 1_000 * 6
