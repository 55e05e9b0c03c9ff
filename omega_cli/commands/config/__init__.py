"""`omega config`: settings and where they come from."""

from __future__ import annotations

import typer

from omega_cli.commands.config import show

app = typer.Typer(help="Settings and where they come from.", no_args_is_help=True, epilog="Example: omega config show")
app.command("show", epilog=show.EPILOG)(show.show)
