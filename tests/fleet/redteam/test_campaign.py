"""Attacks on real shards: bad devices move what they may, and no more; and a merge that lets them do more is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.errors import InputError
from omega.fleet.redteam.attacks import ATTACKS
from omega.fleet.redteam.campaign import Plan, played
from omega_plugins.engines.process_pool import ProcessPool
from omega_plugins.strategies.median import Median
from omega_plugins.strategies.weighted_mean import WeightedMean

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import SumsOfShards, TotalsOfShards
    from omega.fleet.redteam.campaign import Outcome

CATALOG = Catalog.read(EXAMPLE_CATALOG_PATH)


class Loud(WeightedMean):
    """Lets what is told often count more often still."""

    NAME = "loud"

    def merge(self, sums: SumsOfShards, totals: TotalsOfShards) -> SumsOfShards:
        merged = super().merge(sums, totals)
        return msgspec.structs.replace(merged, samples=merged.samples**2, trends=merged.trends**2)


def outcomes(folder: Path, *names: str, poisoned: float = 0.1, **changed: object) -> list[Outcome]:
    given: dict[str, object] = {
        "catalog": CATALOG,
        "folder": folder / "played",
        "strategies": [WeightedMean(), Median()],
        "engine": ProcessPool.open(),
        "attacks": [attack for attack in ATTACKS if attack.name in names],
        "poisoned": (poisoned,),
        "households": 48,
    }
    return list(played(Plan(**(given | changed))))  # type: ignore[arg-type]  # each of its own type


@pytest.fixture(scope="module")
def all_of_them(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Outcome]:
    heard: list[tuple[int, int]] = []
    folder = tmp_path_factory.mktemp("campaign")
    plan = Plan(CATALOG, folder / "played", [WeightedMean(), Median()], ProcessPool.open(), (0.1,), households=48)
    found = list(played(plan, lambda done, total, what: heard.append((done, total))))
    assert heard == [(step, 6) for step in range(7)]
    assert not list((folder / "played").iterdir()), "nothing is left"
    return {(one.attack, one.strategy): one for one in found}


def test_no_attack_moves_more_than_its_bound(all_of_them: dict[tuple[str, str], Outcome]) -> None:
    assert len(all_of_them) == 10
    for one in all_of_them.values():
        assert 0 < one.of_bound <= 1, one
        assert one.devices == 5
        assert one.of_devices == pytest.approx(5 / 53)


def test_who_tells_as_much_as_a_household_gains_no_more_than_its_share(
    all_of_them: dict[tuple[str, str], Outcome],
) -> None:
    quiet = all_of_them["quiet", "weighted-mean"]
    assert quiet.acts == 5 * 4
    assert 0 < quiet.gained <= quiet.of_devices
    assert quiet.share[1] - quiet.share[0] <= quiet.poisoned < quiet.of_devices


def test_who_tells_all_that_is_taken_gains_no_more_than_households_can_watch(
    all_of_them: dict[tuple[str, str], Outcome],
) -> None:
    boost = all_of_them["boost", "weighted-mean"]
    assert boost.acts == 5 * 1024, "a day's samples, and no more"
    assert boost.share[1] > 0.5, "samples alone are not bounded by devices"
    assert boost.gained <= boost.gain_bound < 0.5 * boost.poisoned_trend, "trends are"
    assert boost.place[1] == 1


def test_what_is_taken_back_buries_a_title(all_of_them: dict[tuple[str, str], Outcome]) -> None:
    bury = all_of_them["bury", "weighted-mean"]
    assert bury.acts == 5 * 2048
    assert bury.share[1] < 0.5 * bury.share[0]
    assert bury.trend[1] < bury.trend[0]


def test_noise_moves_everything_a_little(all_of_them: dict[tuple[str, str], Outcome]) -> None:
    noise = all_of_them["noise", "weighted-mean"]
    assert 0.1 < noise.moved < noise.moved_bound
    assert abs(noise.gained) < 0.05


def test_a_stolen_key_admits_its_quota_and_a_middle_share_withstands_one_shard(
    all_of_them: dict[tuple[str, str], Outcome],
) -> None:
    pooled, middle = all_of_them["sybils", "weighted-mean"], all_of_them["sybils", "median"]
    assert (pooled.devices, pooled.denied) == (5, 5)
    assert middle.gained < 0.1 * pooled.gained


def test_a_merge_that_lets_them_do_more_is_seen(tmp_path: Path) -> None:
    [one] = outcomes(tmp_path, "boost", poisoned=0.02, strategies=[Loud()])
    assert one.of_bound > 1


def test_the_same_seed_tells_the_same(tmp_path: Path) -> None:
    first, second = (
        outcomes(tmp_path / name, "noise", strategies=[WeightedMean()], households=32) for name in ("one", "other")
    )
    assert first == second


def test_refuses_what_is_no_attack(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"poisoned is 0\.6, allowed: above 0 to \.5"):
        outcomes(tmp_path, "quiet", poisoned=0.6)
    with pytest.raises(InputError, match=r"households is 9, allowed: 32\.\.100000"):
        outcomes(tmp_path, "quiet", households=9)
