"""`omega device certify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega device certify acme.key --store ./living-room"


def certify(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The maker's private key, of omega shard maker.")],
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Let a maker vouch for this TV, as its factory does: write a certificate beside the TV's own key."""
    from omega.compose import certify_device, device_key

    settings = options.settings(store=store)
    file, device = certify_device(settings, key), device_key(settings).id.hex()
    if json:
        render.json({"device": device, "certificate": file})
    else:
        render.line(f"certified: device {device}; {file}")
