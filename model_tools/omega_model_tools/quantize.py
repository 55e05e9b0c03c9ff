"""From an fp32 model folder to a small one: INT4 by GPTQ, dynamic INT8, or a static table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal

import onnx

from omega.core.errors import InputError, ModelError, shown
from omega.core.model_folder import Cosine, read_model_folder, write_model_card
from omega.core.text import WordPiece
from omega_model_tools.evaluate import fidelity
from omega_model_tools.folders import Progress, made_with, model_folder, silent
from omega_model_tools.sequential import quantize_graph
from omega_model_tools.session import embedder, open_session
from omega_model_tools.static import fit_table, quantized_rows, save_table, training_texts
from omega_model_tools.surgery import table_lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from omega.core.model_folder import ModelCard
    from omega_model_tools.session import Ids

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


_PASSAGES: Final = ((4, 40), (16, 16))
"""Sentences in a passage, and how many such passages."""


@cache
def sentences(which: Literal["calibration", "heldout"]) -> tuple[str, ...]:
    """Return the sentences that models are calibrated on, or the others, that they are judged by."""
    file = resources.files("omega_model_tools") / "sentences" / f"{which}.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


def calibration_texts(extra_texts: Sequence[str] = ()) -> list[str]:
    """Return what models are calibrated on: the calibration sentences, passages of 4 and 16 of them, `extra_texts`.

    Without the passages a text of 200 tokens has a cosine of .981 where a sentence has .996, with them .995.
    """
    single = sentences("calibration")
    passages = [" ".join(single[i : i + n]) for n, count in _PASSAGES for i in range(0, n * count, n)]
    return [*single, *passages, *extra_texts]


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
    calibration = [words.encode(text, card.max_tokens) for text in calibration_texts(extra_texts)]
    heldout = [words.encode(text, card.max_tokens) for text in sentences("heldout")]
    with model_folder(out) as stage:
        (stage / "vocab.txt").write_bytes((fp32_folder / "vocab.txt").read_bytes())
        _MAKERS[bits](fp32_folder / "model.onnx", stage, calibration, progress)
        cosine = fidelity(embedder(fp32_folder, "onnx")(heldout), embedder(stage, recipe.kind)(heldout))
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


def _refuse_below(recipe: _Recipe, cosine: Cosine, minimum: float) -> None:
    if cosine.mean < minimum:
        raise ModelError(
            f"{recipe.name} has mean cosine {cosine.mean:.4f} to fp32 on {cosine.texts} held-out sentences, allowed is "
            f"{minimum} or more: allow less with --min-cosine, or quantize to more bits"
        )


def _mixed(fp32: Path, stage: Path, calibration: Ids, progress: Progress) -> None:
    model = quantize_graph(onnx.load(fp32), calibration, wide_layers=2, progress=progress)
    onnx.save(model, stage / "model.onnx")


def _narrow(fp32: Path, stage: Path, calibration: Ids, progress: Progress) -> None:
    model = quantize_graph(onnx.load(fp32), calibration, wide_layers=0, progress=progress)
    onnx.save(model, stage / "model.onnx")


def _dynamic8(fp32: Path, stage: Path, _calibration: Ids, progress: Progress) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - slow import, for this kind only
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata  # noqa: PLC0415

    progress(0, 1, "rounding to int8")
    model = onnx.load(fp32)
    add_pre_process_metadata(model)  # our graph has nothing to fold, and without this it warns that it might
    quantize_dynamic(model, stage / "model.onnx", per_channel=True, weight_type=QuantType.QInt8)
    progress(1, 1, "done")


def _static(fp32: Path, stage: Path, calibration: Ids, progress: Progress) -> None:
    vocabulary = (stage / "vocab.txt").read_text(encoding="utf-8").splitlines()
    whole = [i for i, token in enumerate(vocabulary) if token.isascii() and token.isalpha()]
    _, word_table = table_lookup(onnx.load(fp32).graph)
    table = fit_table(open_session(fp32), training_texts(calibration, whole), word_table, progress)
    save_table(stage, *quantized_rows(table))


_MAKERS: Final[dict[Bits, Callable[[Path, Path, Ids, Progress], None]]] = {
    "mixed": _mixed,
    "4": _narrow,
    "dynamic8": _dynamic8,
    "static": _static,
}
"""Each writes its model's files, vocab.txt and card aside, into the folder that is its second argument."""
