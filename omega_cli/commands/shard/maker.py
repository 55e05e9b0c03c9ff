"""`omega shard maker`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega shard maker acme.key makers.json --name Acme --quota 1000000"


def maker(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The maker's private key; made when it isn't there.")],
    makers: Annotated[Path, typer.Argument(metavar="MAKERS", help="The file for omega shard serve --makers.")],
    name: Annotated[str, typer.Option(help="What the maker is called.")],
    quota: Annotated[int, typer.Option(min=0, help="How many TVs the shard admits on its word, ever.")],
    json: options.Json = False,
) -> None:
    """Let a maker's key vouch for its TVs: add it to a file of makers, or change its name and quota there."""
    from omega.shards import add_maker

    added = add_maker(key, makers, name=name, quota=quota)
    if json:
        render.json({"name": added.name, "id": added.id.hex(), "quota": added.quota, "makers": makers})
    else:
        render.line(
            f"{makers}: {added.name} may vouch for {added.quota:,} TVs; in the factory: omega device certify {key}"
        )
