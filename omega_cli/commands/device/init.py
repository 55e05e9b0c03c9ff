"""`omega device init`."""

from __future__ import annotations

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device init --store ./living-room"


def init(
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Make a TV's folder ready: create its store, load the model, embed the catalog. Harmless when done again."""
    with opened.brain(create=True, store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        status = brain.status()
        served = opened.served(brain)
    if json:
        render.json(status)
    else:
        render.line(f"ready: {status.catalog_titles} titles, {status.events} events, space {status.space}{served}")
