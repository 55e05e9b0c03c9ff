"""The checks behind the claims run for real; whether a time is kept is `omega prove`'s business, not a test's."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.claims import fresh
from omega.claims.bench import PATTERNS, Bench
from omega.claims.claim import run
from omega.claims.device import moods
from omega.claims.every import claims
from omega.compose import open_store
from omega.core.settings import resolve
from omega.core.types import DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega.claims.claim import Result


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = resolve({"home": tmp_path_factory.mktemp("home")}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as made:
        yield made


def result(bench: Bench, name: str) -> Result:
    (found,) = run(claims.chosen([name], slow=True), bench)
    assert found.held is not None, found.details
    assert found.measured is not None
    assert found.measured > 0
    return found


@pytest.mark.slow
def test_the_benchs_tv_holds_as_many_patterns_as_the_claims_say(bench: Bench) -> None:

    with closing(open_store(bench.tv, DIMENSIONS)) as store:
        assert (store.event_count(), store.pattern_count()) == (PATTERNS, PATTERNS)


@pytest.mark.slow
def test_search_finds_what_brute_force_finds(bench: Bench) -> None:
    details = result(bench, "search-exact").details
    assert details["recall"] == 1.0
    assert details["patterns"] == PATTERNS


@pytest.mark.slow
def test_the_matrix_and_sqlite_vec_recommend_the_same_lists(bench: Bench) -> None:
    details = result(bench, "recommend-latency").details
    assert details["lists_equal"] is True
    assert details["patterns"] == PATTERNS
    assert details["space"].startswith("minilm-int4-")
    assert details["warm_p50_ms"] <= details["warm_p99_ms"]


@pytest.mark.slow
def test_the_daemon_recommends_what_a_brain_in_this_process_does(bench: Bench) -> None:
    details = result(bench, "daemon-call").details
    assert details["lists_equal"] is True
    assert details["patterns"] == PATTERNS
    assert details["p50_ms"] > 0


@pytest.mark.slow
def test_the_memory_is_a_fresh_processs_and_below_its_peak(bench: Bench) -> None:
    found = result(bench, "device-memory")
    assert found.held
    assert found.measured == found.details["rss_mib"] <= found.details["peak_mib"]


@pytest.mark.slow
def test_lite_is_measured_on_a_copy_with_all_patterns(bench: Bench) -> None:
    details = result(bench, "lite-memory").details
    assert details["patterns"] == PATTERNS
    assert 10 < details["rss_mib"] <= details["peak_mib"] < result(bench, "device-memory").details["peak_mib"]
    assert not (bench.folder / "lite").exists()
    with closing(open_store(bench.tv, DIMENSIONS)) as store:
        assert (store.space() or "").startswith("minilm-int4-")


def test_the_help_is_timed_beside_a_bare_python(bench: Bench) -> None:
    found = result(bench, "help-time")
    assert 0 < found.details["bare_python_ms"] < (found.measured or 0)
    assert min(found.details["all_ms"]) <= (found.measured or 0) <= max(found.details["all_ms"])


def test_a_fresh_process_tells_when_it_opened_and_what_it_holds(tmp_path: Path) -> None:
    options = {"settings": {"home": str(tmp_path), "embedder": "static"}, "recommendations": 2}
    began = time.time()
    found = fresh.measure(json.dumps(options))
    assert began < found["opened_at"] < time.time()
    assert 10 < found["rss_mib"] <= found["peak_mib"]
    assert (tmp_path / "tv" / "store.db").is_file()


def test_no_mood_is_asked_for_twice() -> None:
    asked = list(moods())
    assert len(asked) >= 400
    assert len({(context.time, context.day, context.mood) for context in asked}) == len(asked)
