"""`omega shard migrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega shard migrate --store postgresql://omega@db/omega --back"


def migrate(
    store: options.ShardStore = "sqlite:///shard.db",
    back: Annotated[
        bool, typer.Option("--back", help="Undo the newest step, for the release before this one; Postgres alone.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Bring a shard's store to this release's schema, or back by one step. Whatever opens a store does the first."""
    from omega.shards import migrate_shard_store

    schema = migrate_shard_store(store, back=back)
    if json:
        render.json({"schema": schema})
    else:
        render.line(f"schema: {schema}")
