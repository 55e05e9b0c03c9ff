"""`omega device privacy`."""

from __future__ import annotations

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device privacy"


def privacy(
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Say in plain words what the TV holds of its household, what would be shared, and what never is."""
    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        found = brain.privacy()
    if json:
        render.json(found)
        return
    for heading, sentences in (
        ("Held on this TV", found.held),
        ("Shared", found.shared),
        ("Never shared", found.never_shared),
    ):
        render.heading(heading)
        for sentence in sentences:
            render.line(f"- {sentence}")
