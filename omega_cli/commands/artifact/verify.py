"""`omega artifact verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.artifact import opened

EPILOG = "Example: omega artifact verify artifacts --trust operator.key.pub"


def verify(
    folder: opened.Folder,
    trust: Annotated[list[Path], typer.Option(help="A public key that is trusted; may be given again.")],
    json: options.Json = False,
) -> None:
    """Check every signature, every byte and every patch in a folder of artifacts, as a TV would."""
    found = opened.shelf(folder).verify(opened.keys().Keyring.read(trust))
    if json:
        render.json(found)
    else:
        render.line(f"good: {len(found)} artifacts, signed by {', '.join(sorted({m.key for m in found})) or 'nobody'}")
