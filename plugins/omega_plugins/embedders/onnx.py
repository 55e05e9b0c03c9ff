"""Embedder `onnx`: MiniLM as an ONNX graph, INT4 by default, on one thread of onnxruntime."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from omega.core.errors import MissingExtraError, ModelError, OmegaError, on_one_line
from omega.core.hooks import hookimpl
from omega.core.model_folder import ModelCard, read_model_folder
from omega.core.ports import Embedder
from omega.core.text import WordPiece
from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    from onnxruntime import InferenceSession

    from omega.core.ports import Floats

_BATCH = 16
"""Texts of one length that are run together: beyond this nothing gets faster, and the arena grows."""


class OnnxEmbedder(Embedder):
    """MiniLM in INT4 through onnxruntime."""

    NAME: ClassVar[str] = "onnx"

    def __init__(self, card: ModelCard, tokenizer: WordPiece, session: InferenceSession) -> None:
        """Use `open`; this takes the parts of a model folder that were loaded and checked."""
        self.space = card.space
        self.dimensions = card.dimensions
        self._max_tokens = card.max_tokens
        self._tokenizer = tokenizer
        self._session: InferenceSession | None = session

    @classmethod
    def open(cls, model: Path | None = None, *, threads: int = 1) -> Self:
        """Load a model folder of kind onnx, the INT4 one that comes with Omega by default."""
        folder = model or MODELS / "minilm-int4"
        card = read_model_folder(folder)
        if card.kind != "onnx":
            raise ModelError(f"{folder} is of kind {card.kind}, allowed: onnx: use --embedder {card.kind}")
        return cls(card, WordPiece.from_file(folder / "vocab.txt"), _session(folder / "model.onnx", threads))

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return (n, 384) float32 unit rows in order; texts of one length run together, so that nothing is padded."""
        ids = [self._tokenizer.encode(text, self._max_tokens) for text in texts]
        vectors = np.empty((len(ids), self.dimensions), np.float32)
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for _, same in groupby(order, key=lambda row: len(ids[row])):
            rows = list(same)
            for start in range(0, len(rows), _BATCH):
                batch = rows[start : start + _BATCH]
                vectors[batch] = self._run(np.array([ids[row] for row in batch], np.int64))
        return vectors

    def close(self) -> None:
        """Give back the session's 60 MB; closing again does nothing."""
        self._session = None

    def _run(self, ids: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Floats:
        """Return (batch, dimensions) of (batch, tokens) ids without padding."""
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        if self._session is None:
            raise OmegaError(f"embedder {self.NAME} is closed: open it again")
        try:
            vectors: Floats = self._session.run(["embedding"], feed)[0]
        except Exception as error:
            reason = on_one_line(str(error))[:200]
            raise OmegaError(f"the model failed on {ids.shape[1]} tokens ({reason}): free some memory") from error
        return vectors


def _session(path: Path, threads: int) -> InferenceSession:
    try:
        import onnxruntime  # noqa: PLC0415  (an extra, and 30 ms)
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnxruntime", "device") from error
    except ImportError as error:
        reason = str(error).rpartition(": ")[2]
        raise OmegaError(f"onnxruntime can't be loaded ({reason}): free some memory, or set memory = lite") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads raise the p99 from 5 to 16 ms as soon as something else wants the core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            message = f"{path} needs more memory than there is: free 60 MB, or set memory = lite"
            raise OmegaError(message) from error
        raise ModelError(f"{path} can't be loaded ({str(error).splitlines()[0]}): export it again") from error


@hookimpl
def omega_embedders() -> list[type[Embedder]]:
    """MiniLM in INT4."""
    return [OnnxEmbedder]
