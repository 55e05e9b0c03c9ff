"""The scan behind `forget-bytes` finds what a careless store leaves; a careful one leaves nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.claims.bench import Bench
from omega.claims.claim import run
from omega.claims.every import claims
from omega.claims.forgetting import EVENTS, stages, watched
from omega.compose import open_catalog
from omega.core.settings import resolve
from omega_storage.device_sqlite import SqliteDeviceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.claims.claim import Result


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = resolve({"home": tmp_path_factory.mktemp("home")}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as made:
        yield made


def result(bench: Bench) -> Result:
    (found,) = run(claims.chosen(["forget-bytes"], slow=True), bench)
    return found


def test_nothing_forgotten_is_found(bench: Bench) -> None:
    found = result(bench)
    assert (found.measured, found.held) == (0, True)
    assert found.details["events"] == EVENTS
    assert found.details["found_before"] == sum(found.details["stages"].values()) > 500
    assert found.details["keys_of_shared_titles_until_taken_back"] > found.details["keys_of_shared_titles_after"] == 0


def test_what_a_store_leaves_that_never_rebuilds_its_file_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteDeviceStore, "compact", lambda store: None)
    found = result(bench)
    assert found.held is False
    assert found.measured is not None
    assert found.measured > 100


def test_each_stage_forgets_some_and_the_last_one_all(bench: Bench) -> None:
    events = watched([title.id for title in open_catalog(bench.settings)])
    left = len(events)
    for stage in stages(events):
        events = [event for event in events if not stage.holds(event)]
        assert len(events) < left
        left = len(events)
    assert left == 0
