"""Embedder `static`: a table of token vectors, for TVs on which no model runs. 100 times as fast, less exact.

A text's vector is the unit sum of its tokens' vectors; the table was fitted by ridge regression so that this comes near
MiniLM's (cosine about .8). Its space is its own: nothing of it compares with MiniLM's vectors.

The table's 12 MB stay on disk, and a text reads the rows of its own tokens. A map would do the same until a catalog is
embedded, then all of it would count as this process's memory; and a file cut short under a map ends the process.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from omega.core.errors import ModelError, OmegaError
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


class Table:
    """An int8 array of two dimensions in an .npy file, read by rows."""

    def __init__(self, path: Path) -> None:
        """Open the file until `close`; raises OSError, or ValueError when it holds anything else."""
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"{path.name} is of .npy version {version}")
            self.shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()
            if dtype != np.int8 or by_columns or len(self.shape) != 2:
                raise ValueError(f"{path.name} holds {dtype} {self.shape}")
            self._file = os.dup(file.fileno())
        self.close = weakref.finalize(self, os.close, self._file)

    def rows(self, ids: Sequence[int]) -> NDArray[np.int8]:
        """Return (n, columns) int8 in order of `ids`; raises OmegaError when the file was closed or cut short."""
        columns = self.shape[1]
        if not self.close.alive:
            raise OmegaError("the table is closed: open the embedder again")
        raw = b"".join([os.pread(self._file, columns, self._start + row * columns) for row in ids])
        if len(raw) != len(ids) * columns:
            raise OmegaError("the table was cut short while it was in use: get or export the model again")
        return np.frombuffer(raw, np.int8).reshape(len(ids), columns)


class StaticEmbedder(Embedder):
    """A table of token vectors, without onnxruntime."""

    NAME: ClassVar[str] = "static"

    def __init__(self, card: ModelCard, tokenizer: WordPiece, table: Table, scales: Floats) -> None:
        """`table` (vocabulary, dimensions), closed with this; `scales` (vocabulary,) float32, one factor a row."""
        self.space = card.space
        self.dimensions = card.dimensions
        self._max_tokens = card.max_tokens
        self._tokenizer = tokenizer
        self._table = table
        self._scales = scales

    @classmethod
    def open(cls, model: Path | None = None, *, threads: int = 1) -> Self:  # noqa: ARG003  (there is nothing to share)
        """Open a model folder of kind static, the one that comes with Omega by default."""
        folder = model or MODELS / "minilm-static"
        card = read_model_folder(folder)
        if card.kind != "static":
            raise ModelError(f"{folder} is of kind {card.kind}, allowed: static: use --embedder {card.kind}")
        tokenizer = WordPiece.from_file(folder / "vocab.txt")
        try:
            scales = np.load(folder / "scales.npy", allow_pickle=False)
            table = Table(folder / "table.npy")
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
            total = self._scales[ids] @ self._table.rows(ids).astype(np.float32)
            vectors[row] = total / max(float(np.linalg.norm(total)), 1e-12)
        return vectors

    def close(self) -> None:
        """Close the table; closing again does nothing."""
        self._table.close()


@hookimpl
def omega_embedders() -> list[type[Embedder]]:
    """Return the table."""
    return [StaticEmbedder]
