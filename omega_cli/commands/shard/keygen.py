"""`omega shard keygen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega shard keygen --rotate"


def keygen(
    keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The key ring.", show_default="OMEGA_HOME/shard/keys.json")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Let a new key sign in five minutes; the old one counts a day longer.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="List the keys.")] = False,
    revoke: Annotated[
        str | None, typer.Option(metavar="KEY", help="Remove a key; what it signed no longer counts.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Make the keys with which a shard signs its devices' tokens, let new ones follow, list or revoke them."""
    import time

    from omega.core.errors import InputError
    from omega.core.identity import keyring

    if sum((rotate, show, revoke is not None)) > 1:
        raise InputError("more than one of --rotate, --list and --revoke is given, allowed: one at a time")
    path, now = keys or options.settings().home / "shard" / "keys.json", time.time()
    if rotate:
        ring = keyring.rotate_ring(path, now)
    elif revoke is not None:
        ring = keyring.revoke_key(path, keyring.parse_key_id(revoke), now)
    else:
        ring = keyring.KeyRing.read(path) if show else keyring.make_ring(path, now)
    if json:
        render.json({"keys": path, "ring": ring.summary(now)})
        return
    render.line(f"{path}:")
    rows = ((key.id, key.state, _moment(key.not_before), _moment(key.not_after)) for key in ring.summary(now))
    render.rich(render.table(("key", "state", "from", "until"), rows))


def _moment(unix_s: int | None) -> str:
    return "" if unix_s is None else render.moment(unix_s, None)
