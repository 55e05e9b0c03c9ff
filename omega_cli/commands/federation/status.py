"""`omega federation status`."""

from __future__ import annotations

import time
from datetime import UTC

from omega_cli import options, render
from omega_cli.commands.federation import asked

EPILOG = "Example: omega federation status --json"


def status(home: asked.Home = None, json: options.Json = False) -> None:
    """Tell the last round, shard by shard, and how old the newest board is."""
    from omega import federations

    reports = federations.reports(options.settings(), home, 1_000)
    board = next((report for report in reports if report.version), None)
    if json:
        age_s = round(time.time()) - board.made_at if board else None
        render.json({"last": reports[0] if reports else None, "board": board.version if board else 0, "age_s": age_s})
        return
    if not reports:
        render.line("no round was run yet: omega federation run")
        return
    render.rich(render.table(asked.TABLE, asked.table(reports[0])))
    render.line(asked.summary(reports[0]))
    if account := asked.account(reports[0]):
        render.line(account)
    if board:
        render.line(f"board {board.version} is of {render.moment(board.made_at, UTC)}, told for six hours")
