"""`omega shard enrol`."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega shard enrol --uses 10 --hours 48, then omega device enrol --code 7K2M-9QXD-4HTV-0BWZ"


def enrol(
    store: options.ShardStore = "sqlite:///shard.db",
    uses: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many TVs the code admits.")] = 1,
    hours: Annotated[int, typer.Option(min=1, max=8_760, help="How long it counts.")] = 24,
    json: options.Json = False,
) -> None:
    """Make a code that admits TVs to a shard, which may be running, and print it once: only its hash is kept."""
    from omega.shards import make_code

    text, code = make_code(store, uses=uses, lifetime_s=3600 * hours)
    if json:
        render.json({"code": text, "uses": code.uses, "ends_at": code.ends_at})
        return
    render.line(text)
    for_whom = "one TV" if uses == 1 else f"{uses:,} TVs"
    render.note(f"for {for_whom}, until {render.moment(code.ends_at, UTC)}: omega device enrol --code {text}")
