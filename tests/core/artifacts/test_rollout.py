"""The draw of a rollout: stable, uniform, drawn anew for each artifact."""

from __future__ import annotations

from collections import Counter

from omega.core.artifacts.manifest import digest
from omega.core.artifacts.rollout import BUCKETS, bucket

DEVICES = [index.to_bytes(32, "big") for index in range(40_000)]
FIRST, SECOND = digest(b"first"), digest(b"second")


def test_the_draw_never_changes() -> None:
    assert [bucket(device, FIRST) for device in DEVICES[:4]] == [3472, 2188, 478, 8052]


def test_every_share_of_the_devices_is_hit() -> None:
    drawn = [bucket(device, FIRST) for device in DEVICES]
    assert 0 <= min(drawn) < max(drawn) < BUCKETS
    counts = Counter(place // 100 for place in drawn)
    expected = len(DEVICES) / 100
    chi2 = sum((counts[part] - expected) ** 2 / expected for part in range(100))
    assert 60 < chi2 < 148  # 99 degrees of freedom: .1 % on either side
    for share in (100, 1000, 5000):
        taken = sum(place < share for place in drawn) / len(drawn)
        assert abs(taken - share / BUCKETS) < 4 * (share / BUCKETS / len(drawn)) ** 0.5


def test_each_artifact_is_drawn_for_anew() -> None:
    first = {device for device in DEVICES if bucket(device, FIRST) < 1000}
    second = {device for device in DEVICES if bucket(device, SECOND) < 1000}
    assert abs(len(first & second) - 400) < 80
