"""The catalog, and its arrays in the space of the model that ships: embedded once for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.device.titles import load_or_embed
from omega_plugins.embedders.onnx import OnnxEmbedder

if TYPE_CHECKING:
    from omega.device.titles import TitleArrays


@pytest.fixture(scope="session")
def example() -> Catalog:
    return Catalog.read(EXAMPLE_CATALOG_PATH)


@pytest.fixture(scope="session")
def arrays(example: Catalog, tmp_path_factory: pytest.TempPathFactory) -> TitleArrays:
    return load_or_embed(example, OnnxEmbedder.open(), tmp_path_factory.getbasetemp() / "titles")
