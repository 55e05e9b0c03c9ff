"""`omega device export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device export household.json"


def export(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Where to.", show_default="stdout")] = None,
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
) -> None:
    """Write everything that the TV holds of its household as one JSON document."""
    from omega.core.files import write_atomically

    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        document = brain.export()
    if file is None:
        render.json(document)
        return
    write_atomically(file, render.as_json(document), mode=0o600)
    render.note(f"{file}: {len(document.events):,} events, {len(document.profiles)} profiles")
