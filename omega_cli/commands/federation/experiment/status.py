"""`omega federation experiment status`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.federation import asked

EPILOG = "Example: omega federation experiment status --artifacts shelf --key op.key --outcome chosen"
_COLUMNS = ("experiment", "arm", ">share", ">days", ">household days", ">a day", ">effect", "interval", "verdict")


def status(
    artifacts: asked.Artifacts,
    key: asked.Key,
    home: asked.Home = None,
    outcome: Annotated[
        str, typer.Option(help="What a household's day is judged by: minutes, or titles watched or chosen from lists.")
    ] = "minutes",
    json: options.Json = False,
) -> None:
    """Tell what came of experiments until the last round: each arm against its first one.

    Look as often as you like, and stop when you like: all intervals of all days hold together with 95 %.
    """
    from omega import federations

    found = federations.experiments(options.settings(), artifacts, key, home, outcome)
    if json:
        render.json({"experiments": found})
        return
    if not found:
        render.line("nothing is tried: omega federation experiment start")
        return
    rows = [
        (
            one.id,
            arm.name,
            f"{arm.share:.0%}",
            arm.days,
            f"{arm.household_days:,}",
            f"{arm.mean:.3f}",
            "" if arm.effect is None else f"{arm.effect:+.3f}",
            "" if arm.low is None else f"{arm.low:+.3f} .. {arm.high:+.3f}",
            arm.verdict,
        )
        for one in found
        for arm in one.arms
    ]
    render.rich(render.table(_COLUMNS, rows))
