"""`omega shard revoke`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega.core.errors import InputError
from omega_cli import options, render

EPILOG = "Example: omega shard revoke 3fa94c1be07d2285a6b0c9d1e2f30415"


def revoke(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="The TV's id, 32 hex digits.")],
    store: options.ShardStore = "sqlite:///shard.db",
    json: options.Json = False,
) -> None:
    """Shut a TV out of a shard for good, within 5 seconds of one that runs. What it told stays counted."""
    from omega.shards import revoke_device

    if not revoke_device(store, device):
        raise InputError(f"device {device} never enrolled here, allowed: the id of one that did: nothing was changed")
    if json:
        render.json({"revoked": device.lower()})
    else:
        render.line(f"revoked: {device.lower()}")
