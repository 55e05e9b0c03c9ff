"""Neighbors: equal to a second implementation, of three households and more, steady, published when they are due."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.neighbors import Neighbors, decode_neighbors
from omega.core.shard_records import TASTE_NUMBERS
from omega.federation.audience import CODE_SPREAD, PRIOR_CODES, RIDGE
from omega.federation.neighbors import LEAST_LIKENESS, NEIGHBORS_S, Audiences, are_due, neighbors
from omega.federation.round import run_round
from tests.federation.making import CATALOG, KEYS, NOW, clock, federation, source, sums_of

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import Doubles
    from omega.federation.round import RoundReport

LINEAGE = CATALOG.lineage
DAY_S = 86_400


def crowds(count: int, seed: int = 0) -> Audiences:
    """Audiences in three tribes, some of fewer than three codes."""
    random = np.random.default_rng(seed)
    codes = random.integers(1, 30, count).astype(float)
    tribes = random.normal(0, 3, (3, TASTE_NUMBERS))[random.integers(3, size=count)]
    means = tribes + random.normal(0, 2, (count, TASTE_NUMBERS))
    titles = np.sort(random.permutation(5 * count)[:count]).astype(np.int64)
    return Audiences(titles, np.column_stack([codes, means * codes[:, None]]))


def brute_force(of: Audiences) -> dict[int, list[int]]:
    """Work all pairs out one by one, by the formula as it is written, the whitening by another decomposition."""
    known: dict[int, Doubles] = {int(title): row for title, row in zip(of.titles, of.heard, strict=True) if row[0] >= 3}
    total = sum(row[0] for row in known.values())
    mean = sum(row[1:] for row in known.values()) / total
    spread = np.zeros((TASTE_NUMBERS, TASTE_NUMBERS))
    for row in known.values():
        apart = row[1:] / row[0] - mean
        spread += row[0] / total * np.outer(apart, apart)
    axes, values, _ = np.linalg.svd(spread)
    values = np.maximum(values - CODE_SPREAD * len(known) / total, 0) + CODE_SPREAD
    scale = np.sqrt(values + RIDGE * values.mean())
    points = {t: ((row[1:] - row[0] * mean) @ axes) / scale / (row[0] + PRIOR_CODES) for t, row in known.items()}
    found = {}
    for title, point in points.items():
        cosines = {
            other: math.fsum(point * theirs) / math.sqrt(math.fsum(point**2) * math.fsum(theirs**2))
            for other, theirs in points.items()
            if other != title
        }
        near = sorted((other for other, value in cosines.items() if value >= LEAST_LIKENESS), key=lambda o: -cosines[o])
        if near:
            found[title] = near[:8]
    return found


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (2, 1), (12, 2), (60, 3), (90, 4)])
def test_they_equal_a_second_implementation(count: int, seed: int) -> None:
    of = crowds(count, seed)
    assert neighbors(LINEAGE, of) == Neighbors.of(LINEAGE, brute_force(of))


@pytest.mark.parametrize("block", [1, 7, 60])
def test_blocks_change_nothing(block: int) -> None:
    of = crowds(60, 3)
    assert neighbors(LINEAGE, of, block) == neighbors(LINEAGE, of)


def test_fewer_than_three_codes_have_no_neighbors_and_are_none() -> None:
    of = crowds(60, 3)
    few = set(of.titles[of.heard[:, 0] < 3].tolist())
    found = neighbors(LINEAGE, of)
    assert few
    assert not few & {*found.titles, *found.nearest}


def taste(codes: float, *first: float) -> np.ndarray[Any, Any]:
    return codes * np.asarray([1.0, *first, *[0.0] * (TASTE_NUMBERS - len(first))])


def go(folder: Path, households: dict[int, int], tastes: dict[int, Any], day: float = 0) -> RoundReport:
    moment = int(NOW + day * DAY_S)
    told = sums_of(households, tastes=tastes, made_at=moment, day=moment // DAY_S)
    return run_round(federation(folder, source(told)), now=clock(moment))


def published(folder: Path) -> dict[int, Neighbors]:
    shelf = Shelf(folder / "shelf")
    found = [one for one in shelf.verify(KEYS) if one.kind is Kind.NEIGHBORS]
    return {one.version: decode_neighbors(shelf.read(one)) for one in found}


ALIKE = {1: taste(5, 6, 2), 2: taste(9, 5, 3), 3: taste(9, -6, -2), 4: taste(6, -7, -2), 5: taste(9, 6, 2)}
COUNTS = {1: 5, 2: 9, 3: 9, 4: 6, 5: 2}


def test_a_round_publishes_them_signed_and_of_what_three_households_watched(tmp_path: Path) -> None:
    assert go(tmp_path, COUNTS, ALIKE).neighbors == 1
    [found] = published(tmp_path).values()
    assert found.lineage == LINEAGE
    assert {title: list(found.near(title)) for title in found.titles} == {1: [2], 2: [1], 3: [4], 4: [3]}


def test_no_single_visit_is_seen_in_them(tmp_path: Path) -> None:
    go(tmp_path, COUNTS, ALIKE)
    turned = ALIKE | {1: taste(6, -9, -3)}
    assert go(tmp_path, COUNTS | {1: 6}, turned, day=8).neighbors == 0, "one household more, and nothing changed"
    assert go(tmp_path, COUNTS | {1: 8}, turned, day=16).neighbors == 2
    found = published(tmp_path)[2]
    assert set(found.near(1)) <= {3, 4} != set()


def test_they_come_once_a_week_or_when_many_more_titles_have_some(tmp_path: Path) -> None:
    assert go(tmp_path, COUNTS, ALIKE).neighbors == 1
    turned = ALIKE | {1: taste(9, -9, -3)}
    assert go(tmp_path, COUNTS | {1: 9}, turned, day=2).neighbors == 0
    more = dict.fromkeys((7, 8, 9), 4)
    grown = turned | {title: taste(4, 6, 2) for title in more}
    assert go(tmp_path, COUNTS | {1: 9} | more, grown, day=3).neighbors == 2


def test_the_same_again_is_not_published_again(tmp_path: Path) -> None:
    assert go(tmp_path, COUNTS, ALIKE).neighbors == 1
    assert go(tmp_path, COUNTS, ALIKE, day=9).neighbors == 0
    for file in (tmp_path / "shelf").glob("*.json"):
        file.unlink()
    assert go(tmp_path, COUNTS, ALIKE, day=10).neighbors == 1, "a shelf that lost them gets them again"


def test_nothing_is_due_without_neighbors() -> None:
    nothing, some = Neighbors.of(LINEAGE, {}), Neighbors.of(LINEAGE, {1: [2], 2: [1]})
    assert not are_due(nothing, None, NOW)
    last = some.encode(), 2, NOW
    assert not are_due(some, last, NOW + NEIGHBORS_S)
    assert are_due(nothing, last, NOW + NEIGHBORS_S), "what is alike no more is taken back"
    assert not are_due(nothing, last, NOW + NEIGHBORS_S - 1)
