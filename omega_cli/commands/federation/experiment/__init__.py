"""`omega federation experiment`: what is tried on some households."""

from __future__ import annotations

import typer

from omega_cli.commands.federation.experiment import start, status, stop

app = typer.Typer(
    help="What is tried on some households, and what came of it.",
    no_args_is_help=True,
    epilog="Example: omega federation experiment status --artifacts shelf --key op.key",
)
app.command("start", epilog=start.EPILOG)(start.start)
app.command("status", epilog=status.EPILOG)(status.status)
app.command("stop", epilog=stop.EPILOG)(stop.stop)
