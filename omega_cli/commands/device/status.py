"""`omega device status`."""

from __future__ import annotations

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device status --json"


def status(
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Show what the TV holds and what it learned, in figures and in words."""
    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        found = brain.status()
    if json:
        render.json(found)
        return
    rows = (
        ("events", found.events),
        ("patterns", found.patterns),
        ("titles of its own", found.local_titles),
        ("catalog", f"{found.catalog_titles} titles, epoch {found.catalog_epoch} of {found.catalog_lineage}"),
        ("embedder", f"{found.embedder}, space {found.space}"),
        ("store", render.size(found.store_bytes)),
    )
    render.rich(render.table(("", ""), rows))
    for habit in found.habits:
        render.line(f"  {habit}")
    if not found.habits:
        render.line("  no habit yet: it takes three titles that were liked in a context; see omega device observe")
