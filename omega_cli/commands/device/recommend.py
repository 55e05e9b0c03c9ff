"""`omega device recommend`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = """Example: omega device recommend --context '{"time":"evening","mood":"relaxed"}' --k 5"""


def recommend(
    context: options.Context = None,
    k: Annotated[int, typer.Option(help="How many titles.")] = 20,
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Recommend titles for a context, each with its reasons; the weights of the reasons sum to the score."""
    from omega.core.parsing import parse_context

    wish = parse_context(context) if context is not None else None
    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        titles = brain.recommend(wish, k)
    if json:
        render.json(titles)
    else:
        render.rich(render.recommendations(titles))
        if titles:
            render.note(f"why: omega device why {titles[0].content_id}")
