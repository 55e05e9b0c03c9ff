"""`omega device why`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device why heat-1995"


def why(
    content_id: Annotated[str, typer.Argument(help="A title of the catalog.")],
    context: options.Context = None,
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Say why a title is recommended, or isn't: its place, every term of its score, and what was watched of it."""
    from omega.core.parsing import parse_context

    wish = parse_context(context) if context is not None else None
    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        found = brain.why(content_id, wish)
    if json:
        render.json(found)
        return
    title = found.recommendation
    place = f"place {found.rank} by score" if found.rank else f"not recommended: {found.excluded}"
    render.line(f"{title.title} ({title.year}), {title.kind}: score {title.score:+.3f}, {place}")
    render.rich(
        render.table((">weight", "term", "reason"), [(f"{r.weight:+.3f}", r.kind, r.text) for r in title.reasons])
    )
    zone = options.settings().zone
    for event in found.watched:
        render.line(f"watched {event.watched_milli / 10:.0f} % on {render.moment(event.at, zone)}")
