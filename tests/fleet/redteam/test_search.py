"""The search finds nothing in what is sound, and every bug that is planted."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.shard_records import LEAST_HOUSEHOLDS, TAG_RANGE, Sample
from omega.core.testing.shard_fake import MemoryShardStore, _Row
from omega.federation.showing import Showing, showing
from omega.fleet.redteam.search import Search, searched
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from pathlib import Path

    from omega.federation.merging import Merged
    from omega.fleet.redteam.search import Found

CATALOG = Catalog.read(EXAMPLE_CATALOG_PATH)


class TwoRow(_Row):
    """Shows what two households support."""

    def settle(self) -> None:
        super().settle()
        if self.shown is None and self.households == LEAST_HOUSEHOLDS - 1:
            self.shown = self.figures()


class StickyRow(_Row):
    """Takes a sample back, and not its household."""

    def add(self, sample: Sample, sign: int) -> None:
        before = set(self.tags), self.households
        super().add(sample, sign)
        if sign < 0:
            self.tags, self.households = before


class EagerRow(_Row):
    """Shows figures as they are at once."""

    def settle(self) -> None:
        super().settle()
        if self.shown:
            self.shown = self.figures()


class ForgetfulRow(_Row):
    """Shows again at three what was hidden."""

    def settle(self) -> None:
        hidden, self.hidden_day = self.hidden_day, 0
        super().settle()
        self.hidden_day = self.hidden_day or hidden


class EstimatingRow(_Row):
    """Goes on estimating when those of a crowd that it knows have left."""

    def settle(self) -> None:
        households, theta = max(self.households, len(self.tags)), self.theta
        super().settle()
        if theta < TAG_RANGE and households >= LEAST_HOUSEHOLDS and self.samples:
            self.households, self.theta = households, theta
            self.shown = self.shown or self.figures()


def store(row: type[_Row]) -> MemoryShardStore:
    made = MemoryShardStore()
    made._rows = defaultdict(row)
    return made


def search(row: type[_Row], steps: int = 450, seed: int = 3, **more: object) -> Found:
    """Search after each step, since this store shows at once what it counts."""
    return Search([store(row), store(row)], CATALOG, seed=seed, waits=(1,), **more).run(steps)  # type: ignore[arg-type]


def test_finds_nothing_in_what_is_sound() -> None:
    found = search(_Row)
    assert (found.below, found.apart, found.worst) == (0, 0, "")
    assert found.steps == found.epochs == 450
    assert found.changes > 20
    assert found.looked_at > 5_000
    assert {"watches", "forgets", "resets", "moves", "day", "lies", "comes", "goes"} <= set(found.done)


def test_finds_nothing_in_real_stores(tmp_path: Path) -> None:
    heard: list[int] = []
    [found] = searched(
        lambda number: SqliteShardStore.open(tmp_path / f"{number}.db"),
        CATALOG,
        [4],
        300,
        lambda done, total, what: heard.append(done),
    )
    assert (found.below, found.apart, found.worst) == (0, 0, "")
    assert found.changes > 20
    assert heard == [0]


@pytest.mark.parametrize(
    ("row", "what"),
    [(TwoRow, "below"), (StickyRow, "below"), (EagerRow, "apart"), (ForgetfulRow, "apart"), (EstimatingRow, "below")],
)
def test_finds_what_is_planted_in_a_shard(row: type[_Row], what: str) -> None:
    found = search(row, 700 if row is EstimatingRow else 450)
    assert getattr(found, what) > 0
    assert found.worst


def as_now(merged: Merged, day: int, least: int) -> Showing:
    """Show what so many households support, as it is now."""
    rows = merged.whole & (merged.households >= least)
    days = np.full(int(rows.sum()), day)
    columns = merged.samples[rows], merged.success_milli[rows], merged.households[rows]
    return Showing.alone(merged.keys[rows] // 16, *columns, days, merged.trends[rows])


def shows_at_once(_before: Showing, merged: Merged, day: int) -> Showing:
    return as_now(merged, day, LEAST_HOUSEHOLDS)


def test_finds_what_is_planted_in_the_federation() -> None:
    by = partial(search, _Row, 400)
    assert by(shows=showing).worst == ""
    assert by(shows=shows_at_once).apart > 0
    assert "region" in by(shows=shows_at_once).worst
