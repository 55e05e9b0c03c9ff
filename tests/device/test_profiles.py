"""Profiles: own tastes, own endings, own age limits; what somebody watched counts for the household, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import InputError
from omega.core.records import NOBODY, Selection
from omega.core.types import ViewContext, ViewingEvent
from omega_storage.device_sqlite import SqliteDeviceStore
from tests.device.living import ids, live, share_of

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.testing.fakes import Clock
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain

ADA, BEN = ViewContext(profile="Ada"), ViewContext(profile="Ben")


def of_two(brain: Brain, example: Catalog, clock: Clock) -> Brain:
    """Let Ada watch animation and Ben crime."""
    brain.set_profile("Ada", 7)
    brain.set_profile("Ben")
    live(brain, example, clock, 40, "animation", "Ada")
    live(brain, example, clock, 40, "crime", "Ben")
    return brain


def test_each_profile_has_its_own_taste_and_the_household_a_mixture(
    open_brain: OpenBrain, example: Catalog, clock: Clock
) -> None:
    brain = of_two(open_brain(), example, clock)
    brain.set_profile("Ada")
    animation = {name: share_of("animation", brain.recommend(asked), example) for name, asked in asking().items()}
    crime = {name: share_of("crime", brain.recommend(asked), example) for name, asked in asking().items()}
    assert animation["Ada"] > animation["all"] + 0.2
    assert crime["Ben"] > crime["all"] + 0.1
    assert animation["Ben"] < 0.2 > crime["Ada"]


def asking() -> dict[str, ViewContext]:
    return {"Ada": ADA, "Ben": BEN, "all": ViewContext()}


def test_what_one_finished_is_finished_for_that_one_and_the_household(open_brain: OpenBrain) -> None:
    brain = open_brain()
    for name in ("Ada", "Ben"):
        brain.set_profile(name)
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0, profile="Ada"))
    excluded = {name: brain.why("gladiator-2000", asked).excluded for name, asked in asking().items()}
    assert excluded == {"Ada": "finished", "Ben": None, "all": "finished"}
    assert "gladiator-2000" in ids(brain.recommend(BEN, 800))


def test_what_nobody_was_named_for_is_the_households_alone(open_brain: OpenBrain) -> None:
    brain = open_brain()
    brain.set_profile("Ada")
    fresh = brain.recommend(ADA)
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=1.0))
    assert brain.recommend(ADA) == fresh
    assert brain.recommend() != fresh


def test_an_unknown_name_is_refused_with_those_there_are(open_brain: OpenBrain) -> None:
    brain = open_brain()
    event = ViewingEvent(content_id="gladiator-2000", watch_pct=1.0, profile="Cleo")
    with pytest.raises(InputError, match="profile is 'Cleo', allowed: none yet: make it with omega device profiles"):
        brain.observe(event)
    brain.set_profile("Ada", 7)
    brain.set_profile("Ben")
    calls = (
        lambda: brain.observe(event),
        lambda: brain.recommend(ViewContext(profile="Cleo")),
        lambda: brain.why("gladiator-2000", ViewContext(profile="Cleo")),
        lambda: brain.memories("Cleo"),
        lambda: brain.forget(Selection(), "Cleo"),
    )
    for call in calls:
        with pytest.raises(InputError, match="profile is 'Cleo', allowed: Ada, Ben: make it"):
            call()
    assert brain.counts() == (0, 0)


@pytest.mark.parametrize(("name", "age"), [("", None), ("x" * 33, None), ("a\nb", None), ("Ada", -1), ("Ada", 151)])
def test_a_profile_that_cannot_be_is_refused(open_brain: OpenBrain, name: str, age: int | None) -> None:
    brain = open_brain()
    with pytest.raises(InputError, match="allowed: "):
        brain.set_profile(name, age)
    assert brain.profiles() == ()


def test_a_profile_is_changed_by_its_name(open_brain: OpenBrain) -> None:
    brain = open_brain()
    ada = brain.set_profile("Ada", 7)
    assert ada.id != NOBODY
    brain.set_profile("Ben")
    assert brain.set_profile("Ada", 12).id == ada.id
    assert [(profile.name, profile.age) for profile in brain.profiles()] == [("Ada", 12), ("Ben", None)]
    assert brain.status().profiles == ("Ada", "Ben")


def test_forgetting_a_profile_removes_it_and_nothing_else(
    open_brain: OpenBrain, example: Catalog, clock: Clock, tmp_path: Path
) -> None:
    store = SqliteDeviceStore.open(tmp_path / "store.db")
    brain = of_two(open_brain(store), example, clock)
    brain.observe(ViewingEvent(content_id="gladiator-2000", watch_pct=0.5))
    ben, memories = brain.recommend(BEN), brain.memories("Ben")
    gone = brain.forget(Selection(), "Ada")
    assert gone.events == 40
    assert [profile.name for profile in brain.profiles()] == ["Ben"]
    assert brain.counts()[0] == 41
    assert brain.recommend(BEN) == ben
    assert brain.memories("Ben").skills == memories.skills
    with pytest.raises(InputError, match="profile is 'Ada', allowed: Ben"):
        brain.recommend(ADA)
    alone = open_brain()
    alone.restore(brain.export())
    assert ids(alone.recommend()) == ids(brain.recommend()), "as if Ada had never been"
    brain.close()


@pytest.fixture(scope="module")
def watched(open_everywhere: OpenBrain, example: Catalog, late: Clock) -> Brain:
    return of_two(open_everywhere(), example, late)


@given(
    age=st.none() | st.integers(0, 20),
    limit=st.none() | st.integers(0, 20),
    mood=st.sampled_from([None, "crime drama", "scary"]),
)
def test_nothing_that_is_meant_for_older_viewers_is_ever_in_a_list(
    watched: Brain, example: Catalog, age: int | None, limit: int | None, mood: str | None
) -> None:
    watched.set_profile("Ada", limit)
    lowest = min((found for found in (age, limit) if found is not None), default=150)
    asked = ViewContext(profile="Ada", max_age=age, mood=mood)
    found = watched.recommend(asked, 800)
    assert all(example.titles[example.ordinals[content_id]].age <= lowest for content_id in ids(found))
    finished = {w.content_id for w in watched._store.watched() if w.profile == 1 and w.best_milli >= 900}
    fitting = {t.id for t in example if t.age <= lowest and (t.kind == "series" or t.id not in finished)}
    assert set(ids(found)) == fitting


def test_why_tells_the_age_that_a_title_is_meant_for(open_brain: OpenBrain, example: Catalog) -> None:
    brain = open_brain()
    brain.set_profile("Ada", 7)
    adult = next(title for title in example if title.age == 16)
    brain.observe(ViewingEvent(content_id=adult.id, watch_pct=1.0))
    for asked in (ADA, ViewContext(max_age=15), ViewContext(profile="Ada", max_age=99)):
        found = brain.why(adult.id, asked)
        assert (found.rank, found.excluded) == (None, "meant for viewers of 16 and older")
    assert brain.why(adult.id, ViewContext(max_age=16)).excluded == "finished"


@pytest.mark.parametrize("age", [-1, 151])
def test_an_age_out_of_range_is_refused(open_brain: OpenBrain, age: int) -> None:
    with pytest.raises(InputError, match=f"max_age is {age}, allowed: a number 0..150"):
        open_brain().recommend(ViewContext(max_age=age))
