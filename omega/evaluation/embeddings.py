"""Vectors of the titles' texts, by the product's own embedder and from its cache."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np

from omega.compose import open_embedder
from omega.core.catalog import Catalog
from omega.core.errors import InputError, shown
from omega.core.ports import Embedder
from omega.device.titles import load_or_embed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

    from omega.core.ports import Floats
    from omega.core.settings import Settings
    from omega.core.types import Title
    from omega.device.titles import TitleArrays

_PER_TITLE = "vectors", "centered", "genres", "kinds", "ages", "popularity", "years"


class Embeddings:
    """The vectors of some titles, in whatever order they are asked for."""

    def __init__(self, titles: Sequence[Title], vectors: Floats) -> None:
        """`vectors` (t, d) float32, unit rows, in order of the titles."""
        self._vectors = vectors
        self._rows = {title.id: row for row, title in enumerate(titles)}

    def of(self, titles: Sequence[Title]) -> Floats:
        """Return (t, d) float32."""
        return np.asarray(self._vectors[self._places(titles)])

    def _places(self, titles: Sequence[Title]) -> list[int]:
        return [self._rows[title.id] for title in titles]


class BrainEmbeddings(Embeddings):
    """All that brains compute with, so that the product itself can be replayed."""

    def __init__(self, titles: Sequence[Title], arrays: TitleArrays, space: str) -> None:
        """`arrays` in order of the titles, in this space."""
        super().__init__(titles, arrays.vectors)
        self._arrays = arrays
        self.embedder = TitlesOnly(space, arrays.vectors.shape[1])
        """What brains are opened with: whatever a replay asks for stands in the arrays."""

    def arrays(self, titles: Sequence[Title]) -> TitleArrays:
        """Return the arrays of some titles."""
        places = self._places(titles)
        return replace(self._arrays, **{name: getattr(self._arrays, name)[places] for name in _PER_TITLE})


class TitlesOnly(Embedder):
    """Stands for a model that nobody needs, since all vectors are there already."""

    NAME: ClassVar[str] = "titles-only"

    def __init__(self, space: str, dimensions: int) -> None:
        """Stand for the model of this space."""
        self.space, self.dimensions = space, dimensions

    @classmethod
    def open(cls, model: Path | None = None, *, threads: int = 1) -> Self:  # noqa: ARG003
        """Raise InputError: there is no model to load."""
        raise InputError(f"{cls.NAME} has no model, allowed: a space whose vectors are known: construct it")

    def embed(self, texts: Sequence[str]) -> Floats:
        """Raise InputError: a replay has no text but those of titles and contexts."""
        raise InputError(f"text is {shown(texts[0] if texts else '')}, allowed: titles of the catalog: name one")


def embedded(
    settings: Settings,
    titles: Sequence[Title],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BrainEmbeddings:
    """Embed the titles' texts, 5 ms each, where the settings' cache doesn't have them. Raises as `open_embedder` does.

    They are put in order of their ids first, so that another numbering finds the same cache.
    """
    ordered = sorted((msgspec.structs.replace(title, popularity=0.0) for title in titles), key=lambda title: title.id)
    with closing(open_embedder(settings)) as embedder:
        arrays = load_or_embed(Catalog.build(ordered), embedder, settings.cache / "titles", progress)
        return BrainEmbeddings(ordered, arrays, embedder.space)
