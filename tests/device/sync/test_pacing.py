"""When a TV syncs, with clocks that are turned by hand."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.device.sync.pacing import Moment, Pace, Pacing

PACE = Pace()
seeds = st.integers(0, 2**32)


class TV:
    """Both clocks of a TV, and its pacing."""

    def __init__(self, seed: int) -> None:
        self.monotonic_s, self.wall_s = 5.0, 1_800_000_000.0
        self.pacing = Pacing(self.now, Random(seed))

    @property
    def now(self) -> Moment:
        return Moment(self.monotonic_s, self.wall_s)

    def run(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds

    def wait(self) -> float:
        """Run until a sync is due; return how long that took."""
        waited = 0.0
        while (left := self.pacing.due_in_s(self.now)) > 0:
            self.run(min(left, 30) + 1e-6)
            waited += min(left, 30)
        return waited


@given(seeds)
def test_the_first_sync_comes_within_a_minute(seed: int) -> None:
    assert 0 <= TV(seed).pacing.due_in_s(Moment(5, 1_800_000_000)) <= PACE.wake_s


@given(seeds)
def test_a_busy_tv_syncs_every_5_to_15_minutes(seed: int) -> None:
    tv = TV(seed)
    for _ in range(20):
        tv.pacing.synced(tv.now, changed=True)
        assert 300 <= tv.pacing.due_in_s(tv.now) <= 900


@given(seeds)
def test_a_quiet_tv_syncs_ever_more_rarely_up_to_an_hour_until_something_is_watched(seed: int) -> None:
    tv = TV(seed)
    waits = []
    for _ in range(12):
        tv.pacing.synced(tv.now, changed=False)
        waits.append(tv.wait())
    assert max(waits) <= PACE.longest_s + 1
    assert min(waits[-4:]) >= PACE.longest_s / 3 - 1
    tv.pacing.synced(tv.now, changed=False)
    tv.pacing.watched(tv.now)
    assert tv.pacing.due_in_s(tv.now) <= 900
    before = tv.pacing.due_in_s(tv.now)
    tv.pacing.watched(tv.now)
    assert tv.pacing.due_in_s(tv.now) == before, "a second watch draws no second lot"


@given(seeds, st.floats(1, 1e9))
def test_never_sooner_than_the_shard_asks_and_at_most_a_quarter_later(seed: int, asked_s: float) -> None:
    tv = TV(seed)
    tv.pacing.synced(tv.now, changed=True, next_s=asked_s)
    tv.pacing.watched(tv.now)
    bounded = min(asked_s, PACE.greatest_s)
    assert max(bounded, PACE.least_s) * 0.999 <= tv.pacing.due_in_s(tv.now) <= max(bounded * 1.25, PACE.least_s) * 1.001


@given(seeds)
def test_failures_back_off_with_full_jitter_and_open_the_circuit(seed: int) -> None:
    tv = TV(seed)
    for n in range(1, PACE.failures):
        tv.pacing.failed(tv.now)
        assert not tv.pacing.is_open
        assert tv.pacing.due_in_s(tv.now) <= max(1, PACE.backoff_s * 2 ** (n - 1))
    for open_s in (900, 1800, 3600, 3600):
        tv.pacing.failed(tv.now)
        assert tv.pacing.is_open
        assert open_s <= tv.pacing.due_in_s(tv.now) <= 2 * open_s
    tv.pacing.synced(tv.now, changed=True)
    assert not tv.pacing.is_open
    tv.pacing.failed(tv.now)
    assert tv.pacing.due_in_s(tv.now) <= PACE.backoff_s


def test_full_jitter_spreads_over_the_whole_interval() -> None:
    waits = []
    for seed in range(400):
        tv = TV(seed)
        for _ in range(3):
            tv.pacing.failed(tv.now)
        waits.append(tv.pacing.due_in_s(tv.now))
    assert sum(wait < 15 for wait in waits) == pytest.approx(100, abs=30)
    assert sum(wait > 45 for wait in waits) == pytest.approx(100, abs=30)


@given(seeds, st.floats(0, 1e6))
def test_a_failure_that_names_a_time_is_not_repeated_before_it(seed: int, retry_after_s: float) -> None:
    tv = TV(seed)
    tv.pacing.failed(tv.now, retry_after_s=retry_after_s)
    assert tv.pacing.due_in_s(tv.now) >= min(retry_after_s, PACE.greatest_s)


@given(seeds)
def test_what_cannot_get_better_opens_the_circuit_at_once(seed: int) -> None:
    tv = TV(seed)
    tv.pacing.failed(tv.now, permanent=True)
    assert tv.pacing.is_open
    assert tv.pacing.due_in_s(tv.now) >= PACE.open_s


@given(seeds, st.floats(3600, 1e6))
def test_a_tv_that_slept_past_its_time_syncs_within_a_minute_of_waking(seed: int, slept_s: float) -> None:
    tv = TV(seed)
    tv.pacing.synced(tv.now, changed=True)
    tv.wall_s += slept_s  # the monotonic clock stood still
    assert tv.wait() <= PACE.wake_s + 1


def test_a_street_that_wakes_up_together_does_not_call_together() -> None:
    waits = []
    for seed in range(100):
        tv = TV(seed)
        tv.pacing.synced(tv.now, changed=True)
        tv.wall_s += 8 * 3600
        waits.append(tv.wait())
    assert max(waits) - min(waits) > 40


@given(seeds, st.floats(-1e9, -61))
def test_a_clock_that_is_set_back_holds_nothing_up(seed: int, jump_s: float) -> None:
    tv = TV(seed)
    tv.pacing.synced(tv.now, changed=True)
    left_s = tv.pacing.due_in_s(tv.now)
    tv.wall_s += jump_s
    assert tv.pacing.due_in_s(tv.now) == pytest.approx(left_s)
    assert tv.wait() <= 901


@given(seeds, st.lists(st.tuples(st.sampled_from("sufwjb"), st.floats(0, 1)), max_size=60))
def test_whatever_happens_the_next_sync_is_bounded(seed: int, happenings: list[tuple[str, float]]) -> None:
    tv = TV(seed)
    for what, much in happenings:
        if what == "s":
            tv.pacing.synced(tv.now, changed=much < 0.5, next_s=1e6 * much if much > 0.8 else 0)
        elif what == "u":
            tv.pacing.watched(tv.now)
        elif what == "f":
            tv.pacing.failed(tv.now, retry_after_s=1e6 * much if much > 0.8 else 0, permanent=much < 0.1)
        elif what == "w":
            tv.run(1e4 * much)
        elif what == "j":
            tv.wall_s += 1e6 * (much - 0.5)
        else:
            tv.wait()
        assert 0 <= tv.pacing.due_in_s(tv.now) <= 1.25 * PACE.greatest_s
