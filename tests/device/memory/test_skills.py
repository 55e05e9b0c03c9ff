"""Sums as a monoid, which of them are skills, and what skills say for titles."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.device.memory.skills import (
    Key,
    Skill,
    Sums,
    fold,
    merged,
    rank,
    skills_of,
)
from tests.device.memory.memories import DAY, FRIDAY, WEEK, an_episode, episode_lists, rebuild, weekly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from omega.device.memory.episodes import Episode

THRILLER = "genre:thriller"


def nearly(a: Mapping[Key, Sums], b: Mapping[Key, Sums]) -> bool:
    """Say whether rows are the same but for the rounding of sums in another order."""
    return a.keys() == b.keys() and all(
        msgspec.structs.astuple(a[key]) == pytest.approx(msgspec.structs.astuple(b[key]), rel=1e-9) for key in a
    )


def skills_at(episodes: list[Episode], moment: datetime) -> list[Skill]:
    return skills_of(rebuild(episodes), moment.timestamp())


def a_skill(day: int = 4, time: int = 2, facet: str = THRILLER, success: float = 0.8, **given_: float) -> Skill:
    figures = {"reward": 0.8, "use": 0.0} | given_
    return Skill(day, time, facet, 9, 7, success, figures["reward"], figures["use"], 0)


@given(episode_lists(), st.randoms())
def test_folding_in_any_order_and_in_any_pieces_is_rebuilding(episodes: list[Episode], random: object) -> None:
    shuffled = list(episodes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    rows: dict[Key, Sums] = {}
    for start in range(0, len(shuffled), 7):
        rows |= fold(rows, shuffled[start : start + 7])
    assert nearly(rows, rebuild(episodes))


@given(episode_lists(), episode_lists())
def test_merging_is_commutative_and_associative(a: list[Episode], b: list[Episode]) -> None:
    sums = [Sums.of(episode) for episode in a + b]
    if sums:
        one = reduce(merged, sums)
        other = reduce(lambda x, y: merged(y, x), reversed(sums))
        assert msgspec.structs.astuple(one) == pytest.approx(msgspec.structs.astuple(other), rel=1e-9)


@given(episode_lists())
def test_sums_are_decayed_counts(episodes: list[Episode]) -> None:
    """The oracle: every episode weighs 2^(-age / 28 days), as seen from the latest."""
    for key, sums in rebuild(episodes).items():
        mine = [e for e in episodes if (e.profile, e.day, e.time) == key[:3] and key.facet in e.facets]
        assert sums.last_at == max(e.at for e in mine)
        weights = np.array([2.0 ** ((e.at - sums.last_at) / (28 * 86_400)) for e in mine])
        rewards = np.array([e.reward for e in mine])
        assert sums.count == len(mine)
        assert sums.finished == sum(e.watched_milli >= 900 for e in mine)
        assert sums.episodes == pytest.approx(weights.sum())
        assert sums.successes == pytest.approx(weights[rewards > 0.7].sum())
        assert sums.rewards == pytest.approx(weights @ rewards)
        assert sums.uses == pytest.approx(weights[[e.offered for e in mine]].sum())


def test_folding_leaves_the_rows_it_is_given() -> None:
    rows = rebuild(weekly(1))
    before = dict(rows)
    assert fold(rows, weekly(1)) != before
    assert rows == before


def test_what_happens_once_a_week_is_a_skill_the_third_time() -> None:
    """Three Fridays weigh 1 + .84 + .71 = 2.55, all successes: (1 + 2.55) / (2 + 2.55) = .78."""
    assert skills_at(weekly(2), FRIDAY + WEEK) == []
    (skill,) = skills_at(weekly(3), FRIDAY + 2 * WEEK)
    assert (skill.day, skill.time, skill.facet, skill.count, skill.finished) == (4, 2, THRILLER, 3, 3)
    assert skill.success == pytest.approx(0.780, abs=5e-4)
    assert skill.reward == skill.success


def test_three_fridays_are_forgotten_26_days_after_the_last() -> None:
    last = FRIDAY + 2 * WEEK
    assert skills_at(weekly(3), last + 26 * DAY)
    assert skills_at(weekly(3), last + 27 * DAY) == []


def test_three_times_in_a_week_are_a_skill_of_the_slot() -> None:
    episodes = [an_episode(FRIDAY + i * DAY) for i in (-4, -3, -1)]
    (skill,) = skills_at(episodes, FRIDAY)
    assert (skill.day, skill.count) == (7, 3)
    assert skills_at([*episodes[:2], an_episode(FRIDAY + DAY)], FRIDAY + DAY) == [], "Saturday is another slot"


def test_a_day_that_has_two_thirds_of_a_slot_has_the_habit_for_itself() -> None:
    thursdays = [an_episode(FRIDAY - DAY + i * WEEK) for i in range(3)]
    assert [skill.day for skill in skills_at(weekly(6) + thursdays[:1], FRIDAY + 5 * WEEK)] == [4]
    assert [skill.day for skill in skills_at(weekly(3) + thursdays, FRIDAY + 2 * WEEK)] == [7]


def test_profiles_can_be_taken_together_or_apart() -> None:
    """Two episodes each are nobody's habit, but the household's."""
    mine = weekly(2)
    yours = [msgspec.structs.replace(e, profile=1) for e in weekly(2, since=FRIDAY + 2 * WEEK)]
    rows, now = rebuild(mine + yours), (FRIDAY + 3 * WEEK).timestamp()
    assert skills_of({key: sums for key, sums in rows.items() if key.profile == 1}, now) == []
    assert [skill.count for skill in skills_of(rows, now)] == [4]


@given(episode_lists())
def test_every_skill_keeps_its_promises(episodes: list[Episode]) -> None:
    found = skills_of(rebuild(episodes), 1_833_000_000)
    assert len({(s.day, s.time, s.facet) for s in found}) == len(found)
    for skill in found:
        assert skill.count >= 3
        assert 0.7 <= skill.success <= 1
        assert 0 <= skill.reward <= 1
        assert 0 <= skill.use < 1
        assert skill.finished <= skill.count


def test_rank_is_four_parts_similarity_three_success_two_reward_one_use() -> None:
    ranked = rank([a_skill(success=0.9, reward=0.7, use=0.5), a_skill(day=5, facet="genre:war")], 4, 2)
    assert [r.similarity for r in ranked] == [1, 0.1]
    assert [r.score for r in ranked] == pytest.approx([0.4 + 0.27 + 0.14 + 0.05, 0.04 + 0.24 + 0.16])


def test_one_skill_speaks_for_a_facet() -> None:
    near, far = a_skill(), a_skill(day=3, success=0.95)
    assert [r.skill for r in rank([far, near], 4, 2)] == [near]
    assert rank([], 0, 0) == []
