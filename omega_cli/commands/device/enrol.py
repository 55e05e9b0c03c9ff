"""`omega device enrol`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: OMEGA_SHARD_URL=https://shard.example:8443 omega device enrol --code 7K2M-9QXD-4HTV-0BWZ"


def enrol(
    code: Annotated[str | None, typer.Option(help="What omega shard enrol printed.", show_default="none")] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Be admitted by the TV's shard, by a code, or by its maker's certificate; later syncs need neither."""
    from omega.compose import device_key, enrol

    settings = options.settings(store=store)
    admitted, device = enrol(settings, code=code), device_key(settings).id.hex()
    if json:
        render.json({"device": device, "shard": admitted.shard, "url": settings.shard_url})
    else:
        render.line(f"admitted: device {device} by shard {admitted.shard} at {settings.shard_url}")
