"""`omega device`: one TV."""

from __future__ import annotations

import typer

from omega_cli.commands.device import (
    certify,
    consolidate,
    daemon,
    enrol,
    export,
    forget,
    import_,
    init,
    memories,
    mode,
    observe,
    privacy,
    profiles,
    recommend,
    status,
    sync,
    why,
)

app = typer.Typer(
    help="One TV: what it learns and recommends.", no_args_is_help=True, epilog="Example: omega device recommend"
)
app.command("init", epilog=init.EPILOG)(init.init)
app.command("observe", epilog=observe.EPILOG)(observe.observe)
app.command("recommend", epilog=recommend.EPILOG)(recommend.recommend)
app.command("why", epilog=why.EPILOG)(why.why)
app.command("status", epilog=status.EPILOG)(status.status)
app.command("memories", epilog=memories.EPILOG)(memories.memories)
app.command("consolidate", epilog=consolidate.EPILOG)(consolidate.consolidate)
app.command("profiles", epilog=profiles.EPILOG)(profiles.profiles)
app.command("mode", epilog=mode.EPILOG)(mode.mode)
app.command("privacy", epilog=privacy.EPILOG)(privacy.privacy)
app.command("forget", epilog=forget.EPILOG)(forget.forget)
app.command("export", epilog=export.EPILOG)(export.export)
app.command("import", epilog=import_.EPILOG)(import_.import_)
app.command("enrol", epilog=enrol.EPILOG)(enrol.enrol)
app.command("sync", epilog=sync.EPILOG)(sync.sync)
app.command("daemon", epilog=daemon.EPILOG)(daemon.daemon)
app.command("certify", epilog=certify.EPILOG)(certify.certify)
