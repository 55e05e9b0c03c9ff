"""The claims about the load generator can fail, and its cost is measured in a process of its own."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("hdrh", reason="histograms need the extra load")

from omega.claims.bench import Bench
from omega.claims.generator import cost
from omega.core.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path


def test_a_million_tvs_are_measured(tmp_path: Path) -> None:
    with closing(Bench(resolve({"home": tmp_path}, {}).settings, lambda done, total, what: None)) as bench:
        found = cost(bench)
    assert found.agrees
    assert 1_000_000 * found.details["bytes_per_device"] / 2**20 < found.value, "all of the arrays is in memory"
    assert found.details["frame_us"] > 1
