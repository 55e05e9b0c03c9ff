"""What pulls say is worked out once, and is what a TV by itself would work out."""

from __future__ import annotations

import msgspec
import numpy as np

from omega.core.wire import Trend
from omega.device.others import heard
from omega.device.sync.trends import Trends
from omega.evaluation.loop.hearing import REMEMBERED, Hearing


def pull(number: int) -> Trends:
    return Trends("0", number, (Trend(title=number % 7, slot=None, households=4 + number, success=600, momentum=9),))


def test_everybody_hears_what_one_tv_would_and_gets_it_once() -> None:
    hear, popularity = Hearing(), np.zeros(7, np.float32)
    pulls = [pull(number) for number in range(3 * REMEMBERED)]
    for told in [*pulls, *pulls[-REMEMBERED:]]:
        found, alone = hear(popularity, told, None, None), heard(popularity, told, None, None)
        for name in ("shares", "households", "quality", "nearness"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name), err_msg=name)
        assert hear(popularity, told, None, None) is found


def test_the_same_pull_over_another_catalog_is_heard_anew() -> None:
    hear, told = Hearing(), pull(3)
    few, many = np.zeros(5, np.float32), np.zeros(9, np.float32)
    assert len(hear(few, told, None, None).shares) == len(few)
    assert len(hear(many, told, None, None).shares) == len(many)
    assert hear(few, msgspec.structs.replace(told), None, None) is not hear(few, told, None, None)
