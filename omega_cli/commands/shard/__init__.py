"""`omega shard`: where the TVs of a region meet."""

from __future__ import annotations

import typer

from omega_cli.commands.shard import admin, cert, enrol, keygen, maker, migrate, revoke, serve, sums

app = typer.Typer(
    help="Where the TVs of a region meet.", no_args_is_help=True, epilog="Example: omega shard cert certificates"
)
app.command("serve", epilog=serve.EPILOG)(serve.serve)
app.command("cert", epilog=cert.EPILOG)(cert.cert)
app.command("keygen", epilog=keygen.EPILOG)(keygen.keygen)
app.command("enrol", epilog=enrol.EPILOG)(enrol.enrol)
app.command("maker", epilog=maker.EPILOG)(maker.maker)
app.command("admin", epilog=admin.EPILOG)(admin.admin)
app.command("sums", epilog=sums.EPILOG)(sums.sums)
app.command("migrate", epilog=migrate.EPILOG)(migrate.migrate)
app.command("revoke", epilog=revoke.EPILOG)(revoke.revoke)
