"""Embedder `static`: a table of token vectors, for TVs on which no model runs. 100 times as fast, less exact.

A text's vector is the unit sum of its tokens' vectors; the table was fitted by ridge regression so that this comes near
MiniLM's (cosine about .8). Its space is its own: nothing of it compares with MiniLM's vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from omega.core.errors import ModelError
from omega.core.hooks import hookimpl
from omega.core.model_folder import ModelCard, read_model_folder
from omega.core.ports import Embedder
from omega.core.text import WordPiece
from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

    from omega.core.ports import Floats


class StaticEmbedder(Embedder):
    """A table of token vectors, without onnxruntime."""

    NAME: ClassVar[str] = "static"

    def __init__(self, card: ModelCard, tokenizer: WordPiece, table: NDArray[np.int8], scales: Floats) -> None:
        """`table` (vocabulary, dimensions) int8; `scales` (vocabulary,) float32, one factor a row."""
        self.space = card.space
        self.dimensions = card.dimensions
        self._max_tokens = card.max_tokens
        self._tokenizer = tokenizer
        self._table = table
        self._scales = scales

    @classmethod
    def open(cls, model: Path | None = None, *, threads: int = 1) -> Self:  # noqa: ARG003  (there is nothing to share)
        """Map a model folder of kind static, the one that comes with Omega by default."""
        folder = model or MODELS / "minilm-static"
        card = read_model_folder(folder)
        if card.kind != "static":
            raise ModelError(f"{folder} is of kind {card.kind}, allowed: static: use --embedder {card.kind}")
        tokenizer = WordPiece.from_file(folder / "vocab.txt")
        try:
            table = np.load(folder / "table.npy", mmap_mode="r", allow_pickle=False)
            scales = np.load(folder / "scales.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ModelError(f"{folder} can't be loaded ({error}): quantize it again") from error
        if table.shape != (len(tokenizer), card.dimensions) or scales.shape != (len(tokenizer),):
            raise ModelError(
                f"{folder} has a table {table.shape}, allowed: ({len(tokenizer)}, {card.dimensions}): quantize it again"
            )
        return cls(card, tokenizer, table, scales)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return (n, 384) float32 unit rows in order."""
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            ids = self._tokenizer.encode(text, self._max_tokens)
            total = self._scales[ids] @ self._table[ids].astype(np.float32)
            vectors[row] = total / max(float(np.linalg.norm(total)), 1e-12)
        return vectors


@hookimpl
def omega_embedders() -> list[type[Embedder]]:
    """Return the table."""
    return [StaticEmbedder]
