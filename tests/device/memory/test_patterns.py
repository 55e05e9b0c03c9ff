"""What is counted for ever: how a title itself went, here and in other contexts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.types import SLOTS, DayType, TimeSlot, slot_of
from omega.device.memory.patterns import context_shares, own_record

WEEKDAY_EVENING = slot_of(TimeSlot.EVENING, DayType.WEEKDAY)
WEEKEND_EVENING = slot_of(TimeSlot.EVENING, DayType.WEEKEND)
WEEKEND_MORNING = slot_of(TimeSlot.MORNING, DayType.WEEKEND)


def test_a_context_says_all_of_itself_a_fifth_of_one_half_alike_and_little_of_another() -> None:
    shares = context_shares(WEEKDAY_EVENING)
    assert shares.shape == (SLOTS,)
    assert shares[WEEKDAY_EVENING] == 1
    assert shares[[WEEKEND_EVENING, slot_of(TimeSlot.NIGHT, DayType.WEEKDAY)]].tolist() == [0.2, 0.2]
    assert shares[WEEKEND_MORNING] == 0.05
    assert sorted(shares) == [0.05] * 3 + [0.2] * 4 + [1]


def test_a_record_is_a_mean_over_contexts_mixed_with_three_tenths_of_a_watch() -> None:
    """Columns are watches and their gains over one half: two whole watches gain 1, one that was given up loses .5."""
    own = np.zeros((4, SLOTS, 2))
    own[0, WEEKDAY_EVENING] = 2, 1
    own[1, WEEKEND_MORNING] = 2, 1
    own[2, WEEKDAY_EVENING], own[2, WEEKEND_EVENING] = (1, -0.5), (1, 0.5)
    record = own_record(own, context_shares(WEEKDAY_EVENING))
    assert record.dtype == np.float32
    assert record[0] == pytest.approx(1 / 2.3)
    assert record[1] == pytest.approx(0.05 / (0.1 + 0.3))
    assert record[2] == pytest.approx((-0.5 + 0.1) / (1.2 + 0.3))
    assert record[3] == 0


@given(st.integers(0, SLOTS - 1), st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(0, 1000)), max_size=30))
def test_a_record_stays_within_half_of_one_half(asked: int, watches: list[tuple[int, int]]) -> None:
    own = np.zeros((1, SLOTS, 2))
    for slot, milli in watches:
        own[0, slot] += 1, milli / 1000 - 0.5
    (record,) = own_record(own, context_shares(asked))
    assert -0.5 < record < 0.5
    if watches and all(milli > 500 for _, milli in watches):
        assert record > 0
