"""Frames from columns are those of the codec, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from omega.core.wire import Header, Push, Row, encode
from omega.core.wire.rows import MAX_ORDINAL
from omega.fleet.load.plain_frames import PlainFrames
from omega.fleet.load.watching import Drawn, Watching


@pytest.mark.parametrize("titles", [3, 1_400, 50_000])
@pytest.mark.parametrize("today", [20_000, 20_800, 65_535])
@pytest.mark.parametrize("epoch", [1, 300])
def test_they_are_the_codecs(titles: int, today: int, epoch: int) -> None:
    header, watching, random = (
        Header(space=9, lineage=77, epoch=epoch),
        Watching(titles, 1, today),
        np.random.default_rng(titles),
    )
    devices = np.arange(3_000) * 1_000
    base = random.choice([0, 1, 127, 128, 2**31], len(devices))
    life, pull = (random.choice([0, 5, 2**32 - 1], len(devices)) for _ in range(2))
    drawn, tastes = watching.drawn(devices, base + 1), watching.tastes(devices)
    made = list(PlainFrames(header).made(drawn, tastes, life, base, pull))
    rows, left = watching.rows(devices, base + 1), 0
    for at, (frame, told) in enumerate(zip(made, rows, strict=True)):
        push = Push(
            header=header,
            incarnation=int(life[at]),
            base=int(base[at]),
            known_pull=int(pull[at]),
            contributed=told,
        )
        left += frame is None
        assert frame is None or frame == (encode(push), len(told))
    twice = sum(int(count) > len(told) for count, told in zip(drawn.counts, rows, strict=True))
    assert left >= twice
    assert left < (1_500 if titles == 3 else 800), "most are plain"
    assert titles > 3 or twice > 100


def test_titles_of_any_size() -> None:
    header, ordinals = Header(space=0, lineage=0, epoch=0), [0, 15, 16, 2_047, 2_048, 2**18, MAX_ORDINAL]
    title = np.asarray(ordinals)[:, None]
    drawn = Drawn(np.ones(len(title), np.int64), title, title * 0 + 7, title * 0 + 20_001, title * 0 + 1_000)
    zeros = np.zeros(len(title), np.int64)
    frames = PlainFrames(header).made(drawn, [bytes(range(22))] * len(title), zeros, zeros, zeros)
    for ordinal, frame in zip(ordinals, frames, strict=True):
        push = Push(
            header=header, incarnation=0, base=0, contributed=(Row(ordinal, 7, 20_001, 1_000, bytes(range(22))),)
        )
        assert frame == (encode(push), 1)
