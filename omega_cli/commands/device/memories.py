"""`omega device memories`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device memories --profile Ada"


def memories(
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Of one profile.", show_default="all")] = None,
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Show the habits that the TV found, in words: Friday evenings: thrillers, 7 of 9 finished."""
    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        found = brain.memories(profile)
    if json:
        render.json(found)
        return
    for habit in found.habits:
        render.line(habit)
    if not found.habits:
        render.line("no habit yet: it takes three titles of a sort that went well at the same time")
    render.line(f"from {found.episode_count:,} episodes in {found.pattern_count:,} patterns")
