"""What goes first, and that no frame is too long."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.core.errors import WireCode, WireError
from omega.core.wire.frames import PULL_LIMIT, PUSH_LIMIT, decode, encode
from omega.core.wire.messages import Artifact, Header, Pull, Push, Row, in_wire_order
from omega.core.wire.planner import plan_pull, plan_push
from omega.core.wire.samples import pulled, pushed
from tests.core.wire.living import pulls, pushes

HEADER = Header(space=1, lineage=2, epoch=3)
TASTE, OTHER = Random(1).randbytes(22), Random(2).randbytes(22)


def push(contributed: tuple[Row, ...] = (), retracted: tuple[Row, ...] = ()) -> Push:
    return Push(header=HEADER, incarnation=1, base=0, contributed=contributed, retracted=retracted)


def room_for(*rows: Row, retracted: tuple[Row, ...] = ()) -> int:
    return len(encode(push(rows, retracted)))


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_patterns_fit_one_push(seed: int, hashed: bool) -> None:  # noqa: FBT001
    titles = Random(seed).sample(range(1 << 40 if hashed else 100_000), 3_000)
    whole = pushed(Random(seed), titles, 100, days=3, hashed=hashed)
    planned = plan_push(whole)
    assert planned.push == whole
    assert planned.frame == encode(whole)
    assert planned.contributed == tuple(range(100))


def test_everything_is_sent_in_a_few_frames_and_nothing_twice() -> None:
    left = pushed(Random(1), range(800), 2_000, days=60)
    everything = set(left.contributed)
    sent: list[Row] = []
    frames = 0
    while left.contributed:
        planned = plan_push(left)
        assert len(planned.frame) <= PUSH_LIMIT
        assert decode(planned.frame, max_bytes=PUSH_LIMIT) == in_wire_order(planned.push)
        assert planned.push.contributed == tuple(left.contributed[place] for place in planned.contributed)
        sent += planned.push.contributed
        waiting = set(range(len(left.contributed))) - set(planned.contributed)
        left = msgspec.structs.replace(left, contributed=tuple(left.contributed[place] for place in sorted(waiting)))
        frames += 1
    assert len(sent) == 2_000
    assert set(sent) == everything
    assert frames <= 8


def test_a_frame_is_filled() -> None:
    whole = pushed(Random(2), range(800), 1_000, days=60)
    planned = plan_push(whole)
    assert PUSH_LIMIT - 12 <= len(planned.frame) <= PUSH_LIMIT


@given(pushes, st.integers(0, 400))
def test_a_planned_push_is_what_fits(whole: Push, room: int) -> None:
    bare = msgspec.structs.replace(whole, contributed=(), retracted=())
    limit = len(encode(bare)) + room
    planned = plan_push(whole, limit)
    assert len(planned.frame) <= limit
    assert decode(planned.frame, max_bytes=limit) == in_wire_order(planned.push)
    assert planned.push.contributed == tuple(whole.contributed[place] for place in planned.contributed)
    assert planned.push.retracted == tuple(whole.retracted[place] for place in planned.retracted)
    if len(encode(whole)) <= limit:
        assert planned.push == whole


def test_retractions_come_before_everything() -> None:
    back, new = Row(700, 1, 20_000, 500), Row(1, 1, 20_700, 500)
    planned = plan_push(push((new,), (back,)), room_for(retracted=(back,)))
    assert (planned.retracted, planned.contributed) == ((0,), ())


def test_the_newest_come_before_the_old() -> None:
    old, new = Row(1, 1, 20_690, 500), Row(2, 1, 20_700, 500)
    assert plan_push(push((old, new)), room_for(new)).contributed == (1,)


def test_a_short_row_comes_before_a_long_one() -> None:
    long, short = Row(1, 1, 20_700, 500, b"", hashed=True), Row(2, 1, 20_700, 500)
    assert plan_push(push((long, short)), room_for(long)).contributed == (1,)
    weeks_older = msgspec.structs.replace(short, day=20_700 - 14)
    assert plan_push(push((long, weeks_older)), room_for(long)).contributed == (0,)


def test_rows_that_share_a_taste_code_come_before_one_that_has_its_own() -> None:
    alone, together = Row(1, 1, 20_700, 0, TASTE), tuple(Row(n, 1, 20_700, 0, OTHER) for n in range(2, 6))
    assert plan_push(push((alone, *together)), room_for(*together)).contributed == (1, 2, 3, 4)


def test_a_limit_without_room_for_a_header_is_refused() -> None:
    with pytest.raises(WireError, match=r"frame is 19 B before its first row, allowed 18 B") as refusal:
        plan_push(push((Row(1, 1, 20_700, 0),)), 18)
    assert refusal.value.code is WireCode.SIZE


def test_a_row_out_of_range_is_refused_here_too() -> None:
    with pytest.raises(WireError, match="quantized"):
        plan_push(push((Row(1, 1, 20_700, 1),)))


def test_the_pull_of_the_plan_fits_whole() -> None:
    pull = pulled(Random(3), range(800), trending=20, similar=100)
    assert plan_pull(pull).pull == pull


def test_a_pull_that_is_too_long_keeps_the_best_of_both_lists() -> None:
    whole = pulled(Random(3), range(5_000), trending=600, similar=400)
    planned = plan_pull(whole)
    assert PULL_LIMIT - 40 <= len(planned.frame) <= PULL_LIMIT
    assert decode(planned.frame, max_bytes=PULL_LIMIT) == in_wire_order(planned.pull)
    trends, similar = len(planned.pull.trending), len(planned.pull.similar)
    assert planned.pull.trending == whole.trending[:trends]
    assert planned.pull.similar == whole.similar[:similar]
    assert planned.pull.removed == whole.removed
    assert planned.pull.artifacts == whole.artifacts
    assert 100 < trends < 600
    assert similar > 100


@given(pulls, st.integers(0, 200))
def test_a_planned_pull_is_what_fits(whole: Pull, room: int) -> None:
    limit = len(encode(msgspec.structs.replace(whole, trending=(), similar=()))) + room
    planned = plan_pull(whole, limit)
    assert len(planned.frame) <= limit
    assert decode(planned.frame, max_bytes=limit) == in_wire_order(planned.pull)
    if len(encode(whole)) <= limit:
        assert planned.pull == whole


def test_names_of_artifacts_that_are_too_long_are_refused() -> None:
    random = Random(1)
    artifacts = tuple(Artifact(1, n, random.randbytes(16), n) for n in range(64))
    with pytest.raises(WireError, match="allowed 1000 B"):
        plan_pull(Pull(header=HEADER, pull_id=1, artifacts=artifacts), 1_000)
