"""`omega catalog show`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega catalog show heat --json"


def show(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORD...", help="Only titles with all these words.")
    ] = None,
    catalog: options.CatalogName = None,
    json: options.Json = False,
) -> None:
    """List the catalog's titles; words are looked for in id, title, kind, genres and year."""
    from omega.compose import open_catalog

    found = open_catalog(options.settings(catalog=catalog)).find(words or [])
    if json:
        render.json(found)
        return
    rows = ((t.id, t.title, t.year, t.kind, ", ".join(t.genres), t.minutes, t.age) for t in found)
    render.rich(render.table(("id", "title", ">year", "kind", "genres", ">minutes", ">age"), rows))
