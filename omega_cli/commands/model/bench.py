"""`omega model bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega model bench ./minilm-int8 --json"


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...", help="Names of models, or folders as ./folder.", show_default="those that ship"
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure models against fp32: size, cosine, retrieval, latency by length and threads, memory."""
    from omega.models import bench_models

    with render.steps() as step:
        found = bench_models(options.settings(), models or [], step)
    if json:
        render.json(found)
        return
    for report in found:
        render.rich(render.bench(report))
