"""`omega artifact list`."""

from __future__ import annotations

from omega_cli import options, render
from omega_cli.commands.artifact import opened

EPILOG = "Example: omega artifact list artifacts --json"


def list_(folder: opened.Folder, json: options.Json = False) -> None:
    """List the versions of all artifacts in a folder, as their manifests tell them; `verify` checks these."""
    found = opened.shelf(folder).manifests()
    if json:
        render.json(found)
    else:
        opened.show(found)
