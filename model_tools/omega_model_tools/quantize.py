"""From an fp32 model folder to a small one: INT4 by GPTQ, dynamic INT8, or a static table."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import onnx

from omega.core.errors import InputError, ModelError, shown
from omega.core.model_folder import Cosine, read_model_folder, write_model_card
from omega.core.text import WordPiece
from omega_model_tools.evaluate import fidelity
from omega_model_tools.folders import Progress, made_with, silent, staged
from omega_model_tools.sequential import quantize_graph
from omega_model_tools.session import embed_ids, embed_static, open_session
from omega_model_tools.static import fit_table, quantized_rows, save_table, training_texts
from omega_model_tools.surgery import table_lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from omega.core.model_folder import ModelCard

Bits = Literal["mixed", "4", "dynamic8", "static"]


@dataclass(frozen=True)
class _Recipe:
    name: str
    kind: Literal["onnx", "static"]
    min_cosine: float
    quantization: str


RECIPES: Final[dict[str, _Recipe]] = {
    "mixed": _Recipe(
        "minilm-int4", "onnx", 0.99, "GPTQ int4, block 32, asymmetric; last two layers int8; word table int4"
    ),
    "4": _Recipe("minilm-int4-all", "onnx", 0.985, "GPTQ int4, block 32, asymmetric; word table int4"),
    "dynamic8": _Recipe("minilm-int8", "onnx", 0.99, "dynamic int8, per channel"),
    "static": _Recipe("minilm-static", "static", 0.70, "static table, ridge fit, int8 per row"),
}


@cache
def sentences(which: Literal["calibration", "heldout"]) -> tuple[str, ...]:
    """Return the sentences that models are calibrated on, or the others, that they are judged by."""
    file = resources.files("omega_model_tools") / "sentences" / f"{which}.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


def quantize(
    fp32_folder: Path,
    out: Path,
    *,
    bits: Bits = "mixed",
    extra_texts: Sequence[str] = (),
    min_cosine: float | None = None,
    progress: Progress = silent,
) -> ModelCard:
    """Write the quantized model folder `out` and return its card; `out` appears whole or not at all.

    Calibrates on the calibration sentences and `extra_texts`, such as a catalog's titles; measures the cosine to the
    fp32 model on the held-out sentences. The same inputs give the same bytes on the same machine.
    Raises ModelError when the source is damaged or isn't fp32, or when the mean cosine is below `min_cosine` (by
    default .99 mixed, .985 4, .99 dynamic8, .70 static).
    """
    if bits not in RECIPES:
        raise InputError(f"bits is {shown(bits)}, allowed are {', '.join(RECIPES)}: name one of them")
    recipe = RECIPES[bits]
    card = read_model_folder(fp32_folder)
    if card.kind != "onnx" or card.cosine is not None:
        raise ModelError(f"{fp32_folder} holds {card.name}, quantized already: give the folder of an fp32 export")
    words = WordPiece.from_file(fp32_folder / "vocab.txt")

    def ids(texts: Sequence[str]) -> list[list[int]]:
        return [words.encode(text, card.max_tokens) for text in texts]

    calibration = [*sentences("calibration"), *extra_texts]
    with staged(out) as stage:
        (stage / "vocab.txt").write_bytes((fp32_folder / "vocab.txt").read_bytes())
        fp32 = fp32_folder / "model.onnx"
        if bits == "static":
            embed = _static(fp32, stage, words, calibration, progress)
        elif bits == "dynamic8":
            embed = _dynamic8(fp32, stage, progress)
        else:
            embed = _gptq(fp32, stage, ids(calibration), mixed=bits == "mixed", progress=progress)
        heldout = ids(sentences("heldout"))
        cosine = fidelity(embed_ids(open_session(fp32), heldout), embed(heldout))
        _refuse_below(recipe, cosine, recipe.min_cosine if min_cosine is None else min_cosine)
        return write_model_card(
            stage,
            name=recipe.name,
            kind=recipe.kind,
            dimensions=card.dimensions,
            quantization=recipe.quantization,
            source=card.source,
            made_with=made_with("numpy", "onnx", "onnxruntime"),
            max_tokens=card.max_tokens,
            cosine=cosine,
        )


_Embed = "Callable[[list[list[int]]], NDArray[np.float32]]"


def _refuse_below(recipe: _Recipe, cosine: Cosine, minimum: float) -> None:
    if cosine.mean < minimum:
        raise ModelError(
            f"{recipe.name} has mean cosine {cosine.mean:.4f} to fp32 on {cosine.texts} held-out sentences, allowed is "
            f"{minimum} or more: lower min_cosine, or give more calibration texts"
        )


def _gptq(
    fp32: Path, stage: Path, calibration: list[list[int]], *, mixed: bool, progress: Progress
) -> Callable[[list[list[int]]], NDArray[np.float32]]:
    model = quantize_graph(onnx.load(fp32), calibration, wide_layers=2 if mixed else 0, progress=progress)
    onnx.save(model, stage / "model.onnx")
    return _runner(stage)


def _runner(stage: Path) -> Callable[[list[list[int]]], NDArray[np.float32]]:
    return lambda ids: embed_ids(open_session(stage / "model.onnx"), ids)


def _dynamic8(fp32: Path, stage: Path, progress: Progress) -> Callable[[list[list[int]]], NDArray[np.float32]]:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - slow import, for this kind only

    progress(0, 1, "rounding to int8")
    with tempfile.TemporaryDirectory() as scratch:
        quantize_dynamic(fp32, Path(scratch) / "model.onnx", per_channel=True, weight_type=QuantType.QInt8)
        model = onnx.load(Path(scratch) / "model.onnx")
    onnx.save(model, stage / "model.onnx")
    progress(1, 1, "rounding to int8")
    return _runner(stage)


def _static(
    fp32: Path, stage: Path, words: WordPiece, calibration: Sequence[str], progress: Progress
) -> Callable[[list[list[int]]], NDArray[np.float32]]:
    vocabulary = (stage / "vocab.txt").read_text(encoding="utf-8").splitlines()
    whole = [i for i, token in enumerate(vocabulary) if token.isascii() and token.isalpha()]
    ids = training_texts([words.encode(text) for text in calibration], whole)
    _, word_table = table_lookup(onnx.load(fp32).graph)
    table, scales = quantized_rows(fit_table(open_session(fp32), ids, word_table, progress))
    save_table(stage, table, scales)
    return lambda texts: embed_static(table * scales[:, None], texts)
