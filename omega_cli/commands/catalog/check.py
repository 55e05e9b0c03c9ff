"""`omega catalog check`."""

from __future__ import annotations

from omega_cli import options, render

EPILOG = "Example: omega catalog check --catalog catalog.jsonl"


def check(catalog: options.CatalogName = None, json: options.Json = False) -> None:
    """Check every row of a catalog file, and that each of its epochs is a prefix of the next."""
    from omega.compose import open_catalog

    found = open_catalog(options.settings(catalog=catalog))
    if json:
        render.json(found.summary())
    else:
        render.line(f"good: {len(found)} titles, epoch {found.epoch} of {found.lineage}")
