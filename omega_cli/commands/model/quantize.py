"""`omega model quantize`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega model quantize --bits mixed --out ./minilm-int4"


class Bits(StrEnum):
    """What the weights become."""

    MIXED = "mixed"
    FOUR = "4"
    DYNAMIC8 = "dynamic8"
    STATIC = "static"


def quantize(
    bits: Annotated[
        Bits,
        typer.Option(
            help="INT4 with the last two layers at 8 bit, INT4 throughout, dynamic INT8, or a table without a model."
        ),
    ] = Bits.MIXED,
    out: Annotated[
        Path | None, typer.Option(help="The model folder to write.", show_default="OMEGA_HOME/models/NAME")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(help="An fp32 model folder.", show_default="the one of omega model export, made if need be"),
    ] = None,
    min_cosine: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Refuse below this mean cosine to fp32.", show_default="by --bits"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Quantize the fp32 model with GPTQ and measure it on sentences it wasn't calibrated on. Takes about a minute."""
    from omega.compose import calibration_texts, fp32_model, model_tool

    settings = options.settings()
    tool = model_tool("quantize")
    folder = out or settings.models / tool.RECIPES[bits.value].name
    with render.steps() as step:
        fp32 = source or fp32_model(settings, step)
        card = tool.quantize(
            fp32, folder, bits=bits.value, extra_texts=calibration_texts(), min_cosine=min_cosine, progress=step
        )
    render.model(card, folder, as_json=json)
