"""The check behind the memory claim, on few households; the claim's own number is `omega prove`'s business."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from omega.claims.bench import Bench
from omega.claims.memory import MANY_SEEDS, SEEDS, households
from omega.core.settings import resolve
from omega.fleet.ablation import FULL, PARTS

if TYPE_CHECKING:
    from pathlib import Path


def test_households_are_compared_with_the_settings_model(tmp_path: Path) -> None:
    settings = resolve({"home": tmp_path, "embedder": "static"}, {}).settings
    told: list[tuple[int, int, str]] = []
    with closing(Bench(settings, lambda *progress: told.append(progress))) as bench:
        table = households(bench, range(900, 903))
    assert (table.seeds, [row.variant for row in table.rows]) == ((900, 902), [FULL, *PARTS])
    assert table.any_appeal < table.row(FULL).appeal < table.best_appeal
    assert [done for done, _, _ in told] == [0, 1, 2]
    assert not list(tmp_path.rglob("store.db")), "the households' stores are no TV's"


def test_the_larger_claim_contains_the_quick_one() -> None:
    assert set(SEEDS) < set(MANY_SEEDS)
