"""Experiments of a federation: what shards tell of them is added up, and they begin and end on the shelf."""

from __future__ import annotations

import sqlite3
from array import array
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega.core.artifacts.keys import Keyring
from omega.core.errors import InputError, StoreError, SumsError
from omega.core.experiments import Arm, Experiment, Experiments
from omega.core.shard_records import TrialSums
from omega.core.shard_sums import decode, trials_that_may_be_told
from omega.federation.experiments import begin, end, merged_trials, outcomes, published
from omega.federation.history import FILE, History, packed
from omega.federation.round import run_round
from tests.federation.making import KEY, NOW, clock, federation, sums_of

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.shard_sums import ShardSums

TODAY = datetime.fromtimestamp(NOW, UTC).date()
DAY = (TODAY - date(1970, 1, 1)).days
WIDER = Experiment(
    id="wider",
    first_day=TODAY - timedelta(days=2),
    last_day=TODAY + timedelta(days=9),
    arms=(Arm(name="as-ever", share=0.5), Arm(name="wide", share=0.5, settings={"breadth": 0.5})),
)
KEYS = Keyring([KEY.public])


def a_day(arm: int, households: int, minutes: int, day: int = DAY) -> TrialSums:
    """Return a day on which half of the households watched so many minutes of one title each, chosen from a list."""
    half = households // 2
    return TrialSums(WIDER.code, arm, day, households, half, half, half * minutes, half, half, half * minutes**2)


def told(shard: int, *trials: TrialSums) -> ShardSums:
    sums = sums_of({1: 9}, shard)
    sums.trials.extend(trials_that_may_be_told(trials))
    return sums


def test_sums_tell_them_and_a_file_out_of_bounds_is_refused() -> None:
    sums = told(0, a_day(0, 40, 90), a_day(1, 40, 100))
    found = decode(sums.encode())
    assert (found.trials, found.facts.trials, found.digest) == (sums.trials, 2, sums.digest)
    assert found.digest != told(0, a_day(0, 40, 90)).digest
    row = msgspec.structs.astuple(a_day(0, 40, 90))
    for place, value, why in ((1, 8, "arm"), (3, 2, "households"), (4, 40 * 256, "watched"), (9, 2**40, "squares")):
        bad = [*row[:place], value, *row[place + 1 :]]
        sums.trials[:] = array("q", bad)
        with pytest.raises(SumsError, match=why):
            decode(sums.encode())
    sums.trials[:] = array("q", [*row, *row])
    with pytest.raises(SumsError, match="ascend"):
        decode(sums.encode())


def test_arms_of_two_households_and_sums_that_cannot_be_are_not_told() -> None:
    taken = msgspec.structs.replace(a_day(0, 9, 90), minutes=0)
    assert not trials_that_may_be_told([a_day(0, 2, 90), taken])
    assert len(trials_that_may_be_told([a_day(0, 2, 90), a_day(0, 3, 90)])) == 10


def test_a_round_adds_up_what_all_shards_tell_as_one_would_by_hand(tmp_path: Path) -> None:
    shards = [
        told(0, a_day(0, 40, 90), a_day(1, 40, 100)),
        told(7, a_day(1, 60, 120), a_day(1, 30, 9, DAY + 1)),
        told(9),
    ]
    rows = {tuple(row[:3]): row[3:].tolist() for row in merged_trials(shards)}
    by_hand = np.asarray(msgspec.structs.astuple(a_day(1, 40, 100))) + msgspec.structs.astuple(a_day(1, 60, 120))
    assert rows[WIDER.code, 1, DAY] == by_hand[3:].tolist()
    assert list(rows) == [(WIDER.code, 0, DAY), (WIDER.code, 1, DAY), (WIDER.code, 1, DAY + 1)]
    assert run_round(federation(tmp_path, *shards), now=clock(NOW)).outcome == "published"
    [found] = outcomes(tmp_path / "home", Experiments((WIDER,)), "minutes")
    here, there = found.arms
    assert (here.name, here.days, here.household_days, here.mean, here.effect, here.verdict) == (
        "as-ever",
        1,
        40,
        45,
        None,
        "",
    )
    assert (there.days, there.household_days) == (2, 130)
    assert there.mean == pytest.approx((20 * 100 + 30 * 120 + 15 * 9) / 130)
    assert there.effect == pytest.approx(56 - 45)
    assert there.low is not None
    assert there.low < 11
    assert there.verdict == "open"
    again = [told(0, a_day(0, 4000, 90), a_day(1, 4000, 100)), *shards[1:]]
    assert run_round(federation(tmp_path, *again), now=clock(NOW)).outcome == "published"
    assert outcomes(tmp_path / "home", Experiments((WIDER,)), "minutes")[0].arms[1].verdict == "better"
    assert outcomes(tmp_path / "home", Experiments((WIDER,)), "chosen")[0].arms[1].verdict == "open"
    with pytest.raises(InputError, match="allowed: minutes, watched, chosen"):
        outcomes(tmp_path / "home", Experiments(), "joy")


def test_sums_that_no_households_came_to_are_refused_where_a_home_keeps_them(tmp_path: Path) -> None:
    assert run_round(federation(tmp_path, told(0, a_day(0, 40, 90), a_day(1, 40, 100))), now=clock(NOW))
    home = tmp_path / "home"
    with closing(History.open(home)) as history:
        rows = history.kept("trials")["rows"]
    for place, value, why in ((9, 39_999, "minutes_squares"), (9, -1, "minutes_squares"), (4, 41 * 255, "watched")):
        bad = rows.copy()
        bad[0, place] = value
        with sqlite3.connect(home / FILE) as kept:
            kept.execute("UPDATE kept SET data = ? WHERE name = 'trials'", (packed(rows=bad),))
        kept.close()
        with pytest.raises(StoreError, match=f"{why} of an arm's day is .* allowed: .*: hold a round"):
            outcomes(home, Experiments((WIDER,)), "minutes")


def test_they_begin_beside_others_end_today_and_are_dropped_a_week_later(tmp_path: Path) -> None:
    shelf, now = tmp_path / "shelf", float(NOW)
    assert published(shelf, KEYS) == (0, Experiments())
    later = msgspec.structs.replace(WIDER, id="later", first_day=WIDER.last_day, arms=WIDER.arms, salt="x")
    later = msgspec.structs.replace(
        later, first_day=WIDER.last_day + timedelta(days=1), last_day=WIDER.last_day + timedelta(days=3)
    )
    assert begin(shelf, KEY, Experiments((WIDER,)), now) == (1, Experiments((WIDER,)))
    with pytest.raises(InputError, match="stands twice"):
        begin(shelf, KEY, Experiments((WIDER,)), now)
    assert begin(shelf, KEY, Experiments((later,)), now).experiments.experiments == (WIDER, later)
    with pytest.raises(InputError, match="allowed: wider, later"):
        end(shelf, KEY, "nobody", now)
    assert end(shelf, KEY, "later", now).experiments.experiments == (WIDER,)
    [ended] = end(shelf, KEY, "wider", now).experiments.experiments
    assert ended == msgspec.structs.replace(WIDER, last_day=TODAY)
    assert published(shelf, KEYS) == (4, Experiments((ended,)))
    week = now + 8 * 86_400
    with pytest.raises(InputError, match="none runs"):
        end(shelf, KEY, "wider", week)
    assert begin(shelf, KEY, Experiments((later,)), week).experiments.experiments == (later,)


def test_a_federation_without_a_round_has_no_outcomes(tmp_path: Path) -> None:
    [found] = outcomes(tmp_path, Experiments((WIDER,)), "watched")
    assert [arm.household_days for arm in found.arms] == [0, 0]
