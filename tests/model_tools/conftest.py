"""The real weights, fetched once into the user's cache, and the model folders made from them, once a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import platformdirs
import pytest

from omega_model_tools.export import export_fp32
from omega_model_tools.source import fetch_source

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def source() -> Path:
    return fetch_source(platformdirs.user_cache_path("omega") / "models")


@pytest.fixture(scope="session")
def fp32(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "fp32"
    export_fp32(source, folder)
    return folder
