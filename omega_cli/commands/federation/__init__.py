"""`omega federation`: where shards meet."""

from __future__ import annotations

import typer

from omega_cli.commands.federation import experiment, fit, history, redteam, run, serve, status

app = typer.Typer(
    help="Where shards meet: what they say together.", no_args_is_help=True, epilog="Example: omega federation status"
)
app.add_typer(experiment.app, name="experiment")
app.command("run", epilog=run.EPILOG)(run.run)
app.command("serve", epilog=serve.EPILOG)(serve.serve)
app.command("status", epilog=status.EPILOG)(status.status)
app.command("fit", epilog=fit.EPILOG)(fit.fit)
app.command("history", epilog=history.EPILOG)(history.history)
app.command("redteam", epilog=redteam.EPILOG)(redteam.redteam)
