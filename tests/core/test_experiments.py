"""Experiments: who is where is uniform, stable and independent; what makes no sense is refused."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from hashlib import blake2b
from itertools import product
from typing import Any

import msgspec
import pytest

from omega.core.errors import InputError
from omega.core.experiments import Arm, Experiment, Experiments, decode_experiments, encode_experiments

FIRST, LAST = date(2026, 12, 1), date(2026, 12, 21)
HOUSEHOLDS = [f"{number:032x}".encode() for number in range(20_000)]


def an_experiment(name: str = "one", *shares: float, salt: str = "", **changes: Any) -> Experiment:
    arms = tuple(Arm(name=f"arm-{at}", share=share) for at, share in enumerate(shares or (0.5, 0.5)))
    fields: dict[str, Any] = {"id": name, "first_day": FIRST, "last_day": LAST, "arms": arms, "salt": salt}
    return Experiment(**fields | changes)


def an_arm(**changes: Any) -> Arm:
    fields: dict[str, Any] = {"name": "a", "share": 0.5}
    return Arm(**fields | changes)


def surprise(counts: Counter[Any], expected: dict[Any, float]) -> float:
    """Return chi-square."""
    return sum((counts[key] - mean) ** 2 / mean for key, mean in expected.items())


def test_households_fall_into_arms_by_their_shares() -> None:
    tried = an_experiment("one", 0.1, 0.2, 0.7)
    counts = Counter(tried.arm(household).name for household in HOUSEHOLDS)
    expected = {"arm-0": 2_000.0, "arm-1": 4_000.0, "arm-2": 14_000.0}
    assert surprise(counts, expected) < 18.4, "2 degrees, p = .0001"


@pytest.mark.parametrize(
    "other", [an_experiment("two"), an_experiment("one", salt="again"), an_experiment("o", salt="ne")]
)
def test_an_arm_tells_nothing_of_another_experiment(other: Experiment) -> None:
    one = an_experiment("one")
    counts = Counter((one.arm(household).name, other.arm(household).name) for household in HOUSEHOLDS)
    expected = dict.fromkeys(product(("arm-0", "arm-1"), repeat=2), len(HOUSEHOLDS) / 4)
    assert surprise(counts, expected) < 21.1, "3 degrees, p = .0001"


def test_an_arm_is_what_the_hash_says_and_stays() -> None:
    tried = an_experiment("one", 0.25, 0.75, salt="s")
    for household in HOUSEHOLDS[:200]:
        digest = blake2b(b"one\ns", digest_size=8, key=household, person=b"omega-arm").hexdigest()
        assert tried.arm(household).name == ("arm-0" if int(digest, 16) < 2**62 else "arm-1")
    longer = msgspec.structs.replace(tried, last_day=LAST + timedelta(days=7))
    assert [longer.arm(one) for one in HOUSEHOLDS[:200]] == [tried.arm(one) for one in HOUSEHOLDS[:200]]


def test_it_runs_on_its_days_both_included() -> None:
    every = Experiments((an_experiment(),))
    days = [FIRST + timedelta(days=at) for at in range(-1, 22)]
    running = [day for day in days if every.arms(b"household", day)]
    assert (running[0], running[-1], len(running)) == (FIRST, LAST, 21)


def test_a_file_is_read_as_it_was_written() -> None:
    wider = Arm(name="wider", share=0.25, settings={"breadth": 0.5}, factors={"novelty": 1.5, "habit": 0})
    every = Experiments((an_experiment(arms=(Arm(name="as-ever", share=0.75), wider)), an_experiment("two")))
    assert decode_experiments(encode_experiments(every)) == every


def test_two_that_change_the_same_must_not_meet() -> None:
    arms = Arm(name="a", share=0.5), Arm(name="b", share=0.5, settings={"breadth": 0.5})
    one, other = an_experiment("one", arms=arms), an_experiment("two", arms=arms)
    with pytest.raises(InputError, match="experiments one and two both change breadth, allowed: one at a time"):
        Experiments((one, other))
    later = msgspec.structs.replace(other, first_day=LAST + timedelta(days=1), last_day=LAST + timedelta(days=2))
    assert Experiments((one, later)).experiments == (one, later)
    with pytest.raises(InputError, match="experiment one stands twice"):
        Experiments((an_experiment(), an_experiment()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_day": date(2027, 1, 1)}, "is from 2027-01-01 to 2026-12-21, allowed: 1..366 days"),
        ({"last_day": date(2028, 1, 1)}, "allowed: 1..366 days"),
        ({"arms": (Arm(name="a", share=0.5), Arm(name="a", share=0.5))}, "2 arms of 1 names, allowed: a name each"),
        ({"arms": (Arm(name="a", share=0.5), Arm(name="b", share=0.4))}, "add up to 0.9, allowed: 1"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        an_experiment(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": 0}, "share of arm a is 0, allowed: above 0"),
        ({"share": float("nan")}, "share of arm a is nan"),
        ({"share": 1.5}, "share of arm a is 1.5"),
        ({"settings": {"trend": 1}}, "settings of arm a name '?trend'?, allowed: breadth, explore"),
        ({"settings": {"breadth": 1.1}}, r"breadth is 1.1, allowed: 0\.\.1"),
        ({"settings": {"explore": float("nan")}}, "explore is nan"),
        ({"factors": {"breadth": 1}}, "factors of arm a name '?breadth'?, allowed: trend, "),
        ({"factors": {"habit": 10.5}}, r"habit is 10.5, allowed: 0\.\.10"),
        ({"factors": {"habit": float("inf")}}, "habit is inf"),
    ],
)
def test_an_arm_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        an_arm(**changes)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "holds no experiments"),
        (b"\xff", "holds no experiments"),
        (b"[" * 60_000, "holds no experiments"),
        (b'{"omega_experiments": 2, "experiments": []}', "is of format 2, allowed: 1: update omega"),
        (b'{"omega_experiments": 1, "experiments": [], "more": 1}', "unknown field"),
        (b" " * 70_000, "is 70,000 B, allowed: 65,536 B"),
        (b'{"omega_experiments": 1, "experiments": [{"id": "One"}]}', "holds no experiments"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_name(raw: bytes, message: str) -> None:
    with pytest.raises(InputError, match=r"^trials(: | holds | is )") as refused:
        decode_experiments(raw, "trials")
    assert message in str(refused.value)
