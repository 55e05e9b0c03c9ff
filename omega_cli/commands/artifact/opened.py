"""What the commands of the group work on, and how they show it."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from omega.core.artifacts.manifest import Manifest
    from omega.core.artifacts.shelf import Shelf

EXTRA = "shard"
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of published artifacts.")]


def keys() -> ModuleType:
    """Return the module of operator keys, or name the extra that it needs."""
    from omega.compose import extra_module

    module: ModuleType = extra_module("omega.core.artifacts.keys", EXTRA)
    return module


def shelf(folder: Path) -> Shelf:
    """Return the folder of published artifacts."""
    from omega.compose import extra_module

    opened: Shelf = extra_module("omega.core.artifacts.shelf", EXTRA).Shelf(folder)
    return opened


def show(manifests: Sequence[Manifest]) -> None:
    """Print artifacts, a line each."""
    columns = ("kind", "name", ">version", ">size", "smallest patch", "made", "key", "sha256")
    render.rich(render.table(columns, (_row(manifest) for manifest in manifests)))


def _row(manifest: Manifest) -> tuple[object, ...]:
    deltas = [patch.size_bytes for patch in manifest.patches if patch.base]
    return (
        manifest.kind,
        manifest.name,
        manifest.version,
        render.size(manifest.size_bytes),
        render.size(min(deltas)) if deltas else "-",
        render.moment(manifest.made_at, UTC),
        manifest.key,
        manifest.sha256,
    )
