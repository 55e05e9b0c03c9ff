"""`omega shard sums`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega shard sums one.sums --store sqlite:///shard.db --region eu"


def sums(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where they go.")],
    store: options.ShardStore = "sqlite:///shard.db",
    catalog: options.CatalogName = None,
    region: Annotated[str, typer.Option(help="Whom the shard's pull is for.", show_default="none")] = "",
    json: options.Json = False,
) -> None:
    """Write what a shard tells its federation, for one that isn't asked over the network; it may be running.

    Sums of one household are in it: keep the file to yourself.
    """
    from omega import shards
    from omega.compose import open_catalog
    from omega.core.files import write_atomically

    told = shards.sums_of(store, open_catalog(options.settings(catalog=catalog)), region=region)
    data = told.encode()
    write_atomically(file, data, mode=0o600)
    if json:
        render.json({"shard": told.facts.shard, "rows": len(told.columns.title), "bytes": len(data), "file": file})
    else:
        rows = len(told.columns.title)
        render.line(f"{file}: {rows:,} rows of shard {told.facts.shard}, {render.size(len(data))}")
