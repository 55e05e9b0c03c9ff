"""`omega catalog`: the titles that an operator publishes."""

from __future__ import annotations

import typer

from omega_cli.commands.catalog import build, check, show

app = typer.Typer(
    help="The titles that an operator publishes.", no_args_is_help=True, epilog="Example: omega catalog show"
)
app.command("build", epilog=build.EPILOG)(build.build)
app.command("show", epilog=show.EPILOG)(show.show)
app.command("check", epilog=check.EPILOG)(check.check)
