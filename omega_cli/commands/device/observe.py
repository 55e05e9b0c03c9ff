"""`omega device observe`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = """Example: echo '{"content_id":"heat-1995","watch_pct":0.95}' | omega device observe -"""


def observe(
    events: Annotated[
        list[str], typer.Argument(metavar="EVENT...", help="JSON objects, files of JSON lines, or - for stdin.")
    ],
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Tell the TV what was watched. Bad lines are named, good ones are kept; exit code 2 if any was bad."""
    from omega.device.batch import observe_all, read_events

    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        batch = observe_all(brain, read_events(events))
    if json:
        render.json(batch)
    else:
        for seen in batch.observed:
            kept = "stays on this TV" if seen.local else f"{seen.sample_count} times in this context"
            render.line(f"{seen.title}: {kept}, success {seen.success_rate:.2f}")
    for bad in batch.rejected:
        render.error(f"{bad.place}: {bad.reason}")
    if batch.rejected:
        raise typer.Exit(2)
