"""What made-up TVs watch: the same for the same three numbers, by the laws that it claims."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from omega.core.wire.messages import TASTE_BYTES
from omega.core.wire.samples import DAY_ODDS
from omega.fleet.load.watching import MOST_ROWS, Watching

TITLES, DAY = 800, 20_700


def test_rows_depend_on_seed_device_and_version_alone() -> None:
    watching = Watching(TITLES, 3, DAY)
    devices, versions = np.array([5, 9, 5, 4_000_000]), np.array([1, 1, 2, 1])
    together = watching.rows(devices, versions)
    for place, (device, version) in enumerate(zip(devices, versions, strict=True)):
        assert watching.rows(np.array([device]), np.array([version])) == [together[place]]
    assert Watching(TITLES, 3, DAY).rows(devices, versions) == together
    assert Watching(TITLES, 4, DAY).rows(devices, versions) != together
    assert len({tuple(rows) for rows in together}) == 4
    assert together[0][0].taste == together[2][0].taste, "a device keeps its taste code for a day"
    assert together[0][0].taste != together[1][0].taste


def test_they_follow_their_laws() -> None:
    devices = np.arange(20_000)
    told = Watching(TITLES, 1, DAY).rows(devices, np.ones_like(devices))
    sizes = Counter(len(rows) for rows in told)
    assert set(sizes) == set(range(1, MOST_ROWS + 1))
    rows = [row for rows in told for row in rows]
    assert all(len({(row.title, row.slot, row.day) for row in rows}) == len(rows) for rows in told)
    titles = sorted(Counter(row.title for row in rows).values(), reverse=True)
    harmonic = sum(1 / rank for rank in range(1, TITLES + 1))
    for rank in (1, 2, 5, 20):
        assert titles[rank - 1] / len(rows) == pytest.approx(1 / rank / harmonic, rel=0.1), "Zipf's law"
    slots = Counter(row.slot for row in rows)
    for slot, odds in enumerate(DAY_ODDS):
        assert slots[slot] / len(rows) == pytest.approx(odds / sum(DAY_ODDS), rel=0.1)
    assert {row.day for row in rows} == {DAY, DAY - 1}
    assert all(row.success % 4 == 0 and 0 <= row.success <= 1000 and len(row.taste) == TASTE_BYTES for row in rows)
    assert np.mean([row.success >= 900 for row in rows]) == pytest.approx(0.7, abs=0.03)
