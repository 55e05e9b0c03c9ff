"""What holds in every test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pathlib import Path

pytest.register_assert_rewrite("omega.core.testing.contracts", "omega.core.testing.transport_contract")

# The same examples every time, and no deadline: a slow moment of a shared machine is no fault of the code.
settings.register_profile("omega", deadline=None, derandomize=True)
settings.load_profile("omega")


@pytest.fixture(autouse=True)
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's own store and settings: commands find an empty folder, and no OMEGA_ variable but the data's."""
    folder: Path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    for name in set(os.environ) - {"OMEGA_EVAL_DATA"}:
        if name.startswith("OMEGA_"):
            monkeypatch.delenv(name)
