"""Vectors of the titles' texts, by the product's own embedder and from its cache."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.compose import open_embedder
from omega.core.catalog import Catalog
from omega.device.titles import load_or_embed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omega.core.ports import Floats
    from omega.core.settings import Settings
    from omega.core.types import Title


class Embeddings:
    """The vectors of some titles, in whatever order they are asked for."""

    def __init__(self, titles: Sequence[Title], vectors: Floats) -> None:
        """`vectors` (t, d) float32, unit rows, in order of the titles."""
        self._vectors = vectors
        self._rows = {title.id: row for row, title in enumerate(titles)}

    def of(self, titles: Sequence[Title]) -> Floats:
        """Return (t, d) float32."""
        found: Floats = np.asarray(self._vectors[[self._rows[title.id] for title in titles]])
        return found


def embedded(
    settings: Settings,
    titles: Sequence[Title],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Embeddings:
    """Embed the titles' texts, 5 ms each, where the settings' cache doesn't have them. Raises as `open_embedder` does.

    They are put in order of their ids first, so that another numbering finds the same cache.
    """
    ordered = sorted((msgspec.structs.replace(title, popularity=0.0) for title in titles), key=lambda title: title.id)
    with closing(open_embedder(settings)) as embedder:
        arrays = load_or_embed(Catalog.build(ordered), embedder, settings.cache / "titles", progress)
    return Embeddings(ordered, arrays.vectors)
