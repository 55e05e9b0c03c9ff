"""`omega device import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device import household.json --store ./bedroom"


def import_(
    file: Annotated[Path, typer.Argument(help="What omega device export wrote.")],
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Take in what another TV exported; told twice it adds nothing, and nothing of it is shared again."""
    from omega.core.files import read_bounded
    from omega.device import backup

    document = backup.parse(read_bounded(file, backup.MAX_BYTES))
    with opened.brain(create=True, store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        found = brain.restore(document)
    if json:
        render.json(found)
        return
    render.line(f"{found.events:,} events are new, {found.repeated:,} were here, {found.corrected:,} were corrected")
    if found.unknown:
        render.warning(f"{found.unknown:,} events are about titles that neither the catalog nor the export names")
