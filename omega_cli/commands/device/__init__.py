"""`omega device`: one TV."""

from __future__ import annotations

import typer

from omega_cli.commands.device import init, observe, recommend, status, why

app = typer.Typer(
    help="One TV: what it learns and recommends.", no_args_is_help=True, epilog="Example: omega device recommend"
)
app.command("init", epilog=init.EPILOG)(init.init)
app.command("observe", epilog=observe.EPILOG)(observe.observe)
app.command("recommend", epilog=recommend.EPILOG)(recommend.recommend)
app.command("why", epilog=why.EPILOG)(why.why)
app.command("status", epilog=status.EPILOG)(status.status)
