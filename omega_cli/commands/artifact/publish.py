"""`omega artifact publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render
from omega_cli.commands.artifact import opened

EPILOG = "Example: omega artifact publish catalog.jsonl artifacts --kind catalog --key operator.key"


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to publish.")],
    folder: opened.Folder,
    kind: Annotated[
        str, typer.Option(help="catalog, weights, experiments, model, factors, audience, neighbors or privacy.")
    ],
    key: Annotated[Path, typer.Option(help="The operator's private key, of omega artifact keygen.")],
    name: Annotated[
        str | None, typer.Option(help="Which one of its kind.", show_default="a catalog's lineage, else the kind")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Its version.", show_default="one more than the newest")] = None,
    json: options.Json = False,
) -> None:
    """Sign a file and add it to a folder of artifacts, with patches from the versions before it."""
    import time

    signing = opened.keys().SigningKey.read(key)
    found = opened.shelf(folder).publish_file(file, kind, signing, name=name, version=version, made_at=int(time.time()))
    if json:
        render.json(found)
        return
    patches = ", ".join(render.size(patch.size_bytes) for patch in found.patches if patch.base)
    told = f"; patches from earlier versions: {patches}" if patches else ""
    render.line(f"{found.kind} {found.name} {found.version}: {render.size(found.size_bytes)}, {found.sha256}{told}")
