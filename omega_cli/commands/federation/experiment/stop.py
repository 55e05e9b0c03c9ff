"""`omega federation experiment stop`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.federation import asked

EPILOG = "Example: omega federation experiment stop wider-lists --artifacts shelf --key op.key"


def stop(
    name: Annotated[str, typer.Argument(metavar="ID", help="The experiment.")],
    artifacts: asked.Artifacts,
    key: asked.Key,
    json: options.Json = False,
) -> None:
    """Let today be an experiment's last day; one that hasn't begun is forgotten.

    It stays published for a week, so that shards count the days that TVs tell late.
    """
    from omega import federations

    told = federations.end_experiment(name, artifacts, key)
    if json:
        render.json({"version": told.version, "experiments": told.experiments.experiments})
        return
    last = next((one.last_day for one in told.experiments.experiments if one.id == name), None)
    render.line(f"{name}: its last day is {last}" if last else f"{name}: forgotten, it hadn't begun")
