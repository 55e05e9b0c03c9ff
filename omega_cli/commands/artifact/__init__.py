"""`omega artifact`: signed files that an operator publishes to its TVs."""

from __future__ import annotations

import typer

from omega_cli.commands.artifact import keygen, list_, publish, verify

app = typer.Typer(
    help="Signed files that an operator publishes to its TVs: catalogs, weights, models.",
    no_args_is_help=True,
    epilog="Example: omega artifact list artifacts",
)
app.command("keygen", epilog=keygen.EPILOG)(keygen.keygen)
app.command("publish", epilog=publish.EPILOG)(publish.publish)
app.command("list", epilog=list_.EPILOG)(list_.list_)
app.command("verify", epilog=verify.EPILOG)(verify.verify)
