"""The `omega` app: groups, commands, plugins' commands, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from io import TextIOWrapper
from typing import Annotated

import typer

import omega
from omega.core.errors import OmegaError
from omega_cli import render
from omega_cli.commands import artifact, catalog, config, demo, device, doctor, federation, model, plugins, prove, shard
from omega_cli.commands import eval as eval_
from omega_cli.commands import loadtest as loadtest_
from omega_cli.commands import plan as plan_
from omega_cli.commands import simulate as simulate_

INTERNAL_ERROR = 70
"""Exit code of a bug, as in sysexits.h."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as in a shell."""

app = typer.Typer(
    name="omega",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", epilog=demo.EPILOG)(demo.demo)
app.add_typer(device.app, name="device")
app.add_typer(shard.app, name="shard")
app.add_typer(federation.app, name="federation")
app.add_typer(catalog.app, name="catalog")
app.add_typer(artifact.app, name="artifact")
app.add_typer(model.app, name="model")
app.command("eval", epilog=eval_.EPILOG)(eval_.evaluate)
app.command("loadtest", epilog=loadtest_.EPILOG)(loadtest_.loadtest)
app.command("simulate", epilog=simulate_.EPILOG)(simulate_.simulate)
app.command("plan", epilog=plan_.EPILOG)(plan_.plan)
app.command("plugins", epilog=plugins.EPILOG)(plugins.plugins)
app.add_typer(config.app, name="config")
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)
app.command("prove", epilog=prove.EPILOG)(prove.prove)


def _version(asked: bool) -> None:  # noqa: FBT001  (typer's callback form)
    if asked:
        render.line(f"omega {omega.__version__}")
        raise typer.Exit


@app.callback(epilog="Example: omega demo")
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """TVs that learn on the device what a household enjoys, and recommend in milliseconds, with reasons."""


def _add_strangers() -> None:
    """Add the commands of installed plugins; what is broken is named on stderr, and an error in CI."""
    from typer.main import get_group

    from omega.core.registry import Registry

    strangers = Registry(strict=bool(os.environ.get("CI")))
    strangers.add_commands(app, lambda given: set(get_group(given).commands))
    for plugin in strangers.broken:
        render.warning(f"plugin {plugin.origin} is broken: {plugin.reason}")
    app.info.context_settings = {**(app.info.context_settings or {}), "obj": strangers}  # for `omega plugins`


def main() -> None:
    """Run the command line. An error that Omega raised is one line and its exit code; a bug is one line and 70."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII alone still gets its list
    try:
        if entry_points(group="omega"):
            _add_strangers()
        app(prog_name="omega")
    except OmegaError as error:
        render.error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader left, as `head` does; nothing more can be written, not even by the interpreter's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("OMEGA_DEBUG"):
            raise
        render.error(f"internal error, {type(error).__name__}: {error}; please report it with OMEGA_DEBUG=1")
        sys.exit(INTERNAL_ERROR)
