"""`omega shard cert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega shard cert certificates --host localhost --host 192.168.1.7"


def cert(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where ca.pem, ca.key, server.pem, server.key go.")],
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="The server's name or address; may be given again.", show_default="localhost"
        ),
    ] = None,
    days: Annotated[int, typer.Option(help="How long they are valid, 1..825.")] = 365,
    force: Annotated[bool, typer.Option("--force", help="Replace those that are there.")] = False,
    json: options.Json = False,
) -> None:
    """Make a CA for development and a server's certificate by it, for https between TVs and a shard."""
    from omega.shards import make_certificates

    made = make_certificates(folder, host, days=days, force=force)
    if json:
        render.json(made)
    else:
        render.line(f"{made.ca}: the CA that TVs trust, until {made.expires:%Y-%m-%d}; keep {made.ca_key} to yourself")
        render.line(f"{made.certificate}, {made.key}: the server's, for {', '.join(made.hosts)}")
