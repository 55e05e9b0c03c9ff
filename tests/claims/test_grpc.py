"""The claim about the gRPC door measures two real servers."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from omega.claims.bench import Bench
from omega.claims.grpc import overhead
from omega.core.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_both_servers_answer_everything_and_cost_something(tmp_path: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: steps.append((done, total, what)))) as bench:
        found = overhead(bench)
    assert found.agrees
    assert 30 < found.details["bare_us"] < 5000
    assert 0.3 < found.value < 5
    assert steps[-1][:2] == (12, 12)
