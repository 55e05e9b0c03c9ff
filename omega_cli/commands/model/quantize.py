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
    from omega.models import quantize_model

    with render.steps() as step:
        folder, card = quantize_model(
            options.settings(), out, bits=bits.value, source=source, min_cosine=min_cosine, progress=step
        )
    render.model(card, folder, as_json=json)
