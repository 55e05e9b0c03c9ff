"""Each fault of the memories that these were modeled on: a test that it isn't ours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from omega.core.testing.watching import a_title
from omega.device.memory.contexts import similarity
from omega.device.memory.episodes import Episode, facets_of, recall
from omega.device.memory.skills import Skill, rank, skills_of
from tests.device.memory.memories import FRIDAY, WEEK, an_episode, episode_lists, rebuild, weekly

NOW = int(FRIDAY.timestamp())


def a_skill(time: int, facet: str, success: float) -> Skill:
    return Skill(4, time, facet, 9, 9, success, success, 0.0, NOW)


def test_filters_apply_before_top_k_of_skills() -> None:
    """Twenty better skills of mornings and of other facets crowd nobody out."""
    others = [a_skill(2, f"genre:{i}", 0.99) for i in range(10)] + [a_skill(0, f"genre:m{i}", 0.99) for i in range(10)]
    wanted = a_skill(2, "genre:thriller", 0.7)
    assert [r.skill for r in rank([*others, wanted], 4, 2, k=1, facets={"genre:thriller"})] == [wanted]
    assert len(rank([*others, wanted], 4, 2, k=11)) == 11
    seconds = [a_skill(2, "genre:war", 0.9 + i / 100) for i in range(5)]
    assert len(rank([*seconds, wanted], 4, 2, k=2)) == 2, "a facet's second best takes nobody's place"


def test_filters_apply_before_top_k_of_episodes() -> None:
    allowed = np.arange(50) >= 45
    rewards = np.where(allowed, 0.6, 1.0)
    found = recall(np.ones(50), np.full(50, NOW), rewards, allowed, NOW, k=5)
    assert sorted(found.tolist()) == [45, 46, 47, 48, 49]


def test_rates_are_over_all_episodes_not_over_successes() -> None:
    """Seven of nine succeed; over successes alone every rate would be the prior's best."""
    (skill,) = skills_of(rebuild(weekly(7) + weekly(2, milli=400)), (FRIDAY + 6 * WEEK).timestamp())
    assert (skill.count, skill.finished) == (9, 7)
    all_well = skills_of(rebuild(weekly(9)), (FRIDAY + 8 * WEEK).timestamp())[0]
    assert skill.success == pytest.approx(0.753, abs=5e-4)
    all_well = skills_of(rebuild(weekly(9)), (FRIDAY + 8 * WEEK).timestamp())[0]
    assert skill.success < all_well.success - 0.1
    assert skill.reward < all_well.reward - 0.05


def test_what_fails_as_often_is_no_skill() -> None:
    assert skills_of(rebuild(weekly(5) + weekly(5, milli=100)), (FRIDAY + 4 * WEEK).timestamp()) == []


def test_grouping_is_by_facet_not_by_exact_string() -> None:
    """Three titles, three spellings of one genre."""
    spellings = (("Sci-Fi",), ("sci fi", "war"), ("SCI_FI",))
    titles = [replace(a_title(f"t{i}"), genres=genres) for i, genres in enumerate(spellings)]
    episodes = [an_episode(FRIDAY + i * WEEK, facets=facets_of(title)) for i, title in enumerate(titles)]
    found = skills_of(rebuild(episodes), (FRIDAY + 2 * WEEK).timestamp())
    assert {skill.facet: skill.count for skill in found} == {"genre:sci fi": 3, "kind:movie": 3}


def test_means_have_a_prior() -> None:
    """Whatever went well, three times are not certainty."""
    (skill,) = skills_of(rebuild([an_episode(FRIDAY)] * 3), NOW)
    assert (skill.success, skill.reward) == (0.8, 0.8)


def test_means_decay() -> None:
    """Of nine Fridays and nine more one half goes well: a plain mean of one half sees neither a habit go nor come."""
    then, now = weekly(9, milli=0), (FRIDAY + 17 * WEEK).timestamp()
    gone = rebuild(weekly(9) + weekly(9, milli=0, since=FRIDAY + 9 * WEEK))
    come = rebuild(then + weekly(9, since=FRIDAY + 9 * WEEK))
    assert skills_of(gone, now) == []
    assert [skill.count for skill in skills_of(come, now)] == [18]


@given(episode_lists(), st.sampled_from(("genre:thriller", "genre:comedy")))
def test_forgotten_memories_are_not_found(episodes: list[Episode], forgotten: str) -> None:
    """Sums are made of events alone: without them no row, no skill and no trace in any figure is left."""
    kept = [e for e in episodes if forgotten not in e.facets]
    rows = rebuild(kept)
    assert all(key.facet != forgotten for key in rows)
    assert all(skill.facet != forgotten for skill in skills_of(rows, NOW))
    assert rows.keys() <= rebuild(episodes).keys()
    assert sum(sums.count for sums in rows.values()) == sum(len(e.facets) for e in kept)


def test_forgotten_episodes_are_not_recalled() -> None:
    days, times = np.full(3, 4), np.full(3, 2)
    kept = np.array([True, False, True])
    found = recall(similarity(days, times, 4, 2), np.full(3, NOW), np.ones(3), kept, NOW, k=3)
    assert found.tolist() == [2, 0]
