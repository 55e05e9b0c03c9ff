"""The choice between the model and the static table: when it is left, when it comes back, and that it never flaps."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.device.fallback import Fallback, Policy, State

POLICY = Policy()
MINUTE = 60.0


def told(times_ms: list[float], *, tokens: int = 12, policy: Policy = POLICY) -> Fallback:
    fallback = Fallback(0, policy)
    for second, ms in enumerate(times_ms):
        fallback.embedded(ms, tokens, float(second))
    return fallback


def which(fallback: Fallback) -> str:
    return fallback.state.which


def slow(fallback: Fallback, now_s: float) -> None:
    for _ in range(POLICY.judged):
        fallback.embedded(100, 12, now_s)


def test_it_starts_with_the_model() -> None:
    assert Fallback(7).state == State("model", 7, "it is the default")
    assert not Fallback(0).probe_due(1e9)


def test_a_model_that_cant_be_loaded_is_left_at_once_with_the_reason() -> None:
    fallback = Fallback(0)
    fallback.failed("model.onnx has 9 B, its card says 10: it was cut short", 5)
    why = "the model can't be used: model.onnx has 9 B, its card says 10: it was cut short"
    assert fallback.state == State("static", 5, why)


def test_three_slow_ones_of_twenty_are_too_many_two_are_not() -> None:
    assert told([100.0] * 2 + [3.0] * 18).state.which == "model"
    left = told([100.0] * 3 + [3.0] * 17).state
    assert left == State("static", 19, "3 of 20 texts took over 15 ms, allowed: 2 of them")


@pytest.mark.parametrize("slow_at", range(40))
def test_a_single_slow_one_never_counts(slow_at: int) -> None:
    assert told([1e6 if i == slow_at else 15.0 for i in range(40)]).state.which == "model"


def test_nothing_is_judged_before_there_are_enough() -> None:
    assert told([100.0] * 19).state.which == "model"
    assert told([100.0] * 20).state.which == "static"


def test_slow_ones_that_are_long_past_are_forgotten() -> None:
    assert told(([100.0] * 2 + [3.0] * 18) * 3).state.which == "model"
    assert told([3.0] * 20 + [100.0] * 2 + [3.0] * 17 + [100.0]).state.which == "static"


def test_long_texts_say_nothing() -> None:
    assert told([100.0] * 50, tokens=65).state.which == "model"
    assert told([100.0] * 50, tokens=64).state.which == "static"


def test_probes_are_due_after_a_rest_that_doubles_up_to_its_limit() -> None:
    fallback = Fallback(0)
    fallback.failed("none", 0)
    now, waits = 0.0, []
    for _ in range(8):
        began = now
        while not fallback.probe_due(now):
            now += MINUTE
        waits.append((now - began) / MINUTE)
        fallback.failed("none", now)
    assert waits == [10, 20, 40, 80, 160, 320, 360, 360]
    assert fallback.state.since_s == 0


def test_a_probe_that_fails_says_why_but_the_change_stays_where_it_was() -> None:
    fallback = told([100.0] * 20)
    fallback.failed("std::bad_alloc", 700)
    assert fallback.state == State("static", 19, "the model can't be used: std::bad_alloc")


def test_three_good_probes_in_a_row_bring_the_model_back() -> None:
    fallback = Fallback(0)
    fallback.failed("none", 0)
    for minute, ms in [(10, 10.0), (20, 10.0), (30, 10.1), (50, 9.0), (60, 9.0)]:
        assert fallback.probe_due(minute * MINUTE)
        fallback.probed(ms, minute * MINUTE)
        assert fallback.state.which == "static"
        assert not fallback.probe_due(minute * MINUTE)
    fallback.probed(9.0, 70 * MINUTE)
    assert fallback.state == State("model", 70 * MINUTE, "it kept within 10 ms in 3 probes")


def test_probes_that_arent_due_dont_count() -> None:
    fallback = Fallback(0)
    fallback.failed("none", 0)
    for second in range(599):
        fallback.probed(1.0, float(second))
    for minute in (10, 20):
        fallback.probed(1.0, minute * MINUTE)
        fallback.probed(1.0, minute * MINUTE + 1)
    assert which(fallback) == "static"
    fallback.probed(1.0, 31 * MINUTE)
    assert which(fallback) == "model"


def back_again(fallback: Fallback, now_s: float) -> float:
    """Probe well until the model is back; return when."""
    while fallback.state.which == "static":
        now_s += MINUTE
        if fallback.probe_due(now_s):
            fallback.probed(1.0, now_s)
    return now_s


def test_a_model_that_comes_and_goes_stays_away_longer_each_time() -> None:
    fallback, now, away = Fallback(0), 0.0, []
    for _ in range(6):
        slow(fallback, now + POLICY.rest_s)
        left = now + POLICY.rest_s
        assert (fallback.state.which, fallback.state.since_s) == ("static", left)
        now = back_again(fallback, left)
        away.append((now - left) / MINUTE)
    assert away == [30, 40, 60, 100, 180, 340]
    slow(fallback, now + POLICY.longest_rest_s)
    left = now + POLICY.longest_rest_s
    assert (back_again(fallback, left) - left) / MINUTE == 30


def test_a_slow_model_that_just_came_back_is_left_only_after_a_rest() -> None:
    fallback = Fallback(0)
    slow(fallback, 0)
    back = back_again(fallback, 0)
    slow(fallback, back + 599)
    assert which(fallback) == "model"
    slow(fallback, back + 600)
    assert which(fallback) == "static"


def test_a_clock_that_is_set_back_a_year_holds_nothing_up() -> None:
    fallback = Fallback(0)
    fallback.failed("none", 0)
    year = 365 * 24 * 60 * MINUTE
    assert not fallback.probe_due(5 * MINUTE)
    assert not fallback.probe_due(5 * MINUTE - year)
    assert not fallback.probe_due(9 * MINUTE - year)
    assert fallback.probe_due(10 * MINUTE - year)


Step: TypeAlias = "tuple[str, float, float]"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["embedded", "embedded", "embedded", "probed", "failed"]),
        st.floats(0, 60),
        st.one_of(st.floats(0, 2), st.floats(0, 40_000), st.floats(-1e6, 0)),
    ),
    max_size=120,
)
SMALL = Policy(judged=5, good_probes=2)


@given(STEPS)
def test_it_never_flaps(steps: list[Step]) -> None:
    """Whatever the times: in any rest there is one change at most, and one more only where the model broke."""
    fallback = Fallback(0, SMALL)
    now = elapsed = 0.0
    changes: list[tuple[float, str, str]] = []
    for what, ms, passed in steps:
        now += passed
        elapsed += max(passed, 0.0)
        before = fallback.state
        if what == "embedded":
            fallback.embedded(ms, 12, now)
        elif what == "probed":
            fallback.probed(ms, now)
        else:
            fallback.failed("broken", now)
        if fallback.state.which != before.which:
            assert fallback.state.since_s == now
            changes.append((elapsed, fallback.state.which, what))
    assert [to for _, to, _ in changes] == (["static", "model"] * len(changes))[: len(changes)]
    for (earlier, _, _), (later, _, what) in pairwise(changes):
        assert what == "failed" or later - earlier >= SMALL.rest_s - 1e-3
    for (first, _, _), (third, _, _) in zip(changes, changes[2:], strict=False):
        assert third - first >= SMALL.rest_s - 1e-3


@given(st.lists(st.floats(0, 10), max_size=60), st.integers(0, 2**31))
def test_a_model_within_its_budget_is_never_left(times_ms: list[float], start: int) -> None:
    fallback = Fallback(start)
    for i, ms in enumerate(times_ms):
        fallback.embedded(ms, 12, start + i)
    assert fallback.state.which == "model"
