"""`omega shard admin`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega.core.errors import InputError
from omega_cli import options, render

EPILOG = "Example: omega shard admin ana --role operator"


def admin(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Who it is.", show_default="with --list")] = None,
    role: Annotated[
        str,
        typer.Option(
            help="A `viewer` reads; an `operator` shuts TVs out as well; `federation` reads what rounds add up, alone."
        ),
    ] = "viewer",
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the shard's secrets are.", show_default="OMEGA_HOME/shard"),
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the token back.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List who may.")] = False,
    json: options.Json = False,
) -> None:
    """Let somebody manage a shard, which may be running, and print the token once: only its hash is kept."""
    from omega import management

    if show is (name is not None) or (show and revoke):
        raise InputError("a NAME and --list exclude each other, allowed: one of them; --revoke goes with a NAME")
    folder = keys or options.settings().home / "shard"
    if name is None:
        rows = [(one.name, str(one.role)) for one in management.admins(folder)]
        if json:
            render.json({"admins": [{"name": who, "role": may} for who, may in rows]})
        else:
            render.rich(render.table(("admin", "role"), rows))
    elif revoke:
        gone = management.revoke_admin(folder, name)
        _tell({"revoked": gone.name}, f"revoked: {gone.name}", json=json)
    else:
        token = management.add_admin(folder, name, role)
        _tell({"admin": name, "role": role, "token": token}, token, json=json)


def _tell(facts: dict[str, str], text: str, *, json: bool) -> None:
    if json:
        render.json(facts)
    else:
        render.line(text)
