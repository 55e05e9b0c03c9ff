"""`omega device daemon`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega device daemon --store ./living-room"


def daemon(
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    socket: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Unix socket.", show_default="daemon.sock in the TV's folder")
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Group that may connect, too.", show_default="the user's own")
    ] = None,
    max_clients: Annotated[int, typer.Option(min=1, max=10_000, help="How many may be connected at once.")] = 64,
    json: options.Json = False,
) -> None:
    """Hold the TV's brain and serve it on a unix socket, in the foreground, until SIGTERM or Ctrl-C.

    The other device commands find it and use it. docs/daemon.md tells the protocol.
    """
    from omega.compose import run_daemon

    def ready(address: Path) -> None:
        if json:
            render.json_line({"pid": os.getpid(), "socket": address})
        else:
            render.line(f"ready: process {os.getpid()} serves {address}")

    render.log_to_stderr()
    settings = options.settings(store=store, catalog=catalog, embedder=embedder, model=model)
    with render.progress("embedding the catalog") as progress:
        run_daemon(
            settings,
            address=socket,
            group=group,
            clients=max_clients,
            create=store is None,
            progress=progress,
            ready=ready,
        )
