"""`omega device consolidate`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device consolidate --budget-ms 200"


def consolidate(
    budget_ms: Annotated[
        float | None,
        typer.Option(min=1, help="Stop after about so long; the next call goes on.", show_default="until done"),
    ] = None,
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Do the TV's idle work now: episodes become skills, what faded or is beyond its limit goes, the file shrinks."""
    with (
        opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain,
        render.progress("consolidating") as progress,
    ):
        done = brain.consolidate(budget_ms, progress)
    if json:
        render.json(done)
    else:
        render.line(f"{done.episodes:,} episodes consolidated, {done.remaining:,} remain")
