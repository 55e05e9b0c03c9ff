"""`omega device mode`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega.core.errors import InputError
from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device mode guest"
_SAYS = {
    "learning": "the TV learns from what is watched",
    "paused": "nothing is stored; what was learned is used",
    "guest": "nothing is stored, and nothing that was learned is used",
}


def mode(
    mode: Annotated[
        str | None, typer.Argument(metavar="[MODE]", help="learning, paused or guest.", show_default="show")
    ] = None,
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Show whether the TV learns, pause it, or let a guest watch; holds until it is changed."""
    from omega.device.results import Mode

    if mode is not None and mode not in _SAYS:
        raise InputError(f"mode is {mode!r}, allowed: {', '.join(_SAYS)}")
    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        if mode is not None:
            brain.set_mode(Mode(mode))
        found = brain.status().mode
    if json:
        render.json({"mode": found})
    else:
        render.line(f"{found}: {_SAYS[found]}")
