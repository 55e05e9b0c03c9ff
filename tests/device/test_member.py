"""What a profile did with its few titles, among all titles of the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.audience import age_class
from omega.core.records import Watched
from omega.core.types import SLOTS
from omega.device.history import is_given_up, is_waiting, resume
from omega.device.household import Member
from omega.device.memory.episodes import given_up
from omega.device.memory.patterns import context_shares, own_record

if TYPE_CHECKING:
    from omega.core.catalog import Catalog
    from omega.device.titles import TitleArrays

NOW_S = 1_700_000_000.0
EVENTS = 400


def test_what_few_titles_say_is_what_a_row_for_each_title_says(example: Catalog, arrays: TitleArrays) -> None:
    """The oracle keeps an array of all titles and works all of them out."""
    random = np.random.default_rng(5)
    member, count = Member(example, arrays), len(example)
    own, left_slot = np.zeros((count, SLOTS, 2)), np.zeros(count)
    left_at_s, given_up_at_s = np.full(count, -np.inf), np.full(count, -np.inf)
    for at_s in np.sort(random.integers(int(NOW_S) - 10**7, int(NOW_S), EVENTS)).tolist():
        row, slot, milli = int(random.integers(0, count // 4)), int(random.integers(SLOTS)), int(random.integers(1001))
        title = example.titles[row]
        watched = Watched(title.id, 0, at_s, slot, milli, None, None, milli)
        member.remember(watched)
        member.count(row, slot, 1, milli / 1000 - 0.5)
        known = member.last[title.id]
        own[row, slot] += 1, milli / 1000 - 0.5
        left_slot[row] = slot
        left_at_s[row] = at_s if is_waiting(title, known) else -np.inf
        given_up_at_s[row] = at_s if is_given_up(title, known) else -np.inf
    assert np.isfinite(left_at_s).any()
    assert np.isfinite(given_up_at_s).any()
    for slot in range(SLOTS):
        np.testing.assert_array_equal(member.record(context_shares(slot)), own_record(own, context_shares(slot)))
        np.testing.assert_array_equal(member.resume(NOW_S, slot), resume(left_at_s, left_slot, NOW_S, slot))
    np.testing.assert_array_equal(member.given_up(NOW_S), given_up(given_up_at_s, NOW_S))


def test_age_classes_are_those_of_the_year_asked_for(arrays: TitleArrays) -> None:
    for year in (1999, 2013, 2024, 1999):
        expected = [age_class(max(year - released, 0)) if released else -1 for released in arrays.years.tolist()]
        assert arrays.ages_in(year).tolist() == expected
