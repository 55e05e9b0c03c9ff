"""From source weights to an fp32 model folder, by our own graph writer or by optimum."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx
from safetensors import SafetensorError
from safetensors.numpy import load_file

from omega.core.errors import MissingExtraError, ModelError, shown
from omega.core.model_folder import Source, write_model_card
from omega.core.text import MAX_TOKENS
from omega_model_tools.folders import Progress, made_with, model_folder, silent
from omega_model_tools.graph import EMBEDDING, sentence_encoder
from omega_model_tools.source import LICENSE, PACKAGE, check_source

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.model_folder import ModelCard

NAME = "minilm-fp32"
Backend = Literal["direct", "optimum"]


def export_fp32(source: Path, out: Path, *, backend: Backend = "direct", progress: Progress = silent) -> ModelCard:
    """Write the model folder `out` from the weights in `source` and return its card; `out` appears whole or not at all.

    `direct` writes the graph from the safetensors; `optimum` traces it through torch and needs the extra of that name.
    Raises ModelError when a source file is missing or not what it should be, MissingExtraError without optimum.
    """
    progress(0, 3, "checking the source weights")
    check_source(source)
    with model_folder(out) as stage:
        progress(1, 3, f"writing the graph ({backend})")
        model = _direct(source) if backend == "direct" else _optimum(source, stage)
        progress(2, 3, "saving the model folder")
        onnx.save(model, stage / "model.onnx")
        shutil.copyfile(source / "vocab.txt", stage / "vocab.txt")
        with (source / "model.safetensors").open("rb") as file:
            weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        packages = ("onnx", "safetensors", "numpy") if backend == "direct" else ("onnx", "optimum-onnx", "torch")
        card = write_model_card(
            stage,
            name=NAME,
            kind="onnx",
            dimensions=_config(source)["hidden_size"],
            quantization="none, float32",
            source=Source(PACKAGE, weights_sha256, LICENSE),
            made_with=made_with(*packages),
        )
    progress(3, 3, "done")
    return card


def _config(source: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((source / "config.json").read_text(encoding="utf-8"))
    return config


def _direct(source: Path) -> onnx.ModelProto:
    config = _config(source)
    allowed = {"hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in allowed.items():
        if config.get(key) != value:
            raise ModelError(
                f"config.json says {key}={shown(config.get(key))}, allowed: {value!r}: fetch the weights again"
            )
    try:
        weights = load_file(source / "model.safetensors")
    except SafetensorError as error:
        raise ModelError(f"model.safetensors of {source} can't be read ({error}): fetch the weights again") from error
    return sentence_encoder(
        {name: array.astype(np.float32) for name, array in weights.items() if array.dtype.kind == "f"},
        heads=config["num_attention_heads"],
        epsilon=config["layer_norm_eps"],
        max_tokens=MAX_TOKENS,
    )


def _optimum(source: Path, stage: Path) -> onnx.ModelProto:
    """Trace the sentence-transformers model; keep the output `sentence_embedding` alone, as `embedding`."""
    try:
        from optimum.exporters.onnx import main_export  # noqa: PLC0415 - 1.3 GB of extras, 7 s of import
    except ImportError as error:
        raise MissingExtraError("optimum-onnx", "optimum") from error
    traced = stage / "traced"
    main_export(
        str(source), traced, task="sentence-similarity", library_name="sentence_transformers", do_validation=False
    )
    model = onnx.load(traced / "model.onnx")
    shutil.rmtree(traced)
    for node in model.graph.node:
        node.output[:] = [EMBEDDING if name == "sentence_embedding" else name for name in node.output]
    kept = [value for value in model.graph.output if value.name == "sentence_embedding"]
    kept[0].name = EMBEDDING
    del model.graph.output[:]
    model.graph.output.extend(kept)
    return model
