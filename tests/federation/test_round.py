"""A round: what it publishes, what it leaves alone, and that a kill at any moment costs nothing but time."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import decode_basis
from omega.core.errors import BusyError, InputError, TransportError
from omega.core.factors import decode_factors
from omega.device.others import unpacked
from omega.federation.factors import arrays_of
from omega.federation.history import History
from omega.federation.lease import lease
from omega.federation.publishing import KEPT
from omega.federation.round import BASIS_S, REFRESH_S, run_round
from omega_plugins.strategies.median import Median
from tests.federation.making import KEYS, NOW, boards, clock, federation, source, sums_of

if TYPE_CHECKING:
    from pathlib import Path

    from omega.federation.collecting import Source
    from omega.federation.round import RoundReport

HOUR = 3600


def heard(count: float, *first: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray([count, *first, *[0.0] * (44 - len(first))])


def at_hour(hour: int) -> dict[str, Any]:
    moment = int(NOW) + hour * HOUR
    return {"made_at": moment, "day": moment // 86_400}


def two_shards(hour: int = 0, more: int = 0) -> list[Source]:
    one = sums_of({1: 2, 2: 9 + more, 3: 1}, 0, tastes={1: heard(2, 6), 2: heard(9, -20, 8)}, **at_hour(hour))
    other = sums_of({1: 1, 2: 4, 3: 1, 7: 5}, 1, tastes={1: heard(1, 5), 7: heard(5, 3, -9)}, **at_hour(hour))
    return [source(one), source(other)]


def go(folder: Path, *sources: Source, hour: float = 0, **changed: Any) -> RoundReport:
    return run_round(federation(folder, *sources, **changed), now=clock(NOW + hour * HOUR))


def test_two_here_and_one_there_are_shown_and_two_in_all_are_not(tmp_path: Path) -> None:
    report = go(tmp_path, *two_shards())
    assert (report.outcome, report.version, report.answered) == ("published", 1, 2)
    assert (report.titles, report.shown, report.rows) == (4, 3, 8)
    [board] = boards(tmp_path).values()
    rows = {row.title: row for row in board.sections[""].rows}
    assert [row.title for row in board.sections[""].rows] == [2, 7, 1]
    assert {title: row.figures.households for title, row in rows.items()} == {1: 3, 2: 13, 7: 5}
    assert (rows[2].figures.samples, rows[2].figures.success_milli) == (26, 23_400)
    assert report.quality == 1.0, "of 6 samples at .9 the posterior is .8, of 10 it is .833"
    assert board.section("anywhere") == board.sections[""]


def test_audiences_are_told_by_the_basis_that_lies_beside(tmp_path: Path) -> None:
    go(tmp_path, *two_shards())
    shelf = Shelf(tmp_path / "shelf")
    [manifest] = [found for found in shelf.verify(KEYS) if found.kind is Kind.AUDIENCE]
    basis = decode_basis(shelf.read(manifest))
    [board] = boards(tmp_path).values()
    assert (manifest.version, basis.version) == (1, 1)
    assert board.basis == basis.version
    codes = {row.title: tuple(unpacked([row.audience])[0].tolist()) for row in board.sections[""].rows}
    for title, sums in ((1, heard(3, 11)), (2, heard(9, -20, 8)), (7, heard(5, 3, -9))):
        place = np.asarray(basis.projection) @ (sums[1:] - sums[0] * np.asarray(basis.mean)) / (sums[0] + 10)
        assert np.abs(np.asarray(codes[title]) * basis.scale - place).max() <= max(basis.scale)
    assert sum(basis.age_shares) == pytest.approx(1, abs=0.01)


def test_factors_come_once_a_week(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")

    def versions() -> list[int]:
        return sorted(found.version for found in shelf.verify(KEYS) if found.kind is Kind.FACTORS)

    for hour, expected in ((0, [1]), (24, [1]), (167, [1]), (168, [1, 2])):
        go(tmp_path, *two_shards(hour, more=hour), hour=hour)
        assert versions() == expected
    newest = next(found for found in shelf.verify(KEYS) if found.kind is Kind.FACTORS and found.version == 2)
    factors = decode_factors(shelf.read(newest))
    titles, rows = arrays_of(factors)
    assert (factors.version, titles) == (2, [1, 2, 7])
    assert np.linalg.norm(rows.astype(float), axis=1) == pytest.approx([127] * 3, abs=3)


def test_the_same_sums_publish_nothing_new(tmp_path: Path) -> None:
    assert go(tmp_path, *two_shards()).version == 1
    again = go(tmp_path, *reversed(two_shards()), hour=1)
    assert (again.outcome, again.version, again.number) == ("unchanged", 0, 2)
    assert list(boards(tmp_path)) == [1]
    assert go(tmp_path, *two_shards(), hour=1, strategy=Median()).version == 2, "another strategy says something else"
    assert go(tmp_path, *two_shards(), hour=2, strategy=Median()).version == 0
    assert go(tmp_path, *two_shards(), hour=1 + REFRESH_S / HOUR, strategy=Median()).version == 3, "boards grow old"


def test_figures_and_codes_stay_until_three_further_households_came(tmp_path: Path) -> None:
    go(tmp_path, *two_shards())
    go(tmp_path, *two_shards(1, more=2), hour=1)
    go(tmp_path, *two_shards(2, more=3), hour=2)
    first, second, third = (board.sections[""] for board in boards(tmp_path).values())
    assert first == second
    assert [row.figures.households for row in third.rows] == [16, 5, 3]
    assert first.rows[1:] == third.rows[1:]


def test_a_basis_serves_for_a_day(tmp_path: Path) -> None:
    versions = [go(tmp_path, *two_shards(hour, more=hour), hour=hour).basis for hour in (0, 12, 23, 25)]
    assert versions == [1, 1, 1, 2]
    assert BASIS_S == 24 * HOUR


def test_without_taste_codes_there_is_no_basis(tmp_path: Path) -> None:
    report = go(tmp_path, source(sums_of({1: 5}, milli=700)))
    assert (report.version, report.basis, report.quality) == (1, 0, 0.0)
    assert boards(tmp_path)[1].sections[""].rows[0].audience == b""


def test_regions_are_told_apart_and_together(tmp_path: Path) -> None:
    told = [sums_of({at: 4, 9: 2}, at, region=region) for at, region in enumerate(("eu", "eu", "us", ""))]
    go(tmp_path, *map(source, told))
    sections = boards(tmp_path)[1].sections
    titles = {region: sorted(row.title for row in of.rows) for region, of in sections.items()}
    assert titles == {"": [0, 1, 2, 3, 9], "eu": [0, 1, 9], "us": [2]}


def test_a_shard_that_is_away_counts_with_its_last_answer_and_too_few_publish_nothing(tmp_path: Path) -> None:
    go(tmp_path, *two_shards())
    away = source(TransportError("away"), "shard-1")
    report = go(tmp_path, two_shards(1, more=3)[0], away, hour=1)
    assert (report.outcome, report.answered) == ("published", 1)
    assert [shard.outcome for shard in report.shards] == ["counted", "kept"]
    assert {row.title for row in boards(tmp_path)[2].sections[""].rows} == {1, 2, 7}
    gone = source(TransportError("away"), "shard-0")
    report = go(tmp_path, gone, away, hour=2)
    assert (report.outcome, report.version, list(boards(tmp_path))) == ("too-few", 0, [1, 2])
    assert go(tmp_path, two_shards(2)[0], away, hour=2, min_share=0.6).outcome == "too-few"


def test_how_far_a_round_is_from_the_one_before_is_told(tmp_path: Path) -> None:
    first, same, other = (
        go(tmp_path, source(sums_of(told, **at_hour(hour))), hour=hour)
        for hour, told in enumerate(({1: 4, 2: 4}, {1: 8, 2: 8}, {1: 8, 3: 8}))
    )
    assert (first.cosine, first.l1) == (None, None)
    assert (same.cosine, same.l1) == (1.0, 0.0)
    assert (other.cosine, other.l1) == (0.5, 0.5)


def test_what_rises_is_marked(tmp_path: Path) -> None:
    report = None
    for hour in range(60):
        households = dict.fromkeys(range(1, 40), 20 * (hour + 1))
        households[5] += 0 if hour < 57 else 200 * (hour - 56)
        report = go(tmp_path, source(sums_of(households, each=1, **at_hour(hour))), hour=hour)
        assert report.rising == (1 if hour >= 57 else 0), hour
    assert report
    rows = boards(tmp_path)[report.version].sections[""].rows
    assert [row.title for row in rows if row.rising] == [5]


def test_old_boards_are_removed_and_what_is_left_is_whole(tmp_path: Path) -> None:
    for hour in range(KEPT + 6):
        go(tmp_path, *two_shards(hour, more=hour), hour=hour)
    assert list(boards(tmp_path)) == list(range(7, KEPT + 7))


def test_one_round_at_a_time(tmp_path: Path) -> None:
    with lease(tmp_path / "home"), pytest.raises(BusyError, match=f"process {os.getpid()} runs"):
        go(tmp_path, *two_shards())
    assert go(tmp_path, *two_shards()).version == 1


@pytest.mark.parametrize("changed", [{"min_share": 0.0}, {"deadline_s": 0.0}, {"sources": []}])
def test_a_federation_that_can_never_work_is_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allowed"):
        go(tmp_path, *two_shards(), **changed)


def test_another_home_goes_on_with_later_versions(tmp_path: Path) -> None:
    go(tmp_path, *two_shards())
    assert go(tmp_path, *two_shards(), home=tmp_path / "other").version == 2


STEPS = ("collected", "merged", "written", "published audience", "published board", "published")


def _killed_at(folder: Path, step: str, hour: int) -> None:
    def kill(done: str) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    run_round(federation(folder, *two_shards(hour, more=3 * hour)), now=clock(NOW + hour * HOUR), step=kill)


def test_a_kill_at_any_step_is_gone_on_from(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for hour in range(3):
        go(undisturbed, *two_shards(hour, more=3 * hour), hour=hour)
    expected = boards(undisturbed)[3].sections
    for step in STEPS:
        folder = killed / step.replace(" ", "-")
        go(folder, *two_shards(0), hour=0)
        child = context.Process(target=_killed_at, args=(folder, step, 25 if "audience" in step else 1))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL, step
        hour = 26 if "audience" in step else 2
        found = boards(folder)
        assert set(found) <= {1, 2}, "whatever lies there is whole"
        report = go(folder, *two_shards(hour, more=6), hour=hour)
        written = step in ("written", "published audience", "published board")
        assert report.resumed == (2 if written else 0), step
        assert report.version == (2 if step in ("collected", "merged") else 3), step
        sections = boards(folder)[report.version].sections
        figures = [(row.title, row.figures.households, row.figures.samples) for row in sections[""].rows]
        assert figures == [(row.title, row.figures.households, row.figures.samples) for row in expected[""].rows]
        Shelf(folder / "shelf").verify(KEYS)
        with closing(History.open(folder / "home")) as history:
            assert history.pending() == {}
            numbers = [row.number for row in history.rounds(9)]
            assert numbers == sorted(set(numbers), reverse=True)
