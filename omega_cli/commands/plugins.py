"""`omega plugins`."""

from __future__ import annotations

import os

import typer

from omega_cli import options, render

EPILOG = "Example: omega plugins --json"


def plugins(context: typer.Context, json: options.Json = False) -> None:
    """List the plugins by kind, with the distribution that each came with."""
    from omega.compose import registry

    found = registry(strict=bool(os.environ.get("CI")))
    strangers = context.obj  # the registry that added commands and warned of what it found; None without entry points
    listed = found.plugins() + (strangers.commands if strangers else [])
    warned = strangers.broken if strangers else []
    unseen = [plugin for plugin in found.broken if plugin not in warned]
    for plugin in unseen:
        render.warning(f"plugin {plugin.origin} is broken: {plugin.reason}")
    if json:
        render.json({"plugins": listed, "broken": [*warned, *unseen]})
    else:
        render.rich(
            render.table(
                ("kind", "name", "origin", "what it is"), [(p.kind, p.name, p.origin, p.summary) for p in listed]
            )
        )
