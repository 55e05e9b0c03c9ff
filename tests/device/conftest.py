"""A TV for tests: the example catalog in the fake embedder's space, a store in memory, a clock turned by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.testing.fakes import Clock, FakeEmbedder
from omega.device.brain import Brain
from omega.device.ranking import Weights
from omega.device.titles import load_or_embed
from omega_storage.device_memory import MemoryDeviceStore

if TYPE_CHECKING:
    from omega.core.ports import DeviceStore, Embedder
    from omega.device.titles import TitleArrays


class OpenBrain(Protocol):
    """Opens a brain; what isn't given is a fake."""

    def __call__(
        self,
        store: DeviceStore | None = None,
        *,
        embedder: Embedder | None = None,
        catalog: Catalog | None = None,
        weights: Weights | None = None,
    ) -> Brain: ...


@pytest.fixture(scope="session")
def example() -> Catalog:
    return Catalog.read(EXAMPLE_CATALOG_PATH)


@pytest.fixture(scope="session")
def arrays(example: Catalog) -> TitleArrays:
    return load_or_embed(example, FakeEmbedder(), None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_brain(example: Catalog, arrays: TitleArrays, clock: Clock) -> OpenBrain:
    return opener(example, arrays, clock)


@pytest.fixture(scope="module")
def late() -> Clock:
    """A module's clock."""
    return Clock()


@pytest.fixture(scope="module")
def open_everywhere(example: Catalog, arrays: TitleArrays, late: Clock) -> OpenBrain:
    """Opens a brain that a whole module shares."""
    return opener(example, arrays, late)


def opener(example: Catalog, arrays: TitleArrays, clock: Clock) -> OpenBrain:
    def opened(
        store: DeviceStore | None = None,
        *,
        embedder: Embedder | None = None,
        catalog: Catalog | None = None,
        weights: Weights | None = None,
    ) -> Brain:
        fake = embedder is None and catalog is None
        titles = arrays if fake else load_or_embed(catalog or example, embedder or FakeEmbedder(), None)
        return Brain(
            store or MemoryDeviceStore(),
            embedder or FakeEmbedder(),
            catalog or example,
            titles,
            now=clock,
            weights=weights or Weights(explore=0),  # what is looked at is what scores decide
        )

    return opened
