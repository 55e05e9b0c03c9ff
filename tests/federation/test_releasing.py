"""Releases with noise: what they cost, what they tell, and that a kill never spends or tells anything twice."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from omega.core.artifacts.manifest import Kind
from omega.core.errors import ArtifactError
from omega.core.ports import Releasing
from omega.core.privacy import Account, decode_privacy, withdrawn
from omega.core.shard_records import HALF_LIVES_DAYS
from omega.federation.history import History
from omega.federation.merging import told
from omega.federation.publishing import KEPT, shelf_of
from omega.federation.releasing import (
    LEAST_SAMPLES,
    RELEASE_S,
    YEAR_S,
    Released,
    epsilon_of,
    highest,
    reason,
    release,
    shown_of,
)
from omega.federation.round import REFRESH_S, run_round
from omega.federation.showing import Showing
from omega_plugins.strategies.private import Private
from omega_plugins.strategies.weighted_mean import WeightedMean
from tests.federation.making import CATALOG, DAY, KEYS, NOW, boards, clock, drawn, federation, source, sums_of

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import Integers
    from omega.federation.round import RoundReport

HOUR = 3600


def without_noise(milli: Integers) -> Integers:
    return milli


class Seeded(WeightedMean):
    """`private` in all but the noise, which has a seed; `releases` a year are paid for."""

    NAME = "seeded"

    def __init__(self, releases: int = 365, deviation: float = 2.0) -> None:
        self._budget, self._deviation = releases * 0.01, deviation
        self._random = np.random.default_rng(5)

    def releasing(self) -> Releasing:
        return Releasing(0.01, self._budget, 1e-6, self._deviation, self._noised)

    def _noised(self, milli: Integers) -> Integers:
        return milli + np.rint(self._random.normal(0, 1000 * self._deviation, milli.shape)).astype(np.int64)


def go(folder: Path, households: dict[int, int], hour: float = 0, **changed: Any) -> RoundReport:
    moment = int(NOW + hour * HOUR)
    sums = sums_of(households, each=1, made_at=moment, day=moment // 86_400)
    given = {"strategy": Seeded()} | changed
    return run_round(federation(folder, source(sums), **given), now=clock(NOW + hour * HOUR))


def rows(folder: Path, version: int) -> dict[int, int]:
    return {row.title: row.figures.samples for row in boards(folder)[version].sections[""].rows}


def test_a_release_by_hand() -> None:
    exact = Releasing(0.01, 0.05, 1e-6, 0.0, without_noise)
    first = release(Released.of({}), np.asarray([[40_000, 30_000], [0, 0]]), exact, NOW)
    second = release(first, np.asarray([[10_000, 10_000], [31_000, 0], [5_000, 0]]), exact, NOW + 86_400)
    fading = [2 ** (-1 / days) for days in HALF_LIVES_DAYS]
    assert second.samples[0] == pytest.approx([40 * fade + 10 for fade in fading])
    assert second.samples[1].tolist() == [31.0] * 4
    assert second.success_milli[0] == pytest.approx(30_000 * fading[3] + 10_000)
    assert (int(second.number), second.spent(NOW + 86_400)) == (2, 0.02)
    shown = shown_of(second, Showing.empty(), DAY)
    assert (shown.titles.tolist(), shown.samples.tolist()) == ([0, 1], [49, 31]), "5 are below the floor of 30"
    assert shown.success_milli.tolist() == [round(second.success_milli[0]), 0]
    later = release(second, np.zeros((3, 2), np.int64), exact, NOW + 10 * 86_400)
    shown = shown_of(later, shown, DAY + 10)
    assert (shown.titles.tolist(), shown.households.tolist()) == ([0, 1], [round(later.samples[0, 3]), 0])
    assert shown.hidden(9) == (1,), "what fell below it is taken down"


def test_the_floor_is_above_what_noise_alone_makes() -> None:
    noisy = Seeded(deviation=20.0).releasing()
    released = Released.of({})
    for day in range(40):
        released = release(released, np.zeros((20_000, 2), np.int64), noisy, NOW + day * 86_400)
    faded = sum((20.0 * 2 ** (-day / 30)) ** 2 for day in range(40))
    assert released.variance[3] == pytest.approx(faded)
    assert released.samples[:, 3].std() == pytest.approx(math.sqrt(faded), rel=0.03)
    assert released.floor == math.ceil(4.5 * math.sqrt(faded)) > LEAST_SAMPLES
    assert len(shown_of(released, Showing.empty(), DAY).titles) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_one_sample_moves_all_releases_together_by_one_and_one_taken_back_by_two(seed: int) -> None:
    random = np.random.default_rng(seed)
    others = random.integers(0, 9, 30)  # a shard that is restored and retold goes up and down
    came, back = sorted(random.choice(30, 2, replace=False))
    moved = {}
    for name, mine in {"never": [], "stays": range(came, 30), "goes": range(came, back)}.items():
        most, found = np.zeros((0, 2), np.int64), []
        for at, count in enumerate(others.tolist()):
            now = highest(most, told(sums_of({3: count + (at in mine)}, each=1), DAY), 5)
            found.append(now - np.pad(most, ((0, 5 - len(most)), (0, 0))))
            most = now
        moved[name] = np.asarray(found)[:, :, 0] / 1000
    assert np.abs(moved["stays"] - moved["never"]).sum() <= 1
    assert np.abs(moved["goes"] - moved["never"]).sum() <= 2
    assert np.abs(moved["goes"] - moved["never"]).max() <= 1


def test_a_day_has_one_release_and_other_rounds_tell_the_same(tmp_path: Path) -> None:
    first = go(tmp_path, {1: 500, 2: 20})
    assert first.privacy
    assert (first.outcome, first.shown, first.privacy.releases, first.privacy.why) == ("published", 1, 1, "")
    assert go(tmp_path, {1: 900, 2: 99}, hour=1).outcome == "unchanged"
    again = go(tmp_path, {1: 900, 2: 99}, hour=1 + REFRESH_S / HOUR)
    assert again.privacy
    assert (again.outcome, again.privacy.releases, again.privacy.why) == ("published", 1, "a day has one release")
    assert rows(tmp_path, 2) == rows(tmp_path, 1)
    assert set(rows(tmp_path, 1)) == {1}
    assert abs(rows(tmp_path, 1)[1] - 500) < 10
    due = go(tmp_path, {1: 900, 2: 99}, hour=RELEASE_S / HOUR)
    assert set(rows(tmp_path, due.version)) == {1, 2}
    board = boards(tmp_path)[due.version]
    assert board.privacy == due.privacy
    assert (board.basis, list(board.sections)) == (0, [""]), "no audience and no region is told"
    assert not any(row.audience or row.rising for row in board.sections[""].rows)


def test_what_has_no_noise_is_published_by_the_exact_strategy_and_withheld_by_this_one(tmp_path: Path) -> None:
    sums = drawn(0, 600, np.random.default_rng(3), titles=len(CATALOG))
    found = {}
    for name, strategy in {"exact": WeightedMean(), "noisy": Seeded()}.items():
        folder = tmp_path / name
        report = run_round(federation(folder, source(sums), strategy=strategy), now=clock(NOW))
        found[name] = {one.kind for one in shelf_of(folder / "shelf", Kind.AUDIENCE).manifests()}
        assert report.outcome == "published"
    assert found["exact"] >= {Kind.AUDIENCE, Kind.FACTORS}, "there is something to withhold"
    assert found["noisy"] == {Kind.PRIVACY}


def test_tvs_are_told_the_account_that_the_board_has_until_figures_have_no_noise_again(tmp_path: Path) -> None:
    def account() -> Account:
        shelf = shelf_of(tmp_path / "shelf", Kind.PRIVACY)
        return decode_privacy(
            shelf.read(max(shelf.verify(KEYS), key=lambda one: (one.kind is Kind.PRIVACY, one.version)))
        )

    for day in (0, 1):
        report = go(tmp_path, {1: 500}, hour=24 * day)
        assert report.privacy == account() == boards(tmp_path)[report.version].privacy
    assert account().releases == 2
    assert account().epsilon_spent > 0
    go(tmp_path, {1: 500}, hour=48, strategy=WeightedMean())
    assert account() == withdrawn()


def test_old_accounts_are_removed_and_the_newest_are_whole(tmp_path: Path) -> None:
    for day in range(KEPT + 3):
        go(tmp_path, {1: 500 * (day + 1)}, hour=24 * day)
    shelf = shelf_of(tmp_path / "shelf", Kind.PRIVACY)
    accounts = [one for one in shelf.verify(KEYS) if one.kind is Kind.PRIVACY]
    assert [decode_privacy(shelf.read(one)).releases for one in accounts] == list(range(4, KEPT + 4))


@pytest.mark.parametrize("data", [b"", b"\x80", b"x" * 5_000, msgspec.msgpack.encode({"format": "omega privacy 2"})])
def test_accounts_that_mean_nothing_are_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError, match="publish it again"):
        decode_privacy(data)


def test_a_year_that_is_spent_goes_on_with_what_was_released_and_the_next_year_releases(tmp_path: Path) -> None:
    spends = {"strategy": Seeded(releases=2)}
    first, second, third = (go(tmp_path, {1: 100 * (day + 1)}, hour=24 * day, **spends) for day in range(3))
    assert third.privacy
    assert second.privacy
    assert "budget is spent" in third.privacy.why
    assert (third.outcome, third.privacy.releases) == ("published", 2)
    assert third.privacy.epsilon_spent == second.privacy.epsilon_spent == third.privacy.epsilon_a_year
    assert third.privacy.epsilon_spent == pytest.approx(0.02 + 2 * math.sqrt(0.02 * math.log(1e6)))
    assert rows(tmp_path, third.version) == rows(tmp_path, second.version) != rows(tmp_path, first.version)
    later = go(tmp_path, {1: 500}, hour=YEAR_S / HOUR, **spends)
    assert later.privacy
    assert (later.privacy.releases, later.privacy.why) == (3, "")


def test_a_clock_that_was_set_back_pays_for_nothing_twice() -> None:
    one = Releasing(0.01, 0.01, 1e-6, 0.0, without_noise)
    released = release(Released.of({}), np.zeros((1, 2), np.int64), one, NOW)
    assert released.spent(NOW - YEAR_S) == 0.01
    assert reason(released, one, NOW - 9 * YEAR_S) == "a day has one release"
    assert epsilon_of(0.0, 1e-6) == 0.0


STEPS = ("collected", "merged", "written", "published board", "published")


def _killed_at(folder: Path, step: str) -> None:
    def kill(done: str) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sums = sums_of({1: 500}, each=1)
    run_round(federation(folder, source(sums), strategy=Seeded()), now=clock(NOW), step=kill)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_releases_once_what_is_paid_once(step: str, tmp_path: Path) -> None:
    child = multiprocessing.get_context("fork").Process(target=_killed_at, args=(tmp_path, step))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    told_before = rows(tmp_path, 1) if boards(tmp_path) else {}
    assert bool(told_before) == step.startswith("published"), "nothing is told before it is written down"
    with closing(History.open(tmp_path / "home")) as history:
        paid = Released.of(history.kept("private"))
        drawn = paid.samples.copy()
        written = step not in ("collected", "merged")
        assert (int(paid.number), len(paid.rho)) == ((1, 1) if written else (0, 0))
    report = go(tmp_path, {1: 500}, hour=1)
    assert report.privacy
    assert report.privacy.releases == 1
    assert report.resumed == (1 if step in ("written", "published board") else 0)
    with closing(History.open(tmp_path / "home")) as history:
        after = Released.of(history.kept("private"))
        assert after.spent(NOW + HOUR) == 0.01
        assert not written or (after.samples == drawn).all(), "the same noise"
    assert rows(tmp_path, 1) == (told_before or rows(tmp_path, 1))
    assert list(boards(tmp_path)) == [1]


def test_with_the_real_noise(tmp_path: Path) -> None:
    report = go(tmp_path, {1: 5_000, 2: 29}, strategy=Private())
    assert report.privacy
    assert report.privacy.epsilon_a_year == 4.0
    assert report.privacy.floor == math.ceil(4.5 * 37.9126949)
    assert set(rows(tmp_path, 1)) == {1}
    assert abs(rows(tmp_path, 1)[1] - 5_000) < 6 * 37.92
