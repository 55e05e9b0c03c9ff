"""`omega device observe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from omega.core.errors import InputError, StoreError
from omega_cli import options, render
from omega_cli.commands.device import opened

if TYPE_CHECKING:
    from omega.device.results import Observed

_MOST_SHOWN = 20
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

    with opened.brain(create=True, store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        batch = observe_all(brain, read_events(events))
    if json:
        render.json(batch)
    elif len(batch.observed) <= _MOST_SHOWN:
        for seen in batch.observed:
            render.line(f"{seen.title}: {_became(seen)}")
    else:
        render.line(f"{len(batch.observed):,} events stored")
    for bad in batch.rejected[:_MOST_SHOWN]:
        render.error(f"{bad.place}: {bad.reason}")
    if len(batch.rejected) > _MOST_SHOWN:
        render.error(f"... and {len(batch.rejected) - _MOST_SHOWN:,} more lines")
    if batch.stopped:
        stored = f"{len(batch.observed):,} events were stored before it, this one and later ones were not"
        render.error(f"{batch.stopped.place}: {batch.stopped.reason}; {stored}")
        raise typer.Exit(StoreError.exit_code)
    if batch.rejected:
        raise typer.Exit(InputError.exit_code)


def _became(seen: Observed) -> str:
    if seen.outcome == "ignored":
        return "not stored, the TV is paused or has a guest"
    told = {"repeated": "told before, ", "corrected": "corrected, "}.get(seen.outcome, "")
    kept = ", stays on this TV" if seen.local else ""
    return f"{told}watch {seen.sample_count} in this context, success {seen.success_rate:.2f}{kept}"
