"""`omega artifact keygen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.artifact import opened

EPILOG = "Example: omega artifact keygen operator.key"


def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes; the public one beside it.")],
    json: options.Json = False,
) -> None:
    """Make an operator's key pair: FILE signs artifacts and stays secret, FILE.pub is pinned on the TVs."""
    key = opened.keys().SigningKey.generate()
    public = key.write(file)
    if json:
        render.json({"key": key.id, "private": file, "public": public})
    else:
        render.line(f"key {key.id}: {file} signs, keep it secret; {public} goes to the TVs")
