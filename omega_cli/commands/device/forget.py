"""`omega device forget`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega.core.errors import InputError
from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device forget --title heat-1995 --yes"


def forget(
    title: Annotated[str | None, typer.Option(metavar="ID", help="A title's id.", show_default="any")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this time on, like 2026-03-01.", show_default="any")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before this time.", show_default="any")] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A profile, with its name.", show_default="any")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that was ever watched.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Delete a title, a period, a profile or all, and what followed from it; what was shared of it is taken back.

    Conditions that are given together must all hold.
    """
    from omega.core.parsing import parse_moment
    from omega.core.records import Selection

    zone = options.settings().zone
    selection = Selection(
        content_id=title,
        since=parse_moment("since", since, zone) if since else None,
        until=parse_moment("until", until, zone) if until else None,
    )
    if everything != (selection.is_everything and profile is None):
        found = "--all is given with a condition" if everything else "nothing to forget is named"
        raise InputError(f"{found}, allowed: --title, --since, --until, --profile, or --all alone")
    if not yes and not render.confirmed("This can't be undone. Forget it?"):
        raise InputError("nothing was forgotten: say --yes")
    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        gone = brain.forget(selection, profile)
    if json:
        render.json(gone)
        return
    taken = f"; {gone.retractions:,} shared samples will be taken back" if gone.retractions else ""
    render.line(f"forgotten: {gone.events:,} events, {gone.patterns:,} patterns, {gone.titles:,} titles{taken}")
