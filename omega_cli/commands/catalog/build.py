"""`omega catalog build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega catalog build titles.csv --out catalog.jsonl --previous catalog.jsonl"


def build(
    source: Annotated[Path, typer.Argument(metavar="TITLES", help="CSV, JSON or JSON lines.")],
    out: Annotated[Path, typer.Option(help="The catalog file to write.")],
    previous: Annotated[Path | None, typer.Option(help="The epoch before; all its titles must stand first.")] = None,
    json: options.Json = False,
) -> None:
    """Build a catalog, or its next epoch, from columns id,title,year,kind,genres,minutes,age (genres split by |)."""
    from omega.compose import build_catalog

    catalog = build_catalog(source, out, previous)
    if json:
        render.json(catalog.summary())
    else:
        render.line(f"{out}: {len(catalog)} titles, epoch {catalog.epoch} of {catalog.lineage}")
