"""`omega federation experiment start`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.federation import asked

EPILOG = "Example: omega federation experiment start wider.json --artifacts shelf --key op.key"


def start(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiments, as docs/artifacts.md shows.")],
    artifacts: asked.Artifacts,
    key: asked.Key,
    json: options.Json = False,
) -> None:
    """Publish experiments beside those that run: each TV finds its arm by itself, by a hash.

    Two that change the same on one day are refused. What ended a week ago is left out.
    """
    from omega import federations

    told = federations.begin_experiments(file, artifacts, key)
    if json:
        render.json({"version": told.version, "experiments": told.experiments.experiments})
        return
    for one in told.experiments.experiments:
        shares = ", ".join(f"{arm.name} {arm.share:.0%}" for arm in one.arms)
        render.line(f"{one.id}: {one.first_day} to {one.last_day}, {shares}")
