"""Options that several commands share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from omega.core.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Store = Annotated[Path | None, typer.Option(help="The TV's folder.", show_default="OMEGA_HOME/tv")]
CatalogName = Annotated[
    str | None, typer.Option(metavar="FILE", help="Catalog file, or `example`.", show_default="example")
]
EmbedderName = Annotated[str | None, typer.Option(metavar="NAME", help="Embedder plugin.", show_default="onnx")]
ModelFolder = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Model folder.", show_default="the embedder's own")
]
ShardStore = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        help="Where a shard's sums are kept: sqlite:/// and a path, postgresql://user@host/database, or postgres-dev.",
    ),
]
Context = Annotated[
    str | None,
    typer.Option(metavar="JSON", help='Context like {"time":"evening","mood":"relaxed"}.', show_default="now"),
]


def settings(**flags: object) -> Settings:
    """Return the settings in force with these flags; None means that a flag wasn't given."""
    from omega.core.settings import resolve

    return resolve(flags).settings
