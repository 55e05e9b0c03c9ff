"""`omega federation history`."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.federation import asked

EPILOG = "Example: omega federation history --limit 5"
_COLUMNS = (
    ">round",
    "when",
    "outcome",
    ">board",
    "shards",
    ">shown",
    ">rising",
    ">quality",
    ">cosine",
    ">seconds",
    ">epsilon",
)


def history(
    home: asked.Home = None,
    limit: Annotated[int, typer.Option(min=1, max=9_600, help="How many at most.")] = 20,
    json: options.Json = False,
) -> None:
    """List the newest rounds, newest first."""
    from omega import federations

    reports = federations.reports(options.settings(), home, limit)
    if json:
        render.json({"rounds": reports})
        return
    rows = [
        (
            one.number,
            render.moment(one.made_at, UTC),
            one.outcome,
            one.version or "",
            f"{one.answered} of {len(one.shards)}",
            f"{one.shown:,}",
            one.rising,
            f"{one.quality:.3f}",
            "" if one.cosine is None else f"{one.cosine:.4f}",
            f"{one.seconds:.2f}",
            f"{one.privacy.epsilon_spent:.4g}" if one.privacy else "",
        )
        for one in reports
    ]
    render.rich(render.table(_COLUMNS, rows))
