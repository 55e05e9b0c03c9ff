"""Running a model folder over many texts: what calibration and measurement need, and no more."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnxruntime

from omega.core.model_folder import read_model_folder
from omega.core.text import WordPiece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Ids = Sequence[Sequence[int]]

BATCH_TOKENS = 2048


def open_session(model: Path | bytes, threads: int = 2) -> onnxruntime.InferenceSession:
    """Return a CPU session of an ONNX file, or of its bytes, that computes the same on every run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def batches(ids: Ids) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
    """Group texts of one length, so that nothing is padded: their numbers, and their ids (texts, tokens)."""
    lengths: dict[int, list[int]] = defaultdict(list)
    for i, text in enumerate(ids):
        lengths[len(text)].append(i)
    for length, members in sorted(lengths.items()):
        step = max(1, BATCH_TOKENS // length)
        for start in range(0, len(members), step):
            numbers = members[start : start + step]
            yield numbers, np.array([ids[i] for i in numbers], np.int64)


def embed_ids(session: onnxruntime.InferenceSession, ids: Ids) -> NDArray[np.float32]:
    """Return the embeddings (texts, dimensions), unit rows, in the order of `ids`."""
    rows: dict[int, NDArray[np.float32]] = {}
    for numbers, batch in batches(ids):
        vectors = session.run(["embedding"], {"input_ids": batch, "attention_mask": np.ones_like(batch)})[0]
        rows.update(zip(numbers, vectors, strict=True))
    return np.stack([rows[i] for i in range(len(ids))])


def embed_static(table: NDArray[np.float32], ids: Ids) -> NDArray[np.float32]:
    """Return the embeddings (texts, dimensions) by a static `table` (tokens, dimensions): unit sums of its rows."""
    sums = np.stack([table[list(text)].sum(0) for text in ids])
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    unit: NDArray[np.float32] = sums / np.maximum(length, np.float32(1e-12))
    return unit


def embed_texts(folder: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the embeddings (texts, dimensions), float32 unit rows, by the model folder of either kind.

    Raises ModelError when the folder is damaged.
    """
    card = read_model_folder(folder)
    words = WordPiece.from_file(folder / "vocab.txt")
    ids = [words.encode(text, card.max_tokens) for text in texts]
    return embedder(folder, card.kind)(ids)


def embedder(folder: Path, kind: Literal["onnx", "static"]) -> Callable[[Ids], NDArray[np.float32]]:
    """Return what embeds token ids by the model files in `folder`, which may lack a card as yet."""
    if kind == "static":
        return partial(embed_static, static_table(folder))
    return partial(embed_ids, open_session(folder / "model.onnx"))


def static_table(folder: Path) -> NDArray[np.float32]:
    """Return the table (tokens, dimensions) of a static model folder, float32, its scales applied."""
    table: NDArray[np.int8] = np.load(folder / "table.npy", allow_pickle=False)
    scales: NDArray[np.float32] = np.load(folder / "scales.npy", allow_pickle=False)
    return table.astype(np.float32) * scales[:, None]
